"""Quantizes a model with ONNX Runtime, NNCF or Neural Compressor, and with lowbit, on the same images, and compares.

    pip install nncf onnxruntime onnx numpy pillow             # for ort and nncf
    pip install neural-compressor==2.6 "onnx<1.17" "numpy<2"   # for nc, best in an environment of its own
    python bench/peers.py ./lowbit MODEL.onnx CALIB/ EVAL/ [--labels FILE | --labels classes] [--side 224] [--peers lowbit,ort,nncf] [--calib 100] [--eval 500] [--tensor]
    python bench/peers.py ./lowbit MODEL.onnx IMAGES/ IMAGES/ --folds 8 --eval 2000 ...

Each tool is a process of its own, whose wall time is that of a user's command. All files
are then run by ONNX Runtime on the evaluation images: change in top-1 against float, share of images with float's
top class, and signal to noise of the outputs. Pre-processing is ImageNet's, of another --side without the crop; images of
a folder are those that come first by name. --labels classes: the folders of images are the classes.

A tenth of a point is a few images that fall to one side or the other by chance. --folds N calibrates N times, on every Nth
image, evaluates on all others, and prints the means, with the standard error of the drop.
"""
import argparse
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime as ort

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from images import folder, load  # noqa: E402


def calib(args):
    return [load(f, args.side) for f in folder(args.calib)[: args.calib_count]]


def upgraded(path, opset=17):
    import onnx
    from onnx import version_converter

    m = onnx.load(path)
    return version_converter.convert_version(m, opset) if m.opset_import[0].version < 13 else m


def peer_ort(args, out):
    subprocess.run([sys.executable, os.path.join(os.path.dirname(os.path.abspath(__file__)), "ort_quantize.py"), args.model, out, args.calib, "minmax",
                    str(args.calib_count), str(args.side)], check=True)


def peer_nncf(args, out):
    import nncf
    import onnx

    m = upgraded(args.model)
    name = m.graph.input[0].name
    data = nncf.Dataset(calib(args), lambda x: {name: x})
    onnx.save(nncf.quantize(m, data, subset_size=args.calib_count), out)


def peer_nc(args, out):
    from neural_compressor import PostTrainingQuantConfig, quantization, set_workspace

    class Loader:
        batch_size = 1

        def __iter__(self):
            return ((x, 0) for x in calib(args))

    set_workspace(tempfile.mkdtemp())  # else it leaves models in the current folder
    q = quantization.fit(upgraded(args.model), PostTrainingQuantConfig(calibration_sampling_size=args.calib_count), calib_dataloader=Loader())
    q.save(out)


def linked(files):
    """A folder of the files, in this order by name."""
    few = tempfile.mkdtemp()
    for k, f in enumerate(files):
        os.symlink(os.path.abspath(f), os.path.join(few, f"{k:05}-" + os.path.basename(f)))
    return few


def run_lowbit(args, out):
    few = linked(folder(args.calib)[: args.calib_count])
    preprocess = "imagenet"
    if args.side != 224:
        preprocess = os.path.join(tempfile.mkdtemp(), "preprocess.yaml")
        with open(preprocess, "w") as f:
            f.write("{resize: {width: %d, height: %d}, scale: 0.00392157, mean: [.485, .456, .406], std: [.229, .224, .225], color: RGB, layout: NCHW}" % (args.side, args.side))
    command = [args.lowbit, "quantize", args.model, "-o", out, "--data", few, "--preprocess", preprocess, "--force"]
    subprocess.run(command + (["--weights", "int8:tensor"] if args.tensor else []), check=True)


RUNNERS = {"lowbit": run_lowbit, "ort": peer_ort, "nncf": peer_nncf, "nc": peer_nc}


def make(args, name, out, calib):
    """Runs one tool in a process of its own, on the images of calib where there are any: its seconds."""
    more = ["--only", name, "--out", out]
    if calib:
        more += ["--images", linked(calib), "--calib", str(len(calib))]
    before = time.time()
    pid = os.fork()
    if pid == 0:
        quiet = os.open(out + ".log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(quiet, 1), os.dup2(quiet, 2)
        os.execv(sys.executable, [sys.executable, os.path.abspath(__file__)] + sys.argv[1:] + more)
    _, status, _ = os.wait4(pid, 0)
    if status:
        raise RuntimeError(open(out + ".log").read()[-400:])
    return time.time() - before


def answers(path, images):
    o = ort.SessionOptions()
    o.log_severity_level = 3
    s = ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])
    name = s.get_inputs()[0].name
    return np.concatenate([s.run(None, {name: x})[0].reshape(1, -1) for x in images])


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("lowbit", "model", "calib", "eval"):
        p.add_argument(name)
    p.add_argument("--labels")
    p.add_argument("--side", type=int, default=224)
    p.add_argument("--peers", default="lowbit,ort,nncf")
    p.add_argument("--calib-count", "--calib", dest="calib_count", type=int, default=100)
    p.add_argument("--eval-count", type=int, default=500)
    p.add_argument("--tensor", action="store_true", help="one scale for all weights of a layer (lowbit only)")
    p.add_argument("--folds", type=int, default=0)
    p.add_argument("--only"), p.add_argument("--out"), p.add_argument("--images")
    args = p.parse_args()
    args.calib = args.images or args.calib
    if args.folds == 1:
        p.error("--folds 1 leaves no image to evaluate")
    if args.only:
        RUNNERS[args.only](args, args.out)
        return
    files = folder(args.eval)[: args.eval_count]
    images = [load(f, args.side) for f in files]
    labels = None
    if args.labels == "classes":
        classes = sorted({os.path.basename(os.path.dirname(f)) for f in files})
        labels = np.array([classes.index(os.path.basename(os.path.dirname(f))) for f in files])
    elif args.labels:
        table = dict(line.replace(",", " ").split()[:2] for line in open(args.labels) if len(line.split()) > 1)
        labels = np.array([int(table[os.path.basename(f)]) for f in files])
    want = answers(args.model, images)
    print(f"{'':10} {'drop pt':>15} {'as float %':>11} {'SQNR dB':>8} {'seconds':>8}")
    for name in args.peers.split(","):
        rows = []
        for fold in range(args.folds or 1):
            rest = np.array([not args.folds or i % args.folds != fold for i in range(len(files))])
            calib = [f for f, r in zip(files, rest) if not r]
            out = os.path.join(tempfile.mkdtemp(), name + ".onnx")
            try:
                seconds = make(args, name, out, calib)
                got = answers(out, [x for x, r in zip(images, rest) if r])
            except Exception as e:  # a tool that fails is a line of the table
                print(f"{name:10} failed: {str(e).strip().splitlines()[-1][:150]}", flush=True)
                break
            rows.append((*judge(want[rest], got, None if labels is None else labels[rest]), seconds))
        else:
            drop, alike, sqnr, seconds = np.mean(rows, 0)
            error = f" ± {np.std([r[0] for r in rows], ddof=1) / len(rows) ** 0.5:.2f}" if args.folds else ""
            print(f"{name:10} {'' if labels is None else f'{drop:.2f}{error}':>15} {alike:11.1f} {sqnr:8.1f} {seconds:8.1f}", flush=True)


def judge(want, got, labels):
    """Points of top-1 lost, per cent of images with float's top class, and decibels."""
    top, was = got.argmax(1), want.argmax(1)
    drop = 0 if labels is None else 100 * ((was == labels).mean() - (top == labels).mean())
    noise = ((got.astype(np.float64) - want) ** 2).sum()
    return drop, 100 * (top == was).mean(), 10 * np.log10((want.astype(np.float64) ** 2).sum() / noise)


if __name__ == "__main__":
    main()
