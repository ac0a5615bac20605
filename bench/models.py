"""Writes networks of well-known shapes with random weights: how fast they run does not depend on them.

    pip install onnx numpy
    python bench/models.py OUT [NAME ...]

writes OUT/NAME/f32.onnx and OUT/NAME/in.npz for each of
    resnet50     1×3×224×224, BatchNorm folded into the convolutions
    mobilenetv2  1×3×224×224, likewise, ReLU6 as Clip
    minilm       6 layers of 384, 12 heads, 128 tokens
    bert-base    12 layers of 768, 12 heads, 128 tokens
The encoders start behind their embeddings and have LayerNorm and GELU in primitive operators, as PyTorch's
exporter writes them at opset 14.
"""
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET, IR = 14, 8


class Network:
    """Collects nodes and weights; every value is named after the place that makes it."""

    def __init__(self):
        self.nodes, self.weights, self.rng = [], {}, np.random.default_rng(0)

    def constant(self, name, value):
        self.weights.setdefault(name, numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def normal(self, name, *shape, fan):
        return self.constant(name, (self.rng.standard_normal(shape) * np.sqrt(2 / fan)).astype(np.float32))

    def node(self, place, op, *inputs, **attributes):
        out = f"{place}/{op}"
        self.nodes.append(helper.make_node(op, list(inputs), [out], out, **attributes))
        return out

    def save(self, path, name, x, shape, out):
        os.makedirs(path, exist_ok=True)
        ends = [helper.make_tensor_value_info(x, TensorProto.FLOAT, shape)], [helper.make_tensor_value_info(out, TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, name, *ends, list(self.weights.values()))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
        model = onnx.shape_inference.infer_shapes(model)
        onnx.checker.check_model(model)
        onnx.save(model, os.path.join(path, "f32.onnx"))
        np.savez(os.path.join(path, "in.npz"), **{x: np.random.default_rng(1).standard_normal(shape).astype(np.float32)})


def conv(g, x, place, cin, cout, size, stride=1, group=1):
    w = g.normal(place + ".weight", cout, cin // group, size, size, fan=cin // group * size * size)
    b = g.constant(place + ".bias", np.zeros(cout, np.float32))
    return g.node(place, "Conv", x, w, b, kernel_shape=[size] * 2, strides=[stride] * 2, pads=[size // 2] * 4, group=group)


def classifier(g, x, channels):
    x = g.node("head", "Flatten", g.node("head", "GlobalAveragePool", x))
    w, b = g.normal("head.weight", 1000, channels, fan=channels), g.constant("head.bias", np.zeros(1000, np.float32))
    return g.node("head", "Gemm", x, w, b, transB=1)


def resnet50(path):
    """He et al. 2015, table 1; the stride lies on the 3×3 convolution."""
    g = Network()
    x = g.node("stem", "Relu", conv(g, "image", "stem", 3, 64, 7, 2))
    x = g.node("stem", "MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    channels = 64
    for stage, (blocks, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512))):
        for block in range(blocks):
            at = f"stage{stage}.{block}"
            stride = 2 if stage and not block else 1
            y = g.node(at + ".a", "Relu", conv(g, x, at + ".a", channels, width, 1))
            y = g.node(at + ".b", "Relu", conv(g, y, at + ".b", width, width, 3, stride))
            y = conv(g, y, at + ".c", width, 4 * width, 1)
            if not block:
                x = conv(g, x, at + ".shortcut", channels, 4 * width, 1, stride)
            channels = 4 * width
            x = g.node(at, "Relu", g.node(at, "Add", y, x))
    g.save(path, "resnet50", "image", [1, 3, 224, 224], classifier(g, x, channels))


def mobilenetv2(path):
    """Sandler et al. 2018, table 2."""
    g = Network()

    def relu6(x, at):
        return g.node(at, "Clip", x, g.constant("zero", np.float32(0)), g.constant("six", np.float32(6)))

    x, channels, k = relu6(conv(g, "image", "stem", 3, 32, 3, 2), "stem"), 32, 0
    for factor, width, blocks, stride in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):
        for block in range(blocks):
            at, k = f"block{k}", k + 1
            inner, y = channels * factor, x
            if factor > 1:
                y = relu6(conv(g, y, at + ".expand", channels, inner, 1), at + ".expand")
            y = relu6(conv(g, y, at + ".depthwise", inner, inner, 3, 1 if block else stride, inner), at + ".depthwise")
            y = conv(g, y, at + ".project", inner, width, 1)
            x = g.node(at, "Add", y, x) if block else y
            channels = width
    x = relu6(conv(g, x, "last", channels, 1280, 1), "last")
    g.save(path, "mobilenetv2", "image", [1, 3, 224, 224], classifier(g, x, 1280))


def linear(g, x, place, cin, cout):
    y = g.node(place, "MatMul", x, g.normal(place + ".weight", cin, cout, fan=2 * cin))
    return g.node(place, "Add", g.constant(place + ".bias", np.zeros(cout, np.float32)), y)


def layer_norm(g, x, place, width):
    """(x − mean) / √(variance + ε) · weight + bias, over the last axis."""
    centred = g.node(place, "Sub", x, g.node(place + ".mean", "ReduceMean", x, axes=[-1]))
    square = g.node(place, "Pow", centred, g.constant("two", np.float32(2)))
    variance = g.node(place + ".variance", "ReduceMean", square, axes=[-1])
    spread = g.node(place, "Sqrt", g.node(place + ".epsilon", "Add", variance, g.constant("epsilon", np.float32(1e-12))))
    normal = g.node(place + ".scale", "Mul", g.node(place, "Div", centred, spread), g.constant(place + ".weight", np.ones(width, np.float32)))
    return g.node(place, "Add", normal, g.constant(place + ".bias", np.zeros(width, np.float32)))


def gelu(g, x, place):
    """½ · x · (1 + erf(x / √2)) (Hendrycks and Gimpel 2016)."""
    erf = g.node(place, "Erf", g.node(place, "Div", x, g.constant("sqrt_two", np.float32(np.sqrt(2)))))
    gate = g.node(place, "Mul", x, g.node(place + ".gate", "Add", erf, g.constant("one", np.float32(1))))
    return g.node(place + ".half", "Mul", gate, g.constant("half", np.float32(0.5)))


def attention(g, x, place, width, heads, tokens):
    """softmax(QKᵀ/√d) · V (Vaswani et al. 2017, section 3.2)."""
    split = g.constant("split", np.array([1, tokens, heads, width // heads]))
    parts = []
    for role, order in (("query", [0, 2, 1, 3]), ("key", [0, 2, 3, 1]), ("value", [0, 2, 1, 3])):
        at = f"{place}.{role}"
        parts.append(g.node(at, "Transpose", g.node(at, "Reshape", linear(g, x, at, width, width), split), perm=order))
    q, k, v = parts
    scores = g.node(place, "Div", g.node(place + ".scores", "MatMul", q, k), g.constant("root", np.float32(np.sqrt(width // heads))))
    mixed = g.node(place, "Transpose", g.node(place + ".mix", "MatMul", g.node(place, "Softmax", scores, axis=-1), v), perm=[0, 2, 1, 3])
    return linear(g, g.node(place, "Reshape", mixed, g.constant("join", np.array([1, tokens, width]))), place + ".out", width, width)


def encoder(path, layers, width, heads=12, tokens=128):
    g, x = Network(), "hidden"
    for k in range(layers):
        at = f"layer{k}"
        x = layer_norm(g, g.node(at + ".a", "Add", attention(g, x, at + ".attention", width, heads, tokens), x), at + ".norm1", width)
        y = linear(g, gelu(g, linear(g, x, at + ".up", width, 4 * width), at + ".gelu"), at + ".down", 4 * width, width)
        x = layer_norm(g, g.node(at + ".b", "Add", y, x), at + ".norm2", width)
    g.save(path, "encoder", "hidden", [1, tokens, width], x)


MODELS = {
    "resnet50": resnet50,
    "mobilenetv2": mobilenetv2,
    "minilm": lambda path: encoder(path, 6, 384),
    "bert-base": lambda path: encoder(path, 12, 768),
}

if __name__ == "__main__":
    if len(sys.argv) < 2 or set(sys.argv[2:]) - set(MODELS):
        sys.exit(f"usage: models.py OUT [{' | '.join(MODELS)} ...]")
    for name in sys.argv[2:] or MODELS:
        MODELS[name](os.path.join(sys.argv[1], name))
        print(os.path.join(sys.argv[1], name, "f32.onnx"))
