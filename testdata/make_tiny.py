"""Writes tiny.onnx, the network of the examples: two layers with few weights, for any number of rows of four numbers."""

import os

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(0)
weights = {"w1": rng.normal(size=(4, 8)), "b1": rng.normal(size=8), "w2": rng.normal(size=(8, 3))}
graph = helper.make_graph(
    [
        helper.make_node("MatMul", ["x", "w1"], ["p"], "first"),
        helper.make_node("Add", ["p", "b1"], ["s"], "bias"),
        helper.make_node("Relu", ["s"], ["h"], "relu"),
        helper.make_node("MatMul", ["h", "w2"], ["y"], "second"),
    ],
    "tiny",
    [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
    [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 3])],
    [numpy_helper.from_array(np.round(w, 2).astype(np.float32), name) for name, w in weights.items()],
)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
onnx.checker.check_model(model)
onnx.save(model, os.path.join(os.path.dirname(os.path.abspath(__file__)), "tiny.onnx"))
