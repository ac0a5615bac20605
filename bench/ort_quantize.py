"""Quantizes a model with ONNX Runtime's own quantizer, for comparison.

    pip install onnxruntime onnx numpy pillow
    python bench/ort_quantize.py MODEL.onnx OUT.onnx IMAGES|INPUTS.npz minmax|entropy|percentile|dynamic [SAMPLES [SIDE]]

IMAGES is a folder of photographs; pre-processing is ImageNet's. INPUTS.npz holds one sample. Time it from outside,
as a whole process.
"""
import os
import sys

import numpy as np
import onnx
from onnx import version_converter
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from images import folder, load  # noqa: E402


class Reader(CalibrationDataReader):
    def __init__(self, samples):
        self.samples = iter(samples)

    def get_next(self):
        return next(self.samples, None)


def samples_of(name, data, count, side):
    if data.endswith(".npz"):
        return [dict(np.load(data))]
    return ({name: load(f, side)} for f in folder(data)[: count or None])


def prepared(model, out):
    """A copy at an opset with scales along an axis (older files would not load), shapes inferred, BatchNorm fused."""
    m = onnx.load(model)
    path = out + ".prepared"
    if m.opset_import[0].version < 13:
        onnx.save(version_converter.convert_version(m, 17), path)
        model = path
    quant_pre_process(model, path, skip_symbolic_shape=True)
    return path


def main(model, out, data, method, samples="0", side=224):
    model = prepared(model, out)
    if method == "dynamic":
        quantize_dynamic(model, out, per_channel=True, weight_type=QuantType.QInt8)
    else:
        how = {"minmax": CalibrationMethod.MinMax, "entropy": CalibrationMethod.Entropy, "percentile": CalibrationMethod.Percentile}[method]
        name = onnx.load(model, load_external_data=False).graph.input[0].name
        quantize_static(model, out, Reader(samples_of(name, data, int(samples), int(side))), quant_format=QuantFormat.QDQ, per_channel=True,
                        activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=how)
    os.remove(model)


if __name__ == "__main__":
    main(*sys.argv[1:])
