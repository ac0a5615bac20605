"""Writes small networks that ONNX Runtime's tools quantized, NAME.onnx, each with an input and what ONNX Runtime
computes for it, NAME.npz (in:x, out:y).

    python make_foreign.py foreign      (needs onnx, onnxruntime, onnx_ir, numpy)
"""
import os
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static
from onnxruntime.quantization.matmul_bnb4_quantizer import MatMulBnb4Quantizer
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

K, H, N = 96, 48, 20
rng = np.random.default_rng(11)


def net():
    """x (6,96) → MatMul, Add, Relu → MatMul."""
    weights = {"w1": rng.standard_normal((K, H)) / K**0.5, "b1": rng.standard_normal(H) / 4, "w2": rng.standard_normal((H, N)) / H**0.5}
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["h"], name="first"),
        helper.make_node("Add", ["h", "b1"], ["s"], name="bias"),
        helper.make_node("Relu", ["s"], ["r"], name="relu"),
        helper.make_node("MatMul", ["r", "w2"], ["y"], name="second"),
    ]
    graph = helper.make_graph(
        nodes, "net", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [6, K])], [helper.make_tensor_value_info("y", TensorProto.FLOAT, [6, N])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in weights.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


class Samples(CalibrationDataReader):
    def __init__(self):
        self.rows = iter([{"x": rng.standard_normal((6, K)).astype(np.float32)} for _ in range(8)])

    def get_next(self):
        return next(self.rows, None)


def nbits(model, **settings):
    q = MatMulNBitsQuantizer(model, **settings)
    q.process()
    return q.model.model


def bnb4(model, kind):
    q = MatMulBnb4Quantizer(model, kind, 32)
    q.process()
    return q.model.model


def saved(call):
    """What a tool that reads and writes files makes of the network."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = os.path.join(folder, "a.onnx"), os.path.join(folder, "b.onnx")
        onnx.save(net(), before)
        call(before, after)
        return onnx.load(after)


def static(form):
    return saved(lambda a, b: quantize_static(a, b, Samples(), quant_format=form, per_channel=form == QuantFormat.QDQ,
                                              activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8))


MODELS = {
    "nbits4": lambda: nbits(net(), bits=4, block_size=32, is_symmetric=True),
    "nbits4-zero": lambda: nbits(net(), bits=4, block_size=16, is_symmetric=False),
    "nbits4-level4": lambda: nbits(net(), bits=4, block_size=32, is_symmetric=False, accuracy_level=4),
    "nbits8": lambda: nbits(net(), bits=8, block_size=32, is_symmetric=False),
    "nbits4-qdq": lambda: nbits(net(), bits=4, block_size=16, is_symmetric=True, quant_format=QuantFormat.QDQ),
    "nbits4-qdq-zero": lambda: nbits(net(), bits=4, block_size=16, is_symmetric=False, quant_format=QuantFormat.QDQ),
    "bnb4-nf4": lambda: bnb4(net(), 1),
    "bnb4-fp4": lambda: bnb4(net(), 0),
    "static-qdq": lambda: static(QuantFormat.QDQ),
    "static-qoperator": lambda: static(QuantFormat.QOperator),
    "dynamic": lambda: saved(lambda a, b: quantize_dynamic(a, b, weight_type=QuantType.QInt8)),
}


def main(folder):
    for name, make in MODELS.items():
        model = make()
        onnx.save(model, os.path.join(folder, name + ".onnx"))
        o = ort.SessionOptions()
        o.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        x = rng.standard_normal((6, K)).astype(np.float32)
        y = ort.InferenceSession(model.SerializeToString(), o, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
        np.savez_compressed(os.path.join(folder, name + ".npz"), **{"in:x": x, "out:y": y})


if __name__ == "__main__":
    main(sys.argv[1])
