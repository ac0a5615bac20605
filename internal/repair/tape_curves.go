package repair

import (
	"math"
	"slices"

	"lowbit/internal/graph"
)

// A curve is a function of each element.
type curve struct {
	from, to int
	at       func(c int, x float32) (y, slope float32) // of channel c
}

func (s *curve) forward(l *lane) {
	c, y := l.t.cells[s.from].c, l.x[s.to]
	for i, v := range l.x[s.from] {
		y[i], _ = s.at(i%c, v)
	}
}

func (s *curve) backward(l *lane) {
	c, dx, dy := l.t.cells[s.from].c, l.d[s.from], l.d[s.to]
	for i, v := range l.x[s.from] {
		_, slope := s.at(i%c, v)
		dx[i] += float32(dy[i] * slope)
	}
}

// curves says what functions of each element are; a row returns nil for nodes that it cannot tell.
var curves = map[string]func(b *taper, n *graph.Node, c cell) func(c int, x float32) (y, slope float32){
	"LeakyRelu": func(_ *taper, n *graph.Node, _ cell) func(int, float32) (float32, float32) {
		alpha := n.Float("alpha", 0.01)
		return leak(func(int) float64 { return float64(alpha) })
	},
	"PRelu": func(b *taper, n *graph.Node, c cell) func(int, float32) (float32, float32) {
		k := b.channels(n, n.In[1], c)
		if k == nil {
			return nil
		}
		return leak(k)
	},
	"HardSigmoid": func(_ *taper, n *graph.Node, _ cell) func(int, float32) (float32, float32) {
		return hardSigmoid(n.Float("alpha", 0.2), n.Float("beta", 0.5))
	},
	"HardSwish": func(*taper, *graph.Node, cell) func(int, float32) (float32, float32) {
		gate := hardSigmoid(1.0/6, 0.5)
		return func(c int, x float32) (float32, float32) {
			g, slope := gate(c, x)
			return x * g, g + float32(x*slope)
		}
	},
	"Tanh": func(*taper, *graph.Node, cell) func(int, float32) (float32, float32) {
		return func(_ int, x float32) (float32, float32) {
			y := float32(math.Tanh(float64(x)))
			return y, 1 - float32(y*y)
		}
	},
	"Elu": func(_ *taper, n *graph.Node, _ cell) func(int, float32) (float32, float32) {
		alpha := float64(n.Float("alpha", 1))
		return func(_ int, x float32) (float32, float32) {
			if x >= 0 {
				return x, 1
			}
			e := alpha * math.Exp(float64(x))
			return float32(e - alpha), float32(e)
		}
	},
	"Softplus": func(*taper, *graph.Node, cell) func(int, float32) (float32, float32) {
		return func(_ int, x float32) (float32, float32) {
			v := float64(x)
			return float32(math.Max(v, 0) + math.Log1p(math.Exp(-math.Abs(v)))), float32(1 / (1 + math.Exp(-v)))
		}
	},
}

// leak multiplies what is below zero by a number of its channel.
func leak(by func(c int) float64) func(int, float32) (float32, float32) {
	return func(c int, x float32) (float32, float32) {
		if x >= 0 {
			return x, 1
		}
		k := float32(by(c))
		return x * k, k
	}
}

// hardSigmoid is αx+β between 0 and 1.
func hardSigmoid(alpha, beta float32) func(int, float32) (float32, float32) {
	return func(_ int, x float32) (float32, float32) {
		switch y := float32(alpha*x) + beta; {
		case y <= 0:
			return 0, 0
		case y >= 1:
			return 1, 0
		default:
			return y, alpha
		}
	}
}

func putCurve(b *taper, n *graph.Node) bool {
	from, c, ok := b.operand(n, 0)
	if !ok {
		return false
	}
	at := curves[n.Op](b, n, c)
	return at != nil && b.put(n.Out[0], c, func(to int) step { return &curve{from, to, at} })
}

// putReduced puts a mean over all pixels.
func putReduced(b *taper, n *graph.Node) bool {
	from, c, ok := b.operand(n, 0)
	in, ok2 := b.facts[n.In[0]].Static()
	if !ok || !ok2 || c.last {
		return false
	}
	axes := n.Ints("axes")
	if t := b.axes(n); t != nil {
		axes = t
	}
	var rest []int // axes that stay
	for i := range in {
		if !slices.Contains(axes, i) && !slices.Contains(axes, i-len(in)) {
			rest = append(rest, i)
		}
	}
	if !slices.Equal(rest, []int{0, 1}) {
		return false
	}
	return b.put(n.Out[0], cell{c: c.c, h: 1, w: 1, last: n.Int("keepdims", 1) == 0}, func(to int) step { return &mean{from, to} })
}

// axes reads the axes that an operand says.
func (b *taper) axes(n *graph.Node) []int {
	if len(n.In) < 2 || n.In[1] == "" {
		return nil
	}
	t := b.g.ConstTensor(n.In[1])
	if t == nil {
		return nil
	}
	list, err := t.Ints()
	if err != nil {
		return nil
	}
	axes := make([]int, len(list))
	for i, v := range list {
		axes[i] = int(v)
	}
	return axes
}
