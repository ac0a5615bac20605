"""Times matrix products beside ONNX Runtime's and the limit of the instruction behind them, on one thread.

    pip install onnxruntime onnx numpy
    python bench/gemm.py [--ort-without-amx] [MxNxK ...]

ONNX Runtime's MatMul, MatMulInteger and QLinearMatMul, lowbit's kernels (go test -bench, with B packed
beforehand and random numbers on both sides: a core multiplies zeros at a higher clock) and the instructions alone run in turns; the figures are the best of the rounds in GOP/s,
2·M·N·K operations for one product. The limit is what the instruction reaches on registers of zeros, and in
brackets on random numbers, which some cores' tiles multiply more slowly. Two bests may come from different clocks of a core:
the second share is the median of those of single calls in the limit just before and after them. LOWBIT_CPU caps the instruction set of lowbit's. ONNX Runtime has no such switch,
but it does not find AMX in a process that is pinned to one core when it is imported, and falls back to VNNI:
--ort-without-amx does that. Have nothing else running.
"""
import os
import re
import subprocess
import sys
import tempfile
import time

WITHOUT_AMX = "--ort-without-amx"
if WITHOUT_AMX in sys.argv:
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})

import numpy as np
import onnx
import onnxruntime as ort  # before the process is pinned, but for that: it reads the CPU's abilities here
from onnx import TensorProto, helper, numpy_helper

from latency import machine

ROUNDS, SECONDS = 10, 0.1
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
F, U8, I32 = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT32


def product(op, m, n, k, kind, out, names, **constants):
    """A session of one node over input a and constants, and its feed."""
    weights = [numpy_helper.from_array(v, name) for name, v in constants.items()]
    node = helper.make_node(op, names.split(), ["y"])
    graph = helper.make_graph([node], op, [helper.make_tensor_value_info("a", kind, [m, k])], [helper.make_tensor_value_info("y", out, [m, n])], weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    o = ort.SessionOptions()
    o.intra_op_num_threads = 1
    rng = np.random.default_rng(1)
    a = rng.standard_normal((m, k), np.float32) if kind == F else rng.integers(0, 256, (m, k), np.uint8)
    return ort.InferenceSession(model.SerializeToString(), o, providers=["CPUExecutionProvider"]), {"a": a}


def theirs(m, n, k):
    """The three products of ONNX Runtime."""
    rng = np.random.default_rng(0)
    f, w = rng.standard_normal((k, n)).astype(np.float32), rng.integers(-127, 128, (k, n)).astype(np.int8)
    s, zu, zs = np.float32(0.01), np.uint8(0), np.int8(0)
    return {
        "f32": product("MatMul", m, n, k, F, F, "a b", b=f),
        "u8s8 sums": product("MatMulInteger", m, n, k, U8, I32, "a b", b=w),
        "u8s8 codes": product("QLinearMatMul", m, n, k, U8, U8, "a s zu b s zs s zu", b=w, s=s, zu=zu, zs=zs),
    }


def gops_of(session, feed, ops):
    session.run(None, feed)
    best, end = np.inf, time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        t = time.perf_counter()
        session.run(None, feed)
        best = min(best, time.perf_counter() - t)
    return ops / best / 1e9


BENCHMARKS = {"f32": "GemmF32/{}", "u8s8 sums": "GemmU8S8/sums/{}", "u8s8 codes": "GemmU8S8/codes/{}"}


def go_gops(program, name):
    """{level: (GOP/s, share in the limit)} of a benchmark, (on zeros, on random numbers) of a limit; name has braces for the level."""
    pattern = "/".join(f"^{part}$" for part in ("Benchmark" + name.format("[a-z0-9]+")).split("/"))
    out = subprocess.run([program, "-test.run", "^$", "-test.bench", pattern, "-test.benchtime", f"{SECONDS}s", "-test.cpu", "1"],
                         check=True, capture_output=True, text=True, cwd=os.path.join(ROOT, "internal", "kernel")).stdout
    levels = {"avx2", "avxvnni", "avx512", "vnni", "amx"}
    return {next(p for p in path.split("/") if p in levels): [float(v) for v in re.findall(r"([\d.]+) (?:(?:random-)?GOP/s|share)", rest)]
            for path, rest in re.findall(r"^Benchmark(\S+)\s(.*GOP/s.*)", out, re.M)}


def main(shapes):
    program = os.path.join(tempfile.mkdtemp(), "kernel.test")
    subprocess.run(["go", "test", "-c", "-o", program, "./internal/kernel"], check=True, cwd=ROOT)
    print(f"onnxruntime {ort.__version__}; {machine()}")
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for shape in shapes:
        m, n, k = (int(v) for v in shape.split("x"))
        sessions = theirs(m, n, k)
        for name, bench in BENCHMARKS.items():
            ours, limits, shares, other = {}, {}, {}, 0
            for _ in range(ROUNDS):
                other = max(other, gops_of(*sessions[name], 2 * m * n * k))
                for level, (v, share) in go_gops(program, bench + "/" + shape).items():
                    ours[level] = max(v, ours.get(level, 0))
                    shares.setdefault(level, []).append(share)
                for level, v in go_gops(program, f"Peak/{name.split()[0]}/{{}}").items():
                    limits[level] = [max(pair) for pair in zip(v, limits.get(level, v))]
            print(f"{shape:16s} {name:11s} onnxruntime {other:7.0f}", end="")
            for level, v in ours.items():
                limit, random = limits[level]
                print(f" | {level} {v:.0f}: {v / other:.2f}x, {100 * v / limit:.0f} % of {limit:.0f} ({random:.0f}), {100 * np.median(shares[level]):.0f} %", end="")
            print(flush=True)


if __name__ == "__main__":
    main([a for a in sys.argv[1:] if a != WITHOUT_AMX] or ["512x512x512", "1024x1024x1024", "784x128x576"])
