"""Writes golden.npz, column.npy, big.npy, v2.npy, v3.npy, objects.npy deflated.npz and small.npz with NumPy.

Needs numpy and ml_dtypes. Run in this folder: python make_golden.py
"""
import numpy as np
import ml_dtypes

ramp = np.arange(6).reshape(2, 3)
golden = {}
for code in "f2 f4 f8 i1 i2 i4 i8 u1 u2 u4 u8".split():
    golden[code] = (ramp * 3 % 7).astype(code)
    golden["be-" + code] = (ramp * 3 % 7).astype(">" + code)
golden["b1"] = ramp % 2 == 1
golden["c8"] = (ramp + 1j * (ramp - 2)).astype("c8")
golden["c16"] = (ramp + 1j * (ramp - 2)).astype(">c16")
golden["bfloat16"] = (ramp * 3 % 7).astype(ml_dtypes.bfloat16)
golden["float8_e5m2"] = (ramp * 3 % 7).astype(ml_dtypes.float8_e5m2)
golden["float8_e4m3fn"] = (ramp * 3 % 7).astype(ml_dtypes.float8_e4m3fn)
golden["int4"] = (ramp - 3).astype(ml_dtypes.int4)
golden["uint4"] = (ramp + 9).astype(ml_dtypes.uint4)
golden["U"] = np.array([["a", "héllo", ""], ["日本", "\U0001f600", "z\0z"]])
golden["be-U"] = golden["U"].astype(">U5")
golden["S"] = np.array([[b"a", b"bc", b""], [b"d", b"e\0f", b"g"]])
golden["scalar"] = np.float32(2.5)
golden["empty"] = np.zeros((0, 4), "f4")
golden["fortran"] = np.asfortranarray(np.arange(24, dtype="i4").reshape(2, 3, 4))
np.savez("golden.npz", **golden)
np.savez_compressed("deflated.npz", x=np.arange(3000, dtype="f4").reshape(100, 30), y=np.arange(100))
np.savez_compressed("small.npz", x=np.zeros((2, 3), "f4"))
np.save("column.npy", golden["fortran"])
np.save("big.npy", np.arange(12, dtype=">i2").reshape(4, 3))
for major in (2, 3):
    with open(f"v{major}.npy", "wb") as f:
        np.lib.format.write_array(f, np.arange(4, dtype="f4"), version=(major, 0))
np.save("objects.npy", np.array(["a", 1], dtype=object), allow_pickle=True)
