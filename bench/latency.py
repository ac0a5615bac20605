"""Times lowbit's engine beside ONNX Runtime on the same files, in turns.

    pip install onnxruntime onnx numpy pillow
    python bench/models.py OUT
    python bench/variants.py LOWBIT OUT [MODEL.onnx=INPUTS.npz ...]
    python bench/latency.py LOWBIT OUT [--threads 1,2] [--variants f32,int8-lowbit] [--models a,b]

For each file OUT/MODEL/VARIANT.onnx both engines get the same time in turns, ONNX Runtime at its default
optimisation; the figures are the medians over the rounds of each round's median, in milliseconds, and their
ratio, lowbit over ONNX Runtime. Behind each quantized file stands what it gains over float, in lowbit and "there", in
ONNX Runtime, and below each variant the geometric mean. --load compares the time from opening the file to the first answer, and the peak
memory of a process that does just that, instead. --own compares each quantized file of lowbit's with the float
one, both run by lowbit in turns, by the least of the rounds' medians. Have nothing else running.
"""
import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np
import onnxruntime as ort  # before anything pins this process: it reads the CPU's abilities here

VARIANTS = ["f32", "int8-lowbit", "int8-ort", "dynamic-lowbit", "dynamic-ort"]
SETS = ["avx2", "fma", "avx_vnni", "avx512f", "avx512_vnni", "amx_tile", "amx_int8"]


def machine():
    """The processor's name, and which of the instruction sets that matter it has."""
    lines = [line.partition(":") for line in open("/proc/cpuinfo")]
    info = {key.strip(): value.strip() for key, _, value in lines}
    flags = info.get("flags", "").split()
    return f"{info.get('model name')}, {os.cpu_count()} cores, {' '.join(s for s in SETS if s in flags)}; load {os.getloadavg()[0]:.1f}"


def ort_session(path, threads):
    o = ort.SessionOptions()
    o.intra_op_num_threads = threads
    o.log_severity_level = 3
    return ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])


def ort_median(session, feed, seconds):
    times, end = [], time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        t = time.perf_counter()
        session.run(None, feed)
        times.append((time.perf_counter() - t) * 1e3)
    return np.median(times)


def lowbit_bench(program, threads, path, inputs, seconds, warmup=0.1):
    cmd = [program, "bench", path, "--threads", str(threads), "--warmup", f"{warmup}s", "--duration", f"{seconds}s", "--json", "-q", "--input", inputs]
    return json.loads(subprocess.run(cmd, check=True, capture_output=True).stdout)


def compare_latency(a, threads, path, inputs):
    """(lowbit, ONNX Runtime) in ms."""
    session, feed = ort_session(path, threads), dict(np.load(inputs))
    for _ in range(3):
        session.run(None, feed)
    theirs, ours = [], []
    for _ in range(a.rounds):
        theirs.append(ort_median(session, feed, a.seconds))
        ours.append(lowbit_bench(a.lowbit, threads, path, inputs, a.seconds)["latency_ms"]["median"])
    return np.median(ours), np.median(theirs)


FIRST = """
import re, sys, time
import numpy as np, onnxruntime as ort
feed, o = dict(np.load(sys.argv[2])), ort.SessionOptions()
o.intra_op_num_threads, o.log_severity_level = int(sys.argv[3]), 3
def peak(): return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1]) / 1024
before, t = peak(), time.perf_counter()
ort.InferenceSession(sys.argv[1], o, providers=["CPUExecutionProvider"]).run(None, feed)
print((time.perf_counter() - t) * 1e3, peak(), before)
"""


def compare_load(a, threads, path, inputs):
    """Rows of (ms, peak MB) of lowbit and (ms, peak MB, MB before the model) of ONNX Runtime: medians."""
    theirs, ours = [], []
    for _ in range(a.rounds):
        out = subprocess.run([sys.executable, "-c", FIRST, path, inputs, str(threads)], check=True, capture_output=True, text=True).stdout
        theirs.append([float(v) for v in out.split()])
        r = lowbit_bench(a.lowbit, threads, path, inputs, 0.001, 0)
        ours.append([r["load_ms"], r["peak_rss_bytes"] / 2**20])
    return np.median(ours, axis=0), np.median(theirs, axis=0)


def files(a):
    """(variant, model, path, inputs), variant by variant."""
    for variant in a.variants.split(","):
        for model in sorted(os.listdir(a.out)):
            path = os.path.join(a.out, model, variant + ".onnx")
            if os.path.exists(path) and (not a.models or model in a.models.split(",")):
                yield variant, model, path, os.path.join(a.out, model, "in.npz")


def tabulate(a, threads):
    ratios, ours, float_there = {}, {}, {}
    for variant, model, path, inputs in files(a):
        if variant not in ratios:
            ratios[variant] = []
            print(f"\n{variant}, {threads} threads: ms of lowbit and ONNX Runtime")
        try:
            mine, theirs = compare_latency(a, threads, path, inputs)
        except Exception as e:  # a file that one of them refuses is a line of the table
            print(f"{model:40s} {str(e).splitlines()[0][:100]}", flush=True)
            continue
        ratios[variant].append(mine / theirs)
        ours[variant, model] = mine
        gain = ours.get(("f32", model), 0) / mine
        there = float_there.setdefault(model, theirs if variant == "f32" else 0) / theirs
        print(f"{model:40s} {mine:9.3f} {theirs:9.3f}   ratio {mine / theirs:.2f}" + (f"   {gain:.2f}x its float, {there:.2f}x there" if gain and variant != "f32" else ""), flush=True)
    for variant, list_ in ratios.items():
        print(f"geometric mean of {len(list_)} ratios, {variant}, {threads} threads: {np.exp(np.mean(np.log(list_))):.2f}")


def tabulate_load(a, threads):
    print(f"\nfrom opening the file to the first answer, {threads} threads: ms and peak MB of lowbit and ONNX Runtime (and of its process before)")
    for variant, model, path, inputs in files(a):
        try:
            mine, theirs = compare_load(a, threads, path, inputs)
        except subprocess.CalledProcessError:  # a file that one of them refuses is a line of the table
            print(f"{model:32s} {variant:15s} is not run by both", flush=True)
            continue
        print(f"{model:32s} {variant:15s} {mine[0]:8.1f} {theirs[0]:8.1f}   ratio {mine[0] / theirs[0]:.2f}   {mine[1]:7.1f} {theirs[1]:7.1f} ({theirs[2]:.1f})", flush=True)


def tabulate_own(a, threads):
    print(f"\nms in float and quantized, {threads} threads")
    slower = []
    for variant, model, path, inputs in files(a):
        if variant == "f32" or variant.endswith("-ort"):
            continue
        plain = os.path.join(os.path.dirname(path), "f32.onnx")
        times = [[lowbit_bench(a.lowbit, threads, p, inputs, a.seconds)["latency_ms"]["median"] for p in (plain, path)] for _ in range(a.rounds)]
        before, after = np.min(times, axis=0)
        print(f"{model:40s} {variant:15s} {before:9.4f} {after:9.4f}   ratio {after / before:.3f}", flush=True)
        if after > 1.03 * before:
            slower.append(f"{model} {variant}")
    print(f"slower than float by more than 3 %, {threads} threads: {', '.join(slower) or 'none'}")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("lowbit")
    p.add_argument("out")
    p.add_argument("--threads", default="1,2")
    p.add_argument("--variants", default=",".join(VARIANTS))
    p.add_argument("--models", default="")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--seconds", type=float, default=0.5, help="of each engine in each round")
    p.add_argument("--load", action="store_true")
    p.add_argument("--own", action="store_true")
    a = p.parse_args()
    print(f"onnxruntime {ort.__version__}; {machine()}")
    for threads in a.threads.split(","):
        (tabulate_load if a.load else tabulate_own if a.own else tabulate)(a, int(threads))
    print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
