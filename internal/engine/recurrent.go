package engine

import (
	"strings"

	"lowbit/internal/fault"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A recurrent says what an RNN, LSTM or GRU node of the plain kind computes.
type recurrent struct {
	cell
	time, batch, in, size int // steps, rows, input and state width
	batchFirst            bool
	reverse               []bool
	w, r, second          []gateProduct  // of the input, of the state, and of what the gates leave of it, by direction
	squash                []kernel.Unary // of an RNN, by direction
}

// A gateProduct multiplies rows of x by the weights of one direction and adds its bias.
type gateProduct interface {
	multiply(f *frame, sums, x []float32, rows int)
}

// lowerRecurrent emits RNN, GRU and LSTM, the latter also of codes, with constant weights and the usual activations.
func lowerRecurrent(lw *lowerer, n *node) bool {
	if !plainRecurrent(n) {
		return false
	}
	s := recurrentOf(n)
	st := &step{node: n}
	read := func(i int) *slot {
		v := n.input(i)
		if v == nil {
			return nil
		}
		in := lw.use(v, rowMajor)
		st.in = append(st.in, in)
		return in
	}
	at := recurrentSlots{x: read(0), lens: read(4), h0: read(5), c0: read(6)}
	if s.codes {
		lw.codeGates(n, s, st)
	} else {
		lw.floatGates(n, s, st)
	}
	for i, v := range n.out {
		if v != nil {
			at.out[i] = lw.make(v, rowMajor)
			st.out = append(st.out, at.out[i])
		}
	}
	g := s.gates * s.size
	at.sums = lw.scratch(tensor.Float32, s.time*s.batch*g)
	at.work = lw.scratch(tensor.Float32, s.batch*(g+2*s.size)+s.size)
	st.out = append(st.out, at.sums, at.work)
	st.macs = int64(len(s.reverse)) * int64(s.time*s.batch*g) * int64(s.in+s.size)
	level := lw.level
	st.run = func(f *frame, _ int) error {
		lens, err := s.lengths(f, at.lens)
		if err != nil {
			return fault.At(n.onnx.Label(), err)
		}
		for d := range s.reverse {
			s.run(level, f, d, at, lens)
		}
		return nil
	}
	lw.emit(st)
	return true
}

// plainRecurrent says whether a node is of the kind that lowerRecurrent knows.
func plainRecurrent(n *node) bool {
	c := cellOf(n)
	for i, v := range n.in {
		if v == nil || i == 4 {
			continue
		}
		weight := i == 1 || i == 2 || i > 7
		if (weight || i == 3) && v.konst == nil || !(c.codes && weight) && !v.is(tensor.Float32) {
			return false
		}
	}
	o := n.onnx
	if d, ok := directions[o.Str("direction", "forward")]; !ok || !c.fits(n, len(d)) || !c.usual(n, len(d)) {
		return false
	}
	if o.Has("clip") || o.Int("input_forget", 0) != 0 || n.input(7) != nil || n.in[0].elems() == 0 {
		return false
	}
	lens := n.input(4)
	if c.codes {
		return lens == nil && o.Int("layout", 0) == 0 && plainCodes(n)
	}
	return lens == nil || lens.is(tensor.Int32)
}

// directions lists for each direction of a recurrent node which of its sweeps go back in time.
var directions = map[string][]bool{"forward": {false}, "reverse": {true}, "bidirectional": {false, true}}

// fits says whether the operands of a node of some directions have the shapes that its state's size wants.
func (c *cell) fits(n *node, dirs int) bool {
	x, r := n.in[0].shape, n.in[2].shape
	if len(x) != 3 || len(r) != 3 {
		return false
	}
	size, batch := r[2], x[1]
	if c.codes {
		size = r[1]
	}
	g, state := c.gates*size, []int{dirs, batch, size}
	if n.onnx.Int("layout", 0) == 1 {
		batch = x[0]
		state = []int{batch, dirs, size}
	}
	w, rw := []int{dirs, g, x[2]}, []int{dirs, g, size}
	if c.codes {
		w, rw = []int{dirs, x[2], g}, []int{dirs, size, g}
	}
	for i, want := range [][]int{1: w, 2: rw, 3: {dirs, 2 * g}, 4: {batch}, 5: state, 6: state} {
		if v := n.input(i); want != nil && v != nil && !sameShape(v.shape, want) {
			return false
		}
	}
	return n.onnx.Int("hidden_size", size) == size
}

// usual says whether the gates and the state of a node of some directions have the functions that they have by default;
// those of an RNN may be Relu too.
func (c *cell) usual(n *node, dirs int) bool {
	list := n.onnx.Strs("activations")
	if len(list) == 0 {
		return true
	}
	for i, a := range list {
		if !strings.EqualFold(a, c.functions[i%len(c.functions)]) && !(c.gates == 1 && strings.EqualFold(a, "Relu")) {
			return false
		}
	}
	return len(list) == dirs*len(c.functions)
}

func recurrentOf(n *node) *recurrent {
	x, r := n.in[0].shape, n.in[2].shape
	s := &recurrent{cell: cellOf(n), time: x[0], batch: x[1], in: x[2], size: r[2], batchFirst: n.onnx.Int("layout", 0) == 1}
	if s.codes {
		s.size = r[1]
	}
	if s.batchFirst {
		s.time, s.batch = s.batch, s.time
	}
	s.reverse = directions[n.onnx.Str("direction", "forward")]
	list := n.onnx.Strs("activations")
	for d := range s.reverse {
		s.squash = append(s.squash, kernel.Tanh)
		if s.gates == 1 && len(list) > 0 && strings.EqualFold(list[d], "Relu") {
			s.squash[d] = kernel.Relu
		}
	}
	return s
}

// biases returns the biases of the input's and the state's products, by direction.
func (s *recurrent) biases(n *node) (w, r [][]float32) {
	g := s.gates * s.size
	bias := make([]float32, len(s.reverse)*2*g)
	if b := n.input(3); b != nil {
		copy(bias, tensor.Of[float32](b.konst))
	}
	for d := range s.reverse {
		w, r = append(w, bias[d*2*g:][:g]), append(r, bias[d*2*g+g:][:g])
	}
	return w, r
}

// floatGates packs float weights (D,G*H,K).
func (lw *lowerer) floatGates(n *node, s *recurrent, st *step) {
	st.kernel = "f32 " + n.kind
	g := s.gates * s.size
	first := g // gates that see the state as it is
	if s.reset != nil {
		first -= s.size
	}
	w, r := tensor.Of[float32](n.in[1].konst), tensor.Of[float32](n.in[2].konst)
	bias, rbias := s.biases(n)
	for d := range s.reverse {
		key := packKey{n.in[1].name, n.onnx.Op + itoa(d) + itoa(first)}
		from := []*tensor.Tensor{n.in[1].konst, n.in[2].konst}
		three := packed(lw.packs, key, from, func() (p [3]*kernel.PackedF32) {
			p[0] = lw.level.PackF32(w[d*g*s.in:], g, s.in, 1, kernel.Order{N: s.in, K: 1})
			p[1] = lw.level.PackF32(r[d*g*s.size:], first, s.size, 1, kernel.Order{N: s.size, K: 1})
			if first < g {
				p[2] = lw.level.PackF32(r[(d*g+first)*s.size:], g-first, s.size, 1, kernel.Order{N: s.size, K: 1})
			}
			return p
		})
		s.w, s.r = append(s.w, &floatGate{three[0], bias[d], s.in}), append(s.r, &floatGate{three[1], rbias[d][:first], s.size})
		if first < g {
			s.second = append(s.second, &floatGate{three[2], rbias[d][first:], s.size})
		}
	}
}

type floatGate struct {
	weight *kernel.PackedF32
	bias   []float32
	k      int
}

func (p *floatGate) multiply(_ *frame, sums, x []float32, rows int) {
	p.weight.Gemm(x, p.k, &kernel.OutF32{C: sums, Ldc: len(p.bias), Bias: p.bias}, kernel.Range{M1: rows, P1: p.weight.Panels()})
}
