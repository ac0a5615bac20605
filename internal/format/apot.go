package format

import (
	"slices"

	"lowbit/internal/tensor"
)

// APoT4 is a sign and a sum of two powers of two: ±{0, 1, 2, 3, 4, 6, 8, 10}, tenths of the
// largest (Li et al., Additive Powers-of-Two Quantization, 2020, section 2.2).
var APoT4 = &Format{
	Name: "apot4", Bits: 4, Kind: Additive, Marks: signed(scaled(sums([]float32{0, .5, .25, .0625}, []float32{0, .125}), 16)),
	Elem: tensor.Uint4, Via: Pick, Opset: 21, Acts: []string{"uint8"}, Search: true,
}

// sums lists every sum of one number of each list, ascending.
func sums(lists ...[]float32) []float32 {
	all := []float32{0}
	for _, list := range lists {
		var next []float32
		for _, a := range all {
			for _, b := range list {
				next = append(next, a+b)
			}
		}
		all = next
	}
	slices.Sort(all)
	return all
}

func scaled(list []float32, by float32) []float32 {
	out := slices.Clone(list)
	for i := range out {
		out[i] *= by
	}
	return out
}

// signed puts a list of magnitudes that begins with zero behind a sign bit. Minus zero is zero.
func signed(mags []float32) []float32 {
	out := slices.Clone(mags)
	for _, m := range mags {
		out = append(out, 0-m)
	}
	return out
}
