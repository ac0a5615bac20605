package format

import (
	"math"
	"testing"

	"lowbit/internal/tensor"
)

// TestFloat8 compares the fast conversion with the plain one at every code, between neighbours, just
// beside these points, and beyond the ends.
func TestFloat8(t *testing.T) {
	for _, d := range []tensor.DType{tensor.Float8E4M3FN, tensor.Float8E5M2} {
		f, m := Float8Of(d), miniFloats[d]
		x := []float32{0, float32(math.Inf(1)), float32(math.NaN()), 1e-45, 1e-12, 3e38, 464, 465, 61440, 61441, 57345}
		for c := range m.top {
			a, b := float32(m.decode(uint16(c))), float32(m.decode(uint16(c+1)))
			mid := (a + b) / 2
			x = append(x, a, mid, math.Nextafter32(mid, 0), math.Nextafter32(mid, 1e6), a*1.01, b*0.99)
		}
		for _, v := range x {
			for _, scale := range []float32{1, 0.37, 8} {
				for _, s := range []float32{v, -v} {
					var got [1]byte
					f.Encode(got[:], []float32{s}, scale)
					if want := byte(m.encode(float64(s/scale), true)); got[0] != want && s == s {
						t.Fatalf("%s: %v / %v became %#x, want %#x", d, s, scale, got[0], want)
					} else if s != s && f.Values[got[0]] == f.Values[got[0]] {
						t.Fatalf("%s: NaN became %#x", d, got[0])
					}
				}
			}
		}
	}
	if Float8Of(tensor.Float8E4M3FNUZ) != nil || Float8Of(tensor.Uint8) != nil {
		t.Error("a conversion for a type that is none")
	}
}
