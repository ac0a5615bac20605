"""Writes schema.txt: what the ONNX standard says of each operator's signature, one version a line.

    python make.py > ../schema.txt        (needs the onnx and onnxruntime packages)

A line is: domain name version [deprecated] | inputs | outputs | attributes | type variables.
An operand is NAME:TYPE with ? (may be absent), * (repeated, one type) or ~ (repeated, mixed types) behind it.
An attribute is NAME:KIND with ! behind it where it is required. Type sets are numbered lines at the top.
"""
from collections import defaultdict

import onnx
from onnx import defs

OLDEST = 7
CONTRIB = """QLinearAdd QLinearMul QLinearConcat QLinearSigmoid QLinearLeakyRelu QLinearSoftmax QLinearAveragePool
QLinearGlobalAveragePool QGemm MatMulIntegerToFloat DynamicQuantizeMatMul DynamicQuantizeLSTM MatMulNBits MatMulBnb4 FusedConv FusedGemm FusedMatMul
Gelu FastGelu SkipLayerNormalization SkipSimplifiedLayerNormalization EmbedLayerNormalization QuickGelu BiasGelu QuantizeLinear
DequantizeLinear Attention MultiHeadAttention GroupQueryAttention RotaryEmbedding QLinearConv NhwcMaxPool QLinearWhere GatherBlockQuantized
QAttention QEmbedLayerNormalization MoE QMoE TransposeMatMul MatMulInteger16 Trilu GridSample GatherND Pad Range ExpandDims
Unique Inverse CDist NGramRepeatBlock MurmurHash3 MRotaryEmbedding LinearAttention LinearAttentionGate CausalConvWithState GatedRMSNorm
DecoderMaskedMultiHeadAttention CropAndResize""".split()
EARLY = "LayerNormalization SimplifiedLayerNormalization".split()  # ONNX Runtime's own operators in the default domain


def versions():
    """The newest version at OLDEST and all later ones, by operator."""
    by = defaultdict(list)
    for s in defs.get_all_schemas_with_history():
        if s.domain in ("", "ai.onnx"):
            by[s.name].append(s)
    for name in sorted(by):
        all_ = sorted(by[name], key=lambda s: s.since_version)
        old = [s for s in all_ if s.since_version <= OLDEST]
        yield from old[-1:] + [s for s in all_ if s.since_version > OLDEST]


def contrib():
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = {s.name: s for s in state.get_all_operator_schema() if s.domain == "com.microsoft"}
    for name in sorted(CONTRIB):
        yield found[name]


def early():
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    found = {s.name: s for s in state.get_all_operator_schema() if s.domain == "" and s.since_version == 1}
    for name in EARLY:
        yield found[name]


def short(t):
    return t[7:-1] if t.startswith("tensor(") else t


def operand(p):
    option = str(p.option).split(".")[-1].lower()
    homogeneous = getattr(p, "is_homogeneous", getattr(p, "isHomogeneous", True))
    mark = {"optional": "?", "variadic": "*" if homogeneous else "~"}.get(option, "")
    types = getattr(p, "type_str", None) or getattr(p, "typeStr")
    return f"{p.name}:{short(types)}{mark}"


def kind(a):
    return str(a.type).split(".")[-1].lower()


sets = {}


def typeset(allowed):
    key = ",".join(sorted(short(t) for t in allowed))
    return sets.setdefault(key, len(sets))


def line(s):
    types = " ".join(f"{t.type_param_str}=#{typeset(t.allowed_type_strs)}" for t in s.type_constraints)
    attrs = " ".join(f"{n}:{kind(a)}{'!' if a.required else ''}" for n, a in sorted(s.attributes.items()))
    dep = " deprecated" if s.deprecated else ""
    return (f"{s.domain or 'ai.onnx'} {s.name} {s.since_version}{dep} | {' '.join(map(operand, s.inputs))} | "
            f"{' '.join(map(operand, s.outputs))} | {attrs} | {types}")


lines = [line(s) for s in versions()] + [line(s) for s in contrib()]
lines = [line(s) for s in early()] + lines
print("# Operator signatures of ONNX", onnx.__version__, "from opset", OLDEST, "on; made by _schema/make.py.")
for key, n in sets.items():
    print(f"#{n} {key}")
print("\n".join(lines))
