"""Times products with weights of few bits beside ONNX Runtime's MatMulNBits, on one thread, on the same files.

    pip install onnxruntime onnx numpy
    python bench/nbits.py LOWBIT [MxNxK ...] [--bits 4] [--block 32] [--rounds 8]

LOWBIT is the program. Each file is one node: MatMulNBits at accuracy_level 4 (activations of eight bits by
blocks) and 0 (float), a float MatMul, and a MatMulInteger of uint8 and int8. Both engines run in turns of a
quarter of a second; the figures are the medians of the rounds' best, in microseconds, and the last column how
many times as fast lowbit is as ONNX Runtime. Have nothing else running.
"""
import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time

import numpy as np
import onnx
import onnxruntime as ort  # before the process is pinned: it reads the CPU's abilities here
from onnx import TensorProto, helper, numpy_helper

from latency import machine

F, U8, I32 = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT32
SECONDS = 0.25


def save(path, op, kind, out, shape, n, names, domain="", attributes=None, **constants):
    """Writes a model of one node over input a."""
    weights = [numpy_helper.from_array(v, name) for name, v in constants.items()]
    node = helper.make_node(op, names.split(), ["y"], domain=domain, **(attributes or {}))
    graph = helper.make_graph([node], op, [helper.make_tensor_value_info("a", kind, shape)],
                              [helper.make_tensor_value_info("y", out, [shape[0], n])], weights)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    return path


def files(folder, m, n, k, bits, block):
    """{name: path} of the products."""
    rng = np.random.default_rng(0)
    blocks = (k + block - 1) // block
    codes = rng.integers(0, 256, (n, blocks, block * bits // 8)).astype(np.uint8)
    scale = rng.uniform(0.01, 0.02, n * blocks).astype(np.float32)
    path = lambda name: os.path.join(folder, f"{name.replace(' ', '-')}-{m}x{n}x{k}.onnx")
    made = {}
    for level in (4, 0):
        name = f"u{bits} level {level}"
        attributes = {"K": k, "N": n, "bits": bits, "block_size": block, "accuracy_level": level}
        made[name] = save(path(name), "MatMulNBits", F, F, [m, k], n, "a b s", "com.microsoft", attributes, b=codes, s=scale)
    made["f32"] = save(path("f32"), "MatMul", F, F, [m, k], n, "a b", b=rng.standard_normal((k, n)).astype(np.float32))
    made["u8s8"] = save(path("u8s8"), "MatMulInteger", U8, I32, [m, k], n, "a b", b=rng.integers(-127, 128, (k, n)).astype(np.int8))
    return made


def theirs(path):
    """A function that returns the best time of ONNX Runtime in a turn."""
    o = ort.SessionOptions()
    o.intra_op_num_threads = 1
    s = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])
    i = s.get_inputs()[0]
    a = np.ones(i.shape, np.float32 if i.type == "tensor(float)" else np.uint8)

    def turn():
        best, end = np.inf, time.perf_counter() + SECONDS
        while time.perf_counter() < end:
            t = time.perf_counter()
            s.run(None, {"a": a})
            best = min(best, time.perf_counter() - t)
        return best * 1e6

    return turn


def ours(program, path):
    def turn():
        out = subprocess.run([program, "bench", path, "--threads", "1", "--warmup", "50ms", "--duration", f"{int(SECONDS * 1000)}ms", "--json", "-q"],
                             check=True, capture_output=True)
        return json.loads(out.stdout)["latency_ms"]["min"] * 1e3

    return turn


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("shapes", nargs="*", default=["1x4096x4096", "8x4096x4096"])
    p.add_argument("--bits", type=int, default=4)
    p.add_argument("--block", type=int, default=32)
    p.add_argument("--rounds", type=int, default=8)
    p.add_argument("--only", default="")
    a = p.parse_args()
    print(f"onnxruntime {ort.__version__}; {machine()}")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    with tempfile.TemporaryDirectory() as folder:
        for shape in a.shapes:
            m, n, k = (int(v) for v in shape.split("x"))
            for name, path in files(folder, m, n, k, a.bits, a.block).items():
                if a.only not in name:
                    continue
                turns = ours(a.program, path), theirs(path)
                rounds = [[t() for t in turns] for _ in range(a.rounds)]
                mine, other = (statistics.median(column) for column in zip(*rounds))
                print(f"{shape:14s} {name:11s} lowbit {mine:8.0f} us | onnxruntime {other:8.0f} us | {other / mine:.2f}x", flush=True)


if __name__ == "__main__":
    main()
