package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// BroadcastShape returns the common shape of multidirectional broadcasting (ONNX Broadcasting.md).
func BroadcastShape(shapes ...[]int) ([]int, error) {
	rank := 0
	for _, s := range shapes {
		rank = max(rank, len(s))
	}
	out := make([]int, rank)
	for i := range out {
		out[i] = 1
	}
	for _, s := range shapes {
		off := rank - len(s)
		for i, d := range s {
			switch {
			case d == 1 || d == out[off+i]:
			case out[off+i] == 1:
				out[off+i] = d
			default:
				return nil, invalidf("shapes %v do not broadcast", shapes)
			}
		}
	}
	if _, err := tensor.CheckedElements(out); err != nil {
		return nil, invalidf("%v", err)
	}
	return out, nil
}

// strides returns the row-major strides of a shape, in elements.
func strides(shape []int) []int {
	s := make([]int, len(shape))
	n := 1
	for i := len(shape) - 1; i >= 0; i-- {
		s[i] = n
		n *= shape[i]
	}
	return s
}

// broadcastStrides returns the strides of shape seen as out: 0 along repeated axes.
func broadcastStrides(shape, out []int) []int {
	s := make([]int, len(out))
	own := strides(shape)
	off := len(out) - len(shape)
	for i, d := range shape {
		if d != 1 {
			s[off+i] = own[i]
		}
	}
	return s
}

// eachIndex visits every position of shape in row-major order and calls f with the position's
// number and its offset under each list of strides. The offsets slice is reused.
func eachIndex(shape []int, st [][]int, f func(i int, off []int)) {
	n := tensor.Elements(shape)
	off := make([]int, len(st))
	idx := make([]int, len(shape))
	for i := range n {
		f(i, off)
		for k := len(shape) - 1; k >= 0; k-- {
			idx[k]++
			for j, s := range st {
				off[j] += s[k]
			}
			if idx[k] < shape[k] {
				break
			}
			for j, s := range st {
				off[j] -= s[k] * shape[k]
			}
			idx[k] = 0
		}
	}
}

// broadcastDims is [BroadcastShape] for dimensions that may be symbolic.
func broadcastDims(shapes ...[]graph.Dim) ([]graph.Dim, error) {
	rank := 0
	for _, s := range shapes {
		rank = max(rank, len(s))
	}
	out := make([]graph.Dim, rank)
	for i := range out {
		out[i] = graph.Known(1)
	}
	for _, s := range shapes {
		off := rank - len(s)
		for i, d := range s {
			o := out[off+i]
			switch {
			case d.Same(o) || d.Size == 1:
			case o.Size == 1:
				out[off+i] = d
			case d.IsKnown() && o.IsKnown():
				return nil, invalidf("dimensions %v and %v do not broadcast", o, d)
			case d.IsKnown():
				out[off+i] = d // the unknown one must be 1 or the same
			case !o.IsKnown():
				out[off+i] = graph.Unknown
			}
		}
	}
	return out, nil
}

// inferBroadcast returns a type of element type d whose shape all inputs broadcast to.
func inferBroadcast(d tensor.DType, in ...Fact) ([]Fact, error) {
	var shapes [][]graph.Dim
	for _, f := range in {
		if !f.Ranked {
			return Typed(graph.Unranked(d)), nil
		}
		shapes = append(shapes, f.Shape)
	}
	dims, err := broadcastDims(shapes...)
	if err != nil {
		return nil, err
	}
	return Typed(graph.OfDims(d, dims)), nil
}

// inferSame returns the first input's type for every output.
func inferSame(c *Inference) ([]Fact, error) {
	f := c.Input(0)
	return slices.Repeat([]Fact{{Type: f.Type}}, max(1, len(c.Out))), nil
}

// broadcastsTo says whether a shape broadcasts to exactly the other.
func broadcastsTo(shape, to []int) bool {
	if len(shape) > len(to) {
		return false
	}
	for i, d := range shape {
		if d != 1 && d != to[len(to)-len(shape)+i] {
			return false
		}
	}
	return true
}
