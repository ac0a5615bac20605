"""Times int8 convolutions in lowbit's engine beside ONNX Runtime's, both on the same file, on one thread.

    pip install onnxruntime onnx numpy
    python bench/conv.py LOWBIT [KxSIZExCINxCOUTxSTRIDE ...]

A file is a chain of DEPTH convolutions between QuantizeLinear and DequantizeLinear, from CIN to COUT channels
and back, so that the way from and to NCHW order weighs little in either engine; --depth 1 gives one node, its
order changes included. ONNX Runtime makes QLinearConv of it. The engines run in turns; the figures are the best
of the rounds in GOP/s, 2 operations for each product. Have nothing else running.
"""
import argparse
import os
import tempfile
import time

import numpy as np
import onnx
import onnxruntime as ort  # before the process is pinned: it reads the CPU's abilities here
from onnx import TensorProto, helper, numpy_helper

from latency import lowbit_bench, machine, ort_session

SHAPES = ["3x56x64x64x1", "3x28x128x128x1", "3x14x256x256x1", "3x7x512x512x1", "1x56x64x256x1", "1x28x128x512x1", "1x14x256x1024x1", "1x7x512x2048x1"]


def chain(depth, k, size, cin, cout, stride):
    """A model of uint8 codes, its operations, and the shape of its input."""
    rng, weights, nodes, ops = np.random.default_rng(0), {}, [], 0

    def constant(name, value):
        weights[name] = numpy_helper.from_array(value, name)
        return name

    scale, zero = constant("s", np.float32(0.02)), constant("z", np.uint8(3))
    nodes.append(helper.make_node("DequantizeLinear", ["x", scale, zero], ["d0"]))
    shape = [1, cin, size, size]
    for i in range(depth):
        a, b = (cin, cout) if i % 2 == 0 else (cout, cin)
        w = constant(f"w{i}", rng.integers(-127, 128, (b, a, k, k)).astype(np.int8))
        ws = constant(f"ws{i}", (0.01 / np.sqrt(a * k * k) * rng.uniform(0.5, 1, b)).astype(np.float32))
        wz = constant(f"wz{i}", np.zeros(b, np.int8))
        bias = constant(f"b{i}", np.zeros(b, np.int32))
        bs = constant(f"bs{i}", (np.float32(0.02) * numpy_helper.to_array(weights[ws])).astype(np.float32))
        nodes += [
            helper.make_node("DequantizeLinear", [w, ws, wz], [f"wd{i}"], axis=0),
            helper.make_node("DequantizeLinear", [bias, bs], [f"bd{i}"], axis=0),
            helper.make_node("Conv", [f"d{i}", f"wd{i}", f"bd{i}"], [f"c{i}"], kernel_shape=[k, k], pads=[k // 2] * 4, strides=[stride, stride]),
            helper.make_node("QuantizeLinear", [f"c{i}", scale, zero], [f"q{i}"]),
            helper.make_node("DequantizeLinear", [f"q{i}", scale, zero], [f"d{i + 1}"]),
        ]
        size = (size + stride - 1) // stride
        ops += 2 * a * b * k * k * size * size
    nodes.pop()
    ends = helper.make_tensor_value_info("x", TensorProto.UINT8, shape), helper.make_tensor_value_info(f"q{depth - 1}", TensorProto.UINT8, None)
    graph = helper.make_graph(nodes, "chain", [ends[0]], [ends[1]], list(weights.values()))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), ops, shape


def ort_best(session, feed, seconds):
    best, end = np.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        t = time.perf_counter()
        session.run(None, feed)
        best = min(best, time.perf_counter() - t)
    return best


def main():
    p = argparse.ArgumentParser()
    p.add_argument("lowbit")
    p.add_argument("shapes", nargs="*", default=SHAPES)
    p.add_argument("--depth", type=int, default=8)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--seconds", type=float, default=0.1, help="of each engine in each round")
    a = p.parse_intermixed_args()
    print(f"onnxruntime {ort.__version__}; {machine()}; chains of {a.depth}")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    folder = tempfile.mkdtemp()
    path, inputs = os.path.join(folder, "chain.onnx"), os.path.join(folder, "in.npz")
    for shape in a.shapes:
        model, ops, ends = chain(a.depth, *(int(v) for v in shape.split("x")))
        onnx.save(model, path)
        feed = {"x": np.random.default_rng(1).integers(0, 256, ends).astype(np.uint8)}
        np.savez(inputs, **feed)
        session, ours, theirs = ort_session(path, 1), np.inf, np.inf
        session.run(None, feed)
        for _ in range(a.rounds):
            theirs = min(theirs, ort_best(session, feed, a.seconds))
            ours = min(ours, lowbit_bench(a.lowbit, 1, path, inputs, a.seconds)["latency_ms"]["min"] / 1e3)
        print(f"{shape:18s} lowbit {ops / ours / 1e9:6.0f}   onnxruntime {ops / theirs / 1e9:6.0f}   {theirs / ours:.2f}x", flush=True)


if __name__ == "__main__":
    main()
