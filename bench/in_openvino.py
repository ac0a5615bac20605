"""Runs lowbit's files in OpenVINO, beside ONNX Runtime without optimisations, which computes what the files say.

    pip install openvino onnxruntime numpy
    python bench/in_openvino.py ./lowbit DIR ...

Each DIR holds f32.onnx and in.npz with its inputs, as bench/models.py makes them. For each kind of file: signal to noise in dB against the
float network in OpenVINO and in ONNX Runtime, of the output that is worst.
"""
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime as ort
import openvino

KINDS = {
    "W8A8": ["--data", "IN"],
    "per tensor": ["--data", "IN", "--weights", "int8:tensor"],
    "FP8": ["--data", "IN", "--scheme", "FP8"],
    "dynamic": ["--mode", "dynamic"],
    "weights": ["--mode", "weights", "--weights", "int8:channel"],
    "FP16": ["--scheme", "FP16"],
}


def in_openvino(path, x):
    model = openvino.Core().read_model(path)
    run = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = run({i.any_name: x[n] for i in model.inputs for n in i.names if n in x})
    return {n: np.array(results[o]) for o in run.outputs for n in o.names}


def in_onnxruntime(path, x):
    o = ort.SessionOptions()
    o.log_severity_level = 4
    o.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    s = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])
    return dict(zip([v.name for v in s.get_outputs()], s.run(None, {i.name: x[i.name] for i in s.get_inputs()})))


def worst(got, want):
    def sqnr(a, b):
        noise = ((a.astype(np.float64) - b) ** 2).sum()
        return 10 * np.log10((b.astype(np.float64) ** 2).sum() / noise) if noise else np.inf

    return min(sqnr(got[k], v) for k, v in want.items() if v.dtype.kind == "f" and v.size)


def main():
    lowbit, out = sys.argv[1], os.path.join(tempfile.mkdtemp(), "q.onnx")
    print(f"openvino {openvino.__version__.split('-')[0]}, onnxruntime {ort.__version__}")
    for folder in sys.argv[2:]:
        data = os.path.join(folder, "in.npz")
        x, float32 = dict(np.load(data)), os.path.join(folder, "f32.onnx")
        try:
            want = in_onnxruntime(float32, x)
            in_openvino(float32, x)
        except Exception as e:  # OpenVINO does not run every network
            print(f"{os.path.basename(folder):24} float: {str(e).strip().splitlines()[-1][:100]}", flush=True)
            continue
        for kind, flags in KINDS.items():
            subprocess.run([lowbit, "quantize", float32, "-o", out, "--force", "-q", "--fix", "none"] + [data if f == "IN" else f for f in flags], check=True, capture_output=True)
            try:
                there = f"{worst(in_openvino(out, x), want):6.1f}"
            except Exception as e:
                there = str(e).strip().splitlines()[-1][:100]
            print(f"{os.path.basename(folder):24} {kind:12} {there} {worst(in_onnxruntime(out, x), want):6.1f}", flush=True)


if __name__ == "__main__":
    main()
