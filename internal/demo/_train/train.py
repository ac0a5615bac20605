"""Trains the demo's network and writes it as ONNX, BatchNormalization left as it is.

Needs torch and onnx. From the root of the project:

    go run ./internal/demo/_train 40000 /tmp/glyphs.npz
    python internal/demo/_train/train.py /tmp/glyphs.npz internal/demo/glyphs.onnx
"""
import sys
import time

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

EPOCHS, BATCH, RATE = 6, 128, 4e-3
STEM, HEAD, CLASSES = 16, 128, 36
# Inverted residuals (Sandler et al., MobileNetV2, section 3): expansion, output channels, stride.
BLOCKS = [(1, 24, 2), (3, 24, 1), (3, 32, 2), (3, 32, 1), (3, 48, 2), (3, 48, 1)]


class Norm(nn.Module):
    """A convolution with its batch normalization."""

    def __init__(self, cin, cout, size=1, stride=1, groups=1):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, size, stride, size // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(cout)

    def forward(self, x):
        return self.norm(self.conv(x))


class Block(nn.Module):
    def __init__(self, cin, cout, expansion, stride):
        super().__init__()
        wide = cin * expansion
        self.residual = cin == cout and stride == 1
        self.expand = Norm(cin, wide) if expansion > 1 else None
        self.depth = Norm(wide, wide, 3, stride, wide)
        self.project = Norm(wide, cout)

    def forward(self, x):
        y = nn.functional.relu6(self.expand(x)) if self.expand else x
        y = self.project(nn.functional.relu6(self.depth(y)))
        return x + y if self.residual else y


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        channels = [STEM] + [c for _, c, _ in BLOCKS]
        self.stem = Norm(1, STEM, 3)
        self.blocks = nn.ModuleList(Block(a, c, e, s) for a, (e, c, s) in zip(channels, BLOCKS))
        self.last = Norm(channels[-1], HEAD)
        self.head = nn.Linear(HEAD, CLASSES)

    def forward(self, x):
        x = nn.functional.relu6(self.stem(x))
        for b in self.blocks:
            x = b(x)
        return self.head(nn.functional.relu6(self.last(x)).mean((2, 3)))


def prepare(images):
    return (2 * torch.from_numpy(images).float() - 255) / 255


def accuracy(net, images, labels):
    net.eval()
    with torch.no_grad():
        scores = torch.cat([net(prepare(images[i:i + 500])) for i in range(0, len(images), 500)])
    net.train()
    return (scores.argmax(1) == torch.from_numpy(labels).long()).float().mean().item()


def train(data):
    torch.manual_seed(0)
    torch.set_num_threads(1)
    net = Net().to(memory_format=torch.channels_last)
    labels = torch.from_numpy(data["train_labels"]).long()
    steps = EPOCHS * (len(labels) // BATCH)
    opt = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(opt, RATE, total_steps=steps, pct_start=0.2)
    loss_of = nn.CrossEntropyLoss()
    start = time.time()
    for epoch in range(EPOCHS):
        order = torch.randperm(len(labels))
        total = 0.0
        for i in range(len(labels) // BATCH):
            pick = order[i * BATCH:(i + 1) * BATCH]
            loss = loss_of(net(prepare(data["train"][pick.numpy()])), labels[pick])
            opt.zero_grad()
            loss.backward()
            opt.step()
            rate.step()
            total += loss.item()
        top1 = accuracy(net, data["eval"], data["eval_labels"])
        print(f"epoch {epoch + 1}: loss {total / (i + 1):.3f}, top-1 {top1:.4f}, {time.time() - start:.0f} s", flush=True)
    return net.eval()


class Writer:
    """Collects the nodes and weights of an ONNX graph."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def weight(self, name, value):
        value = np.ascontiguousarray(value.detach().numpy(), dtype=np.float32)
        self.weights.append(numpy_helper.from_array(value, name))
        return name

    def node(self, op, name, inputs, **attrs):
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attrs))
        return name

    def conv(self, name, layer, x):
        conv, norm = layer.conv, layer.norm
        w = self.weight(name + ".weight", conv.weight)
        k, p, s = conv.kernel_size[0], conv.padding[0], conv.stride[0]
        x = self.node("Conv", name, [x, w], kernel_shape=[k, k], pads=[p] * 4, strides=[s, s], group=conv.groups)
        parts = [("scale", norm.weight), ("bias", norm.bias), ("mean", norm.running_mean), ("var", norm.running_var)]
        names = [self.weight(f"{name}.norm.{n}", v) for n, v in parts]
        return self.node("BatchNormalization", name + ".norm", [x] + names, epsilon=norm.eps)

    def relu6(self, name, layer, x):
        return self.node("Clip", name + ".relu6", [self.conv(name, layer, x), "zero", "six"])


def export(net, path):
    w = Writer()
    w.weight("zero", torch.tensor(0.0))
    w.weight("six", torch.tensor(6.0))
    x = w.relu6("stem", net.stem, "image")
    for i, b in enumerate(net.blocks):
        name = f"block{i + 1}"
        y = w.relu6(name + ".expand", b.expand, x) if b.expand else x
        y = w.relu6(name + ".depth", b.depth, y)
        y = w.conv(name + ".project", b.project, y)
        x = w.node("Add", name + ".add", [x, y]) if b.residual else y
    x = w.relu6("last", net.last, x)
    x = w.node("GlobalAveragePool", "pool", [x])
    x = w.node("Flatten", "flat", [x], axis=1)
    weight, bias = w.weight("head.weight", net.head.weight), w.weight("head.bias", net.head.bias)
    w.node("Gemm", "scores", [x, weight, bias], transB=1)
    graph = helper.make_graph(
        w.nodes, "glyphs",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 32, 32])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", CLASSES])],
        w.weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="lowbit-demo")
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, path)


if __name__ == "__main__":
    data = dict(np.load(sys.argv[1]))
    export(train(data), sys.argv[2])
