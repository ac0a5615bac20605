package engine

import (
	"math"
	"slices"

	"lowbit/internal/tensor"
)

// A foundAttention is an attention that a file writes with plain operators. The operands of its node are query, new keys and
// values, their past, which may be left out, and what is added to the scores.
type foundAttention struct {
	rows  [3]bool // query, keys and values come as (N,rows,heads,size), not with their heads in front
	turn  bool    // the result goes there
	scale float32
	empty float32 // the result of a query that no key is open to
}

// manyKeys is from how many keys on an attention without a past is made one node too: it takes the scores block by block, which
// otherwise would fill no cache.
const manyKeys = 512

// findAttentions makes one node of softmax(scale·q·kᵀ + masks)·v whose keys and values are those of a past with new ones behind
// them, or many: the past may have any length in each run.
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
	sides         [2]side // keys and values
	masks         []*value
	chain         []*node // what the one node replaces
}

// A side is where keys or values come from.
type side struct {
	past, fresh *value // past is nil where there is none
	all         *value // the two behind each other
	rows        bool   // fresh is (N,rows,heads,size)
}

func (f *attentionFinder) find() bool {
	axis := f.softmax.onnx.Int("axis", -1)
	x := f.softmax.in[0]
	f.scale, f.empty = 1, float32(math.NaN())
	return f.softmax.version >= 13 && (axis == -1 || x.rank() > 0 && axis == x.rank()-1) && f.findValues() && f.findScores(x) && finite(f.scale) && f.fits()
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
	var ok bool
	f.sides[1], ok = f.side(f.last.in[1])
	return ok
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
	if t == nil || t.kind != "Transpose" || k.single() == nil {
		return false
	}
	f.chain = append(f.chain, t)
	ok := true
	switch perm := t.onnx.Ints("perm"); {
	case slices.Equal(perm, []int{0, 1, 3, 2}):
		f.sides[0], ok = f.side(t.in[0])
	case slices.Equal(perm, []int{0, 2, 3, 1}):
		f.sides[0] = side{fresh: t.in[0], all: t.in[0], rows: true}
	default:
		return false
	}
	return ok
}

// side finds where v comes from: a concatenation with a past, which may be repeated for heads that share it; else there is none.
func (f *attentionFinder) side(v *value) (side, bool) {
	n, alone := v.def, side{fresh: v, all: v}
	var chain []*node
	if n != nil && n.kind == "Reshape" && v.single() != nil {
		if n, chain = headsRepeated(v); n == nil {
			return alone, true
		}
	}
	if n == nil || n.kind != "Concat" || len(n.in) != 2 || n.out[0].rank() != 4 || n.in[0].konst != nil {
		return alone, true
	}
	if axis := n.onnx.Int("axis", 0); axis != 2 && axis != -2 {
		return alone, true
	}
	f.chain = append(append(f.chain, chain...), n)
	s := side{past: n.in[0], fresh: n.in[1], all: n.out[0]}
	for _, u := range s.all.uses {
		if !slices.Contains(f.chain, u) {
			return s, false
		}
	}
	return s, true
}

// headsRepeated returns the node whose result v has each head of several times, and the nodes that repeat them.
func headsRepeated(v *value) (*node, []*node) {
	n := v.def
	e := n.in[0].def
	if e == nil || e.kind != "Expand" || n.in[0].single() == nil || e.in[0].def == nil || e.in[0].def.kind != "Unsqueeze" || e.in[0].single() == nil {
		return nil, nil
	}
	u := e.in[0].def
	if !slices.Equal(u.axes(), []int{2}) || v.rank() != 4 || u.in[0].rank() != 4 {
		return nil, nil
	}
	return u.in[0].def, []*node{n, e, u}
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

// fits says whether the shapes are those of an attention, and the one node pays.
func (f *attentionFinder) fits() bool {
	k, v, y := f.sides[0].fresh, f.sides[1].fresh, f.last.out[0]
	for _, x := range []*value{f.q, k, v, y} {
		if !x.is(tensor.Float32) || len(x.shape) != 4 || x.elems() == 0 {
			return false
		}
	}
	q, ks := f.q.shape, k.shape
	if f.sides[0].rows {
		ks = []int{ks[0], ks[2], ks[1], ks[3]}
	}
	if ks[0] != q[0] || v.shape[0] != q[0] || ks[1] != v.shape[1] || q[1]%ks[1] != 0 || ks[2] != v.shape[2] || ks[3] != q[3] ||
		!sameShape(y.shape, []int{q[0], q[1], q[2], v.shape[3]}) {
		return false
	}
	if f.sides[0].past == nil && f.sides[1].past == nil {
		return ks[1] == q[1] && ks[2] >= manyKeys && k.konst == nil && v.konst == nil && f.q.konst == nil
	}
	for _, s := range f.sides {
		if s.past.rank() != 4 || s.past.typ.DType != tensor.Float32 {
			return false
		}
	}
	return true
}

// replace puts the one node in the place of the last.
func (f *attentionFinder) replace() {
	spec, y, k, v := f.foundAttention, f.last.out[0], f.sides[0], f.sides[1]
	in := []*value{f.q, k.fresh, v.fresh, k.past, v.past}
	spec.rows[1] = k.rows
	for i, x := range in[:3] {
		if from, perm, ok := throughTranspose(x); ok && !spec.rows[i] && slices.Equal(perm, []int{0, 2, 1, 3}) {
			in[i], spec.rows[i] = from, true
		}
	}
	at := f.last
	if t := transposeBehind(y); t != nil && slices.Equal(permOf(t), []int{0, 2, 1, 3}) {
		at, y, spec.turn = t, t.out[0], true
	}
	out := []*value{y, nil, nil}
	for i, s := range f.sides {
		if s.past != nil && s.all.pinned {
			out[1+i] = s.all
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
	a := &attention{scale: s.scale, empty: s.empty, plain: true, left: -1, right: -1}
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
	step, fits := a.broadcast(t.Shape)
	a.masks = append(a.masks, scoreMask{x, step})
	return ok && fits && len(x) > 0
}
