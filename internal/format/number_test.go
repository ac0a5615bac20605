package format

import (
	"math"
	"slices"
	"testing"

	"lowbit/internal/tensor"
)

// TestNumbers stores numbers as every element type and reads them back.
func TestNumbers(t *testing.T) {
	for d := tensor.Undefined + 1; d.Valid(); d++ {
		x := []float64{0, 1}
		if d.IsFloat() && d != tensor.Float8E8M0 || d.Class() == tensor.ClassInt {
			x = append(x, -1)
		}
		if d.Bits() >= 4 && d != tensor.Bool {
			x = append(x, 2)
		}
		if d == tensor.Float8E8M0 {
			x = []float64{1, 2, 0.5, 0x1p-127, 0x1p127}
		}
		got, err := FromFloats(d, x, true, len(x))
		ok := d.IsInt() || d.IsFloat() && d.Bits() != 6 || d == tensor.Bool
		if (err == nil) != ok {
			t.Errorf("%s: %v", d, err)
		}
		if err != nil {
			continue
		}
		back, err := Floats(got)
		if err != nil || !slices.Equal(back, x) {
			t.Errorf("%s: %v came back as %v (%v)", d, x, back, err)
		}
	}
	if _, err := Floats(tensor.Strings([]string{"1"}, 1)); err == nil {
		t.Error("text is read as numbers")
	}
	if _, err := FromInts(tensor.Complex64, []int64{1}, 1); err == nil {
		t.Error("integers are stored as complex numbers")
	}
}

// TestFromFloatsLimits converts numbers that the integer types cannot hold: towards zero, and the
// low bits of what fits 64 bits, on every machine.
func TestFromFloatsLimits(t *testing.T) {
	x := []float64{-1.9, 1.9, 300, -129, 1e30, -1e30, math.NaN()}
	for _, c := range []struct {
		d    tensor.DType
		want []int64
	}{
		{tensor.Int8, []int64{-1, 1, 44, 127, -1, 0, 0}},
		{tensor.Uint8, []int64{255, 1, 44, 127, 255, 0, 0}},
		{tensor.Int64, []int64{-1, 1, 300, -129, math.MaxInt64, math.MinInt64, math.MinInt64}},
		{tensor.Int4, []int64{-1, 1, -4, -1, -1, 0, 0}},
		{tensor.Uint4, []int64{15, 1, 12, 15, 15, 0, 0}},
	} {
		got, err := FromFloats(c.d, x, false, len(x))
		if err != nil {
			t.Fatal(err)
		}
		if ints, err := got.Ints(); err != nil || !slices.Equal(ints, c.want) {
			t.Errorf("%s: %v, want %v (%v)", c.d, ints, c.want, err)
		}
	}
	u, err := FromFloats(tensor.Uint64, []float64{1.9, 1e30, math.NaN(), -1, 0x1p63}, false, 5)
	if err != nil || !slices.Equal(tensor.Of[uint64](u), []uint64{1, math.MaxUint64, 0, math.MaxUint64, 1 << 63}) {
		t.Errorf("uint64: %v (%v)", tensor.Of[uint64](u), err)
	}
	if v, _ := Floats(u); v[4] != 0x1p63 {
		t.Errorf("2^63 is read as %v", v[4])
	}
}

// TestFNUZ has the codes of the types without minus zero (ONNX, "Float stored in 8 bits").
func TestFNUZ(t *testing.T) {
	for _, c := range []struct {
		d    tensor.DType
		x    float64
		sat  bool
		code byte
	}{
		{tensor.Float8E4M3FNUZ, 240, true, 0x7f}, {tensor.Float8E4M3FNUZ, 1e9, true, 0x7f}, {tensor.Float8E4M3FNUZ, 1e9, false, 0x80},
		{tensor.Float8E4M3FNUZ, 0x1p-10, true, 0x01}, {tensor.Float8E4M3FNUZ, -0x1p-12, true, 0}, {tensor.Float8E4M3FNUZ, math.NaN(), true, 0x80},
		{tensor.Float8E5M2FNUZ, 57344, true, 0x7f}, {tensor.Float8E5M2FNUZ, -1e9, true, 0xff}, {tensor.Float8E5M2FNUZ, math.Inf(1), false, 0x80},
		{tensor.Float8E5M2FNUZ, 0x1p-17, true, 0x01}, {tensor.Float8E5M2FNUZ, math.Copysign(0, -1), true, 0},
		{tensor.Float8E5M2, math.Inf(-1), false, 0xfc}, {tensor.Float8E4M3FN, math.NaN(), true, 0x7f}, {tensor.Float4E2M1, 9, false, 0x07},
	} {
		got, err := FromFloats(c.d, []float64{c.x}, c.sat, 1)
		if err != nil || got.Raw[0] != c.code {
			t.Errorf("%s: %v (saturating: %v) became %#x, want %#x (%v)", c.d, c.x, c.sat, got.Raw, c.code, err)
		}
	}
	for _, d := range []tensor.DType{tensor.Float8E4M3FN, tensor.Float8E4M3FNUZ, tensor.Float8E5M2, tensor.Float8E5M2FNUZ, tensor.Float16, tensor.BFloat16} {
		f := miniFloats[d]
		for code := range 1 << f.width() {
			v := f.decode(uint16(code))
			if back := f.encode(v, false); v == v && int(back) != code {
				t.Fatalf("%s: code %#x is %v, which becomes %#x", d, code, v, back)
			} else if w := f.decode(back); v != v && w == w {
				t.Fatalf("%s: NaN of code %#x becomes %v", d, code, w)
			}
		}
	}
}
