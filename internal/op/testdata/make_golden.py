"""Writes golden.json: single nodes with the outputs that ONNX Runtime computes for them.

    python make_golden.py > golden.json        (needs onnx, onnxruntime, numpy)
"""
import json

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

rng = np.random.default_rng(7)
MS = "com.microsoft"
cases = []


def plain(v):
    v = np.asarray(v).reshape(-1)
    short = [float(str(x)) for x in v] if v.dtype.kind == "f" else v.tolist()
    return [x if np.isfinite(x) else str(x) for x in short]


def text(dtype):
    return {"float32": "float", "float64": "double"}.get(str(dtype), str(dtype))


def case(name, op, inputs, outputs=1, domain="", version=21, tol=0, **attrs):
    """tol is the number of code steps, for integers, or the relative tolerance that may part us."""
    names = [f"i{k}" if v is not None else "" for k, v in enumerate(inputs)]
    wanted = outputs if isinstance(outputs, list) else [f"o{k}" for k in range(outputs)]
    node = helper.make_node(op, names, wanted, domain=domain, **attrs)
    given = {n: np.asarray(v) for n, v in zip(names, inputs) if n}
    values = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(v.dtype), v.shape) for n, v in given.items()]
    outs = [helper.make_empty_tensor_value_info(n) for n in wanted if n]
    graph = helper.make_graph([node], "g", values, outs)
    imports = [helper.make_opsetid("", version)] + ([helper.make_opsetid(MS, 1)] if domain else [])
    model = helper.make_model(graph, opset_imports=imports, ir_version=10)
    so = ort.SessionOptions()
    so.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    so.log_severity_level, so.intra_op_num_threads = 3, 1
    got = ort.InferenceSession(model.SerializeToString(), so, providers=["CPUExecutionProvider"]).run(None, given)
    tensor = lambda v: {"type": text(v.dtype), "shape": list(v.shape), "data": plain(v)}
    cases.append({
        "name": name, "op": op, "domain": domain, "opset": 1 if domain else version, "tol": tol,
        "attrs": {k: {"ints": v} if isinstance(v, list) and isinstance(v[0], int) else {"floats": v} if isinstance(v, list)
                  else {type(v).__name__: v} for k, v in attrs.items()},
        "in": [tensor(np.asarray(v)) if v is not None else None for v in inputs],
        "out": [tensor(v) for v in got], "outNames": wanted,
    })


def f32(*shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(np.float32).round(3)


def codes(dtype, *shape, lo=None, hi=None):
    i = np.iinfo(dtype)
    return rng.integers(i.min if lo is None else lo, (i.max if hi is None else hi) + 1, shape).astype(dtype)


def s(v):
    return np.float32(v)


# QLinear operators, unsigned and signed
for t, z in ((np.uint8, 128), (np.int8, -3)):
    a, b = codes(t, 2, 3, 4), codes(t, 4)
    n = np.dtype(t).name
    case(f"qlinearadd {n}", "QLinearAdd", [a, s(0.02), t(z), b, s(0.05), t(5), s(0.04), t(9)], domain=MS, tol=1)
    case(f"qlinearmul {n}", "QLinearMul", [a, s(0.02), t(z), b, s(0.05), t(5), s(0.04), t(9)], domain=MS, tol=1)
    case(f"qlinearsigmoid {n}", "QLinearSigmoid", [a, s(0.05), t(z), s(1 / 256), t(np.iinfo(t).min)], domain=MS, tol=1)
    case(f"qlinearleakyrelu {n}", "QLinearLeakyRelu", [a, s(0.05), t(z), s(0.03), t(20)], domain=MS, tol=1, alpha=0.2)
    case(f"qlinearsoftmax {n}", "QLinearSoftmax", [a, s(0.05), t(z), s(1 / 256), t(np.iinfo(t).min)], domain=MS, tol=1, axis=1, opset=13)
    case(f"qlinearsoftmax coerced {n}", "QLinearSoftmax", [a, s(0.05), t(z), s(1 / 256), t(np.iinfo(t).min)], domain=MS, tol=1, axis=1, opset=12)
    case(f"qlinearconcat {n}", "QLinearConcat", [s(0.03), t(2), a, s(0.02), t(z), codes(t, 2, 1, 4), s(0.05), t(1)], domain=MS, tol=1, axis=1)
    x = codes(t, 1, 2, 5, 5)
    case(f"qlinearaveragepool {n}", "QLinearAveragePool", [x, s(0.05), t(z), s(0.04), t(3)], domain=MS, tol=1, kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1])
    case(f"qlinearaveragepool counts padding {n}", "QLinearAveragePool", [x, s(0.05), t(z), s(0.04), t(3)], domain=MS, tol=1, kernel_shape=[3, 3], pads=[1, 1, 1, 1], count_include_pad=1)
    case(f"qlinearaveragepool channels last {n}", "QLinearAveragePool", [codes(t, 1, 4, 4, 2), s(0.05), t(z), s(0.04), t(3)], domain=MS, tol=1, kernel_shape=[2, 2], channels_last=1)
    case(f"qlinearglobalaveragepool {n}", "QLinearGlobalAveragePool", [x, s(0.05), t(z), s(0.02), t(3)], domain=MS, tol=1)
    case(f"qlinearglobalaveragepool channels last {n}", "QLinearGlobalAveragePool", [codes(t, 2, 3, 3, 2), s(0.05), t(z), s(0.02), t(3)], domain=MS, tol=1, channels_last=1)

# products of codes
a, b = codes(np.uint8, 3, 8), codes(np.int8, 8, 4)
col, wide = np.array([0.01, 0.02, 0.005, 0.03], np.float32), codes(np.int32, 4, lo=-3000, hi=3000)
zero4 = np.array([0, 3, -2, 1], np.int8)
case("qgemm", "QGemm", [a, s(0.02), np.uint8(120), b, s(0.01), np.int8(0), wide, s(0.1), np.uint8(100)], domain=MS, tol=1)
case("qgemm per column transposed", "QGemm", [a.T.copy(), s(0.02), np.uint8(120), b.T.copy(), col, zero4, wide, s(0.1), np.uint8(100)], domain=MS, tol=1, transA=1, transB=1)
case("qgemm to float", "QGemm", [a, s(0.02), np.uint8(120), b, s(0.01), np.int8(0), wide], domain=MS, tol=1e-5, alpha=0.5)
case("matmulintegertofloat", "MatMulIntegerToFloat", [a, b, s(0.02), col, np.uint8(120), zero4, f32(4)], domain=MS, tol=1e-5)
case("matmulintegertofloat bare", "MatMulIntegerToFloat", [a, codes(np.uint8, 8, 2), s(0.02), s(0.1)], domain=MS, tol=1e-5)
case("dynamicquantizematmul", "DynamicQuantizeMatMul", [f32(2, 3, 8), b, col, zero4, f32(4)], domain=MS, tol=1e-4)
case("matmulinteger per column", "MatMulInteger", [a, b, np.uint8(3), zero4])
case("matmulinteger batch", "MatMulInteger", [codes(np.uint8, 2, 3, 5), codes(np.uint8, 5, 2), np.uint8(7), np.uint8(9)])
case("qlinearmatmul per column", "QLinearMatMul", [a, s(0.02), np.uint8(120), b, col, zero4, s(0.1), np.uint8(100)], tol=1)
x, w = codes(np.uint8, 1, 4, 5, 5), codes(np.int8, 6, 2, 3, 3)
case("qlinearconv grouped per channel", "QLinearConv", [x, s(0.02), np.uint8(120), w, (rng.random(6) * 0.02).astype(np.float32), np.zeros(6, np.int8), s(0.1), np.uint8(100), codes(np.int32, 6, lo=-3000, hi=3000)],
     tol=1, group=2, pads=[1, 1, 0, 0], strides=[2, 1])
case("convinteger", "ConvInteger", [x, codes(np.uint8, 6, 4, 3, 3), np.uint8(120), np.uint8(7)], pads=[1, 1, 1, 1], dilations=[1, 2])

# weights of few bits
for bits, n, k, block in ((2, 5, 40, 16), (4, 3, 50, 16), (8, 4, 33, 32)):
    blocks = -(-k // block)
    w, scales = codes(np.uint8, n, blocks, block * bits // 8), (rng.random((n, blocks)) * 0.1).astype(np.float32)
    at = dict(K=k, N=n, bits=bits, block_size=block)
    case(f"matmulnbits {bits}", "MatMulNBits", [f32(2, 2, k), w, scales], domain=MS, tol=1e-4, **at)
    case(f"matmulnbits {bits} packed zero points", "MatMulNBits", [f32(2, k), w, scales, codes(np.uint8, n, -(-blocks * bits // 8))], domain=MS, tol=1e-4, **at)
k, n = 50, 3
w, scales = codes(np.uint8, n, 4, 8), (rng.random((n, 4)) * 0.1).astype(np.float32)
case("matmulnbits float zero points and bias", "MatMulNBits", [f32(2, k), w, scales, (rng.random((n, 4)) * 15).astype(np.float32), None, f32(n)], domain=MS, tol=1e-4, K=k, N=n, bits=4, block_size=16)
for kind in (0, 1):
    k, n = 24, 5
    case(f"matmulbnb4 {kind}", "MatMulBnb4", [f32(3, k), codes(np.uint8, (n * k + 1) // 2), (rng.random(-(-n * k // 16)) + 0.1).astype(np.float32)], domain=MS, tol=1e-4, K=k, N=n, block_size=16, quant_type=kind)

# fusions
x, w = f32(1, 2, 4, 4), f32(3, 2, 3, 3)
for act, params in (("Relu", None), ("Tanh", None), ("Sigmoid", None), ("LeakyRelu", [0.1]), ("Clip", [-0.5, 1.0]), ("HardSigmoid", [0.2, 0.4])):
    extra = {"activation_params": params} if params else {}
    case(f"fusedconv {act}", "FusedConv", [x, w, f32(3)], domain=MS, tol=1e-4, activation=act, pads=[1, 1, 1, 1], **extra)
case("fusedconv sum", "FusedConv", [x, w, f32(3), f32(1, 3, 2, 2)], domain=MS, tol=1e-4, activation="Relu")
case("fusedmatmul", "FusedMatMul", [f32(2, 4, 3), f32(2, 5, 4)], domain=MS, tol=1e-5, transA=1, transB=1, alpha=0.5)
case("fusedmatmul batch first", "FusedMatMul", [f32(3, 2, 4), f32(2, 4, 5)], domain=MS, tol=1e-5, transBatchA=1)
case("fusedmatmul batch last", "FusedMatMul", [f32(4, 2, 3), f32(5, 2, 4)], domain=MS, tol=1e-5, transBatchA=1, transA=1, transBatchB=1, transB=1)
x = f32(2, 3, 6, scale=2)
case("gelu", "Gelu", [x], domain=MS, tol=1e-5)
case("biasgelu", "BiasGelu", [x, f32(6)], domain=MS, tol=1e-5)
case("fastgelu", "FastGelu", [x], domain=MS, tol=1e-4)
case("fastgelu bias", "FastGelu", [x, f32(6)], domain=MS, tol=1e-4)
case("quickgelu", "QuickGelu", [x], domain=MS, tol=1e-4, alpha=1.5)
case("skiplayernormalization", "SkipLayerNormalization", [x, f32(2, 3, 6), f32(6), f32(6), f32(6)], outputs=["y", "", "", "sum"], domain=MS, tol=1e-4, epsilon=1e-3)
case("skiplayernormalization broadcast", "SkipLayerNormalization", [x, f32(3, 6), f32(6)], domain=MS, tol=1e-4)

# linear quantization
x = f32(3, 4, 5, scale=40)
scale4, zero_u16 = np.array([0.3, 0.5, 0.2, 1.0], np.float32), np.array([0, 30000, 100, 65535], np.uint16)
case("quantizelinear ties", "QuantizeLinear", [np.array([0.5, 1.5, 2.5, -0.5, 300, -300, 254.5], np.float32), s(1), np.uint8(1)])
case("quantizelinear default zero point", "QuantizeLinear", [x, s(0.4)])
case("quantizelinear axis", "QuantizeLinear", [x, scale4, zero_u16], axis=1)
case("quantizelinear contrib int16", "QuantizeLinear", [x, s(0.01), np.int16(-7)], domain=MS)
case("quantizelinear contrib axis", "QuantizeLinear", [x, scale4, np.array([1, 2, 3, 4], np.int8)], domain=MS, axis=1)
case("quantizelinear blocks", "QuantizeLinear", [x, (rng.random((3, 2, 5)) + 0.2).astype(np.float32), codes(np.int8, 3, 2, 5)], axis=1, block_size=2)
case("dequantizelinear blocks", "DequantizeLinear", [codes(np.int8, 3, 4, 5), (rng.random((3, 2, 5)) + 0.2).astype(np.float32), codes(np.int8, 3, 2, 5)], axis=-2, block_size=2, tol=1e-6)
case("dequantizelinear bias", "DequantizeLinear", [codes(np.int32, 4), scale4], axis=0, tol=1e-6)
case("dequantizelinear contrib uint16", "DequantizeLinear", [codes(np.uint16, 3, 4), scale4, zero_u16], domain=MS, axis=1, tol=1e-6)
case("quantizelinear half", "QuantizeLinear", [x.astype(np.float16), np.float16(0.37), np.int8(3)])
case("dynamicquantizelinear", "DynamicQuantizeLinear", [x], outputs=3, tol=1e-6)
case("dynamicquantizelinear zeros", "DynamicQuantizeLinear", [np.zeros((2, 2), np.float32)], outputs=3)
case("dynamicquantizelinear positive", "DynamicQuantizeLinear", [np.array([1, 2, 7.5], np.float32)], outputs=3, tol=1e-6)

# corners of the arithmetic operators
i8 = codes(np.int8, 6)
case("add wraps", "Add", [np.array([2147483647, -5], np.int32), np.array([1, 2], np.int32)])
case("div truncates", "Div", [np.array([-7, 7, -7], np.int32), np.array([2, -2, -2], np.int32)])
case("mod floors", "Mod", [np.array([-7, 7, -7, 6], np.int64), np.array([3, -3, -3, 3], np.int64)])
case("mod fmod", "Mod", [f32(6, scale=9), f32(6, scale=3)], fmod=1, tol=1e-5)
case("pow mixed", "Pow", [np.array([2, 3, -2], np.int32), np.array([2.5, 2, 3], np.float32)])
case("pow integers", "Pow", [np.array([2, 3, -2], np.int64), np.array([10, 4, 3], np.int64)])
case("max broadcast", "Max", [f32(2, 3), f32(3), f32(2, 1)])
case("min nan", "Min", [np.array([np.nan, 1], np.float32), np.array([0, np.nan], np.float32)])
case("mean", "Mean", [f32(2, 3), f32(3)], tol=1e-5)
case("clip crossed bounds", "Clip", [f32(5), s(1), s(-1)])
case("clip int8", "Clip", [i8, np.int8(-20), np.int8(30)])
case("softmax coerced", "Softmax", [f32(2, 3, 4)], version=11, axis=1, tol=1e-5)
case("softmax", "Softmax", [f32(2, 3, 4)], version=13, axis=1, tol=1e-5)
case("logsoftmax", "LogSoftmax", [f32(2, 3, 4, scale=60)], tol=1e-5)
case("hardmax coerced", "Hardmax", [np.array([[[1, 5], [5, 2]], [[3, 3], [2, 1]]], np.float32)], version=11, axis=1)
case("argmax last", "ArgMax", [np.array([[1, 5, 5], [2, 2, 0]], np.float32)], axis=-1, select_last_index=1, keepdims=0)
case("reducesum no axes is a no-op", "ReduceSum", [f32(2, 3), np.zeros(0, np.int64)], noop_with_empty_axes=1)
case("reducemean int32", "ReduceMean", [np.array([[1, 2], [-3, -4]], np.int32), np.array([1], np.int64)])
case("reducemax int8", "ReduceMax", [i8.reshape(2, 3)], version=13, axes=[1], keepdims=0)
case("reducelogsumexp", "ReduceLogSumExp", [f32(2, 3, scale=200), np.array([-1], np.int64)], tol=1e-5)
case("reduceprod of nothing", "ReduceProd", [np.zeros((2, 0), np.float32), np.array([1], np.int64)])
case("cumsum exclusive reverse", "CumSum", [f32(2, 4), np.int64(1)], exclusive=1, reverse=1, tol=1e-5)
case("cast truncates", "Cast", [np.array([1.9, -1.9, 300.7], np.float32)], to=int(TensorProto.INT32))
case("cast wraps", "Cast", [np.array([200, -129], np.int32)], to=int(TensorProto.INT8))
case("cast half overflows", "Cast", [np.array([70000, 1e-8, 0.1], np.float32)], to=int(TensorProto.FLOAT16))
case("cast to bool", "Cast", [np.array([0, -0.0, 0.5, np.nan], np.float32)], to=int(TensorProto.BOOL))
case("bitshift", "BitShift", [np.array([200, 3], np.uint8), np.array([1, 7], np.uint8)], direction="LEFT")
case("prelu", "PRelu", [f32(2, 3, 2), f32(3, 1)], tol=1e-6)
case("range down", "Range", [np.int64(10), np.int64(3), np.int64(-3)])
case("range float", "Range", [s(0.5), s(2.1), s(0.4)], tol=1e-6)
case("erf", "Erf", [f32(8, scale=2)], tol=1e-5)
case("round", "Round", [np.array([0.5, 1.5, -2.5, 2.6], np.float32)])
case("celu", "Celu", [f32(8)], alpha=0.7, tol=1e-5)
case("shrink", "Shrink", [f32(8)], lambd=0.3, bias=0.1, tol=1e-6)
case("mish", "Mish", [f32(8, scale=5)], tol=1e-5)
case("hardswish", "HardSwish", [f32(8, scale=5)], tol=1e-5)
case("gelu tanh", "Gelu", [f32(8, scale=2)], approximate="tanh", tol=1e-5)
case("selu", "Selu", [f32(8)], tol=1e-5)
case("melweightmatrix", "MelWeightMatrix", [np.int64(4), np.int64(16), np.int64(8000), s(100), s(3000)], tol=1e-5)
case("hammingwindow symmetric", "HammingWindow", [np.int64(6)], periodic=0, tol=1e-5)

# every function of one number
for op in "Abs Neg Sign Ceil Floor Round Sin Cos Tan Sinh Cosh Atan Asinh Exp Sigmoid Tanh Softplus Softsign Elu HardSigmoid LeakyRelu ThresholdedRelu Reciprocal Relu Erf Identity".split():
    case(op.lower() + " real", op, [np.array([-2.7, -0.4, 0, 0.3, 1.2, 6.5], np.float32)], tol=1e-5)
for op in "Log Sqrt Acosh".split():
    case(op.lower() + " real", op, [np.array([1, 1.2, 3, 600], np.float32)], tol=1e-5)
for op in "Acos Asin Atanh".split():
    case(op.lower() + " real", op, [np.array([-0.9, -0.1, 0, 0.6], np.float32)], tol=1e-5)
for op in "Abs Neg Sign Relu".split():
    case(op.lower() + " int8", op, [np.array([-128, -5, 0, 127], np.int8)])
case("not", "Not", [np.array([True, False])])
for op in "And Or Xor Equal".split():
    case(op.lower() + " bool", op, [np.array([True, True, False, False]), np.array([True, False, True, False])])
for op in "Greater GreaterOrEqual Less LessOrEqual".split():
    case(op.lower() + " int64", op, [np.array([1, 2, 3]), np.array([2])])
    case(op.lower() + " double", op, [np.array([1, np.nan, 3.5]), np.array([2.0])])
for op in "ReduceSum ReduceMean ReduceMax ReduceMin ReduceProd ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum ReduceLogSumExp".split():
    case(op.lower() + " middle", op, [np.abs(f32(2, 3, 2)) + 0.5, np.array([1], np.int64)], tol=1e-5, keepdims=0)
    case(op.lower() + " all", op, [np.array([[1, 2], [3, 4]], np.int32)], version=13)
case("where", "Where", [np.array([[True], [False]]), f32(3), f32(2, 1)])
case("isinf", "IsInf", [np.array([np.inf, -np.inf, np.nan, 1], np.float32)])
case("isnan", "IsNaN", [np.array([np.inf, -np.inf, np.nan, 1], np.float32)])
case("argmin", "ArgMin", [f32(3, 4)], axis=1)


def lstm(name, dirs, dtype, zero, per_channel, lens=None, peepholes=None, **attrs):
    seq, batch, size, hidden = 4, 2, 5, 3
    shape = (dirs, 4 * hidden) if per_channel else (dirs,)
    w, r = codes(dtype, dirs, size, 4 * hidden), codes(dtype, dirs, hidden, 4 * hidden)
    params = [p for _ in "WR" for p in ((rng.random(shape) * 0.01 + 0.005).astype(np.float32), np.full(shape, zero, dtype))]
    given = [f32(seq, batch, size), w, r, f32(dirs, 8 * hidden), lens, f32(dirs, batch, hidden), f32(dirs, batch, hidden), peepholes, *params]
    case(f"dynamicquantizelstm {name}", "DynamicQuantizeLSTM", given, outputs=["y", "h", "c"], domain=MS, tol=1e-4, hidden_size=hidden, **attrs)


# recurrence on codes
lstm("per tensor", 1, np.int8, 0, False)
lstm("zero point", 1, np.uint8, 117, False, clip=0.5, direction="reverse")
lstm("bidirectional per channel", 2, np.int8, 0, True, peepholes=f32(2, 9), direction="bidirectional")
lstm("short sequences", 2, np.uint8, 128, True, lens=np.array([3, 2], np.int32), direction="bidirectional", input_forget=1)

# a product and its function
case("fusedgemm", "FusedGemm", [f32(2, 3), f32(4, 3), f32(4)], domain=MS, tol=1e-5, transB=1, alpha=0.5, beta=2.0, activation="LeakyRelu", activation_alpha=0.1)
case("fusedgemm between bounds", "FusedGemm", [f32(2, 3), f32(3, 4)], domain=MS, tol=1e-5, activation="HardSigmoid", activation_alpha=0.3, activation_beta=0.6)

def attention(name, op, given, outputs=1, **attrs):
    case(f"{op.lower()} {name}", op, given, outputs=outputs, domain=MS, tol=1e-4, **attrs)


# what optimizers of transformers write
B, S, L, N, D, P, H = 2, 3, 4, 2, 4, 2, 8
i32 = lambda *v: np.array(v, np.int32)
case("simplifiedlayernormalization", "SimplifiedLayerNormalization", [f32(B, S, H), f32(H)], outputs=2, tol=1e-4, epsilon=1e-5)
case("layernormalization before opset 17", "LayerNormalization", [f32(B, H), f32(H), f32(H)], version=11, tol=1e-4)
for name, skip, bias in ("", (B, S, H), None), (" broadcast with bias", (1, S, H), f32(H)):
    case(f"skipsimplifiedlayernormalization{name}", "SkipSimplifiedLayerNormalization", [f32(B, S, H), f32(*skip), f32(H)] + [bias] * (bias is not None),
         outputs=["y", "", "", "sum"], domain=MS, tol=1e-4, epsilon=1e-5)
angles = rng.random((8, 4)).astype(np.float32) * 6
turns = [np.cos(angles), np.sin(angles)]
attention("of three dimensions", "RotaryEmbedding", [f32(B, S, 16), rng.integers(0, 8, (B, S)), *turns])
attention("of four, interleaved, from a position on", "RotaryEmbedding", [f32(B, N, S, 8), np.array([5]), *turns], interleaved=1)
attention("of a part", "RotaryEmbedding", [f32(1, S, 20), rng.integers(0, 8, (1, S)), *turns], num_heads=2, rotary_embedding_dim=8)
ids, kinds, mask = i32([1, 4, 0], [2, 2, 3]), i32([0, 1, 1], [0, 0, 1]), i32([1, 1, 0], [1, 0, 0])
tables = [f32(5, H), f32(4, H), f32(2, H), f32(H), f32(H)]
attention("counts a mask", "EmbedLayerNormalization", [ids, kinds, *tables, mask], outputs=3, mask_index_type=1)
attention("of positions", "EmbedLayerNormalization", [ids, None, *tables[:2], None, *tables[3:], None, i32([3, 0, 1])], outputs=2)
q, k, v = f32(B, S, N * D), f32(B, L, N * D), f32(B, L, N * 6)
attention("with values of another size and a bias", "MultiHeadAttention", [q, k, v, f32(2 * N * D + N * 6)], num_heads=N)
attention("with a mask of keys and a bias of scores", "MultiHeadAttention", [q, k, v, None, i32([1, 0, 1, 1], [1, 1, 0, 0]), f32(1, N, S, L)], num_heads=N, scale=0.3)
attention("with a mask of rows", "MultiHeadAttention", [q, k, v, None, np.tril(np.ones((B, S, L), np.int32))], num_heads=N, mask_filter_value=-2.0)
attention("with lengths", "MultiHeadAttention", [q, k, v, None, i32(3, 1)], num_heads=N)
attention("of caches", "MultiHeadAttention", [q, f32(B, N, L, D), f32(B, N, L, D), f32(3 * N * D)], num_heads=N)
attention("with a past", "MultiHeadAttention", [q, f32(B, S, N * D), f32(B, S, N * D), f32(3 * N * D), None, None, f32(B, N, P, D), f32(B, N, P, D)],
          outputs=3, num_heads=N, unidirectional=1)
x, w, b = f32(B, S, 5), f32(5, 3 * N * D), f32(3 * N * D)
attention("without a bias", "Attention", [x, w], num_heads=N, scale=0.7)
attention("with a mask", "Attention", [x, w, b, i32([1, 0, 1], [1, 1, 0]), None, f32(1, 1, S, S)], num_heads=N)
attention("with ends and starts", "Attention", [x, w, b, i32(3, 2, 1, 0)], num_heads=N)
attention("of sizes", "Attention", [x, f32(5, 2 * N * D + N * 6), f32(2 * N * D + N * 6)], num_heads=N, qkv_hidden_sizes=[N * D, N * D, N * 6])
attention("with a past", "Attention", [x, w, b, np.ones((B, S + P), np.int32), f32(2, B, N, P, D)], outputs=2, num_heads=N, unidirectional=1)


def grouped(name, batch, rows, past, extra=(), buffer=None, lengths=None, packed=False, heads=2, kv=1, **attrs):
    size, total = 16, past + rows
    given = [f32(batch, rows, (heads + 2 * kv) * size), None, None] if packed else [f32(batch, rows, n * size) for n in (heads, kv, kv)]
    given += [f32(batch, kv, buffer or past, size) for _ in range(2)]
    given += [np.array(lengths or [total - 1] * batch, np.int32), np.array(total, np.int32), *extra]
    attention(name, "GroupQueryAttention", given, outputs=3, num_heads=heads, kv_num_heads=kv, **attrs)


angles = rng.random((8, 8)).astype(np.float32) * 6
turns = [np.cos(angles), np.sin(angles)]
grouped("of a prompt", 1, 2, 0, turns, heads=4, kv=2, do_rotary=1)
grouped("of a token", 2, 1, 4, turns, do_rotary=1, rotary_interleaved=1)
grouped("of tokens with less past and a window", 2, 1, 4, turns, lengths=[4, 2], buffer=6, do_rotary=1, local_window_size=2)
grouped("of some tokens in one operand", 1, 2, 3, turns, packed=True, do_rotary=1, softcap=1.5)
grouped("with positions and a bias of scores", 1, 2, 3, [*turns, np.array([[6, 1]]), f32(1, 1, 2, 5)], do_rotary=1, scale=0.1)
grouped("of a prompt with positions", 1, 3, 0, [*turns, np.array([[2, 7, 1]])], do_rotary=1)
grouped("with sinks", 1, 2, 3, [None] * 4 + [f32(2)])
grouped("smooth", 1, 2, 3, smooth_softmax=1)
grouped("of both directions", 1, 3, 0, causal=0)


def column(*shape):
    return (rng.random(shape) * 0.02 + 0.01).astype(np.float32)


# what ONNX Runtime's dynamic quantizer writes of optimized transformers
x, w, b = codes(np.uint8, B, S, 5), codes(np.int8, 5, 3 * N * D), f32(3 * N * D)
attention("bare", "QAttention", [x, w, b, s(0.02), s(0.01)], num_heads=N)
attention("with a mask", "QAttention", [x, w, b, s(0.02), s(0.01), i32([1, 0, 1], [1, 1, 0]), np.uint8(120), np.int8(-3)], num_heads=N)
attention("by columns, of a past", "QAttention", [x, codes(np.uint8, 5, 3 * N * D), b, s(0.02), column(3 * N * D), np.ones((B, S + P), np.int32), np.uint8(120), codes(np.uint8, 3 * N * D, lo=100, hi=150),
          f32(2, B, N, P, D)], outputs=2, num_heads=N, unidirectional=1)
attention("with lengths", "QAttention", [x, w, b, s(0.02), s(0.01), i32(3, 1), np.uint8(120), np.int8(0)], num_heads=N, scale=0.6)
for t in (np.uint8, np.int8):
    tables = [codes(t, 5, H), codes(t, 4, H), codes(t, 2, H), codes(t, H), codes(t, H)]
    params = [column()[()] for _ in range(5)] + list(codes(t, 5))
    attention(f"of {np.dtype(t).name}", "QEmbedLayerNormalization", [ids, kinds, *tables, mask, *params], outputs=2)
    tables[2] = params[2] = params[7] = None
    attention(f"without segments, of {np.dtype(t).name}", "QEmbedLayerNormalization", [ids, None, *tables, None, *params], outputs=2, epsilon=1e-3)


def mixture(name, experts, hidden, inter, rows=1, bits=None, block=0, points=False, weighted=False, bias=True, tol=1e-4, **attrs):
    """rows is how many numbers the first layer gives for each that the second takes."""
    given = [f32(2, 3, hidden), f32(6, experts)]
    for n, k in ((rows * inter, hidden), (hidden, inter)):
        w = f32(experts, n, k) if bits is None else codes(np.uint8, experts, n, k * bits // 8)
        given += [w] + ([] if bits is None else [column(experts, n, *([k // block] if block else []))]) + [f32(experts, n) if bias else None]
    if bits:
        pack = lambda n: -(-n * bits // 8)
        given += [None] * 3
        if points:
            given += [codes(np.uint8, experts, *((n, pack(k // block)) if block else (pack(n),))) for n, k in ((rows * inter, hidden), (hidden, inter))]
        if weighted:
            given += [None] * (14 - len(given)) + [np.abs(f32(6, experts))]
        attrs.update(expert_weight_bits=bits, **({"block_size": block} if block else {}))
    case(f"{'qmoe' if bits else 'moe'} {name}", "QMoE" if bits else "MoE", given, domain=MS, tol=tol, **attrs)


# mixtures of experts
mixture("of one", 3, 8, 6, activation_type="gelu")
mixture("of two, normalized", 4, 8, 6, k=2, activation_type="silu", normalize_routing_weights=1, bias=False)
mixture("gated", 3, 8, 6, rows=2, k=2, activation_type="swiglu", swiglu_fusion=1, activation_alpha=1.702, activation_beta=1.0, swiglu_limit=1.5)
mixture("by rows", 3, 32, 16, bits=8, k=2, tol=2e-2, normalize_routing_weights=1, activation_type="relu")
mixture("of four bits by rows", 3, 32, 16, bits=4, k=2, tol=2e-2, activation_type="identity")
mixture("gated, in blocks", 3, 64, 32, rows=2, bits=4, block=16, k=2, tol=2e-2, normalize_routing_weights=1, activation_type="swiglu", swiglu_fusion=1, swiglu_limit=7.0)
mixture("with zero points", 3, 64, 32, bits=4, block=32, points=True, k=2, tol=2e-2, activation_type="silu", bias=False)
mixture("with zero points of rows", 3, 32, 16, bits=4, points=True, tol=2e-2, activation_type="silu")
mixture("of two bits", 3, 32, 32, bits=2, block=16, tol=2e-2, activation_type="relu")
mixture("with weights of routes", 4, 32, 16, bits=8, k=2, weighted=True, tol=2e-2, activation_type="silu", normalize_routing_weights=1)
mixture("with weights of routes as they are", 4, 32, 16, bits=8, k=3, weighted=True, tol=2e-2, activation_type="silu")

# operators of ONNX Runtime's that are those of ONNX, or were before these
case("transposematmul", "TransposeMatMul", [f32(2, 4, 3), f32(2, 5, 4)], domain=MS, tol=1e-5, transA=1, transB=1, alpha=0.5)
case("matmulinteger16", "MatMulInteger16", [codes(np.int16, 2, 3), codes(np.int16, 3, 4, lo=-3000, hi=3000)], domain=MS)
case("trilu contrib", "Trilu", [f32(2, 3, 4), np.array(-1)], domain=MS, upper=0)
case("trilu contrib upper", "Trilu", [codes(np.int64, 3, 4)], domain=MS)
case("gridsample contrib", "GridSample", [f32(1, 2, 4, 5), f32(1, 3, 3, 2, scale=0.6)], domain=MS, tol=1e-4)
case("gridsample contrib bicubic", "GridSample", [f32(1, 2, 4, 5), f32(1, 3, 3, 2, scale=0.6)], domain=MS, tol=1e-4, mode="bicubic", padding_mode="border", align_corners=1)
case("gathernd contrib", "GatherND", [f32(3, 4, 2), np.array([[0, 1], [2, 3]], np.int32)], domain=MS)
case("pad contrib", "Pad", [f32(2, 3), np.array([0, 2, 1, -1]), np.array([1.5], np.float32)], domain=MS)
case("pad contrib of two dimensions, reflecting", "Pad", [f32(2, 4), np.array([[0, 2, 1, 1]])], domain=MS, mode="reflect")
case("range contrib", "Range", [np.array(2, np.float32), np.array(4.5, np.float32)], domain=MS)
case("range contrib of steps", "Range", [np.array(2, np.int32), np.array([-7], np.int32), np.array(-3, np.int32)], domain=MS)
for axis in (-1, 0, 1):
    case(f"expanddims {axis}", "ExpandDims", [f32(2, 3), np.array(axis, np.int32)], domain=MS)
case("unique contrib", "Unique", [np.array([2, 1, 1, 3, 4, 3], np.float32)], outputs=3, domain=MS)
case("inverse", "Inverse", [f32(2, 4, 4)], domain=MS, tol=1e-3)
case("inverse with pivots", "Inverse", [np.array([[0, 2, 1], [1, 0, 3], [4, 1, 0]], np.float64)], domain=MS, tol=1e-9)
case("cdist", "CDist", [f32(3, 5), f32(4, 5)], domain=MS, tol=1e-4)
case("cdist euclidean", "CDist", [f32(3, 5).astype(np.float64), f32(2, 5).astype(np.float64)], domain=MS, tol=1e-6, metric="euclidean")
words = np.array([[1, 2, 3, 1, 2], [4, 4, 4, 4, 4], [0, 1, 2, 3, 4]])
for size in (1, 2, 3):
    case(f"ngramrepeatblock {size}", "NGramRepeatBlock", [words, f32(3, 6)], domain=MS, ngram_size=size)
case("murmurhash3", "MurmurHash3", [np.array([0, 3, -7], np.int32)], domain=MS)
case("murmurhash3 of a seed, with signs", "MurmurHash3", [np.array([3, 1 << 40], np.int64)], domain=MS, positive=0, seed=42)
case("murmurhash3 of floats", "MurmurHash3", [np.array([0, 1.5], np.float64)], domain=MS)

# linear attention, and what stands around it
attention("of ONNX Runtime", "CausalConvWithState", [f32(2, 3, 5), f32(3, 1, 4), f32(3), f32(2, 3, 3)], outputs=2, activation="silu")
attention("dilated, of channels that are last", "CausalConvWithState", [f32(2, 5, 3), f32(3, 1, 3), None, f32(2, 4, 3)], outputs=2, dilation=2, channels_last=1)
attention("of no past", "CausalConvWithState", [f32(1, 2, 1), f32(2, 1, 4)], outputs=2, activation="swish")
for rule in ("linear", "gated", "delta", "gated_delta"):
    gates = [-np.abs(f32(B, S, 2)) if "gated" in rule else None, np.abs(f32(B, S, 2)) if "delta" in rule else None]
    attention(rule, "LinearAttention", [f32(B, S, 8), f32(B, S, 4, scale=0.5), f32(B, S, 6), f32(B, 2, 2, 3), *gates], outputs=2, q_num_heads=4, kv_num_heads=2, update_rule=rule)
attention("of more keys than queries", "LinearAttention", [f32(B, S, 4), f32(B, S, 8, scale=0.5), f32(B, S, 12), None, -np.abs(f32(B, S, 8)), np.abs(f32(B, S, 1))], outputs=2, q_num_heads=2, kv_num_heads=4, scale=0.4)
attention("of both", "LinearAttentionGate", [f32(2, 3, 4), f32(4), -np.abs(f32(4)), f32(2, 3, 4)], outputs=2)
attention("of decay", "LinearAttentionGate", [f32(2, 3, 4), f32(4), f32(4)])
attention("of groups", "GatedRMSNorm", [f32(2, 3, 8), f32(4), f32(2, 3, 8)])
attention("by a sigmoid", "GatedRMSNorm", [f32(2, 8), f32(8), f32(2, 8)], activation="sigmoid", epsilon=1e-2)
places = rng.integers(0, 8, (3, B, S))
angles = rng.random((8, 6)).astype(np.float32) * 6
turns = [np.cos(angles), np.sin(angles)]
attention("in runs", "MRotaryEmbedding", [f32(B, S, 24), places, *turns], mrope_section=[2, 3, 1], num_heads=2)
attention("in turns", "MRotaryEmbedding", [f32(B, N, S, 12), places, *turns], mrope_section=[2, 2, 2], mrope_layout=1)
attention("in turns, interleaved, of a part", "MRotaryEmbedding", [f32(B, S, 32), places, *turns], mrope_section=[3, 2, 1], mrope_layout=1, interleaved=1, num_heads=2, rotary_embedding_dim=12)

# decoders that write one token at a time
q, k, v = f32(B, 1, N * D), f32(B, 1, N * D), f32(B, 1, N * D)
pasts = [f32(B, N, 6, D), f32(B, N, 6, D)]
attention("of itself", "DecoderMaskedMultiHeadAttention", [q, k, v, None, None, *pasts, i32(3)[0:1]], outputs=3, num_heads=N, past_present_share_buffer=1)
attention("of itself, with a bias and masks", "DecoderMaskedMultiHeadAttention", [q, k, v, i32([1, 0, 1], [1, 1, 1]), f32(1, N, 1, 3), *pasts, i32(2), None, None, f32(3 * N * D)], outputs=3, num_heads=N,
          past_present_share_buffer=1, scale=0.4)
attention("of an encoder", "DecoderMaskedMultiHeadAttention", [q, f32(B, N, L, D), f32(B, N, L, D), i32([1, 0, 1, 1], [1, 1, 1, 0])], num_heads=N)
boxes = np.array([[0.1, 0.2, 0.7, 0.9], [0, 0, 1, 1], [-0.2, 0.5, 1.2, 0.6]], np.float32)
case("cropandresize", "CropAndResize", [f32(2, 3, 5, 6), boxes, i32(0, 1, 1), i32(4, 3)], domain=MS, tol=1e-4)
case("cropandresize nearest", "CropAndResize", [f32(2, 3, 5, 6), boxes, i32(0, 1, 1), i32(2, 5)], domain=MS, mode="nearest", extrapolation_value=2.5)
case("cropandresize to one", "CropAndResize", [f32(1, 1, 5, 6), boxes[:1], i32(0), i32(1, 1)], domain=MS, tol=1e-4)

print("[\n" + ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases) + "\n]")
