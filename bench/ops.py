"""Times networks of one operator by lowbit beside ONNX Runtime, one thread, the slowest against it first.

    pip install onnxruntime onnx numpy
    python bench/ops.py LOWBIT [NAME ...]

NAME is part of a case's name. The figures are the least times, in milliseconds, and their ratio. Have nothing else
running: most cases take less than a tenth of a millisecond.
"""
import argparse
import json
import os
import subprocess
import tempfile
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

rng = np.random.default_rng(0)


def real(*shape):
    return rng.standard_normal(shape).astype(np.float32)


def whole(below, *shape, dtype=np.int64):
    return rng.integers(0, below, shape).astype(dtype)


def ints(*values):
    return np.array(values, np.int64)


IMAGE, SMALL = real(1, 64, 56, 56), real(1, 64, 28, 28)
NONE = np.zeros(0, np.float32)
POINTWISE = """Abs Acos Atan Ceil Celu Cos Elu Erf Exp Floor HardSigmoid HardSwish LeakyRelu Log Mish Neg Reciprocal Relu Round Selu Shrink
Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Tan Tanh ThresholdedRelu""".split()


def cases():
    """(name, operator, operands, how many of the last ones are constant, opset, attributes)"""
    for op in POINTWISE:
        yield op, op, [np.abs(IMAGE) * 0.3 + 0.01], 0, 18, {}
    yield "Gelu", "Gelu", [IMAGE], 0, 20, {}
    yield "Clip", "Clip", [IMAGE, np.float32(0), np.float32(6)], 2, 17, {}
    for e in (2, 1.5):
        yield f"Pow {e}", "Pow", [np.abs(IMAGE), np.float32(e)], 1, 17, {}
    yield "Pow of elements", "Pow", [np.abs(IMAGE), IMAGE], 0, 17, {}
    yield "Add of a row", "Add", [IMAGE, real(1, 1, 56, 56)], 0, 17, {}
    yield "Add of a column", "Add", [real(1, 12, 64, 64), real(1, 1, 64, 1)], 0, 17, {}
    for op in ("Add", "Sub", "Mul", "Div", "Mod"):
        yield op + " int64", op, [whole(900, 64, 3136), whole(9, 64, 3136) + 1], 0, 17, {}
    for op in ("Greater", "Equal"):
        yield op, op, [IMAGE, real(1, 64, 56, 56)], 0, 17, {}
    yield "Not", "Not", [IMAGE > 0], 0, 17, {}
    yield "Where", "Where", [IMAGE > 0, IMAGE, real(1, 1, 1, 1)], 0, 17, {}
    for name, x, to in (("float to int64", IMAGE * 9, TensorProto.INT64), ("float to uint8", np.abs(IMAGE * 9), TensorProto.UINT8), ("int64 to float", whole(9, 64, 3136), TensorProto.FLOAT),
                        ("bool to float", IMAGE > 0, TensorProto.FLOAT), ("int32 to int64", whole(9, 64, 3136, dtype=np.int32), TensorProto.INT64)):
        yield "Cast " + name, "Cast", [x], 0, 17, {"to": to}

    yield "Conv dilated", "Conv", [IMAGE, real(64, 64, 3, 3)], 1, 17, {"dilations": [2, 2], "pads": [2] * 4}
    yield "Conv with computed weights", "Conv", [IMAGE, real(64, 64, 3, 3)], 0, 17, {"pads": [1] * 4}
    yield "Conv 1-D", "Conv", [real(1, 64, 400), real(64, 64, 3)], 1, 17, {"pads": [1, 1]}
    yield "Conv 3-D", "Conv", [real(1, 16, 16, 28, 28), real(16, 16, 3, 3, 3)], 1, 17, {"pads": [1] * 6}
    yield "ConvTranspose 2x2", "ConvTranspose", [SMALL, real(64, 32, 2, 2)], 1, 17, {"strides": [2, 2]}
    yield "ConvTranspose 4x4", "ConvTranspose", [SMALL, real(64, 32, 4, 4)], 1, 17, {"strides": [2, 2], "pads": [1] * 4}
    yield "ConvTranspose 1-D", "ConvTranspose", [real(1, 64, 200), real(64, 32, 8)], 1, 17, {"strides": [4], "pads": [2, 2]}
    yield "ConvTranspose depthwise", "ConvTranspose", [SMALL, real(64, 1, 4, 4)], 1, 17, {"strides": [2, 2], "pads": [1] * 4, "group": 64}
    yield "Gemm transposed", "Gemm", [real(256, 128), real(256, 64)], 0, 17, {"transA": 1}
    yield "MatMul of stacks", "MatMul", [real(8, 64, 64), real(8, 64, 64)], 0, 17, {}
    for op, gates in (("RNN", 1), ("GRU", 3), ("LSTM", 4)):
        yield op, op, [real(50, 1, 64), real(1, gates * 128, 64), real(1, gates * 128, 128)], 2, 17, {"hidden_size": 128}

    yield "MaxPool", "MaxPool", [IMAGE], 0, 17, {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4}
    yield "AveragePool", "AveragePool", [IMAGE], 0, 17, {"kernel_shape": [3, 3], "pads": [1] * 4}
    yield "LpPool", "LpPool", [IMAGE], 0, 17, {"kernel_shape": [3, 3], "strides": [2, 2]}
    yield "LRN", "LRN", [IMAGE], 0, 17, {"size": 5}
    yield "LayerNormalization", "LayerNormalization", [real(1, 196, 768), real(768), real(768)], 2, 17, {}
    yield "InstanceNormalization", "InstanceNormalization", [IMAGE, real(64), real(64)], 2, 17, {}
    yield "GroupNormalization", "GroupNormalization", [IMAGE, real(8), real(8)], 2, 18, {"num_groups": 8}
    yield "LpNormalization", "LpNormalization", [IMAGE], 0, 17, {"axis": 1}
    for op in ("Softmax", "LogSoftmax", "Hardmax", "ArgMax"):
        yield op + " of rows", op, [real(100, 1000)], 0, 17, {"axis": -1}
        yield op + " of channels", op, [real(1, 21, 128, 128)], 0, 17, {"axis": 1}
    for op in ("ReduceMax", "ReduceL1", "ReduceProd", "ReduceLogSumExp"):
        yield op, op, [IMAGE], 0, 17, {"axes": [1]}
    yield "CumSum", "CumSum", [real(64, 1000), np.int64(1)], 1, 17, {}

    yield "Gather rows", "Gather", [real(30000, 384), whole(30000, 1, 128)], 0, 17, {}
    yield "Gather inside", "Gather", [real(1, 12, 64, 64), whole(64, 40)], 0, 17, {"axis": 3}
    yield "GatherElements", "GatherElements", [real(1, 900, 256), whole(900, 1, 300, 256)], 0, 17, {"axis": 1}
    yield "ScatterElements", "ScatterElements", [real(1, 900, 256), whole(900, 1, 300, 256), real(1, 300, 256)], 0, 17, {"axis": 1}
    yield "ScatterND", "ScatterND", [real(900, 256), whole(900, 300, 1), real(300, 256)], 0, 17, {}
    yield "TopK of rows", "TopK", [real(100, 1000), ints(5)], 1, 17, {}
    yield "TopK of boxes", "TopK", [real(1, 8400), ints(300)], 1, 17, {}
    yield "Unique", "Unique", [whole(50, 5000)], 0, 17, {}
    yield "NonZero", "NonZero", [real(200, 200) > 1], 0, 17, {}
    for mode in ("nearest", "linear", "cubic"):
        yield "Resize " + mode, "Resize", [SMALL, NONE, np.array([1, 1, 2, 2], np.float32)], 2, 17, {"mode": mode, "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
    yield "GridSample", "GridSample", [IMAGE, np.clip(real(1, 56, 56, 2), -1, 1)], 0, 16, {}
    for mode in ("constant", "reflect", "edge"):
        yield "Pad " + mode, "Pad", [IMAGE, ints(0, 0, 3, 3, 0, 0, 3, 3)], 1, 17, {"mode": mode}
    yield "Tile", "Tile", [real(1, 32, 28, 28), ints(1, 2, 2, 2)], 1, 17, {}
    yield "Expand", "Expand", [real(1, 64, 1, 1), ints(1, 64, 56, 56)], 1, 17, {}
    yield "DepthToSpace", "DepthToSpace", [IMAGE], 0, 17, {"blocksize": 2}
    yield "SpaceToDepth", "SpaceToDepth", [IMAGE], 0, 17, {"blocksize": 2}
    yield "Trilu", "Trilu", [real(12, 256, 256)], 0, 17, {}
    yield "Concat of channels", "Concat", [IMAGE, real(1, 32, 56, 56)], 0, 17, {"axis": 1}
    yield "Concat of pixels", "Concat", [real(1, 56, 56, 24), real(1, 56, 56, 8)], 0, 17, {"axis": 3}
    yield "Transpose 0213", "Transpose", [real(1, 128, 12, 64)], 0, 17, {"perm": [0, 2, 1, 3]}
    yield "Transpose 0231", "Transpose", [IMAGE], 0, 17, {"perm": [0, 2, 3, 1]}
    yield "Slice with steps", "Slice", [IMAGE, ints(0, 1), ints(56, 56), ints(2, 3), ints(2, 2)], 4, 17, {}
    yield "Col2Im", "Col2Im", [real(1, 576, 784), ints(28, 28), ints(3, 3)], 2, 18, {"pads": [1] * 4}


def network(op, operands, constants, opset, attributes):
    """The network and its inputs."""
    names = [f"i{k}" for k in range(len(operands))]
    results = ["o0", "o1"] if op == "TopK" else ["o0"]
    fed = dict(zip(names[:len(names) - constants], operands))
    inputs = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape) for n, x in fed.items()]
    stored = [numpy_helper.from_array(np.asarray(x), n) for n, x in zip(names, operands) if n not in fed]
    graph = helper.make_graph([helper.make_node(op, names, results, **attributes)], op, inputs, [helper.make_empty_tensor_value_info(r) for r in results], stored)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model), fed


def ort_least(path, feed, seconds):
    o = ort.SessionOptions()
    o.intra_op_num_threads, o.log_severity_level = 1, 4
    session = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])
    times, end = [], time.perf_counter() + seconds
    while len(times) < 3 or time.perf_counter() < end:
        t = time.perf_counter()
        session.run(None, feed)
        times.append((time.perf_counter() - t) * 1e3)
    return min(times)


def lowbit_least(program, path, inputs, seconds):
    cmd = [program, "bench", path, "--input", inputs, "--threads", "1", "--warmup", "0.05s", "--duration", f"{seconds}s", "--json", "-q"]
    return json.loads(subprocess.run(cmd, check=True, capture_output=True).stdout)["latency_ms"]["min"]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("lowbit"), p.add_argument("names", nargs="*"), p.add_argument("--seconds", type=float, default=0.25)
    a = p.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path, inputs = os.path.join(folder, "m.onnx"), os.path.join(folder, "in.npz")
        for name, *case in cases():
            if a.names and not any(n in name for n in a.names):
                continue
            model, feed = network(*case)
            onnx.save(model, path)
            np.savez(inputs, **feed)
            theirs, ours = ort_least(path, feed, a.seconds), lowbit_least(a.lowbit, path, inputs, a.seconds)
            rows.append((ours / theirs, name, ours, theirs))
    for ratio, name, ours, theirs in sorted(rows, reverse=True):
        print(f"{name:28s} {ours:8.4f} {theirs:8.4f}   ratio {ratio:.2f}")
    print(f"geometric mean of {len(rows)} ratios: {np.exp(np.mean([np.log(r[0]) for r in rows])):.2f}")


if __name__ == "__main__":
    main()
