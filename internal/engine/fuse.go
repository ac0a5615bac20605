package engine

import (
	"math"

	"lowbit/internal/tensor"
)

// A fusion lets the product node p take over what its only reader c does. It returns false, having
// changed nothing, where it cannot.
type fusion func(p, c *node) bool

// fusions lists what products can take over, by the kind of the reader.
var fusions = map[string]fusion{
	"function":           fuseFunction,
	"Add":                fuseAdd,
	"Mul":                fuseMul,
	"PRelu":              fusePRelu,
	"BatchNormalization": fuseBatchNorm,
}

// fuse lets products take over their readers, as far as it goes.
func fuse(g *net) {
	for _, c := range g.nodes {
		row := fusions[c.kind]
		if row == nil || !c.static() {
			continue
		}
		for _, v := range c.in {
			if v == nil || v.def == nil || v.single() != c || !v.is(tensor.Float32) {
				continue
			}
			if _, ok := v.def.spec.(product); ok && row(v.def, c) {
				break
			}
		}
	}
	g.sweep()
}

// take makes c the product p with another spec, and perhaps one operand more.
func take(p, c *node, spec product, more ...*value) {
	c.onnx, c.version = p.onnx, p.version
	c.become(p.kind, spec, append(p.in[:len(p.in):len(p.in)], more...)...)
}

func fuseFunction(p, c *node) bool {
	s := p.spec.(product).clone()
	if s.tailOf().act.closed() {
		return false
	}
	s.tailOf().act.add(c.spec.(function))
	take(p, c, s)
	return true
}

// other returns the operand of a binary node that is not v.
func other(c *node, v *value) *value {
	if c.in[0] == v {
		return c.in[1]
	}
	return c.in[0]
}

// fuseAdd takes a bias for each channel, or a residual of the same shape: before the activation, or behind it.
func fuseAdd(p, c *node) bool {
	y, s := p.out[0], p.spec.(product).clone()
	o, t := other(c, y), s.tailOf()
	if c.formal != 2 || !sameShape(y.shape, c.out[0].shape) || len(p.in) > s.operands() {
		return false
	}
	late := !t.act.plain()
	if row, ok := channelRow(o, y.shape, s.channelAxis(len(y.shape))); ok && !late {
		t.addBias(row)
		take(p, c, s)
		return true
	}
	if o == y || !s.residual() || late && !s.late() || !o.is(tensor.Float32) || !sameShape(o.shape, y.shape) {
		return false
	}
	if late {
		t.act.plus, t.act.text = true, t.act.text+"+Add"
	}
	take(p, c, s, o)
	return true
}

// fuseMul takes a factor for each channel.
func fuseMul(p, c *node) bool {
	y, s := p.out[0], p.spec.(product).clone()
	row, ok := channelRow(other(c, y), y.shape, s.channelAxis(len(y.shape)))
	if !ok || !sameShape(y.shape, c.out[0].shape) || !s.tailOf().act.plain() || len(p.in) > s.operands() {
		return false
	}
	multiply(s, row)
	take(p, c, s)
	return true
}

func fusePRelu(p, c *node) bool {
	y, s := p.out[0], p.spec.(product).clone()
	row, ok := channelRow(c.in[1], y.shape, s.channelAxis(len(y.shape)))
	if !ok || c.in[0] != y || s.tailOf().act.closed() {
		return false
	}
	s.tailOf().act.slope = row
	s.tailOf().act.text += "+PRelu"
	take(p, c, s)
	return true
}

// fuseBatchNorm takes the normalisation by constants: y·f + (beta − mean·f), f = gamma/√(var+eps).
func fuseBatchNorm(p, c *node) bool {
	s := p.spec.(product).clone()
	if c.in[0] != p.out[0] || !s.tailOf().act.plain() || len(p.in) > s.operands() || c.onnx.Bool("training_mode", false) {
		return false
	}
	f, shift, ok := normOf(c, s.channels())
	if !ok {
		return false
	}
	multiply(s, f)
	s.tailOf().addBias(shift)
	take(p, c, s)
	return true
}

// normOf returns the factor and the shift of each channel of a BatchNormalization.
func normOf(c *node, channels int) (f, shift []float32, ok bool) {
	var rows [4][]float32 // gamma, beta, mean, variance
	for i := range rows {
		v := c.input(i + 1)
		if v == nil || v.konst == nil || !v.is(tensor.Float32) || !sameShape(v.shape, []int{channels}) {
			return nil, nil, false
		}
		rows[i] = tensor.Of[float32](v.konst)
	}
	eps := c.onnx.Float("epsilon", 1e-5)
	f, shift = make([]float32, channels), make([]float32, channels)
	for i := range f {
		r := float64(rows[0][i]) / math.Sqrt(float64(rows[3][i])+float64(eps))
		f[i] = float32(r)
		shift[i] = float32(float64(rows[1][i]) - float64(rows[2][i])*r)
	}
	return f, shift, true
}

// multiply scales each channel of a product that has no activation yet.
func multiply(s product, by []float32) {
	s.scale(by)
	t := s.tailOf()
	if t.bias == nil {
		return
	}
	bias := make([]float32, len(by))
	for i, b := range t.bias {
		bias[i] = b * by[i]
	}
	t.bias = bias
}

func sameShape(a, b []int) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}
