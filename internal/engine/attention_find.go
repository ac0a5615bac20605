package engine

import (
	"math"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A foundAttention is an attention that a file writes with plain operators. The operands of its node are query, new keys and
// values, their past, which may be left out, and masks.
type foundAttention struct {
	rows  [3]bool // query, keys and values come as (N,rows,heads,size), not with their heads in front
	turn  bool    // the result goes there
	scale float32
	cap   float32 // of the scores; zero: none
	empty float32 // the result of a query that no key is open to
	masks []foundMask
}

// A foundMask says what a mask does with the scores: it is added to them, subtracted or multiplied by, or a number takes their place
// where it is as told.
type foundMask struct {
	op     kernel.Binary
	places bool
	where  bool
	number float32
	flat   bool // it has samples and heads in one axis
}

// manyKeys is from how many keys on an attention without a past is made one node too: it takes the scores block by block, which
// otherwise would fill no cache.
const manyKeys = 512

// findAttentions makes one node of softmax(scale·q·kᵀ + masks)·v whose keys and values are those of a past with new ones behind
// them, or many: the past may have any length in each run.
func findAttentions(g *net) {
	if g.open {
		g.settle()
		simplify(g)
		turnBehind(g)
		shapeBefore(g)
	}
	for _, n := range slices.Clone(g.nodes) {
		if n.kind == "Softmax" {
			if f := (&attentionFinder{net: g, softmax: n, dropped: map[*node]bool{}}); f.find() {
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
	softmax       *node
	product, last *node // with the values, and what gives the result
	q             *value
	sides         [2]side  // keys and values
	given         []*value // masks
	chain         []*node  // what the one node replaces
	dropped       map[*node]bool
}

// A side is where keys or values come from.
type side struct {
	past, fresh *value // past is nil where there is none
	all         *value // the two behind each other
	rows        bool   // fresh is (N,rows,heads,size)
	kept        bool   // others read all
}

func (f *attentionFinder) find() bool {
	axis := f.softmax.onnx.Int("axis", -1)
	x := f.softmax.in[0]
	f.scale, f.empty = 1, float32(math.NaN())
	return f.softmax.version >= 13 && (axis == -1 || x.rank() > 0 && axis == x.rank()-1) && f.findValues() && f.findScores(x) && finite(f.scale) && finite(f.cap) && f.fits() && f.alone() && f.behind()
}

// rank is the number of dimensions, as far as it is known; else 0.
func (v *value) rank() int {
	switch {
	case v == nil:
		return 0
	case v.known:
		return len(v.shape)
	case !v.typ.IsTensor() || !v.typ.Ranked:
		return 0
	}
	return len(v.typ.Shape)
}

// dims are the dimensions of a value whose rank is known.
func (v *value) dims() []graph.Dim {
	if v.known {
		return graph.Of(v.dtype, v.shape...).Shape
	}
	return v.typ.Shape
}

// findValues finds the product with the values. Rows without an open key may have been made zero before it.
func (f *attentionFinder) findValues() bool {
	p := f.softmax.out[0]
	f.chain = append(f.chain, f.softmax)
	f.throughCast(&p)
	if p.pinned {
		return false
	}
	if len(p.uses) == 2 && !f.zeroed(&p) {
		return false
	}
	f.throughCast(&p)
	f.product = reader(p)
	if f.product != nil && f.product.kind == "Reshape" && flattens(p, f.product.out[0]) {
		f.chain = append(f.chain, f.product)
		p = f.product.out[0]
		f.product = reader(p)
	}
	if f.product == nil || f.product.kind != "MatMul" || f.product.in[0] != p {
		return false
	}
	f.last = f.product
	f.chain = append(f.chain, f.product)
	v := f.product.in[1]
	if p.rank() == 3 {
		if v, f.last = unflattened(v), reader(f.product.out[0]); v == nil || f.last == nil || f.last.kind != "Reshape" || !flattens(f.last.out[0], f.product.out[0]) {
			return false
		}
		f.chain = append(f.chain, f.last)
	}
	f.sides[1] = f.side(v)
	return true
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
	if v == nil || v.konst == nil || v.konst.Len() != 1 || v.konst.Rank() > 1 {
		return 0, false
	}
	switch x := []float32{0}; v.konst.DType {
	case tensor.Float32:
		return tensor.Of[float32](v.konst)[0], true
	case tensor.Float16, tensor.BFloat16:
		decodeHalf(kernel.Generic, v.konst.DType, x, tensor.Of[uint16](v.konst))
		return x[0], true
	}
	return 0, false
}

// computed says whether attentions are computed in numbers of that type, or in float32 in their place.
func computed(d tensor.DType) bool {
	return d == tensor.Float32 || d == tensor.Float16 || d == tensor.BFloat16
}

// throughCast steps from a value to the result of the node that alone reads its numbers as those of another type.
func (f *attentionFinder) throughCast(p **value) {
	if n := reader(*p); n != nil && n.kind == "Cast" && computed((*p).typ.DType) && computed(n.out[0].typ.DType) {
		f.chain = append(f.chain, n)
		*p = n.out[0]
	}
}

// side finds where v comes from: a concatenation with a past, which may be repeated for heads that share it; else there is none.
func (f *attentionFinder) side(v *value) side {
	n, alone := v.def, side{fresh: v, all: v}
	var chain []*node
	if n != nil && n.kind == "Reshape" && reader(v) != nil {
		if n, chain = headsRepeated(v); n == nil {
			return alone
		}
	}
	if n == nil || n.kind != "Concat" || len(n.in) != 2 || n.out[0].rank() != 4 || n.in[0].konst != nil {
		return alone
	}
	if axis := n.onnx.Int("axis", 0); axis != 2 && axis != -2 {
		return alone
	}
	f.chain = append(append(f.chain, chain...), n)
	return side{past: n.in[0], fresh: n.in[1], all: n.out[0]}
}

// headsRepeated returns the node whose result v has each head of several times, and the nodes that repeat them.
func headsRepeated(v *value) (*node, []*node) {
	n := v.def
	e := n.in[0].def
	if e == nil || e.kind != "Expand" || reader(n.in[0]) == nil || e.in[0].def == nil || e.in[0].def.kind != "Unsqueeze" || reader(e.in[0]) == nil {
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

// alone says whether nobody else reads what the one node does not give. Keys and values it can give.
func (f *attentionFinder) alone() bool {
	for _, n := range f.chain {
		v := n.out[0]
		i := slices.IndexFunc(f.sides[:], func(s side) bool { return s.past != nil && s.all == v })
		others := slices.ContainsFunc(v.uses, func(u *node) bool { return !f.drops(u) })
		switch {
		case n == f.last:
		case i >= 0:
			f.sides[i].kept = others
		case others || v.pinned:
			return false
		}
	}
	return true
}

// drops says whether n serves nothing but the chain, as the shapes that it asks for do.
func (f *attentionFinder) drops(n *node) bool {
	if slices.Contains(f.chain, n) {
		return true
	}
	if d, ok := f.dropped[n]; ok {
		return d
	}
	operands := f.operands()
	f.dropped[n] = n.kind != assumed && !slices.ContainsFunc(n.out, func(v *value) bool {
		return v != nil && (v.pinned || slices.Contains(operands, v) || slices.ContainsFunc(v.uses, func(u *node) bool { return !f.drops(u) }))
	})
	return f.dropped[n]
}

// behind says whether none of the operands is computed from the keys and values that others read.
func (f *attentionFinder) behind() bool {
	made := map[*value]bool{}
	for _, s := range f.sides {
		made[s.all] = s.kept
	}
	if !f.sides[0].kept && !f.sides[1].kept {
		return true
	}
	for _, n := range f.nodes {
		if !slices.Contains(f.chain, n) && slices.ContainsFunc(n.in, func(v *value) bool { return made[v] }) {
			for _, v := range n.out {
				made[v] = true
			}
		}
	}
	delete(made, nil)
	return !slices.ContainsFunc(f.operands(), func(v *value) bool { return made[v] })
}

// operands are what the one node reads.
func (f *attentionFinder) operands() []*value {
	k, v := f.sides[0], f.sides[1]
	return append([]*value{f.q, k.fresh, v.fresh, k.past, v.past}, f.given...)
}

// postpone puts the nodes that read results of n behind it.
func (g *net) postpone(n *node) {
	made := map[*value]bool{}
	for _, v := range n.out {
		made[v] = v != nil
	}
	at := slices.Index(g.nodes, n)
	var before, behind []*node
	for _, m := range g.nodes[:at] {
		if !slices.ContainsFunc(m.in, func(v *value) bool { return made[v] }) {
			before = append(before, m)
			continue
		}
		behind = append(behind, m)
		for _, v := range m.out {
			made[v] = v != nil
		}
	}
	g.nodes = slices.Concat(before, []*node{n}, behind, g.nodes[at+1:])
}

// elemType is the type of the elements, known or not how many there are.
func (v *value) elemType() tensor.DType {
	if v.known {
		return v.dtype
	}
	return v.typ.DType
}

// fits says whether the shapes are those of an attention, and the one node pays.
func (f *attentionFinder) fits() bool {
	k, v, y := f.sides[0].fresh, f.sides[1].fresh, f.last.out[0]
	d := f.q.dtype
	for _, x := range []*value{f.q, k, v, y} {
		if !computed(d) || !x.is(d) || len(x.shape) != 4 || x.elems() == 0 {
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
		return d == tensor.Float32 && ks[1] == q[1] && ks[2] >= manyKeys && k.konst == nil && v.konst == nil && f.q.konst == nil
	}
	for _, s := range f.sides {
		if s.past.rank() != 4 || s.past.typ.DType != d {
			return false
		}
	}
	return !slices.ContainsFunc(f.given, func(m *value) bool {
		return m.elemType().IsFloat() && m.elemType() != tensor.Float32 && m.elemType() != d
	})
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
		if s.past != nil && (s.all.pinned || s.kept) {
			out[1+i] = s.all
		}
	}
	n := newNode("attention", f.product, &spec, append(in, f.given...), out)
	f.insert(n, at)
	for _, m := range append(f.chain, at) {
		if !m.dead {
			m.out = nil
			f.kill(m)
		}
	}
	f.postpone(n)
}

// readFound reads the operands of a node that was found.
func readFound(n *node, in []*tensor.Tensor) *attention {
	s := n.spec.(*foundAttention)
	a := &attention{scale: s.scale, cap: s.cap, empty: s.empty, plain: true, left: -1, right: -1}
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
	for i, t := range in[5:] {
		if !a.addScores(t, s.masks[i]) {
			return nil
		}
	}
	return a
}

// addScores adds a mask that broadcasts to the scores.
func (a *attention) addScores(t *tensor.Tensor, how foundMask) bool {
	shape := t.Shape
	if how.flat && shape[0] == a.batch*a.heads {
		shape = append([]int{a.batch, a.heads}, shape[1:]...)
	}
	step, fits := a.broadcast(shape)
	m, ok := scoreMask{step: step}, t.DType == tensor.Bool
	if how.places && ok {
		m.places, m.where, m.number = tensor.Of[bool](t), how.where, how.number
	} else if !how.places {
		m.op = how.op
		m.x, ok = f32Of(t)
	}
	a.masks = append(a.masks, m)
	return ok && fits && t.Len() > 0
}
