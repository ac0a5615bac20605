"""Quantizes a model with ONNX Runtime's own quantizer, for comparison.

    pip install onnxruntime onnx numpy pillow
    python bench/ort_quantize.py MODEL.onnx OUT.onnx IMAGES minmax|entropy|percentile [SAMPLES]

IMAGES is a folder of photographs; pre-processing is ImageNet's. Time it from outside, as a whole process.
"""
import os
import sys

import numpy as np
import onnx
from onnx import version_converter
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from PIL import Image


def load(path):
    im = Image.open(path).convert("RGB")
    s = 256 / min(im.size)
    im = im.resize((round(im.width * s), round(im.height * s)), Image.BILINEAR)
    x, y = (im.width - 224) // 2, (im.height - 224) // 2
    a = np.asarray(im.crop((x, y, x + 224, y + 224)), np.float32) / 255
    return ((a - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]).transpose(2, 0, 1)[None].astype(np.float32)


class Reader(CalibrationDataReader):
    def __init__(self, name, files):
        self.name, self.files = name, iter(files)

    def get_next(self):
        f = next(self.files, None)
        return None if f is None else {self.name: load(f)}


def main(model, out, folder, method, samples="0"):
    m = onnx.load(model)
    if m.opset_import[0].version < 13:  # scales along an axis need 13; at 12 the file would not load
        m = version_converter.convert_version(m, 17)
        model = out + ".opset17"
        onnx.save(m, model)
    files = sorted(os.path.join(d, f) for d, _, names in os.walk(folder) for f in names if f.endswith((".jpg", ".png")))
    if int(samples):
        files = files[: int(samples)]
    how = {"minmax": CalibrationMethod.MinMax, "entropy": CalibrationMethod.Entropy, "percentile": CalibrationMethod.Percentile}[method]
    quantize_static(model, out, Reader(m.graph.input[0].name, files), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, calibrate_method=how)


if __name__ == "__main__":
    main(*sys.argv[1:])
