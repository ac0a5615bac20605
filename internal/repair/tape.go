package repair

import (
	"math"

	"lowbit/internal/format"
	"lowbit/internal/kernel"
)

// A tape computes part of a network on values with channels last, and the gradients of what it holds
// by going back over its steps. Constants that are learnt are knobs.
type tape struct {
	level kernel.Level
	cells []cell
	steps []step
	knobs []*knob
	in    int // the cell that the samples fill
	out   int
	fixed bool // no constant is learnt
	sums  int  // rows of sums that a lane keeps
}

// A cell is a value of one sample: h·w pixels of c channels, or h rows.
type cell struct {
	c, h, w int
	last    bool // the channels lie along the last axis in the network too
}

func (c cell) pixels() int { return c.h * c.w }

func (c cell) len() int { return c.c * c.h * c.w }

// A knob is a constant that is learnt, in the order of its tensor.
type knob struct {
	x       []float32
	grad    []float32
	changed func() // x has changed
}

// A step computes one cell from others. backward adds to the gradients of its operands and knobs what
// follows from that of its result.
type step interface {
	forward(l *lane)
	backward(l *lane)
}

// A lane is what one goroutine computes of a batch: n samples.
type lane struct {
	t     *tape
	n     int
	x, d  [][]float32 // by cell: values and gradients (n·h·w, c)
	grads [][]float32 // by knob
	sums  [][]float64 // what steps that watch a cell saw of it
	temp  []float32
}

func (t *tape) lane() *lane {
	l := &lane{t: t, x: make([][]float32, len(t.cells)), d: make([][]float32, len(t.cells)), sums: make([][]float64, t.sums)}
	if t.fixed {
		return l
	}
	l.grads = make([][]float32, len(t.knobs))
	for i, k := range t.knobs {
		l.grads[i] = make([]float32, len(k.x))
	}
	return l
}

// resize makes room for n samples.
func (l *lane) resize(n int) {
	l.n = n
	for i, c := range l.t.cells {
		l.x[i], l.d[i] = room(l.x[i], n*c.len()), room(l.d[i], n*c.len())
	}
}

// room returns x with n elements, which hold anything.
func room(x []float32, n int) []float32 {
	if cap(x) < n {
		return make([]float32, n)
	}
	return x[:n]
}

// scratch returns n elements that hold anything, until the next call.
func (l *lane) scratch(n int) []float32 {
	l.temp = room(l.temp, n)
	return l.temp
}

func (l *lane) forward() {
	for _, s := range l.t.steps {
		s.forward(l)
	}
}

// backward finds the gradients of all knobs from that of the result, d[out].
func (l *lane) backward() {
	for i, d := range l.d {
		if i != l.t.out {
			clear(d)
		}
	}
	for _, g := range l.grads {
		clear(g)
	}
	for i := len(l.t.steps) - 1; i >= 0; i-- {
		l.t.steps[i].backward(l)
	}
}

// A fence clamps a value and rounds it as activations are that flow in few bits. Its gradient passes
// where nothing saturates (the straight-through estimator).
type fence struct {
	from, to int
	lo, hi   float32
	format   *format.Format // nil: nothing is rounded
	params   format.Params
}

func (s *fence) forward(l *lane) {
	x, y := l.x[s.from], l.x[s.to]
	l.t.level.UnaryWith(kernel.Clamp, y, x, s.lo, s.hi)
	if s.format != nil {
		s.round(l, y)
	}
}

func (s *fence) round(l *lane, y []float32) {
	const part = 4096
	var codes [part]int32
	var bytes [part]uint8
	for len(y) > 0 {
		n := min(part, len(y))
		if s.format == format.Uint8 {
			l.t.level.QuantizeU8(bytes[:n], y[:n], s.params.Scale, uint8(s.params.Zero))
			l.t.level.DequantizeU8(y[:n], bytes[:n], s.params.Scale, uint8(s.params.Zero))
		} else {
			s.format.Encode(codes[:n], y[:n], s.params)
			s.format.Decode(y[:n], codes[:n], s.params)
		}
		y = y[n:]
	}
}

func (s *fence) backward(l *lane) {
	lo, hi := s.lo, s.hi
	if s.format != nil {
		a, b := s.format.Range(s.params)
		lo, hi = max(lo, a), min(hi, b)
	}
	x := l.x[s.from]
	dx, dy := l.d[s.from][:len(x)], l.d[s.to][:len(x)]
	for i, v := range x { // the sign bit of one of the differences is set outside
		out := int32(math.Float32bits(v-lo)|math.Float32bits(hi-v)) >> 31
		dx[i] += math.Float32frombits(math.Float32bits(dy[i]) &^ uint32(out))
	}
}

// A sum adds two values of one shape.
type sum struct{ a, b, to int }

func (s *sum) forward(l *lane) { l.t.level.Binary(kernel.Add, l.x[s.to], l.x[s.a], l.x[s.b]) }

func (s *sum) backward(l *lane) {
	l.t.level.Binary(kernel.Add, l.d[s.a], l.d[s.a], l.d[s.to])
	l.t.level.Binary(kernel.Add, l.d[s.b], l.d[s.b], l.d[s.to])
}

// A shift by a constant for each channel.
type offset struct {
	from, to int
	by       []float32
}

func (s *offset) forward(l *lane) { l.t.level.BinaryRows(kernel.Add, l.x[s.to], l.x[s.from], s.by) }

func (s *offset) backward(l *lane) {
	l.t.level.Binary(kernel.Add, l.d[s.from], l.d[s.from], l.d[s.to])
}

// A prod multiplies two values of one shape.
type prod struct{ a, b, to int }

func (s *prod) forward(l *lane) { l.t.level.Binary(kernel.Mul, l.x[s.to], l.x[s.a], l.x[s.b]) }

func (s *prod) backward(l *lane) {
	t := l.scratch(len(l.x[s.to]))
	l.t.level.Binary(kernel.Mul, t, l.d[s.to], l.x[s.b])
	l.t.level.Binary(kernel.Add, l.d[s.a], l.d[s.a], t)
	l.t.level.Binary(kernel.Mul, t, l.d[s.to], l.x[s.a])
	l.t.level.Binary(kernel.Add, l.d[s.b], l.d[s.b], t)
}

// A logistic is 1/(1+e⁻ˣ).
type logistic struct{ from, to int }

func (s *logistic) forward(l *lane) { l.t.level.Unary(kernel.Sigmoid, l.x[s.to], l.x[s.from]) }

func (s *logistic) backward(l *lane) {
	dx, dy := l.d[s.from], l.d[s.to]
	for i, y := range l.x[s.to] {
		dx[i] += dy[i] * y * (1 - y)
	}
}

// A same passes a value on.
type same struct{ from, to int }

func (s *same) forward(l *lane) { copy(l.x[s.to], l.x[s.from]) }

func (s *same) backward(l *lane) {
	l.t.level.Binary(kernel.Add, l.d[s.from], l.d[s.from], l.d[s.to])
}

// A join puts the channels of several values side by side.
type join struct {
	from []int
	to   int
}

func (s *join) forward(l *lane) {
	s.each(l, func(y []float32, from, at, n int) { copy(y, l.x[from][at:at+n]) }, l.x[s.to])
}

func (s *join) backward(l *lane) {
	s.each(l, func(dy []float32, from, at, n int) {
		for i, v := range dy {
			l.d[from][at+i] += v
		}
	}, l.d[s.to])
}

// each calls do with the part of every pixel of all that belongs to operand from, which has it at at.
func (s *join) each(l *lane, do func(part []float32, from, at, n int), all []float32) {
	c := l.t.cells[s.to].c
	first := 0
	for _, from := range s.from {
		n := l.t.cells[from].c
		for p := range len(all) / c {
			do(all[p*c+first:][:n], from, p*n, n)
		}
		first += n
	}
}

// A mean averages all pixels of a channel.
type mean struct{ from, to int }

func (s *mean) forward(l *lane) {
	c, p := l.t.cells[s.from].c, l.t.cells[s.from].pixels()
	for i := range l.n {
		y := l.x[s.to][i*c:][:c]
		clear(y)
		for k := range p {
			l.t.level.Binary(kernel.Add, y, y, l.x[s.from][(i*p+k)*c:][:c])
		}
		l.t.level.BinaryScalar(kernel.Div, y, y, float32(p))
	}
}

func (s *mean) backward(l *lane) {
	c, p := l.t.cells[s.from].c, l.t.cells[s.from].pixels()
	for i := range l.n {
		t := l.scratch(c)
		l.t.level.BinaryScalar(kernel.Div, t, l.d[s.to][i*c:][:c], float32(p))
		for k := range p {
			dx := l.d[s.from][(i*p+k)*c:][:c]
			l.t.level.Binary(kernel.Add, dx, dx, t)
		}
	}
}

// A pool takes the largest or the mean of windows.
type pool struct {
	from, to int
	taps     [][]int32 // by pixel of the result: the pixels that it sees
	mean     bool
	over     []float32 // by pixel: how many a mean divides by
}

func (s *pool) forward(l *lane) {
	from, to := l.t.cells[s.from], l.t.cells[s.to]
	for i := range l.n {
		x := l.x[s.from][i*from.len():][:from.len()]
		for p, taps := range s.taps {
			y := l.x[s.to][i*to.len()+p*to.c:][:to.c]
			clear(y)
			for k, at := range taps {
				switch row := x[int(at)*to.c:][:to.c]; {
				case s.mean:
					l.t.level.Binary(kernel.Add, y, y, row)
				case k == 0:
					copy(y, row)
				default:
					l.t.level.Binary(kernel.Max, y, y, row)
				}
			}
			if s.mean {
				l.t.level.BinaryScalar(kernel.Div, y, y, s.over[p])
			}
		}
	}
}

func (s *pool) backward(l *lane) {
	from, to := l.t.cells[s.from], l.t.cells[s.to]
	for i := range l.n {
		x, dx := l.x[s.from][i*from.len():][:from.len()], l.d[s.from][i*from.len():][:from.len()]
		for p, taps := range s.taps {
			y, dy := l.x[s.to][i*to.len()+p*to.c:][:to.c], l.d[s.to][i*to.len()+p*to.c:][:to.c]
			for c, d := range dy {
				if s.mean {
					d /= s.over[p]
				}
				for _, at := range taps {
					if k := int(at)*to.c + c; s.mean || x[k] == y[c] {
						dx[k] += d
						if !s.mean {
							break
						}
					}
				}
			}
		}
	}
}
