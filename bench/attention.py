"""Times products of two values that flow, in float and with both in codes: what attention is made of.

    pip install onnxruntime onnx numpy
    python bench/attention.py [OUT/]     # OUT: keeps the models, for lowbit bench

Each line: heads, tokens, width of a head; median and least milliseconds of ONNX Runtime at one thread, the two in turn.
"""
import os
import sys
import time

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

SHAPES = [(12, 128, 32), (12, 128, 64), (12, 512, 64), (12, 1024, 64), (8, 512, 128)]


def model(heads, tokens, width, codes):
    nodes, consts = [], []

    def const(name, value):
        consts.append(numpy_helper.from_array(value, name))
        return name

    def coded(x, scale, zero):
        if not codes:
            return x
        s, z = const(x + "_scale", np.float32(scale)), const(x + "_zero", np.uint8(zero))
        nodes.append(helper.make_node("QuantizeLinear", [x, s, z], [x + "_q"]))
        nodes.append(helper.make_node("DequantizeLinear", [x + "_q", s, z], [x + "_dq"]))
        return x + "_dq"

    nodes.append(helper.make_node("MatMul", [coded("q", 0.03, 128), coded("k", 0.03, 128)], ["scores"]))
    nodes.append(helper.make_node("Div", ["scores", const("root", np.float32(width**0.5))], ["even"]))
    nodes.append(helper.make_node("Softmax", ["even"], ["p"], axis=-1))
    nodes.append(helper.make_node("MatMul", [coded("p", 1 / 256, 0), coded("v", 0.03, 128)], ["y"]))
    shapes = {"q": [1, heads, tokens, width], "k": [1, heads, width, tokens], "v": [1, heads, tokens, width]}
    flows = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in dict(shapes, y=shapes["v"]).items()}
    m = helper.make_model(helper.make_graph(nodes, "attention", [flows[n] for n in "qkv"], [flows["y"]], consts), opset_imports=[helper.make_opsetid("", 17)])
    m.ir_version = 8
    return m, shapes


def main():
    for shape in SHAPES:
        sessions, times = [], [[], []]
        for codes in (0, 1):
            m, shapes = model(*shape, codes)
            if len(sys.argv) > 1:
                os.makedirs(sys.argv[1], exist_ok=True)
                with open(os.path.join(sys.argv[1], "-".join(map(str, shape)) + ("-codes" if codes else "") + ".onnx"), "wb") as f:
                    f.write(m.SerializeToString())
            o = ort.SessionOptions()
            o.intra_op_num_threads, o.log_severity_level = 1, 3
            sessions.append(ort.InferenceSession(m.SerializeToString(), o, providers=["CPUExecutionProvider"]))
        r = np.random.RandomState(0)
        feed = {n: r.randn(*s).astype(np.float32) for n, s in shapes.items()}
        for _ in range(30):
            for s, t in zip(sessions, times):
                before = time.perf_counter()
                s.run(None, feed)
                t.append(1000 * (time.perf_counter() - before))
        f, q = times
        print(f"{shape}: float {np.median(f):.2f} / {min(f):.2f}, codes {np.median(q):.2f} / {min(q):.2f}", flush=True)


if __name__ == "__main__":
    main()
