package engine

import (
	"math"
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// Networks are often written in primitive operators what the kernels do in one go. The functions below
// recognise such pieces by their last node.

// A pattern turns a piece of network that ends in n into one node; it leaves n alone where it does not fit.
type pattern func(g *net, n *node)

// patterns lists the pieces by the kind of their last node.
var patterns = map[string][]pattern{
	"Mul": {gatePattern, geluPattern, hardSwishPattern, rmsNormPattern},
	"Div": {hardSwishPattern, layerNormPattern, rmsNormPattern},
}

// findPatterns replaces pieces of float network by single nodes.
func findPatterns(g *net) {
	for _, n := range g.nodes {
		for _, p := range patterns[n.kind] {
			if n.static() && n.formal == 2 && n.out[0].is(tensor.Float32) {
				p(g, n)
			}
		}
	}
	g.sweep()
}

// defOf returns the node of some kind that gives v, if nothing but what is counted in uses reads v.
func defOf(v *value, kind string, uses int) *node {
	if v == nil || v.def == nil || v.def.kind != kind || v.pinned || len(v.uses) != uses {
		return nil
	}
	return v.def
}

// isFunction says whether v is that function of something, read only once, and returns of what.
func isFunction(v *value, op kernel.Unary) (*value, bool) {
	d := defOf(v, "function", 1)
	if d == nil || d.spec.(function).op != op {
		return nil, false
	}
	return d.in[0], true
}

// withScalar returns what v is added to, multiplied with or divided by a constant, and the constant, of
// the operator named.
func withScalar(v *value, kind string) (*value, float32, bool) {
	d := defOf(v, kind, 1)
	if d == nil {
		return nil, 0, false
	}
	return scalarOperand(d)
}

// scalarOperand returns the computed and the constant operand of a node of two.
func scalarOperand(d *node) (*value, float32, bool) {
	if d.formal != 2 {
		return nil, 0, false
	}
	if c, ok := scalar(d.in[1]); ok {
		return d.in[0], c, true
	}
	c, ok := scalar(d.in[0])
	return d.in[1], c, ok && d.kind != "Div" && d.kind != "Sub"
}

// times returns what v multiplies by a constant, a division included.
func times(v *value) (*value, float32, bool) {
	if d := defOf(v, "Mul", 1); d != nil {
		return timesOf(d)
	}
	if d := defOf(v, "Div", 1); d != nil {
		return timesOf(d)
	}
	return nil, 0, false
}

// timesOf is times for the result of d.
func timesOf(d *node) (*value, float32, bool) {
	x, c, ok := scalarOperand(d)
	if d.kind == "Div" {
		c = 1 / c
	}
	return x, c, ok
}

func near(a float32, b float64) bool { return math.Abs(float64(a)-b) <= 1e-5*math.Abs(b) }

// gatePattern is x·sigmoid(x).
func gatePattern(_ *net, n *node) {
	for i, v := range n.in {
		if x, ok := isFunction(v, kernel.Sigmoid); ok && x == n.in[1-i] {
			n.become("function", function{op: kernel.Silu}, x)
			return
		}
	}
}

// geluPattern is ½·x·(1+erf(x/√2)) with its factors in any order.
func geluPattern(_ *net, n *node) {
	factors := factorsOf(n, 0)
	if len(factors) != 3 {
		return
	}
	half := slices.IndexFunc(factors, func(v *value) bool { c, ok := scalar(v); return ok && c == 0.5 })
	gate, x := -1, (*value)(nil)
	for i, v := range factors {
		if e, c, ok := withScalar(v, "Add"); ok && c == 1 {
			if arg, ok := isFunction(e, kernel.Erf); ok {
				if from, by, ok := times(arg); ok && near(by, math.Sqrt2/2) {
					gate, x = i, from
				}
			}
		}
	}
	if half < 0 || gate < 0 || factors[3-half-gate] != x {
		return
	}
	n.become("function", function{op: kernel.Gelu}, x)
}

// factorsOf lists what a product of products multiplies.
func factorsOf(n *node, depth int) []*value {
	var list []*value
	for _, v := range n.in {
		if d := defOf(v, "Mul", 1); d != nil && d.formal == 2 && depth < 2 {
			list = append(list, factorsOf(d, depth+1)...)
		} else {
			list = append(list, v)
		}
	}
	return list
}

// hardSwishPattern is x·clip(x+3, 0, 6)/6, or without the first factor a hard sigmoid.
func hardSwishPattern(_ *net, n *node) {
	if x, by, ok := timesOf(n); ok && near(by, 1.0/6) {
		if g, ok := shiftedClip(x); ok {
			n.become("function", function{kernel.HardSigmoid, 1.0 / 6, 0.5}, g)
			return
		}
		if m := defOf(x, "Mul", 1); m != nil && m.formal == 2 {
			for i, v := range m.in {
				if g, ok := shiftedClip(v); ok && g == m.in[1-i] {
					n.become("function", function{op: kernel.HardSwish}, g)
					return
				}
			}
		}
		return
	}
	if n.kind != "Mul" {
		return
	}
	for i, v := range n.in {
		if d := defOf(v, "function", 1); d != nil && d.in[0] == n.in[1-i] && d.spec.(function) == (function{kernel.HardSigmoid, 1.0 / 6, 0.5}) {
			n.become("function", function{op: kernel.HardSwish}, n.in[1-i])
			return
		}
	}
}

// shiftedClip returns x where v is clip(x+3, 0, 6).
func shiftedClip(v *value) (*value, bool) {
	d := defOf(v, "function", 1)
	if d == nil || d.spec.(function) != (function{kernel.Clamp, 0, 6}) {
		return nil, false
	}
	x, c, ok := withScalar(d.in[0], "Add")
	return x, ok && c == 3
}

// layerNormPattern is d/√(mean(d²)+eps) with d = x − mean(x), and what multiplies and adds constants
// behind it.
func layerNormPattern(g *net, n *node) {
	d, uses := n.in[0], 0
	sub := d.def
	if sub == nil || sub.kind != "Sub" || sub.formal != 2 {
		return
	}
	x := sub.in[0]
	if of, ok := lastMean(sub.in[1]); !ok || of != x {
		return
	}
	eps, ok := deviation(n.in[1], d, &uses)
	if !ok || d.pinned || len(d.uses) != uses+1 {
		return
	}
	g.normalise(n, x, &layerNorm{eps: eps})
}

// rmsNormPattern is x/√(mean(x²)+eps), or times the reciprocal.
func rmsNormPattern(g *net, n *node) {
	for i, v := range n.in {
		x := n.in[1-i]
		if n.kind == "Div" && i == 0 {
			continue
		}
		if n.kind == "Mul" {
			root, ok := isFunction(v, kernel.Reciprocal)
			if one := defOf(v, "Div", 1); !ok && one != nil {
				if c, is := scalar(one.in[0]); is && c == 1 {
					root, ok = one.in[1], true
				}
			}
			if !ok {
				continue
			}
			v = root
		}
		if eps, ok := deviation(v, x, new(int)); ok {
			g.normalise(n, x, &layerNorm{eps: eps, rms: true})
			return
		}
	}
}

// normalise makes the last of the constant factors and shifts behind n a "layer norm" of x.
func (g *net) normalise(n *node, x *value, s *layerNorm) {
	cols := x.shape[len(x.shape)-1]
	s.gamma = slices.Repeat([]float32{1}, cols)
	last := n
	if m := last.out[0].single(); m != nil && m.kind == "Mul" && m.formal == 2 && sameShape(m.out[0].shape, x.shape) {
		if row, ok := channelRow(other(m, last.out[0]), x.shape, len(x.shape)-1); ok {
			s.gamma, last = row, m
		}
	}
	if a := last.out[0].single(); !s.rms && a != nil && a.kind == "Add" && a.formal == 2 && sameShape(a.out[0].shape, x.shape) {
		if row, ok := channelRow(other(a, last.out[0]), x.shape, len(x.shape)-1); ok {
			s.beta, last = row, a
		}
	}
	last.become("layer norm", s, x)
}

// deviation returns eps where v is √(mean(d²)+eps) over the last axis, and adds the reads of d to uses.
func deviation(v, d *value, uses *int) (float32, bool) {
	sum, ok := isFunction(v, kernel.Sqrt)
	if !ok {
		return 0, false
	}
	mean, eps, ok := withScalar(sum, "Add")
	if !ok {
		return 0, false
	}
	square, ok := lastMean(mean)
	if !ok || len(mean.uses) != 1 || mean.pinned {
		return 0, false
	}
	if of, ok := isFunction(square, kernel.Square); ok {
		*uses++
		return eps, of == d
	}
	m := defOf(square, "Mul", 1)
	*uses += 2
	return eps, m != nil && m.in[0] == d && m.in[1] == d
}

// lastMean returns x where v is the mean of x over the last axis, kept as one.
func lastMean(v *value) (*value, bool) {
	if v.def == nil || v.def.kind != "ReduceMean" || v.pinned || len(v.uses) != 1 || !v.def.onnx.Bool("keepdims", true) {
		return nil, false
	}
	x := v.def.in[0]
	gone, ok := reducedAxes(v.def, len(x.shape))
	if !ok || len(gone) == 0 || !x.is(tensor.Float32) {
		return nil, false
	}
	for i, g := range gone {
		if g != (i == len(gone)-1) {
			return nil, false
		}
	}
	return x, true
}
