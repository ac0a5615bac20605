package engine

import (
	"math"
	"slices"

	"lowbit/internal/tensor"
)

// A foundAttention is an attention behind a past that a file writes with plain operators. The operands of its node are
// query, new keys and values, their past, and what is added to the scores.
type foundAttention struct {
	rows  [3]bool // query, keys and values come as (N,rows,heads,size), not with their heads in front
	turn  bool    // the result goes there
	scale float32
	empty float32 // the result of a query that no key is open to
}

// findAttentions makes one node of softmax(scale·q·kᵀ + masks)·v whose keys and values are those of a past with new ones behind
// them: for these the past may have any length in each run, and neither is packed.
func findAttentions(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		if n.kind == "Softmax" {
			if f := (&attentionFinder{net: g, softmax: n}); f.find() {
				f.replace()
			}
		}
	}
	g.sweep()
}

// An attentionFinder collects the nodes of one attention.
type attentionFinder struct {
	*net
	foundAttention
	softmax, last *node // last multiplies by the values
	q             *value
	sides         [2]*node // the concatenations of keys and values with their past
	masks         []*value
	chain         []*node // what the one node replaces
}

func (f *attentionFinder) find() bool {
	axis := f.softmax.onnx.Int("axis", -1)
	x := f.softmax.in[0]
	f.scale, f.empty = 1, float32(math.NaN())
	return f.softmax.version >= 13 && (axis == -1 || x.rank() > 0 && axis == x.rank()-1) && f.findValues() && f.findScores(x) && f.fits()
}

// rank is the number of dimensions, as far as it is known; else 0.
func (v *value) rank() int {
	if v == nil || !v.typ.IsTensor() || !v.typ.Ranked {
		return 0
	}
	return len(v.typ.Shape)
}

// findValues finds the product with the values. Rows without an open key may have been made zero before it.
func (f *attentionFinder) findValues() bool {
	p := f.softmax.out[0]
	f.chain = append(f.chain, f.softmax)
	if p.pinned {
		return false
	}
	if len(p.uses) == 2 && !f.zeroed(&p) {
		return false
	}
	f.last = p.single()
	if f.last == nil || f.last.kind != "MatMul" || f.last.in[0] != p {
		return false
	}
	f.chain = append(f.chain, f.last)
	f.sides[1] = f.side(f.last.in[1])
	return f.sides[1] != nil
}

// zeroed steps over Where(IsNaN(p), 0, p).
func (f *attentionFinder) zeroed(p **value) bool {
	is, where := (*p).uses[0], (*p).uses[1]
	if is.kind != "IsNaN" {
		is, where = where, is
	}
	if is.kind != "IsNaN" || where.kind != "Where" || is.out[0].single() != where || where.in[0] != is.out[0] || where.in[2] != *p || !where.in[1].isNumber(0) {
		return false
	}
	f.chain = append(f.chain, is, where)
	*p, f.empty = where.out[0], 0
	return true
}

// isNumber says whether v is a constant of one element with that value.
func (v *value) isNumber(x float32) bool {
	n, ok := v.number()
	return ok && n == x
}

// number returns the one element of a float constant.
func (v *value) number() (float32, bool) {
	if v == nil || v.konst == nil || v.konst.DType != tensor.Float32 || v.konst.Len() != 1 || v.konst.Rank() > 1 {
		return 0, false
	}
	return tensor.Of[float32](v.konst)[0], true
}

// findScores follows the scores back to the product of queries and keys: sums with masks, and before them products with numbers.
func (f *attentionFinder) findScores(x *value) bool {
	scaled := false
	for {
		n := x.def
		if n == nil || x.single() == nil {
			return false
		}
		f.chain = append(f.chain, n)
		switch n.kind {
		case "Add":
			i := slices.IndexFunc(n.in, isScores)
			if scaled || i < 0 || n.in[1-i].rank() == 0 && n.in[1-i].konst == nil || n.in[1-i].rank() > 4 || n.in[1-i].typ.DType != tensor.Float32 {
				return false
			}
			f.masks = append(f.masks, n.in[1-i])
			x = n.in[i]
		case "Mul", "Div":
			rest, ok := f.scaledBy(n)
			if scaled = true; !ok {
				return false
			}
			x = rest
		case "MatMul":
			return f.findKeys(n)
		default:
			return false
		}
	}
}

// isScores says whether v comes from a product, by what findScores steps over.
func isScores(v *value) bool {
	for range 8 {
		if v == nil || v.def == nil {
			return false
		}
		switch n := v.def; n.kind {
		case "MatMul":
			return true
		case "Mul", "Div", "Add":
			i := slices.IndexFunc(n.in, func(u *value) bool { return u.konst == nil })
			if i < 0 {
				return false
			}
			v = n.in[i]
		default:
			return false
		}
	}
	return false
}

// scaledBy takes the number that n multiplies by, or divides by, into the scale, and returns its other operand.
func (f *attentionFinder) scaledBy(n *node) (*value, bool) {
	if c, ok := n.in[1].number(); ok {
		if n.kind == "Div" {
			f.scale /= c
		} else {
			f.scale *= c
		}
		return n.in[0], true
	}
	c, ok := n.in[0].number()
	f.scale *= c
	return n.in[1], ok && n.kind == "Mul"
}

// findKeys finds the operands of the product of queries and keys; the keys may be multiplied by a number.
func (f *attentionFinder) findKeys(n *node) bool {
	f.q = n.in[0]
	k := n.in[1]
	if k.def != nil && (k.def.kind == "Mul" || k.def.kind == "Div") && k.single() == n {
		f.chain = append(f.chain, k.def)
		var ok bool
		if k, ok = f.scaledBy(k.def); !ok {
			return false
		}
	}
	t := k.def
	if t == nil || t.kind != "Transpose" || k.single() == nil || !slices.Equal(t.onnx.Ints("perm"), []int{0, 1, 3, 2}) {
		return false
	}
	f.chain = append(f.chain, t)
	f.sides[0] = f.side(t.in[0])
	return f.sides[0] != nil
}

// side returns the concatenation with a past that v is, or is repeated of for heads that share it.
func (f *attentionFinder) side(v *value) *node {
	n := v.def
	if n != nil && n.kind == "Reshape" && v.single() != nil {
		e := n.in[0].def
		if e == nil || e.kind != "Expand" || n.in[0].single() == nil || e.in[0].def == nil || e.in[0].def.kind != "Unsqueeze" || e.in[0].single() == nil {
			return nil
		}
		u := e.in[0].def
		if axes := u.axes(); !slices.Equal(axes, []int{2}) || v.rank() != 4 || u.in[0].rank() != 4 {
			return nil
		}
		f.chain = append(f.chain, n, e, u)
		n = u.in[0].def
	}
	if n == nil || n.kind != "Concat" || len(n.in) != 2 || n.out[0].rank() != 4 || n.in[0].konst != nil {
		return nil
	}
	if axis := n.onnx.Int("axis", 0); axis != 2 && axis != -2 {
		return nil
	}
	f.chain = append(f.chain, n)
	return n
}

// axes are those of an Unsqueeze.
func (n *node) axes() []int {
	if n.version < 13 {
		return n.onnx.Ints("axes")
	}
	if len(n.in) < 2 || n.in[1].konst == nil {
		return nil
	}
	list, err := n.in[1].konst.Ints()
	axes := make([]int, len(list))
	for i, a := range list {
		axes[i] = int(a)
	}
	if err != nil {
		return nil
	}
	return axes
}

// fits says whether the shapes are those of an attention, and nothing else reads what lies between its operands and its results.
func (f *attentionFinder) fits() bool {
	k, v, y := f.sides[0].in[1], f.sides[1].in[1], f.last.out[0]
	for _, x := range []*value{f.q, k, v, y} {
		if !x.is(tensor.Float32) || len(x.shape) != 4 || x.elems() == 0 {
			return false
		}
	}
	q := f.q.shape
	if k.shape[0] != q[0] || v.shape[0] != q[0] || k.shape[1] != v.shape[1] || q[1]%k.shape[1] != 0 || k.shape[2] != v.shape[2] || k.shape[3] != q[3] ||
		!sameShape(y.shape, []int{q[0], q[1], q[2], v.shape[3]}) {
		return false
	}
	for _, s := range f.sides {
		if s.in[0].rank() != 4 || s.in[0].typ.DType != tensor.Float32 {
			return false
		}
		for _, u := range s.out[0].uses {
			if !slices.Contains(f.chain, u) {
				return false
			}
		}
	}
	return true
}

// replace puts the one node in the place of the last.
func (f *attentionFinder) replace() {
	spec, y := f.foundAttention, f.last.out[0]
	in := []*value{f.q, f.sides[0].in[1], f.sides[1].in[1], f.sides[0].in[0], f.sides[1].in[0]}
	for i, x := range in[:3] {
		if from, perm, ok := throughTranspose(x); ok && slices.Equal(perm, []int{0, 2, 1, 3}) {
			in[i], spec.rows[i] = from, true
		}
	}
	at := f.last
	if t := transposeBehind(y); t != nil && slices.Equal(permOf(t), []int{0, 2, 1, 3}) {
		at, y, spec.turn = t, t.out[0], true
	}
	out := []*value{y, f.sides[0].out[0], f.sides[1].out[0]}
	for i, s := range f.sides {
		if !s.out[0].pinned {
			out[1+i] = nil
		}
	}
	n := newNode("attention", f.last, &spec, append(in, f.masks...), out)
	f.insert(n, at)
	for _, m := range append(f.chain, at) {
		if !m.dead {
			m.out = nil
			f.kill(m)
		}
	}
}

// readFound reads the operands of a node that was found.
func readFound(n *node, in []*tensor.Tensor) *attention {
	s := n.spec.(*foundAttention)
	a := &attention{scale: s.scale, empty: s.empty, left: -1, right: -1}
	var size [3]int
	for i, h := range []*headRows{&a.q, &a.k, &a.v} {
		d := in[i].Shape
		x := tensor.Of[float32](in[i])
		*h, size[i] = inFront(x, d), d[3]
		heads := d[1]
		if s.rows[i] {
			*h, heads = inRows(x, d[1], d[2]*d[3], 0, d[3]), d[2]
		}
		if i == 0 {
			a.batch, a.heads, a.rows = d[0], heads, h.rows
		}
		a.kv = heads
	}
	a.size, a.vsize = size[0], size[2]
	if !a.readPast(in[3], in[4]) {
		return nil
	}
	a.follow()
	for _, t := range in[5:] {
		if !a.addScores(t) {
			return nil
		}
	}
	return a
}

// addScores adds a mask that broadcasts to the scores.
func (a *attention) addScores(t *tensor.Tensor) bool {
	x, ok := f32Of(t)
	full, step, m := [4]int{a.batch, a.heads, a.rows, a.total}, 1, scoreMask{x: x}
	for i := range t.Shape {
		d := t.Shape[len(t.Shape)-1-i]
		if i > 3 || d != 1 && d != full[3-i] {
			return false
		}
		if d > 1 {
			m.step[3-i] = step
		}
		step *= d
	}
	a.masks = append(a.masks, m)
	return ok && len(x) > 0
}
