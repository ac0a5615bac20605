"""Times lowbit's engine beside ONNX Runtime on the same files, in turns.

    pip install onnxruntime numpy
    python bench/latency.py LOWBIT THREADS MODEL.onnx[=INPUTS.npz] ...

Each round gives both engines the same time; the figures are the medians of all runs of all rounds,
in milliseconds, and their ratio, lowbit over ONNX Runtime. Have nothing else running.
"""
import json
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime as ort  # before anything pins this process: it reads the CPU's abilities here

ROUNDS, SECONDS = 5, 1.0


def ort_times(session, feed):
    times, end = [], time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        t = time.perf_counter()
        session.run(None, feed)
        times.append((time.perf_counter() - t) * 1e3)
    return times


def feed_of(session, rng):
    feed = {}
    for i in session.get_inputs():
        shape = [d if isinstance(d, int) and d > 0 else 1 for d in i.shape]
        if "float" in i.type:
            feed[i.name] = rng.standard_normal(shape).astype(np.float32)
        else:
            kind = {"tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": bool}[i.type]
            feed[i.name] = rng.integers(0, 2, shape).astype(kind)
    return feed


def lowbit_median(program, threads, path, inputs):
    cmd = [program, "bench", path, "--threads", str(threads), "--warmup", "300ms", "--duration", f"{SECONDS}s", "--json", "--input", inputs]
    return json.loads(subprocess.run(cmd, check=True, capture_output=True).stdout)["latency_ms"]["median"]


def main(program, threads, paths):
    logs, tmp = [], tempfile.mkdtemp()
    for path in paths:
        path, _, inputs = path.partition("=")
        o = ort.SessionOptions()
        o.intra_op_num_threads = threads
        o.log_severity_level = 3
        s = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])
        feed = dict(np.load(inputs)) if inputs else feed_of(s, np.random.default_rng(0))
        if not inputs:
            inputs = os.path.join(tmp, "in.npz")
            np.savez(inputs, **feed)
        for _ in range(10):
            s.run(None, feed)
        theirs, ours = [], []
        for _ in range(ROUNDS):
            theirs.append(np.median(ort_times(s, feed)))
            ours.append(lowbit_median(program, threads, path, inputs))
        a, b = np.median(ours), np.median(theirs)
        logs.append(np.log(a / b))
        print(f"{path.split('/')[-1]:40s} lowbit {a:8.3f}  onnxruntime {b:8.3f}  ratio {a / b:.2f}", flush=True)
    print(f"geometric mean of {len(logs)} ratios: {np.exp(np.mean(logs)):.2f} ({threads} threads, onnxruntime {ort.__version__})")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
