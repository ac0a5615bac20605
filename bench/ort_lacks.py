"""Prints the operators of ONNX's default domain for which ONNX Runtime registers no kernel on CPUs: the first such version of each.

    pip install onnxruntime onnx
    python bench/ort_lacks.py

A kernel whose range of versions is open serves only operators that have not changed since its first version.
Operators that are functions are left out, since they run as what they stand for, if that has kernels.
"""
import onnx
import onnxruntime as ort
from onnxruntime.capi.onnxruntime_pybind11_state import get_all_opkernel_def

OPEN = 2**31 - 1


def main():
    kernels = {}
    for d in get_all_opkernel_def():
        if d.provider == "CPUExecutionProvider" and d.domain == "":
            kernels.setdefault(d.op_name, []).append(tuple(d.version_range))
    lacks = {}
    for s in onnx.defs.get_all_schemas_with_history():
        if s.domain or s.deprecated or s.since_version < 7 or s.has_function or s.has_context_dependent_function or s.name == "Constant":
            continue
        if not any(a == s.since_version or b < OPEN and a <= s.since_version <= b for a, b in kernels.get(s.name, [])):
            lacks[s.name] = min(lacks.get(s.name, OPEN), s.since_version)
    print(f"onnxruntime {ort.__version__}, onnx {onnx.__version__}")
    for name, version in sorted(lacks.items()):
        print(name, version)


if __name__ == "__main__":
    main()
