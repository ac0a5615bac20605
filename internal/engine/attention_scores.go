package engine

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// reader returns the one node that reads the numbers of v, whoever asks for its shape; nil where there are more, or v must stay
// observable.
func reader(v *value) *node {
	if v == nil || v.pinned {
		return nil
	}
	var only *node
	for _, n := range v.uses {
		switch {
		case n.kind == "Shape":
		case only != nil:
			return nil
		default:
			only = n
		}
	}
	return only
}

// findScores follows the scores back to the product of queries and keys: masks, before them a bound, and before it products with
// numbers.
func (f *attentionFinder) findScores(x *value) bool {
	scaled := false
	for {
		n := x.def
		if n == nil || reader(x) == nil {
			return false
		}
		f.chain = append(f.chain, n)
		ok := false
		switch n.kind {
		case "Add":
			x, ok = f.masked(n, n.in, foundMask{})
			ok = ok && !scaled && f.cap == 0
		case "Where":
			x, ok = f.placed(n)
			ok = ok && !scaled && f.cap == 0
		case "Max", "Min":
			if len(n.in) == 2 {
				x, ok = f.masked(n, n.in, foundMask{op: map[string]kernel.Binary{"Max": kernel.Max, "Min": kernel.Min}[n.kind]})
				ok = ok && !scaled && f.cap == 0
			}
		case "Sub":
			x, ok = f.masked(n, n.in, foundMask{op: kernel.Sub})
			ok = ok && !scaled && f.cap == 0 && x == n.in[0]
		case "Mul", "Div":
			c, isNumber := n.factor()
			switch rest, isCap := f.capped(n, c); {
			case isCap && !scaled && f.cap == 0:
				x, ok, f.cap = rest, true, c
			case isNumber:
				x, ok = f.scaledBy(n)
				scaled = true
			case n.kind == "Mul":
				x, ok = f.masked(n, n.in, foundMask{op: kernel.Mul})
				ok = ok && !scaled && f.cap == 0
			}
		case "Cast":
			x = n.in[0]
			ok = computed(x.elemType()) && computed(n.out[0].elemType())
		case "Reshape":
			y := x
			x = n.in[0]
			ok = flattens(x, y) || flattens(y, x)
		case "MatMul":
			slices.Reverse(f.given) // the first was found last
			slices.Reverse(f.foundAttention.masks)
			return f.findKeys(n)
		}
		if !ok {
			return false
		}
	}
}

// masked takes that of two operands which is no scores as a mask, and returns the other.
func (f *attentionFinder) masked(n *node, in []*value, how foundMask) (*value, bool) {
	i := slices.IndexFunc(in, isScores)
	if i < 0 {
		return nil, false
	}
	m := in[1-i]
	how.flat = n.out[0].rank() == 3 && m.rank() == 3
	if m.rank() == 0 && m.konst == nil || m.rank() > 4 || how.places != (m.elemType() == tensor.Bool) || !how.places && !computed(m.elemType()) {
		return nil, false
	}
	f.given, f.masks = append(f.given, m), append(f.masks, how)
	return in[i], true
}

// placed takes the condition of a Where that puts a number in the place of scores as a mask, and returns the scores.
func (f *attentionFinder) placed(n *node) (*value, bool) {
	if c, ok := n.in[2].number(); ok {
		return f.masked(n, []*value{n.in[0], n.in[1]}, foundMask{places: true, number: c})
	}
	c, ok := n.in[1].number()
	if !ok {
		return nil, false
	}
	return f.masked(n, []*value{n.in[0], n.in[2]}, foundMask{places: true, where: true, number: c})
}

// capped returns x where n is c·tanh(x/c).
func (f *attentionFinder) capped(n *node, c float32) (*value, bool) {
	if n.kind != "Mul" || !(c > 0) {
		return nil, false
	}
	i := slices.IndexFunc(n.in, func(v *value) bool { return v.konst == nil })
	if i < 0 || n.in[i].def == nil || n.in[i].def.kind != "Tanh" || reader(n.in[i]) == nil {
		return nil, false
	}
	t := n.in[i].def
	d := t.in[0].def
	if d == nil || d.kind != "Div" || reader(t.in[0]) == nil || !d.in[1].isNumber(c) {
		return nil, false
	}
	f.chain = append(f.chain, t, d)
	return d.in[0], true
}

// factor is the number that a Mul or Div has as an operand; zero where it has none.
func (n *node) factor() (float32, bool) {
	if c, ok := n.in[1].number(); ok {
		return c, true
	}
	return n.in[0].number()
}

// isScores says whether v comes from a product, by what findScores steps over.
func isScores(v *value) bool {
	for range 16 {
		if v == nil || v.def == nil {
			return false
		}
		switch n := v.def; n.kind {
		case "MatMul":
			return true
		case "Mul", "Div", "Add", "Sub", "Max", "Min", "Tanh", "Where", "Reshape", "Cast":
			in := n.in
			if n.kind == "Where" {
				in = in[1:]
			}
			i := slices.IndexFunc(in, func(u *value) bool { return u.konst == nil })
			if i < 0 {
				return false
			}
			v = in[i]
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
	if k.def != nil && (k.def.kind == "Mul" || k.def.kind == "Div") && reader(k) == n {
		f.chain = append(f.chain, k.def)
		var ok bool
		if k, ok = f.scaledBy(k.def); !ok {
			return false
		}
	}
	if reader(k) == nil || k.def == nil {
		return false
	}
	if n.out[0].rank() == 3 {
		f.q = unflattened(f.q)
		t := k.def
		if t.kind != "Transpose" || !slices.Equal(permOf(t), []int{0, 2, 1}) || f.q == nil {
			return false
		}
		x := unflattened(t.in[0])
		if x == nil {
			return false
		}
		f.chain = append(f.chain, t)
		f.sides[0] = f.side(x)
		return true
	}
	if x, chain := turnedFlat(k); x != nil {
		f.chain = append(f.chain, chain...)
		f.sides[0] = f.side(x)
		return true
	}
	t := k.def
	if t.kind != "Transpose" {
		return false
	}
	f.chain = append(f.chain, t)
	switch perm := permOf(t); {
	case slices.Equal(perm, []int{0, 1, 3, 2}):
		f.sides[0] = f.side(t.in[0])
	case slices.Equal(perm, []int{0, 2, 3, 1}):
		f.sides[0] = side{fresh: t.in[0], all: t.in[0], rows: true}
	default:
		return false
	}
	return true
}

// flattens says whether y, of as many elements, is x with its first two axes made one. Where one of the last two is known to be the
// same, so is the other.
func flattens(x, y *value) bool {
	if x.rank() != 4 || y.rank() != 3 {
		return false
	}
	from, flat := x.dims(), y.dims()
	heads := from[0].Size > 0 && from[1].Size > 0 && flat[0].Size == from[0].Size*from[1].Size
	return heads && (from[3].Size > 0 && flat[2] == from[3] || from[2].Size > 0 && flat[1] == from[2])
}

// unflattened returns what v has two axes of made one; nil where v is no such thing.
func unflattened(v *value) *value {
	if v.def == nil || v.def.kind != "Reshape" || v.pinned || !flattens(v.def.in[0], v) {
		return nil
	}
	return v.def.in[0]
}

// turnedFlat returns x where v is x with its last two axes exchanged, which is done with the axes before them made one.
func turnedFlat(v *value) (x *value, chain []*node) {
	last := v.def
	if last.kind != "Reshape" || v.rank() != 4 {
		return nil, nil
	}
	t := last.in[0].def
	if t == nil || t.kind != "Transpose" || !slices.Equal(permOf(t), []int{0, 2, 1}) || reader(last.in[0]) == nil {
		return nil, nil
	}
	first := t.in[0].def
	if first == nil || first.kind != "Reshape" || reader(t.in[0]) == nil {
		return nil, nil
	}
	x = first.in[0]
	from, to := x.dims(), v.dims()
	if !flattens(x, t.in[0]) || !flattens(v, last.in[0]) || from[0] != to[0] || from[1] != to[1] {
		return nil, nil
	}
	return x, []*node{last, t, first}
}

// settle takes out the nodes whose results are whole numbers that are known, and results that are passed on by nodes that pass on.
func (g *net) settle() {
	for _, n := range g.nodes {
		if n.kind == assumed || len(n.out) == 0 || slices.ContainsFunc(n.out, func(v *value) bool { return v != nil && (v.konst == nil || v.dtype.IsFloat()) }) {
			continue
		}
		for _, v := range n.out {
			if v != nil {
				v.def = nil
			}
		}
		n.out = nil
		g.kill(n)
	}
	g.sweep()
	for _, n := range g.nodes {
		if test, ok := passing[n.kind]; ok && n.in[0] != nil && n.out[0] != nil && n.out[0].pinned && test(n) {
			g.moveUp(n)
		}
	}
	g.sweep()
}

// moveUp lets what computes the operand of n, which passes it on, give the result of n.
func (g *net) moveUp(n *node) {
	x, y := n.in[0], n.out[0]
	if x.def == nil || x.pinned || x.konst != nil || len(n.out) > 1 {
		return
	}
	m := x.def
	n.out = nil
	g.kill(n)
	g.replace(x, y)
	m.out[slices.Index(m.out, x)], y.def = y, m
}

// shapeBefore tells the sizes of open keys, values and scores by those of what they are made of, so that nobody has to make them to
// know: masks ask.
func shapeBefore(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		if n.kind == "Shape" && n.in[0] != nil && n.in[0].rank() > 0 && n.out[0].konst == nil {
			g.tellBefore(n)
		}
	}
	g.sweep()
}

// tellBefore puts sizes that are told elsewhere in the place of n.
func (g *net) tellBefore(n *node) {
	x, y := n.in[0], n.out[0]
	dims := x.dims()
	first, last := shapeRange(n, len(dims))
	at := make([]sizeOf, last)
	for d := first; d < last; d++ {
		if at[d] = sizeBefore(x, d); !dims[d].IsKnown() && at[d].of == x {
			return
		}
	}
	if first == last {
		return
	}
	var parts []*value
	for d := first; d < last; d++ {
		if dims[d].IsKnown() {
			parts = append(parts, g.constant("size", tensor.Vector(int64(dims[d].Size))))
			continue
		}
		one := []*graph.Attr{{Name: "start", Value: int64(at[d].axis)}, {Name: "end", Value: int64(at[d].axis + 1)}}
		size, sum := g.newValue(y, tensor.Int64, []int{1}), g.newValue(y, tensor.Int64, []int{1})
		g.insertOp(n, "Shape", qdqVersion, one, []*value{at[d].of}, size)
		g.insertOp(n, "Add", qdqVersion, nil, []*value{size, g.constant("more", tensor.Vector(int64(at[d].more)))}, sum)
		parts = append(parts, sum)
	}
	n.out = nil
	g.insertOp(n, "Concat", qdqVersion, []*graph.Attr{{Name: "axis", Value: int64(0)}}, parts, y)
	g.kill(n)
}

// A sizeOf is the size of an axis of a value, and so much more.
type sizeOf struct {
	of         *value
	axis, more int
}

// sizeBefore follows an axis of x back through what makes keys, values and scores.
func sizeBefore(x *value, axis int) sizeOf {
	s := sizeOf{x, axis, 0}
	for n := x.def; n != nil; n = s.of.def {
		rank := s.of.rank()
		switch n.kind {
		case "Cast", "Tanh", "Softmax":
			s.of = n.in[0]
		case "Mul", "Div":
			i := slices.IndexFunc(n.in, func(v *value) bool { return v.konst == nil })
			if _, ok := n.factor(); !ok || i < 0 {
				return s
			}
			s.of = n.in[i]
		case "Transpose":
			perm := permOf(n)
			if len(perm) != rank {
				return s
			}
			s.of, s.axis = n.in[0], perm[s.axis]
		case "MatMul":
			if i := s.axis - (rank - 2); i < 0 || n.in[0].rank() != rank || n.in[1].rank() != rank {
				return s
			} else {
				s.of = n.in[i]
			}
		case "Concat":
			along := n.onnx.Int("axis", 0)
			if along < 0 {
				along += rank
			}
			if along == s.axis && len(n.in) == 2 && n.in[1].rank() == rank && n.in[1].dims()[along].IsKnown() {
				s.more += n.in[1].dims()[along].Size
			} else if along == s.axis {
				return s
			}
			s.of = n.in[0]
		default:
			return s
		}
		if s.of.rank() != rank {
			return sizeOf{x, axis, 0}
		}
	}
	return s
}

// shapeRange is which dimensions a Shape tells.
func shapeRange(n *node, rank int) (first, last int) {
	at := func(name string, otherwise int) int {
		i := n.onnx.Int(name, otherwise)
		if i < 0 {
			i += rank
		}
		return max(0, min(i, rank))
	}
	first, last = at("start", 0), at("end", rank)
	return first, max(first, last)
}

// turnBehind joins keys, that are exchanged with their features before they are joined, before that.
func turnBehind(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		if n.kind != "Concat" || len(n.in) != 2 || n.out[0].pinned || n.out[0].rank() != 4 {
			continue
		}
		if axis := n.onnx.Int("axis", 0); axis == 3 || axis == -1 {
			g.turn(n)
		}
	}
	g.sweep()
}

// turn makes n, if its operands are exchanged, the exchange of what it then joins.
func (g *net) turn(n *node) {
	past, perm, ok := throughTranspose(n.in[0])
	fresh, turned, ok2 := throughTranspose(n.in[1])
	if !ok || !ok2 || !slices.Equal(perm, []int{0, 1, 3, 2}) {
		return
	}
	y := n.out[0]
	exchange := []*graph.Attr{{Name: "perm", Value: []int64{0, 1, 3, 2}}}
	if slices.Equal(turned, []int{0, 2, 3, 1}) && fresh.known && n.in[1].known {
		s := n.in[1].shape
		x := g.newValue(y, fresh.dtype, []int{s[0], s[1], s[3], s[2]})
		x.typ = graph.Of(x.dtype, x.shape...)
		g.insertOp(n, "Transpose", qdqVersion, []*graph.Attr{{Name: "perm", Value: []int64{0, 2, 1, 3}}}, []*value{fresh}, x)
		fresh = x
	} else if !slices.Equal(turned, perm) {
		return
	}
	back := slices.IndexFunc(y.uses, func(u *node) bool { return u.kind == "Transpose" && slices.Equal(permOf(u), perm) })
	var all *value
	if back >= 0 {
		u := y.uses[back]
		all, u.out = u.out[0], nil
		g.kill(u)
	} else {
		all = g.newValue(y, y.dtype, nil)
		d := y.dims()
		all.known, all.typ = false, graph.OfDims(y.typ.DType, []graph.Dim{d[0], d[1], d[3], d[2]})
	}
	g.insertOp(n, "Concat", qdqVersion, []*graph.Attr{{Name: "axis", Value: int64(2)}}, []*value{past, fresh}, all)
	n.become("Transpose", nil, all)
	n.onnx = &graph.Node{Op: "Transpose", Name: n.onnx.Name, In: []string{all.name}, Out: n.onnx.Out, Attrs: exchange}
	n.version = qdqVersion
}
