package op

import (
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalMelWeightMatrix returns triangular filters (dft_length/2+1, num_mel_bins) whose corners
// are evenly spaced on the mel scale, mel(f) = 2595·log10(1+f/700).
func evalMelWeightMatrix(c *Call) ([]*tensor.Tensor, error) {
	d, err := dtypeAttr(c.Node, "output_datatype", tensor.Float32)
	if err != nil {
		return nil, err
	}
	var n [3]int64 // num_mel_bins, dft_length, sample_rate
	for i := range n {
		if n[i], err = c.intScalarOf(i); err != nil {
			return nil, err
		}
	}
	var edge [2]float64
	for i := range edge {
		if edge[i], err = c.scalarOf(3 + i); err != nil {
			return nil, err
		}
	}
	if n[1] < 0 || n[2] <= 0 || n[0] < 0 || n[0] > int64(maxBytes) || n[1] > int64(maxBytes) {
		return nil, invalidf("%d bins of a DFT of length %d at %d samples a second", n[0], n[1], n[2])
	}
	bins, rows := int(n[0]), int(n[1]/2+1)
	if _, err := checkSize(tensor.Float64, []int{rows, bins}); err != nil {
		return nil, err
	}
	corner, err := melCorners(bins, rows, n[1], n[2], edge)
	if err != nil {
		return nil, err
	}
	out := make([]float64, rows*bins)
	for i := range bins {
		melFilter(out[i:], bins, corner[i], corner[i+1], corner[i+2])
	}
	return one(fromFloats(d, out, []int{rows, bins}))
}

// melCorners returns the spectrum bins at which the triangles start, peak and end.
func melCorners(bins, rows int, length, rate int64, edge [2]float64) ([]int, error) {
	mel := func(f float64) float64 { return 2595 * math.Log1p(f/700) / math.Ln10 }
	low, high := mel(edge[0]), mel(edge[1])
	step := (high - low) / float64(bins+2)
	corner := make([]int, bins+2)
	for i := range corner {
		hertz := 700 * math.Expm1((float64(i)*step+low)/2595*math.Ln10)
		at := math.Floor(float64(length+1) * hertz / float64(rate))
		if !(at >= 0 && at < float64(rows)) {
			return nil, invalidf("%g Hz is outside the spectrum", hertz)
		}
		corner[i] = int(at)
	}
	return corner, nil
}

// melFilter writes one triangle into a column whose elements are step apart.
func melFilter(column []float64, step, left, center, right int) {
	if left == center {
		column[center*step] = 1
	}
	for j := left; j <= center && left < center; j++ {
		column[j*step] = float64(j-left) / float64(center-left)
	}
	for j := center; j < right; j++ {
		column[j*step] = float64(right-j) / float64(right-center)
	}
}

func inferMelWeightMatrix(c *Inference) ([]Fact, error) {
	d, err := dtypeAttr(c.Node, "output_datatype", tensor.Float32)
	if err != nil {
		return nil, err
	}
	dims := unknownDims(2)
	if bins, ok := elemsOf(c.Input(0)); ok && len(bins) == 1 {
		dims[1] = bins[0]
	}
	if length, ok := c.Ints(1); ok && len(length) == 1 && length[0] >= 0 {
		dims[0] = graph.Known(length[0]/2 + 1)
	}
	return Typed(graph.OfDims(d, dims)), nil
}
