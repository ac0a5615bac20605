package format

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"lowbit/internal/testdata"
)

func init() { testdata.Seed() }

// TestCover holds the parameters of ranges against ONNX Runtime's rule: the range is widened to
// hold zero, s = (max−min)/(qmax−qmin), z = round(qmin − min/s); symmetric signed grids leave
// their lowest code out.
func TestCover(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for _, c := range []struct {
		f         *Format
		lo, hi    float64
		symmetric bool
		scale     float32
		zero      int32
	}{
		{Uint8, 0, 255, false, 1, 0},
		{Uint8, -1, 1, false, 2.0 / 255, 127}, // 127.499…: the float32 scale is above 2/255
		{Uint8, -255, 0, false, 1, 255},
		{Uint8, 10, 20, false, 20.0 / 255, 0},     // widened down to zero
		{Uint8, -20, -10, false, 20.0 / 255, 255}, // and up
		{Uint8, -1, 3, true, 6.0 / 255, 128},
		{Int8, -1, 127, false, 1, 0},
		{Int8, -127, 1, false, 1, 0},
		{Int8, -254, 1, true, 2, 0},
		{Int4, -3.5, 7, false, 1, 0},
		{Uint4, -5, 10, false, 1, 5},
		{Int16, -1, 32767, false, 1, 0},
		{Uint16, 0, 65535, false, 1, 0},
		{Uint8, 0, 0, false, 1, 128}, // nothing but zero
		{Int8, 0, 0, false, 1, 0},
		{Uint8, 0, 1e-37, false, 1, 128}, // the scale would be subnormal
		{Uint8, 0, 256 * 0x1p-126, false, 256 * 0x1p-126 / 255, 0},
		{Uint8, -1e39, 1e39, false, 1e39 / 255 * 2, 127},
		{Int8, -1e300, 1, false, 1, 0}, // no float32 holds it
		{Uint8, nan, 1, false, 1, 128},
		{Uint8, -inf, inf, false, 1, 128},
		{FP16, -3, 3, false, 1, 0}, // stored as it is
		{FP8E4M3, -448, 1, false, 1, 0},
		{Ristretto8, -1, 0.5, false, 1.0 / 128, 0}, // a power of two
	} {
		got := c.f.Cover(c.lo, c.hi, c.symmetric)
		if got.Scale != c.scale || got.Zero != c.zero {
			t.Errorf("%s over [%v, %v]: scale %v, zero %d; want %v, %d", c.f.Name, c.lo, c.hi, got.Scale, got.Zero, c.scale, c.zero)
		}
	}
}

// TestCoverHolds draws ranges: zero has a code, and what lies in the range loses at most half a
// step, a rounded zero point apart.
func TestCoverHolds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.SampledFrom([]*Format{Int8, Uint8, Int16, Uint16, Int4, Uint4, Int2, Uint2}).Draw(t, "format")
		symmetric := rapid.Bool().Draw(t, "symmetric")
		lo, hi := rapid.Float64Range(-1e6, 1e6).Draw(t, "lo"), rapid.Float64Range(-1e6, 1e6).Draw(t, "hi")
		lo, hi = min(lo, hi), max(lo, hi)
		p := f.Cover(lo, hi, symmetric)
		if f.Nearest(0, p) != 0 {
			t.Fatalf("zero becomes %v", f.Nearest(0, p))
		}
		if int(p.Zero) < f.Lo || int(p.Zero) > f.Hi {
			t.Fatalf("zero point %d", p.Zero)
		}
		if min(lo, 0) == 0 && max(hi, 0) == 0 {
			return
		}
		x := lo + rapid.Float64Range(0, 1).Draw(t, "share")*(hi-lo)
		worst := 0.5
		if f.Zero {
			worst = 1
		}
		if e := math.Abs(f.Nearest(x, p) - x); e > worst*1.001*float64(p.Scale) {
			t.Fatalf("%v in [%v, %v] becomes %v, step %v", x, lo, hi, f.Nearest(x, p), p.Scale)
		}
	})
}

func TestParseBlock(t *testing.T) {
	for text, want := range map[string]Block{"tensor": {}, "channel": {Kind: Channel}, "group=32": {Kind: Group, Size: 32}} {
		if got, err := ParseBlock(text); err != nil || got != want || got.String() != text {
			t.Errorf("%q reads as %v (%v)", text, got, err)
		}
	}
	for _, bad := range []string{"", "group", "group=", "group=0", "group=-1", "group=x", "channels"} {
		if b, err := ParseBlock(bad); err == nil {
			t.Errorf("%q reads as %v", bad, b)
		}
	}
}

func TestRanges(t *testing.T) {
	x := []float32{1, -2, 3, 4, 5, -6} // (2,3)
	for _, c := range []struct {
		b      Block
		lo, hi []float32
	}{
		{Block{}, []float32{-6}, []float32{5}},
		{Block{Kind: Channel, Axis: 0}, []float32{-2, -6}, []float32{3, 5}},
		{Block{Kind: Channel, Axis: 1}, []float32{0, -2, -6}, []float32{4, 5, 3}},
		{Block{Kind: Group, Axis: 1, Size: 2}, []float32{-2, 0, 0, -6}, []float32{1, 3, 5, 0}},
		{Block{Kind: Group, Axis: 0, Size: 2}, []float32{0, -2, -6}, []float32{4, 5, 3}},
	} {
		lo, hi := c.b.Ranges(x, []int{2, 3})
		for i := range c.lo {
			if len(lo) != len(c.lo) || lo[i] != c.lo[i] || hi[i] != c.hi[i] {
				t.Errorf("%s along %d: %v to %v, want %v to %v", c.b, c.b.Axis, lo, hi, c.lo, c.hi)
				break
			}
		}
	}
}

// TestOwners gathers the largest element of each parameter, which Ranges knows.
func TestOwners(t *testing.T) {
	x, shape := make([]float32, 2*6*3), []int{2, 6, 3}
	for i := range x {
		x[i] = float32(i*7%36 + 1)
	}
	for _, b := range []Block{{}, {Kind: Channel, Axis: 1}, {Kind: Group, Axis: 1, Size: 4}, {Kind: Group, Axis: 2, Size: 2}, {Kind: Group, Axis: 0, Size: 2}} {
		_, want := b.Ranges(x, shape)
		got := make([]float32, len(want))
		for i, p := range b.Owners(shape) {
			got[p] = max(got[p], x[i])
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s along %d: %v, want %v", b, b.Axis, got, want)
		}
	}
}
