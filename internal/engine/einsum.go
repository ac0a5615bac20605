package engine

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// expandEinsums writes Einsum on float32 as products of matrices, multiplications and sums, operand by operand
// from left to right. Diagonals stay, and what would be larger in between than any operand, the result and einsumLimit.
func expandEinsums(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		if n.kind == "Einsum" && n.static() && len(n.in) == n.formal && len(n.out) == 1 && n.out[0].is(tensor.Float32) {
			g.expandEinsum(n)
		}
	}
	g.sweep()
}

// einsumLimit is how many elements a product in between may have in any case.
const einsumLimit = 1 << 20

func (g *net) expandEinsum(n *node) {
	var shapes [][]int
	for _, v := range n.in {
		if !v.is(tensor.Float32) || v.elems() == 0 {
			return
		}
		shapes = append(shapes, v.shape)
	}
	in, out, size, err := op.Einsum(n.onnx.Str("equation", ""), shapes)
	e := &einsum{expander{g: g, n: n}, size}
	if err != nil || len(in) == 0 || !sameShape(e.dims(out), n.out[0].shape) || slices.ContainsFunc(in, repeats) {
		return
	}
	t := e.narrow(term{n.in[0], in[0]})
	most := max(t.v.elems(), n.out[0].elems(), einsumLimit)
	for i, v := range n.in[1:] {
		most = max(most, v.elems())
		t = e.product(t, e.narrow(term{v, in[i+1]}), union(append([][]rune{out}, in[i+2:]...)...))
		if t.v.elems() > most {
			return
		}
	}
	e.end(e.arrange(e.sum(t, out), out).v)
}

// An einsum writes nodes in front of an Einsum whose labels have these sizes.
type einsum struct {
	expander
	size map[rune]int
}

// A term is a value whose axes have labels, all different.
type term struct {
	v      *value
	labels []rune
}

func repeats(labels []rune) bool { return len(union(labels)) != len(labels) }

// union lists each label once, in the order in which it is met.
func union(lists ...[]rune) []rune {
	var all []rune
	for _, l := range slices.Concat(lists...) {
		if !slices.Contains(all, l) {
			all = append(all, l)
		}
	}
	return all
}

// common lists the labels of a that b has, or has not.
func common(a, b []rune, has bool) []rune {
	return slices.DeleteFunc(slices.Clone(a), func(l rune) bool { return slices.Contains(b, l) != has })
}

// dims returns the sizes of labels.
func (e *einsum) dims(labels []rune) []int {
	shape := make([]int, len(labels))
	for i, l := range labels {
		shape[i] = e.size[l]
	}
	return shape
}

// shaped gives v another shape, where it is another.
func (e *einsum) shaped(v *value, shape ...int) *value {
	if sameShape(v.shape, shape) {
		return v
	}
	return e.reshaped(v, shape...)
}

// narrow takes out the axes of size 1 that are broadcast.
func (e *einsum) narrow(t term) term {
	var kept []rune
	for i, l := range t.labels {
		if t.v.shape[i] == e.size[l] {
			kept = append(kept, l)
		}
	}
	return term{e.shaped(t.v, e.dims(kept)...), kept}
}

// sum adds up along the labels that are not to be kept: one by one, since they need not be neighbours.
func (e *einsum) sum(t term, keep []rune) term {
	for i := len(t.labels) - 1; i >= 0; i-- {
		if slices.Contains(keep, t.labels[i]) {
			continue
		}
		axes := e.g.constant("axes", tensor.Vector(int64(i)))
		left := slices.Delete(slices.Clone(t.labels), i, i+1)
		t = term{e.put("ReduceSum", e.dims(left), []*graph.Attr{{Name: "keepdims", Value: int64(0)}}, t.v, axes), left}
	}
	return t
}

// arrange puts the axes of t in the order of labels. Where it is a transposition already, one does for both.
func (e *einsum) arrange(t term, labels []rune) term {
	if slices.Equal(t.labels, labels) {
		return t
	}
	x, before := t.v, identity(len(labels))
	if from, perm, ok := throughTranspose(x); ok && from.is(tensor.Float32) {
		x, before = from, perm
	}
	perm := make([]int64, len(labels))
	for i, l := range labels {
		perm[i] = int64(before[slices.Index(t.labels, l)])
	}
	return term{e.put("Transpose", e.dims(labels), []*graph.Attr{{Name: "perm", Value: perm}}, x), labels}
}

// product multiplies two terms and adds up along the labels that are not to be kept.
func (e *einsum) product(a, b term, keep []rune) term {
	a, b = e.sum(a, union(keep, b.labels)), e.sum(b, union(keep, a.labels))
	both := common(a.labels, b.labels, true)
	summed := common(both, keep, false)
	if len(summed) == 0 || len(both) == len(a.labels) && len(both) == len(b.labels) {
		all := append(common(keep, union(a.labels, b.labels), true), summed...)
		y := e.put("Mul", e.dims(all), nil, e.spread(a, all), e.spread(b, all))
		return e.sum(term{y, all}, keep)
	}
	batch := common(keep, both, true)
	if e.turns(a, b, batch, keep) {
		a, b = b, a
	}
	return e.multiply(a, b, batch, common(a.labels, both, true), keep)
}

// turns says whether the product of b and a is to be taken for that of a and b: so that constants stand on the
// right, else so that the label that comes last is one of columns.
func (e *einsum) turns(a, b term, batch, keep []rune) bool {
	if ca, cb := constantOrCodes(a.v), constantOrCodes(b.v); len(batch) == 0 && ca != cb {
		return ca
	}
	own := common(keep, union(a.labels, b.labels), true)
	last := own[len(own)-1:]
	return len(common(last, b.labels, false)) > 0
}

// constantOrCodes says whether v is constant, or will be once codes are decoded.
func constantOrCodes(v *value) bool {
	return v.konst != nil || v.def != nil && v.def.kind == "DequantizeLinear" && v.def.in[0].konst != nil
}

// multiply writes the product of matrices whose rows are labels of a, whose columns are labels of b. Rows beside a
// constant without a batch keep their axes, as what stands behind may expect them.
func (e *einsum) multiply(a, b term, batch, both, keep []rune) term {
	summed := common(both, batch, false)
	rows := common(common(keep, a.labels, true), batch, false)
	cols := common(common(keep, b.labels, true), batch, false)
	labels := slices.Concat(batch, rows, cols)
	stack := batch
	if k := len(rows) - 1; len(batch) == 0 && k > 0 && constantOrCodes(b.v) {
		stack, rows = rows[:k], rows[k:]
	}
	x, w := e.matrices(a, stack, rows, summed), e.matrices(b, batch, summed, cols)
	shape := append(e.dims(stack), tensor.Elements(e.dims(rows)), tensor.Elements(e.dims(cols)))
	return term{e.shaped(e.put("MatMul", shape, nil, x, w), e.dims(labels)...), labels}
}

// matrices returns a term as a stack of matrices.
func (e *einsum) matrices(t term, stack, rows, cols []rune) *value {
	v := e.arrange(t, slices.Concat(stack, rows, cols)).v
	return e.shaped(v, append(e.dims(stack), tensor.Elements(e.dims(rows)), tensor.Elements(e.dims(cols)))...)
}

// spread puts the axes of t in the order of all labels, with 1 for those that it lacks.
func (e *einsum) spread(t term, all []rune) *value {
	shape := e.dims(all)
	for i, l := range all {
		if !slices.Contains(t.labels, l) {
			shape[i] = 1
		}
	}
	return e.shaped(e.arrange(t, common(all, t.labels, true)).v, shape...)
}
