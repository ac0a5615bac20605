package repair

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// taps calls each with the output channel, the input channel and the place of every element of a
// node's weight. It is false for operators whose channels are not known.
func taps(n *graph.Node, w *tensor.Tensor, each func(out, in, at int)) bool {
	group := n.Int("group", 1)
	switch {
	case n.Op == "Conv" && w.Rank() > 2 && w.Shape[0]%group == 0: // (O,I/g,…)
		per, inner, rows := w.Shape[1], tensor.Elements(w.Shape[2:]), w.Shape[0]/group
		for at := range w.Len() {
			o := at / (per * inner)
			each(o, o/rows*per+at/inner%per, at)
		}
	case n.Op == "ConvTranspose" && w.Rank() > 2 && w.Shape[0]%group == 0: // (I,O/g,…)
		per, inner, rows := w.Shape[1], tensor.Elements(w.Shape[2:]), w.Shape[0]/group
		for at := range w.Len() {
			i := at / (per * inner)
			each(i/rows*per+at/inner%per, i, at)
		}
	case n.Op == "Gemm" && n.Int("transA", 0) == 0 && n.Int("transB", 0) == 1: // (O,I)
		for at := range w.Len() {
			each(at/w.Shape[1], at%w.Shape[1], at)
		}
	case n.Op == "Gemm" && n.Int("transA", 0) == 0 || n.Op == "MatMul" && w.Rank() == 2: // (I,O)
		for at := range w.Len() {
			each(at%w.Shape[1], at/w.Shape[1], at)
		}
	default:
		return false
	}
	return true
}

// unpadded says whether every element of n's result sees whole windows of its input.
func unpadded(n *graph.Node) bool {
	auto := n.Str("auto_pad", "NOTSET")
	return auto == "VALID" || auto == "NOTSET" && !slices.ContainsFunc(n.Ints("pads"), func(p int) bool { return p != 0 })
}

// moved returns a copy of a vector with by added to it.
func moved(t *tensor.Tensor, by []float64) *tensor.Tensor {
	x := slices.Clone(tensor.Of[float32](t))
	for i := range x {
		x[i] = float32(float64(x[i]) + by[i])
	}
	return tensor.Float32s(x, t.Shape...)
}
