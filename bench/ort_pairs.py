"""Shows on which products ONNX Runtime's sums of pairs saturate in 16 bits: 64 weights of one size times 255.

    pip install onnxruntime onnx numpy
    python bench/ort_pairs.py                                      # on this machine
    qemu-x86_64 -cpu Haswell "$(which python)" bench/ort_pairs.py  # on one with AVX2 and no VNNI

Without VNNI int8 weights beyond 64 saturate and uint8 weights do not, which is what `lowbit check --target ort-cpu` warns of.
"""
import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

K, N = 64, 8


def product(weight, kind):
    """The sum that MatMulInteger gives, and the right one."""
    w = np.full((K, N), weight, kind)
    node = helper.make_node("MatMulInteger", ["a", "w"], ["y"])
    ends = helper.make_tensor_value_info("a", TensorProto.UINT8, [4, K]), helper.make_tensor_value_info("y", TensorProto.INT32, [4, N])
    graph = helper.make_graph([node], "pairs", [ends[0]], [ends[1]], [numpy_helper.from_array(w, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    s = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return s.run(None, {"a": np.full((4, K), 255, np.uint8)})[0][0, 0], 255 * weight * K


def main():
    print(f"onnxruntime {ort.__version__}")
    for weight, kind in ((64, np.int8), (65, np.int8), (127, np.int8), (255, np.uint8)):
        got, want = product(weight, kind)
        print(f"{kind.__name__:6} {weight:4}: {got:8} of {want:8}{'' if got == want else '  saturates'}", flush=True)


if __name__ == "__main__":
    main()
