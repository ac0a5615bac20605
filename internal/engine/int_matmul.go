package engine

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// exactDepth is over how many products of differences of 8-bit codes, of at most 255 each, sums of float32 are exact.
const exactDepth = (1 << 24) / (255 * 255)

// expandIntMatMuls writes products of two matrices of codes that are computed, as attention has them, as products of floats: by
// pieces of the depth whose sums are exact, which are added up as whole numbers.
func expandIntMatMuls(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		if n.kind == "MatMulInteger" && n.static() && n.out[0].is(tensor.Int32) && n.out[0].elems() > 0 && n.in[0].konst == nil && n.in[1].konst == nil {
			g.expandIntMatMul(n)
		}
	}
	g.sweep()
}

func (g *net) expandIntMatMul(n *node) {
	x, w, y := n.in[0], n.in[1], n.out[0]
	e := &expander{g: g, n: n}
	rank := len(x.shape)
	if rank < 2 || len(w.shape) < 2 || x.shape[rank-1] == 0 || x.shape[rank-1] != w.shape[len(w.shape)-2] {
		return
	}
	depth := x.shape[rank-1]
	x, okX := e.difference(x, n.input(2), -2)
	w, okW := e.difference(w, n.input(3), -1)
	if !okX || !okW {
		return
	}
	var sum *value
	for from := 0; from < depth; from += exactDepth {
		to := min(depth, from+exactDepth)
		product := e.put("MatMul", y.shape, nil, e.part(x, -1, from, to), e.part(w, -2, from, to))
		if cast := y.single(); to-from == depth && cast != nil && cast.kind == "Cast" && cast.out[0].is(tensor.Float32) {
			(&expander{g: g, n: cast}).end(product) // which n's own Cast would give back
			return
		}
		whole := e.whole("Cast", y.shape, []*graph.Attr{{Name: "to", Value: int64(tensor.Int32)}}, product)
		if sum == nil {
			sum = whole
		} else {
			sum = e.whole("Add", y.shape, nil, sum, whole)
		}
	}
	e.end(sum)
}

// whole adds a node with a result of int32.
func (e *expander) whole(op string, shape []int, attrs []*graph.Attr, in ...*value) *value {
	v := e.g.newValue(e.n.out[0], tensor.Int32, shape)
	e.g.insertOp(e.n, op, qdqVersion, attrs, in, v)
	return v
}

// difference returns codes less their zero point, which is one, or one for each position of an axis that is counted from the end.
func (e *expander) difference(x, zero *value, axis int) (*value, bool) {
	if !x.is(tensor.Uint8) && !x.is(tensor.Int8) {
		return nil, false
	}
	var ones []int
	if zero != nil {
		ones = zero.shape
		if zero.dtype != x.dtype || len(ones) > 1 || zero.elems() != 1 && zero.elems() != x.shape[len(x.shape)+axis] {
			return nil, false
		}
	}
	scale := tensor.New(tensor.Float32, ones...)
	for i := range tensor.Of[float32](scale) {
		tensor.Of[float32](scale)[i] = 1
	}
	return e.put("DequantizeLinear", x.shape, []*graph.Attr{{Name: "axis", Value: int64(axis)}}, x, e.g.constant("one", scale), zero), true
}

// part returns the positions from to to-1 of an axis that is counted from the end.
func (e *expander) part(x *value, axis, from, to int) *value {
	at := len(x.shape) + axis
	if from == 0 && to == x.shape[at] {
		return x
	}
	shape := slices.Clone(x.shape)
	shape[at] = to - from
	number := func(i int) *value { return e.g.constant("position", tensor.Vector(int64(i))) }
	return e.put("Slice", shape, nil, x, number(from), number(to), number(at))
}
