"""Trains the demo's network and writes it as ONNX, BatchNormalization left as it is.

Needs torch and onnx. From the root of the project:

    go run ./internal/demo/_train 60000 /tmp/glyphs.npz
    python internal/demo/_train/train.py /tmp/glyphs.npz internal/demo/glyphs.onnx
"""
import sys
import time

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

EPOCHS, BATCH, RATE = 8, 128, 4e-3
STEM, CLASSES = 24, 36
# Depthwise-separable blocks: output channels and stride. Equal shapes get a residual.
BLOCKS = [(48, 2), (64, 1), (96, 2), (96, 1), (128, 2), (128, 1)]


class Norm(nn.Module):
    """A convolution with its batch normalization."""

    def __init__(self, cin, cout, size=1, stride=1, groups=1):
        super().__init__()
        self.conv = nn.Conv2d(cin, cout, size, stride, size // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(cout)

    def forward(self, x):
        return self.norm(self.conv(x))


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.residual = cin == cout and stride == 1
        self.depth = Norm(cin, cin, 3, stride, cin)
        self.point = Norm(cin, cout)

    def forward(self, x):
        y = self.point(torch.relu(self.depth(x)))
        return torch.relu(x + y if self.residual else y)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        channels = [STEM] + [c for c, _ in BLOCKS]
        self.stem = Norm(1, STEM, 3)
        self.blocks = nn.ModuleList(Block(a, c, s) for a, (c, s) in zip(channels, BLOCKS))
        self.head = nn.Linear(channels[-1], CLASSES)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        for b in self.blocks:
            x = b(x)
        return self.head(x.mean((2, 3)))


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
    opt = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-2)
    rate = torch.optim.lr_scheduler.OneCycleLR(opt, RATE, total_steps=steps, pct_start=0.2)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
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


def export(net, path):
    w = Writer()
    x = w.node("Relu", "stem.relu", [w.conv("stem", net.stem, "image")])
    for i, b in enumerate(net.blocks):
        name = f"block{i + 1}"
        y = w.node("Relu", name + ".depth.relu", [w.conv(name + ".depth", b.depth, x)])
        y = w.conv(name + ".point", b.point, y)
        if b.residual:
            y = w.node("Add", name + ".add", [x, y])
        x = w.node("Relu", name + ".relu", [y])
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
