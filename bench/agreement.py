"""Holds lowbit's engine against ONNX Runtime on the same quantized file.

    pip install onnxruntime onnx numpy
    python bench/agreement.py LOWBIT MODEL.onnx INPUTS.npz [...]

LOWBIT is the program, MODEL a quantized file with QuantizeLinear nodes, INPUTS arrays by input name
whose first axis runs over samples where they have one more axis than the model's input.

ONNX Runtime runs at ORT_DISABLE_ALL, where it computes every operator in float. Three figures:
  top       share of samples with the same largest element of the first output
  chained   codes that differ when both run the whole network, each on its own intermediate results;
            beside it the same figure for ONNX Runtime against itself at its default optimisation
  local     codes that differ when every integer operator gets ONNX Runtime's own codes as input, so
            that one rounding at a tie does not multiply through the layers behind it
"""
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
import onnxruntime as ort
from onnx.utils import Extractor


def session(path, level):
    o = ort.SessionOptions()
    o.graph_optimization_level = level
    o.log_severity_level = 3
    o.intra_op_num_threads = 1
    return ort.InferenceSession(path, o, providers=["CPUExecutionProvider"])


def lowbit(program, model, feed, tmp):
    src, dst = os.path.join(tmp, "in.npz"), os.path.join(tmp, "out.npz")
    np.savez(src, **feed)
    subprocess.run([program, "run", model, "--input", src, "--output", dst, "--force", "-q", "--threads", "1"], check=True)
    return dict(np.load(dst))


def differ(a, b):
    d = np.abs(a.astype(np.int64) - b.astype(np.int64))
    return np.array([d.size, (d == 1).sum(), (d > 1).sum()])


def expose(model, names):
    m = onnx.ModelProto()
    m.CopyFrom(model)
    have = {o.name for o in m.graph.output}
    for n in names:
        if n not in have:
            m.graph.output.append(onnx.ValueInfoProto(name=n))
    return m


def islands(model):
    """For each activation's QuantizeLinear: the code values that it depends on, and its own."""
    by = {o: n for n in model.graph.node for o in n.output}
    const = {i.name for i in model.graph.initializer}
    for q in model.graph.node:
        if q.op_type != "QuantizeLinear":
            continue
        seen, todo, need = set(), [q.input[0]], set()
        while todo:
            v = todo.pop()
            n = by.get(v)
            if v in seen or v in const:
                continue
            seen.add(v)
            if n is None:
                need.add(v)
            elif n.op_type == "QuantizeLinear":
                need.add(v)
            else:
                todo += [i for i in n.input if i]
        if need and all(by.get(v) is not None and by[v].op_type == "QuantizeLinear" for v in need):
            yield sorted(need), q.output[0]


def share(c):
    return f"{c[1] / max(1, c[0]):.2e} by one, {c[2] / max(1, c[0]):.2e} by more, of {c[0]}"


def main(program, path, inputs):
    model = onnx.load(path)
    codes = [n.output[0] for n in model.graph.node if n.op_type == "QuantizeLinear"]
    data = dict(np.load(inputs))
    rank = {i.name: len(i.type.tensor_type.shape.dim) for i in model.graph.input}
    many = any(v.ndim > rank[k] for k, v in data.items() if k in rank)
    n = len(next(iter(data.values()))) if many else 1
    feeds = [{k: (v[i] if many and v.ndim > rank[k] else v) for k, v in data.items()} for i in range(n)]
    with tempfile.TemporaryDirectory() as tmp:
        whole = os.path.join(tmp, "whole.onnx")
        onnx.save(expose(model, codes), whole)
        plain, fused = (session(whole, l) for l in (ort.GraphOptimizationLevel.ORT_DISABLE_ALL, ort.GraphOptimizationLevel.ORT_ENABLE_ALL))
        first, names = model.graph.output[0].name, [o.name for o in plain.get_outputs()]
        top, ours, theirs, local = 0, np.zeros(3, np.int64), np.zeros(3, np.int64), np.zeros(3, np.int64)
        want = None
        for f in feeds:
            a = dict(zip(names, plain.run(None, f)))
            b = dict(zip(names, fused.run(None, f)))
            c = lowbit(program, whole, f, tmp)
            want = want or a
            top += int(a[first].reshape(-1).argmax() == c[first].reshape(-1).argmax())
            for k in codes:
                ours += differ(a[k], c[k])
                theirs += differ(a[k], b[k])
        typed = onnx.shape_inference.infer_shapes(model)
        for need, out in islands(model):
            part = os.path.join(tmp, "part.onnx")
            onnx.save(Extractor(typed).extract_model(need, [out]), part)
            got = lowbit(program, part, {k: want[k] for k in need}, tmp)
            local += differ(want[out], got[out])
        print(f"{os.path.basename(path)}: top {top}/{n}; chained {share(ours)} (ONNX Runtime with itself: {share(theirs)}); local {share(local)}")


if __name__ == "__main__":
    for i in range(2, len(sys.argv), 2):
        main(sys.argv[1], sys.argv[i], sys.argv[i + 1])
