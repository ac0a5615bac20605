package engine

import (
	"context"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// What only moves numbers often stands between a product and the Q or DQ node that makes it one of codes: a network
// that came from a framework with channels last transposes there, and some quantizers leave pooling in float. Codes
// are moved instead, so that the product meets them.

// meetCodes puts DQ nodes behind what moves their results to products, and Q nodes in front of what moves the results
// of products.
func meetCodes(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		g.sinkDequantize(n)
	}
	for _, n := range slices.Backward(slices.Clone(g.nodes)) {
		g.raiseQuantize(n)
	}
	g.sweep()
}

// mergeQuantizes makes one of the "quantize" nodes that do the same to one value.
func mergeQuantizes(g *net) {
	first := map[*value][]*node{}
	for _, n := range g.nodes {
		if n.kind != "quantize" {
			continue
		}
		x := n.in[0]
		i := slices.IndexFunc(first[x], func(m *node) bool { return m.spec == n.spec })
		if i < 0 {
			first[x] = append(first[x], n)
		} else if !n.out[0].pinned {
			g.replace(n.out[0], first[x][i].out[0])
		}
	}
	g.sweep()
}

// moverOf says whether n moves the numbers of operand which, or of all where that is −1.
func moverOf(n *node) (which int, ok bool) {
	which, ok = movers[n.kind]
	if !ok || !n.static() || n.kind == "Resize" && (!isNearest(n) || n.onnx.Str("coordinate_transformation_mode", "") == "tf_crop_and_resize") {
		return 0, false
	}
	return which, n.kind != "MaxPool" || len(n.out) < 2 || n.out[1] == nil
}

// moves says whether n moves the numbers of its operand i.
func moves(which, i int) bool { return which < 0 || which == i }

// sinkDequantize lets n move codes where products want them, and gives them their meaning behind it.
func (g *net) sinkDequantize(n *node) {
	which, ok := moverOf(n)
	seen := map[*value]bool{}
	if !ok || slices.ContainsFunc(n.out, func(v *value) bool { return v != nil && !wantsCodes(v, seen) }) {
		return
	}
	if _, all := sameLandings(n); all {
		return // intMoves does more
	}
	in := slices.Clone(n.in)
	var mean *affine
	for i, v := range n.in {
		if !moves(which, i) {
			continue
		}
		x, a, ok := g.codesOf(v)
		if !ok || x.konst != nil || mean != nil && *mean != a {
			return
		}
		in[i], mean = x, &a
	}
	n.setIn(in...)
	for i, y := range n.out {
		if y == nil {
			continue
		}
		u := g.newValue(y, tensor.Uint8, y.shape)
		n.out[i], u.def = u, n
		d := newNode("dequantize", n, *mean, []*value{u}, []*value{y})
		g.nodes = slices.Insert(g.nodes, slices.Index(g.nodes, n)+1, d)
	}
}

// wantsCodes says whether all that reads v would rather read codes, some product among it. What was asked of values that were
// seen is not asked again: a no ends it all.
func wantsCodes(v *value, seen map[*value]bool) bool {
	if seen[v] {
		return true
	}
	seen[v] = true
	return !v.pinned && len(v.uses) > 0 && !slices.ContainsFunc(v.uses, func(c *node) bool { return !takesCodes(c, v, seen) })
}

func takesCodes(c *node, v *value, seen map[*value]bool) bool {
	if c.kind == "quantize" || multipliesStored(c) && c.in[0] == v && c.in[1] != v {
		return true
	}
	which, ok := moverOf(c)
	for i, x := range c.in {
		ok = ok && (x == v) == moves(which, i)
	}
	return ok && !slices.ContainsFunc(c.out, func(y *value) bool { return y != nil && !wantsCodes(y, seen) })
}

// multipliesStored says whether n multiplies by constant codes of eight bits or fewer.
func multipliesStored(n *node) bool {
	return intRules[n.kind] != nil && n.static() && storedCodes(n.input(1)) != nil
}

// storedCodes returns the DQ node that gives v, where its codes and scales are constant and in no blocks.
func storedCodes(v *value) *node {
	if v == nil || v.def == nil || v.def.kind != "DequantizeLinear" {
		return nil
	}
	d := v.def
	if d.in[0].konst == nil || d.in[0].dtype.Bits() > 8 || d.in[1].konst == nil || !d.in[1].is(tensor.Float32) || !v.is(tensor.Float32) || d.onnx.Int("block_size", 0) != 0 {
		return nil
	}
	return d
}

// raiseQuantize quantizes what n moves, where products give it, rather than what it becomes.
func (g *net) raiseQuantize(n *node) {
	which, ok := moverOf(n)
	if !ok || len(n.out) == 0 || n.out[0] == nil || len(n.out) > 1 && n.out[1] != nil {
		return
	}
	q, clamp, ok := clampedInto(n.out[0])
	if !ok {
		return
	}
	gain := false
	for i, v := range n.in {
		if moves(which, i) && !v.is(tensor.Float32) {
			return
		}
		gain = gain || moves(which, i) && g.productGives(v)
	}
	if !gain {
		return
	}
	in := slices.Clone(n.in)
	for i, v := range n.in {
		if !moves(which, i) {
			continue
		}
		if clamp.p > -inf || clamp.q < inf {
			y := g.newValue(v, tensor.Float32, v.shape)
			g.insert(newNode("function", n, clamp, []*value{v}, []*value{y}), n)
			v = y
		}
		in[i] = g.newValue(v, tensor.Uint8, v.shape)
		g.insert(newNode("quantize", n, q.spec, []*value{v}, []*value{in[i]}), n)
	}
	n.setIn(in...)
	y := q.out[0]
	g.kill(q)
	n.out[0], y.def = y, n
}

// productGives says whether v is what a product of codes gives, perhaps moved, clamped, and changed by constants.
func (g *net) productGives(v *value) bool {
	if v.single() == nil || v.def == nil {
		return false
	}
	d := v.def
	if multipliesStored(d) {
		x, _, ok := g.codesOf(d.in[0])
		return readsCodes(d.in[0]) || ok && x.konst == nil
	}
	if f, ok := d.spec.(function); ok {
		_, _, clamps := f.clamp()
		return clamps && g.productGives(d.in[0])
	}
	switch which, ok := moverOf(d); {
	case ok:
		return which >= 0 && g.productGives(d.in[which])
	case d.kind == "BatchNormalization":
		return g.productGives(d.in[0])
	case (d.kind == "Add" || d.kind == "Mul") && d.formal == 2 && d.in[1].konst != nil:
		return g.productGives(d.in[0])
	case (d.kind == "Add" || d.kind == "Mul") && d.formal == 2 && d.in[0].konst != nil:
		return g.productGives(d.in[1])
	}
	return false
}

// clampedInto follows v through clamps to the one quantize node that reads it, and returns that and the clamps as one.
func clampedInto(v *value) (q *node, clamp function, ok bool) {
	lo, hi := -inf, inf
	for {
		c := v.single()
		if c == nil {
			return nil, clamp, false
		}
		if c.kind == "quantize" {
			return c, function{kernel.Clamp, lo, hi}, true
		}
		f, ok := c.spec.(function)
		if !ok {
			return nil, clamp, false
		}
		a, b, ok := f.clamp()
		if !ok {
			return nil, clamp, false
		}
		lo, hi = min(max(lo, a), b), max(min(hi, b), a)
		v = c.out[0]
	}
}

// rearranged lists the operators that give constants another shape or order.
var rearranged = map[string]bool{"Transpose": true, "Reshape": true, "Squeeze": true, "Unsqueeze": true, "Flatten": true}

// storesMeaning says whether n gives stored codes or 16-bit floats their meaning, or another order or shape to what does.
func storesMeaning(n *node) bool {
	return n != nil && (n.kind == "DequantizeLinear" || widens(n) || rearranged[n.kind] && n.in[0] != nil && storesMeaning(n.in[0].def))
}

// rearrangeStored gives stored codes another order or shape in place of the numbers that they stand for, so that products
// find them behind their DQ nodes.
func rearrangeStored(g *net) {
	for _, n := range g.nodes {
		if !rearranged[n.kind] || !n.static() || !n.decided() {
			continue
		}
		if d := storedCodes(n.in[0]); d != nil {
			g.rearrange(n, d)
		}
	}
	g.sweep()
}

func (g *net) rearrange(n, d *node) {
	axis, ok := 0, true
	if d.in[1].elems() > 1 {
		axis, ok = scaledAxis(d)
		axis, ok = movedAxis(n, axis, ok)
	}
	e, err := g.evaluator(n, 0)
	if !ok || err != nil || e.hosted != nil {
		return
	}
	args := []*tensor.Tensor{d.in[0].konst}
	for _, v := range n.in[1:] {
		if v == nil {
			args = append(args, nil)
		} else {
			args = append(args, v.konst)
		}
	}
	out, err := e.run(context.Background(), args)
	if err != nil || !sameShape(out[0].Shape, n.out[0].shape) {
		return
	}
	n.onnx = &graph.Node{Op: "DequantizeLinear", Name: n.onnx.Name, In: d.onnx.In, Out: n.onnx.Out, Attrs: []*graph.Attr{{Name: "axis", Value: int64(axis)}}}
	n.version = qdqVersion
	in := slices.Clone(d.in)
	in[0] = g.constant(n.out[0].name+"·codes", out[0])
	n.become("DequantizeLinear", nil, in...)
}

// movedAxis returns where n puts an axis of its operand: for new shapes, where as many elements lie before and behind it.
func movedAxis(n *node, axis int, ok bool) (int, bool) {
	if !ok {
		return 0, false
	}
	x, y := n.in[0].shape, n.out[0].shape
	if n.kind == "Transpose" {
		to := slices.Index(permOf(n), axis)
		return to, to >= 0
	}
	for i, d := range y {
		if d == x[axis] && tensor.Elements(y[:i]) == tensor.Elements(x[:axis]) && tensor.Elements(y[i+1:]) == tensor.Elements(x[axis+1:]) {
			return i, true
		}
	}
	return 0, false
}
