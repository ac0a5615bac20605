"""Writes the quantized files that bench/latency.py compares.

    pip install onnxruntime onnx numpy pillow
    python bench/variants.py LOWBIT OUT [MODEL.onnx=INPUTS.npz ...] [--only int8-this,dynamic-this]

For each model, named after its folder, and for each that lies in OUT already (bench/models.py), OUT/NAME/ gets
    f32.onnx, in.npz     the model and its input, which is the calibration sample too
    int8-lowbit.onnx     static, uint8 activations, int8 weights by channel, Q/DQ
    int8-ort.onnx        the same by ONNX Runtime's quantizer
    dynamic-lowbit.onnx  activations quantized in each run
    dynamic-ort.onnx     the same by ONNX Runtime's quantizer
    int8-this.onnx       as int8-lowbit, for this machine: what is slower in few bits stays in float
    dynamic-this.onnx    as dynamic-lowbit, likewise
What a quantizer fails on is left out, and said. The last two time the network: have nothing else running.
"""
import argparse
import os
import shutil
import subprocess
import sys

ORT = [sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "ort_quantize.py")]


def commands(lowbit, folder):
    """(file, command) of each quantized variant."""
    f32, data = os.path.join(folder, "f32.onnx"), os.path.join(folder, "in.npz")

    def out(name):
        return os.path.join(folder, name + ".onnx")

    quantize = [lowbit, "quantize", f32, "--force", "-q", "-o"]
    yield out("int8-lowbit"), [*quantize, out("int8-lowbit"), "--data", data]
    yield out("dynamic-lowbit"), [*quantize, out("dynamic-lowbit"), "--mode", "dynamic"]
    yield out("int8-ort"), [*ORT, f32, out("int8-ort"), data, "minmax"]
    yield out("dynamic-ort"), [*ORT, f32, out("dynamic-ort"), data, "dynamic"]
    yield out("int8-this"), [*quantize, out("int8-this"), "--target", "this", "--data", data]
    yield out("dynamic-this"), [*quantize, out("dynamic-this"), "--target", "this", "--mode", "dynamic", "--data", data]


def main(lowbit, out, models, only):
    for model in models:
        path, _, inputs = model.partition("=")
        folder = os.path.join(out, os.path.basename(os.path.dirname(os.path.abspath(path))))
        os.makedirs(folder, exist_ok=True)
        shutil.copyfile(path, os.path.join(folder, "f32.onnx"))
        shutil.copyfile(inputs, os.path.join(folder, "in.npz"))
    for name in sorted(os.listdir(out)):
        for path, command in commands(lowbit, os.path.join(out, name)):
            if os.path.exists(path) or only and os.path.basename(path)[:-5] not in only:
                continue
            done = subprocess.run(command, capture_output=True, text=True)
            print(path if done.returncode == 0 else f"{path} failed: {(done.stderr.strip().splitlines() or ['no word'])[-1]}", flush=True)


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("lowbit"), p.add_argument("out"), p.add_argument("models", nargs="*"), p.add_argument("--only", default="")
    a = p.parse_args()
    main(a.lowbit, a.out, a.models, a.only and a.only.split(","))
