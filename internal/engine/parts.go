package engine

import (
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

const (
	partsRows   = 16 // of a product whose time its sums take; of fewer, reading the weights does
	storedMarks = 16 // of a format that products of floats read as the file stores it
)

// partsPay says whether two products of integers may outrun one of floats.
func partsPay(l kernel.Level, rows int) bool {
	return l.DotsBytes() || rows < partsRows && l >= kernel.AVX2
}

// splitParts writes products of codes with weights whose marks are sums of whole numbers, each times a unit, as sums of
// products with these: each adds up exactly, and the results are floats that are added.
func splitParts(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		axis, ok := weightAxis(n)
		if !ok || !n.static() || !readsCodes(n.in[0]) || storesCodes(n.in[1]) || len(n.in[1].shape) < 2 {
			continue
		}
		rows := n.out[0].elems() / max(1, n.in[1].shape[axis])
		if !partsPay(g.level, rows) {
			continue
		}
		c := weight.Read(known{g}, n.names[1])
		if c == nil || len(c.Format.Parts) != 2 || rows < partsRows && len(c.Format.Marks) <= storedMarks || c.Block.Kind != format.Whole && (c.Block.Kind != format.Channel || c.Block.Axis != axis) {
			continue
		}
		if parts := partsOf(c); parts != nil {
			g.sumOfParts(n, axis, parts)
		}
	}
	g.sweep()
}

// weightAxis is the axis of output channels in the weights of a product.
func weightAxis(n *node) (axis int, ok bool) {
	switch n.kind {
	case "Conv":
		return 0, true
	case "MatMul":
		return 1, n.in[1] != nil && len(n.in[1].shape) == 2
	case "Gemm":
		if n.onnx.Bool("transB", false) {
			return 0, true
		}
		return 1, true
	}
	return 0, false
}

// readsCodes says whether v is what codes of eight bits stand for that are not known before a run.
func readsCodes(v *value) bool {
	d := v.def
	return d != nil && d.kind == "DequantizeLinear" && d.in[0].dtype.Bits() == 8 && d.in[0].konst == nil
}

// storesCodes says whether the file has the codes of v as they are, each of which is one whole number.
func storesCodes(v *value) bool {
	d := v.def
	return d != nil && d.kind == "DequantizeLinear" && d.in[0].def == nil
}

// A weightPart is one of several int8 weights whose sum a weight is, and its scales.
type weightPart struct{ codes, scale *tensor.Tensor }

// partsOf splits a weight; it is nil where a unit times a scale is no float32.
func partsOf(c *weight.Coded) []weightPart {
	var list []weightPart
	for _, p := range c.Format.Parts {
		codes := tensor.New(tensor.Int8, c.Shape...)
		for i, v := range c.Codes {
			tensor.Of[int8](codes)[i] = p.Marks[v]
		}
		shape := []int{}
		if c.Block.Kind == format.Channel {
			shape = []int{len(c.Params)}
		}
		scale := tensor.New(tensor.Float32, shape...)
		for i, q := range c.Params {
			s := q.Scale * p.Unit
			if float64(s) != float64(q.Scale)*float64(p.Unit) || q.Zero != 0 {
				return nil
			}
			tensor.Of[float32](scale)[i] = s
		}
		list = append(list, weightPart{codes, scale})
	}
	return list
}

// splitWide writes products of codes with codes that less their zero points do not fit in int8, as asymmetric uint8
// weights have them, as sums of products that do.
func splitWide(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		axis, ok := weightAxis(n)
		if !ok || !n.static() || !readsCodes(n.in[0]) || n.out[0].elems() == 0 || len(n.in[1].shape) < 2 || !partsPay(g.level, n.out[0].elems()/max(1, n.in[1].shape[axis])) {
			continue
		}
		d := storedCodes(n.in[1])
		if d == nil || d.in[0].dtype.Bits() != 8 {
			continue
		}
		zeros := []int{0}
		if z := d.input(2); z != nil {
			if zeros, ok = intsOf(z); !ok || !zeroFits(z, d.in[1]) {
				continue
			}
		}
		if at, ok := scaledAxis(d); d.in[1].elems() > 1 && (!ok || at != axis || d.in[1].elems() != d.in[0].shape[axis]) {
			continue
		}
		if _, fits := centred(d.in[0].konst, zeros, axis); fits {
			continue
		}
		codes, err := planes(d.in[0].konst, zeros, axis)
		if err != nil {
			continue
		}
		var parts []weightPart
		for _, p := range codes {
			parts = append(parts, weightPart{p, d.in[1].konst})
		}
		g.sumOfParts(n, axis, parts)
	}
	g.sweep()
}

// sumOfParts makes n the sum of its products with several parts; a bias stays with the first.
func (g *net) sumOfParts(n *node, axis int, parts []weightPart) {
	var sums []*value
	for i, p := range parts {
		name := n.in[1].name + "·part" + itoa(i)
		w := g.dequantized(n, axis, g.constant(name, p.codes), g.constant(name+"·scale", p.scale), nil)
		in := []*value{n.in[0], w}
		if i == 0 {
			in = append(in, n.in[2:]...)
		}
		y := g.newValue(n.out[0], tensor.Float32, n.out[0].shape)
		g.insertOp(n, n.kind, n.version, n.onnx.Attrs, in, y)
		sums = append(sums, y)
	}
	n.version = opsetVersion(g.model.Opsets, "")
	g.becomeSum(n, sums)
}

// becomeSum makes n, of the version of operators that the model has, the sum of values, added one after the other.
func (g *net) becomeSum(n *node, sums []*value) {
	a, last := sums[0], sums[len(sums)-1]
	for _, b := range sums[1 : len(sums)-1] {
		y := g.newValue(n.out[0], n.out[0].dtype, n.out[0].shape)
		g.insertOp(n, "Add", n.version, nil, []*value{a, b}, y)
		a = y
	}
	n.onnx = &graph.Node{Op: "Add", Name: n.onnx.Name, In: []string{a.name, last.name}, Out: n.onnx.Out}
	n.become("Add", nil, a, last)
}
