package repair

import (
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A scaling multiplies each channel by a constant and adds another.
type scaling struct {
	from, to   int
	factor, by []float32
}

func (s *scaling) forward(l *lane) {
	l.t.level.BinaryRows(kernel.Mul, l.x[s.to], l.x[s.from], s.factor)
	l.t.level.BinaryRows(kernel.Add, l.x[s.to], l.x[s.to], s.by)
}

func (s *scaling) backward(l *lane) {
	t := l.scratch(len(l.d[s.to]))
	l.t.level.BinaryRows(kernel.Mul, t, l.d[s.to], s.factor)
	l.t.level.Binary(kernel.Add, l.d[s.from], l.d[s.from], t)
}

// putScaling puts one for constants of each channel.
func (b *taper) putScaling(n *graph.Node, from int, factor, by func(c int) float64) bool {
	c := b.cells[from]
	s := &scaling{from: from, factor: make([]float32, c.c), by: make([]float32, c.c)}
	for i := range c.c {
		s.factor[i], s.by[i] = float32(factor(i)), float32(by(i))
	}
	return b.put(n.Out[0], c, func(to int) step { s.to = to; return s })
}

// putNorm puts a BatchNormalization of constants: (x−mean)·scale/√(var+ε) + shift.
func putNorm(b *taper, n *graph.Node) bool {
	from, c, ok := b.operand(n, 0)
	if !ok || len(n.In) != 5 || c.last && c.pixels() > 1 || n.Bool("training_mode", false) || n.Int("spatial", 1) != 1 {
		return false
	}
	var k [4][]float32
	for i := range k {
		if k[i] = b.constant(n.In[1+i]); len(k[i]) != c.c {
			return false
		}
	}
	eps := float64(n.Float("epsilon", 1e-5))
	factor := func(i int) float64 { return float64(k[0][i]) / math.Sqrt(float64(k[3][i])+eps) }
	return b.putScaling(n, from, factor, func(i int) float64 { return float64(k[1][i]) - float64(float64(k[2][i])*factor(i)) })
}

// channels reads a constant operand that is one number, or one for each channel of the value that the
// node computes.
func (b *taper) channels(n *graph.Node, name string, c cell) func(i int) float64 {
	x := b.constant(name)
	out, ok := b.facts[n.Out[0]].Static()
	if x == nil || !ok {
		return nil
	}
	if len(x) == 1 {
		return func(int) float64 { return float64(x[0]) }
	}
	shape := b.g.ConstTensor(name).Shape
	axis := len(shape) - 1 // of the channels, from the front of the constant
	if !c.last {
		axis = len(shape) - len(out) + 1
	}
	if len(x) != c.c || axis < 0 || shape[axis] != c.c {
		return nil
	}
	return func(i int) float64 { return float64(x[i]) }
}

func zero(int) float64 { return 0 }
func one(int) float64  { return 1 }

// A pairing is an operator of two values, or of a value and a constant.
type pairing struct {
	left, right func(k func(i int) float64) (factor, by func(i int) float64) // what it is with a constant on that side; nil: it has no gradient here
	values      func(a, c, to int) step                                      // what it is with two values; nil: it has no gradient here
	times       bool                                                         // where a single pixel stands for all, it is multiplied, else added
}

func shifted(k func(int) float64) (factor, by func(int) float64)   { return one, k }
func stretched(k func(int) float64) (factor, by func(int) float64) { return k, zero }

func minus(k func(int) float64) func(int) float64 { return func(i int) float64 { return -k(i) } }

var pairings = map[string]pairing{
	"Add": {left: shifted, right: shifted, values: func(a, c, to int) step { return &sum{a, c, to} }},
	"Mul": {left: stretched, right: stretched, values: func(a, c, to int) step { return &prod{a, c, to} }, times: true},
	"Sub": {
		left:  func(k func(int) float64) (factor, by func(int) float64) { return minus(one), k },
		right: func(k func(int) float64) (factor, by func(int) float64) { return one, minus(k) },
	},
	"Div": {right: func(k func(int) float64) (factor, by func(int) float64) {
		return func(i int) float64 { return 1 / k(i) }, zero
	}},
}

// putPairing puts an operator of two operands, either of which may be constant.
func putPairing(b *taper, n *graph.Node) bool {
	p := pairings[n.Op]
	for i, side := range []func(func(int) float64) (factor, by func(int) float64){p.right, p.left} {
		from, c, ok := b.operand(n, i)
		if !ok || b.g.ConstTensor(n.In[1-i]) == nil {
			continue
		}
		k := b.channels(n, n.In[1-i], c)
		if k == nil || side == nil || !b.keepsShape(n, i) {
			return false
		}
		factor, by := side(k)
		return b.putScaling(n, from, factor, by)
	}
	if p.values == nil {
		return false
	}
	if b.pair(n, p.values) {
		return true
	}
	for i := range 2 {
		of, c, ok := b.operand(n, i)
		by, single, ok2 := b.operand(n, 1-i)
		if ok && ok2 && c.pixels() > 1 && !c.last && !single.last && single.c == c.c && single.pixels() == 1 {
			return b.put(n.Out[0], c, func(to int) step { return &gate{of, by, to, p.times} })
		}
	}
	return false
}

// keepsShape says whether a node's result has the shape of operand i.
func (b *taper) keepsShape(n *graph.Node, i int) bool {
	in, ok := b.facts[n.In[i]].Static()
	out, ok2 := b.facts[n.Out[0]].Static()
	return ok && ok2 && tensor.Elements(in) == tensor.Elements(out) && len(in) == len(out)
}

// A gate multiplies every pixel of a value by a single one of another, or adds it.
type gate struct {
	of, by, to int
	times      bool
}

// each calls do with every pixel: where it begins in the value, and where the single one does.
func (s *gate) each(l *lane, do func(at, single, c int)) {
	c := l.t.cells[s.of]
	for i := range l.n {
		for p := range c.pixels() {
			do((i*c.pixels()+p)*c.c, i*c.c, c.c)
		}
	}
}

func (s *gate) forward(l *lane) {
	how := kernel.Add
	if s.times {
		how = kernel.Mul
	}
	s.each(l, func(at, single, c int) {
		l.t.level.Binary(how, l.x[s.to][at:][:c], l.x[s.of][at:][:c], l.x[s.by][single:][:c])
	})
}

func (s *gate) backward(l *lane) {
	t := l.scratch(l.t.cells[s.of].c)
	s.each(l, func(at, single, c int) {
		dy, dx, dby := l.d[s.to][at:][:c], l.d[s.of][at:][:c], l.d[s.by][single:][:c]
		if !s.times {
			l.t.level.Binary(kernel.Add, dx, dx, dy)
			l.t.level.Binary(kernel.Add, dby, dby, dy)
			return
		}
		l.t.level.Binary(kernel.Mul, t, dy, l.x[s.by][single:][:c])
		l.t.level.Binary(kernel.Add, dx, dx, t)
		l.t.level.Binary(kernel.Mul, t, dy, l.x[s.of][at:][:c])
		l.t.level.Binary(kernel.Add, dby, dby, t)
	})
}
