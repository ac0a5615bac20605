"""Evaluates a model in every number format, in lowbit's engine and in ONNX Runtime on the same files.

    pip install onnxruntime numpy pillow
    python bench/formats.py LOWBIT MODEL.onnx IMAGES PREPROCESS [-n SAMPLES] [-o FOLDER] [--only FORMAT ...] [-- FLAGS]

LOWBIT is the program; IMAGES a folder of classes, or one with labels.txt; PREPROCESS what --preprocess
takes, "imagenet" or a YAML file with scale, mean and std. FLAGS go to `lowbit quantize`; the default is
`--mode weights`. ONNX Runtime runs at ORT_DISABLE_ALL: at its default level it quantizes activations of
some products on its own.

A row for each format: bits for each weight with its share of the scales, bytes of the file, top-1 of the
engine and of ONNX Runtime, and how long each took for an image, the engine with starting and loading.
"""
import argparse
import json
import os
import subprocess
import tempfile
import time

import numpy as np
import onnxruntime as ort
from PIL import Image


def images(folder, count):
    """Paths and class numbers, spread evenly."""
    labels = os.path.join(folder, "labels.txt")
    if os.path.exists(labels):
        rows = [line.split() for line in open(labels) if line.strip()]
        all_ = [(os.path.join(folder, r[0]), int(r[1])) for r in rows]
    else:
        classes = sorted(d for d in os.listdir(folder) if os.path.isdir(os.path.join(folder, d)))
        all_ = [(os.path.join(folder, c, f), i) for i, c in enumerate(classes) for f in sorted(os.listdir(os.path.join(folder, c)))]
    step = max(1, len(all_) // count)
    return all_[::step][:count]


def settings(name):
    """Short side, crop, scale, mean and std of a preprocess word or file."""
    if name == "imagenet":
        return 256, 224, 1 / 255, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    kept = {"scale": 1.0, "mean": [0, 0, 0], "std": [1, 1, 1]}
    for line in open(name):
        key, _, value = line.partition(":")
        if key.strip() in kept:
            kept[key.strip()] = json.loads(value)
    return None, None, kept["scale"], kept["mean"], kept["std"]


def load(path, pre):
    short, crop, scale, mean, std = pre
    im = Image.open(path).convert("RGB")
    if short:
        w, h = im.size
        k = short / min(w, h)
        im = im.resize((round(w * k), round(h * k)), Image.BILINEAR)
        left, top = (im.width - crop) // 2, (im.height - crop) // 2
        im = im.crop((left, top, left + crop, top + crop))
    x = np.asarray(im, np.float32) * np.float32(scale)
    x = (x - np.float32(mean)) / np.float32(std)
    return x.transpose(2, 0, 1)[None].astype(np.float32)


def runtime(path, samples):
    o = ort.SessionOptions()
    o.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    o.log_severity_level = 3
    o.intra_op_num_threads = 1
    s = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])
    name = s.get_inputs()[0].name
    start = time.time()
    top = [int(np.argmax(s.run(None, {name: x})[0])) for x in samples]
    return top, (time.time() - start) / len(samples)


def engine(program, path, data):
    start = time.time()
    out = subprocess.run([program, "eval", path, "--data", data, "--preprocess", "none", "--samples", "0", "--json", "-q", "--threads", "1"],
                         capture_output=True, check=True)
    d = json.loads(out.stdout)
    return d["metrics"]["top1"], (time.time() - start) / d["samples"]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("model")
    p.add_argument("images")
    p.add_argument("preprocess")
    p.add_argument("-n", type=int, default=200)
    p.add_argument("-o", default="")
    p.add_argument("--only", nargs="*", default=[])
    p.add_argument("flags", nargs="*", default=[])
    a = p.parse_args()
    rows = images(a.images, a.n)
    pre = settings(a.preprocess)
    samples = [load(path, pre) for path, _ in rows]
    labels = [c for _, c in rows]
    name = ort.InferenceSession(a.model, providers=["CPUExecutionProvider"]).get_inputs()[0].name
    share = lambda top: sum(t == c for t, c in zip(top, labels)) / len(labels)
    formats = json.loads(subprocess.run([a.program, "formats", "--json"], capture_output=True, check=True).stdout)
    folder = a.o or tempfile.mkdtemp()
    os.makedirs(folder, exist_ok=True)
    with tempfile.TemporaryDirectory() as tmp:
        data = os.path.join(tmp, "samples.npz")
        np.savez(data, labels=np.array(labels), **{name: np.concatenate(samples)})
        base, _ = runtime(a.model, samples)
        print(f"float: {os.path.getsize(a.model)} bytes, top-1 {share(base):.4f} on {len(labels)} images")
        print(f"{'format':12} {'bits':>7} {'bytes':>10} {'engine':>8} {'runtime':>8} {'s/image':>8} {'s/image':>8}")
        for f in formats:
            if a.only and f["name"] not in a.only:
                continue
            path = os.path.join(folder, f["name"] + ".onnx")
            command = [a.program, "quantize", a.model, "-o", path, "--weights", f["name"], "--force", "-q"] + (a.flags or ["--mode", "weights"])
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            mine, t0 = engine(a.program, path, data)
            try:
                theirs, t1 = runtime(path, samples)
            except Exception as e:
                print(f"{f['name']:12} is not loaded: {str(e)[:100]}")
                continue
            print(f"{f['name']:12} {f['bits_per_weight']:7.3f} {os.path.getsize(path):10} {mine:8.4f} {share(theirs):8.4f} {t0:8.4f} {t1:8.4f}", flush=True)


if __name__ == "__main__":
    main()
