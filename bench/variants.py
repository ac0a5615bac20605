"""Writes the quantized files that bench/latency.py compares.

    pip install onnxruntime onnx numpy pillow
    python bench/variants.py LOWBIT OUT [MODEL.onnx=INPUTS.npz ...]

For each model, named after its folder, and for each that lies in OUT already (bench/models.py), OUT/NAME/ gets
    f32.onnx, in.npz     the model and its input, which is the calibration sample too
    int8-lowbit.onnx     static, uint8 activations, int8 weights by channel, Q/DQ
    int8-ort.onnx        the same by ONNX Runtime's quantizer
    dynamic-lowbit.onnx  activations quantized in each run
    dynamic-ort.onnx     the same by ONNX Runtime's quantizer
What a quantizer fails on is left out, and said.
"""
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


def main(lowbit, out, *models):
    for model in models:
        path, _, inputs = model.partition("=")
        folder = os.path.join(out, os.path.basename(os.path.dirname(os.path.abspath(path))))
        os.makedirs(folder, exist_ok=True)
        shutil.copyfile(path, os.path.join(folder, "f32.onnx"))
        shutil.copyfile(inputs, os.path.join(folder, "in.npz"))
    for name in sorted(os.listdir(out)):
        for path, command in commands(lowbit, os.path.join(out, name)):
            if os.path.exists(path):
                continue
            done = subprocess.run(command, capture_output=True, text=True)
            print(path if done.returncode == 0 else f"{path} failed: {(done.stderr.strip().splitlines() or ['no word'])[-1]}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
