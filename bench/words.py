"""Time a language model word by word in ONNX Runtime and in lowbit: words.py OUT [THREADS].

Writes small Llamas with random weights, as ONNX Runtime's generator writes them (GroupQueryAttention, MatMulNBits) and with
float matrices, and lets both engines say 64 words behind a prompt of 64 (`go run ./bench/words` is lowbit's side).
Needs numpy, onnx and onnxruntime.
"""
import json
import statistics
import subprocess
import sys
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

LAYERS, WIDTH, HEADS, KEYS, INNER, VOCABULARY = 16, 1024, 16, 4, 2816, 32000
SIZE, PROMPT, WORDS = WIDTH // HEADS, 64, 64
CONTRIB = "com.microsoft"


class Writer:
    def __init__(self, bits):
        self.bits, self.nodes, self.weights, self.random = bits, [], {}, np.random.default_rng(0)

    def node(self, op, inputs, outputs, domain="", **attrs):
        self.nodes.append(helper.make_node(op, inputs, outputs, outputs[0] + "/" + op, domain=domain, **attrs))
        return outputs[0]

    def product(self, x, name, n, k):
        if not self.bits:
            self.weights[name] = (self.random.standard_normal((k, n)) * k**-0.5).astype(np.float32)
            return self.node("MatMul", [x, name], [name + "/y"])
        self.weights[name] = self.random.integers(0, 256, (n, k // 32, 4 * self.bits)).astype(np.uint8)
        self.weights[name + "/scale"] = np.full(n * k // 32, 0.2 * k**-0.5, np.float32)
        return self.node("MatMulNBits", [x, name, name + "/scale"], [name + "/y"], CONTRIB,
                         K=k, N=n, bits=self.bits, block_size=32, accuracy_level=4)

    def layer(self, i, x, normal):
        p = f"layer{i}/"
        q, k, v = (self.product(normal, p + c, n * SIZE, WIDTH) for c, n in (("q", HEADS), ("k", KEYS), ("v", KEYS)))
        past = [f"past.{i}.{c}" for c in ("key", "value")]
        present = [f"present.{i}.{c}" for c in ("key", "value")]
        a = self.node("GroupQueryAttention", [q, k, v, *past, "last", "total", "cos", "sin"], [p + "a", *present], CONTRIB,
                      num_heads=HEADS, kv_num_heads=KEYS, do_rotary=1)
        x, normal = self.joined(x, self.product(a, p + "o", WIDTH, WIDTH), p + "1")
        gate, up = self.product(normal, p + "gate", INNER, WIDTH), self.product(normal, p + "up", INNER, WIDTH)
        self.node("Mul", [gate, self.node("Sigmoid", [gate], [p + "sigmoid"])], [p + "silu"])
        down = self.product(self.node("Mul", [p + "silu", up], [p + "inner"]), p + "down", WIDTH, INNER)
        return self.joined(x, down, p + "2")

    def joined(self, x, y, name):
        self.node("SkipSimplifiedLayerNormalization", [x, y, "ones"], [name + "/n", "", "", name + "/x"], CONTRIB, epsilon=1e-5)
        return name + "/x", name + "/n"

    def model(self):
        angles = np.arange(2048)[:, None] / 10000 ** (np.arange(SIZE // 2) / (SIZE // 2))
        self.weights.update(cos=np.cos(angles).astype(np.float32), sin=np.sin(angles).astype(np.float32),
                            words=self.random.standard_normal((VOCABULARY, WIDTH)).astype(np.float32),
                            ones=np.ones(WIDTH, np.float32), one=np.array([1]), second=np.array(1))
        count = self.node("ReduceSum", ["attention_mask", "one"], ["count"], keepdims=0)
        self.node("Cast", [self.node("Sub", [count, "one"], ["less"])], ["last"], to=TensorProto.INT32)
        shape = self.node("Shape", ["attention_mask"], ["shape"])
        self.node("Cast", [self.node("Gather", [shape, "second"], ["length"])], ["total"], to=TensorProto.INT32)
        x = self.node("Gather", ["words", "input_ids"], ["x"])
        normal = self.node("SimplifiedLayerNormalization", [x, "ones"], ["n"], epsilon=1e-5, axis=-1)
        for i in range(LAYERS):
            x, normal = self.layer(i, x, normal)
        self.node("Identity", [self.product(normal, "head", VOCABULARY, WIDTH)], ["logits"])
        info = helper.make_tensor_value_info
        ids = [info("input_ids", TensorProto.INT64, ["N", "rows"]), info("attention_mask", TensorProto.INT64, ["N", "total"])]
        caches = lambda name, rows: [info(f"{name}.{i}.{c}", TensorProto.FLOAT, ["N", KEYS, rows, SIZE])
                                     for i in range(LAYERS) for c in ("key", "value")]
        graph = helper.make_graph(self.nodes, "words", ids + caches("past", "past"),
                                  [info("logits", TensorProto.FLOAT, ["N", "rows", VOCABULARY])] + caches("present", "total"),
                                  [numpy_helper.from_array(v, k) for k, v in self.weights.items()])
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid(CONTRIB, 1)], ir_version=10)


def in_onnxruntime(path, threads):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options)
    feed = {f"past.{i}.{c}": np.zeros((1, KEYS, 0, SIZE), np.float32) for i in range(LAYERS) for c in ("key", "value")}
    ids, total, times, said = np.arange(PROMPT)[None] * 37 % 1000, 0, [], []
    names = [o.name for o in session.get_outputs()]
    for _ in range(WORDS + 1):
        total += ids.shape[1]
        start = time.perf_counter()
        out = session.run(None, {"input_ids": ids, "attention_mask": np.ones((1, total), np.int64), **feed})
        times.append((time.perf_counter() - start) * 1e3)
        feed = {name.replace("present", "past"): t for name, t in zip(names[1:], out[1:])}
        ids = out[0][:, -1:].argmax(-1)
        said.append(int(ids[0, 0]))
    return statistics.median(times), min(times), said


def in_lowbit(path, threads):
    answer = subprocess.run(["go", "run", "./bench/words", str(threads), str(WORDS), path], capture_output=True, text=True, check=True).stdout
    numbers, said = answer.split("[")
    _, middle, least = map(float, numbers.split())
    return middle, least, json.loads("[" + ",".join(said.strip("]\n ").split()) + "]")


def main(folder, threads="1"):
    for bits in (4, 8, 0):
        path = f"{folder}/words{bits or 32}.onnx"
        onnx.save(Writer(bits).model(), path, save_as_external_data=not bits, location=f"words{bits or 32}.data")
        for _ in range(3):
            theirs, ours = in_onnxruntime(path, int(threads)), in_lowbit(path, threads)
            same = sum(a == b for a, b in zip(theirs[2], ours[2]))
            print(f"{bits or 32} bits: lowbit {ours[0]:.2f} ms a word (least {ours[1]:.2f}), ONNX Runtime {theirs[0]:.2f} (least {theirs[1]:.2f}), "
                  f"ratio {ours[0] / theirs[0]:.2f} ({ours[1] / theirs[1]:.2f}); the same word {same} times of {len(theirs[2])}", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
