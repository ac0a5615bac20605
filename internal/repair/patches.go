package repair

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A window says what a layer multiplies its weights with: for each element of its result a row of
// its input, K numbers long, in each of Groups groups of output channels.
type window struct {
	groups, k     int
	rows          int // output channels of one group
	kernel        []int
	strides, dils []int
	pads          []int // at the start of each spatial axis
	auto          string
	matrix        bool // the input's last axis is the row
	outward       bool // the weight is (K,rows) rather than (rows,K)
}

// windowOf describes a layer, false for operators whose rows are not known.
func windowOf(n *graph.Node, w *tensor.Tensor) (window, bool) {
	switch {
	case n.Op == "Conv" && w.Rank() > 2:
		g := n.Int("group", 1)
		v := window{groups: g, k: tensor.Elements(w.Shape[1:]), rows: w.Shape[0] / g, kernel: w.Shape[2:], auto: n.Str("auto_pad", "NOTSET")}
		v.strides, v.dils, v.pads = ones(n.Ints("strides"), len(v.kernel)), ones(n.Ints("dilations"), len(v.kernel)), n.Ints("pads")
		if v.pads == nil {
			v.pads = make([]int, 2*len(v.kernel))
		}
		return v, v.auto == "NOTSET" || v.auto == "VALID"
	case n.Op == "Gemm" && n.Int("transA", 0) == 0 && n.Int("transB", 0) == 1:
		return window{groups: 1, k: w.Shape[1], rows: w.Shape[0], matrix: true}, true
	case n.Op == "Gemm" && n.Int("transA", 0) == 0 || n.Op == "MatMul" && w.Rank() == 2:
		return window{groups: 1, k: w.Shape[0], rows: w.Shape[1], matrix: true, outward: true}, true
	}
	return window{}, false
}

func ones(list []int, n int) []int {
	if list == nil {
		list = make([]int, n)
		for i := range list {
			list[i] = 1
		}
	}
	return list
}

// output returns the spatial sizes of the result for an input of shape in.
func (v *window) output(in []int) []int {
	if v.matrix {
		return nil
	}
	var out []int
	for d, n := range in[2:] {
		n += v.pads[d] + v.pads[len(v.kernel)+d] - v.dils[d]*(v.kernel[d]-1) - 1
		out = append(out, max(0, n/v.strides[d]+1))
	}
	return out
}

// elements is how many elements of each channel the result has for an input of shape in.
func (v *window) elements(in []int) int {
	if v.matrix {
		return tensor.Elements(in) / max(1, v.k)
	}
	return in[0] * tensor.Elements(v.output(in))
}

// index is the place of column i of row r of group g in the weight's elements.
func (v *window) index(g, r, i int) int {
	if v.outward {
		return i*v.rows + r
	}
	return (g*v.rows+r)*v.k + i
}

// patches returns the rows of x (G,R,K) that belong to the given elements of the result, which has
// spatial sizes out.
func (v *window) patches(x *tensor.Tensor, out, at []int) []float32 {
	data := tensor.Of[float32](x)
	if v.matrix {
		y := make([]float32, 0, len(at)*v.k)
		for _, k := range at {
			y = append(y, data[k*v.k:][:v.k]...)
		}
		return y
	}
	y := make([]float32, v.groups*len(at)*v.k)
	in := x.Shape[2:]
	plane, places := tensor.Elements(in), tensor.Elements(out)
	taps := tensor.Elements(v.kernel)
	channels := v.k / taps
	start := make([]int, len(in))
	for r, k := range at {
		image, rest := k/places, k%places
		for d := len(in) - 1; d >= 0; d-- {
			start[d] = rest%out[d]*v.strides[d] - v.pads[d]
			rest /= out[d]
		}
		for t := range taps {
			off, ok := v.tap(t, start, in)
			if !ok {
				continue
			}
			for c := range v.groups * channels {
				g := c / channels
				y[(g*len(at)+r)*v.k+c%channels*taps+t] = data[(image*v.groups*channels+c)*plane+off]
			}
		}
	}
	return y
}

// tap returns where tap t of a window lies in a plane, false outside.
func (v *window) tap(t int, start, in []int) (int, bool) {
	off, scale := 0, 1
	for d := len(in) - 1; d >= 0; d-- {
		p := start[d] + t%v.kernel[d]*v.dils[d]
		t /= v.kernel[d]
		if p < 0 || p >= in[d] {
			return 0, false
		}
		off += p * scale
		scale *= in[d]
	}
	return off, true
}
