package engine

import (
	"strings"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A cell computes one time step of one direction for one batch row: sums holds the sums of all gates
// from the input, hidden those from the state; h and c are the state, which it renews.
type cell struct {
	gates int
	step  func(l kernel.Level, s *cellState)
	codes bool // products are of codes found while running
}

type cellState struct {
	sums, h, c []float32
	hidden     []float32
	tmp        []float32
	size       int
}

var cells = map[string]cell{
	"LSTM":                              {gates: 4, step: lstmStep},
	"GRU":                               {gates: 3, step: gruStep},
	"com.microsoft.DynamicQuantizeLSTM": {gates: 4, step: lstmStep, codes: true},
}

// A recurrent says what an LSTM or GRU node of the plain kind computes.
type recurrent struct {
	cell
	time, batch, in, size int // steps, rows, input and state width
	reverse               []bool
	w, r                  []gateProduct // of the input and of the state, by direction
}

// A gateProduct multiplies rows of x by the weights of one direction and adds its bias.
type gateProduct interface {
	multiply(f *frame, sums, x []float32, rows int)
}

// lowerRecurrent emits LSTM, also of codes, and GRU with the reset gate behind the product, with constant
// weights and the usual activations.
func lowerRecurrent(lw *lowerer, n *node) bool {
	if !plainRecurrent(n) {
		return false
	}
	s := recurrentOf(n)
	x := lw.use(n.in[0], rowMajor)
	st := &step{node: n, in: []*slot{x}}
	if s.codes {
		lw.codeGates(n, s, st)
	} else {
		lw.floatGates(n, s, st)
	}
	state := func(i int) *slot {
		v := n.input(i)
		if v == nil {
			return nil
		}
		in := lw.use(v, rowMajor)
		st.in = append(st.in, in)
		return in
	}
	h0, c0 := state(5), state(6)
	var out [3]*slot
	for i, v := range n.out {
		if v != nil {
			out[i] = lw.make(v, rowMajor)
			st.out = append(st.out, out[i])
		}
	}
	g := s.gates * s.size
	sums := lw.scratch(tensor.Float32, s.time*s.batch*g)
	work := lw.scratch(tensor.Float32, s.batch*(g+2*s.size)+s.size)
	st.out = append(st.out, sums, work)
	st.macs = int64(len(s.reverse)) * int64(s.time*s.batch*g) * int64(s.in+s.size)
	level := lw.level
	st.run = func(f *frame, _ int) error {
		for d := range s.reverse {
			s.run(level, f, d, recurrentSlots{x, h0, c0, out[0], out[1], out[2], sums, work})
		}
		return nil
	}
	lw.emit(st)
	return true
}

// plainRecurrent says whether a node is of the kind that lowerRecurrent knows.
func plainRecurrent(n *node) bool {
	c := cells[n.kind]
	for i, v := range n.in {
		if v == nil {
			continue
		}
		weight := i == 1 || i == 2 || i > 7
		if (weight || i == 3) && v.konst == nil || i != 4 && !(c.codes && weight) && !v.is(tensor.Float32) {
			return false
		}
	}
	o := n.onnx
	if d, ok := directions[o.Str("direction", "forward")]; !ok || !c.fits(n, len(d)) {
		return false
	}
	usual := usualActivations(n) && !o.Has("clip") && o.Int("input_forget", 0) == 0 && o.Int("layout", 0) == 0
	reset := n.kind != "GRU" || o.Bool("linear_before_reset", false)
	return usual && reset && n.input(4) == nil && n.input(7) == nil && n.in[0].elems() > 0 && (!c.codes || plainCodes(n))
}

// directions lists for each direction of a recurrent node which of its sweeps go back in time.
var directions = map[string][]bool{"forward": {false}, "reverse": {true}, "bidirectional": {false, true}}

// fits says whether the operands of a node of some directions have the shapes that its state's size wants.
func (c *cell) fits(n *node, dirs int) bool {
	x, r := n.in[0].shape, n.in[2].shape
	if len(x) != 3 || len(r) != 3 {
		return false
	}
	size := r[2]
	if c.codes {
		size = r[1]
	}
	g, state := c.gates*size, []int{dirs, x[1], size}
	w, rw := []int{dirs, g, x[2]}, []int{dirs, g, size}
	if c.codes {
		w, rw = []int{dirs, x[2], g}, []int{dirs, size, g}
	}
	for i, want := range [][]int{1: w, 2: rw, 3: {dirs, 2 * g}, 5: state, 6: state} {
		if v := n.input(i); want != nil && v != nil && !sameShape(v.shape, want) {
			return false
		}
	}
	return n.onnx.Int("hidden_size", size) == size
}

// usualActivations says whether the gates and the state have the functions that they have by default.
func usualActivations(n *node) bool {
	list, each := n.onnx.Strs("activations"), []string{"Sigmoid", "Tanh", "Tanh"}[:cells[n.kind].gates-1]
	for i, a := range list {
		if !strings.EqualFold(a, each[i%len(each)]) {
			return false
		}
	}
	return true
}

func recurrentOf(n *node) *recurrent {
	x, r := n.in[0].shape, n.in[2].shape
	s := &recurrent{cell: cells[n.kind], time: x[0], batch: x[1], in: x[2], size: r[2]}
	if s.codes {
		s.size = r[1]
	}
	s.reverse = directions[n.onnx.Str("direction", "forward")]
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
	w, r := tensor.Of[float32](n.in[1].konst), tensor.Of[float32](n.in[2].konst)
	bias, rbias := s.biases(n)
	for d := range s.reverse {
		key := packKey{n.in[1].name, n.onnx.Op + itoa(d)}
		from := []*tensor.Tensor{n.in[1].konst, n.in[2].konst}
		pair := packed(lw.packs, key, from, func() [2]*kernel.PackedF32 {
			return [2]*kernel.PackedF32{
				lw.level.PackF32(w[d*g*s.in:], g, s.in, 1, kernel.Order{N: s.in, K: 1}),
				lw.level.PackF32(r[d*g*s.size:], g, s.size, 1, kernel.Order{N: s.size, K: 1}),
			}
		})
		s.w, s.r = append(s.w, &floatGate{pair[0], bias[d], s.in}), append(s.r, &floatGate{pair[1], rbias[d], s.size})
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

// recurrentSlots are the operands, results and scratch of a recurrent step; absent ones are nil.
type recurrentSlots struct{ x, h0, c0, y, yh, yc, sums, work *slot }

// run computes one direction.
func (s *recurrent) run(l kernel.Level, f *frame, d int, at recurrentSlots) {
	g, width := s.gates*s.size, s.batch*s.size
	sums := f.f32(at.sums)
	s.w[d].multiply(f, sums, f.f32(at.x), s.time*s.batch)
	work := f.f32(at.work)
	hidden, h, c, tmp := work[:s.batch*g], work[s.batch*g:][:width], work[s.batch*g+width:][:width], work[s.batch*(g+2*s.size):]
	initial(f, at.h0, h, d)
	initial(f, at.c0, c, d)
	for i := range s.time {
		t := i
		if s.reverse[d] {
			t = s.time - 1 - i
		}
		s.r[d].multiply(f, hidden, h, s.batch)
		for b := range s.batch {
			s.step(l, &cellState{
				sums: sums[(t*s.batch+b)*g:][:g], hidden: hidden[b*g:][:g], tmp: tmp, size: s.size,
				h: h[b*s.size:][:s.size], c: c[b*s.size:][:s.size],
			})
		}
		if at.y != nil {
			copy(f.f32(at.y)[(t*len(s.reverse)+d)*width:], h)
		}
	}
	final(f, at.yh, h, d)
	final(f, at.yc, c, d)
}

func initial(f *frame, from *slot, state []float32, d int) {
	if from == nil {
		clear(state)
		return
	}
	copy(state, f.f32(from)[d*len(state):])
}

func final(f *frame, to *slot, state []float32, d int) {
	if to != nil {
		copy(f.f32(to)[d*len(state):], state)
	}
}

// lstmStep is ONNX's LSTM with the gates in the order input, output, forget, cell.
func lstmStep(l kernel.Level, s *cellState) {
	n := s.size
	l.Binary(kernel.Add, s.sums, s.sums, s.hidden)
	l.Unary(kernel.Sigmoid, s.sums[:3*n], s.sums[:3*n])
	l.Unary(kernel.Tanh, s.sums[3*n:], s.sums[3*n:])
	in, out, forget, fresh := s.sums[:n], s.sums[n:2*n], s.sums[2*n:3*n], s.sums[3*n:]
	l.Binary(kernel.Mul, s.c, s.c, forget)
	l.Binary(kernel.Mul, fresh, fresh, in)
	l.Binary(kernel.Add, s.c, s.c, fresh)
	l.Unary(kernel.Tanh, s.tmp[:n], s.c)
	l.Binary(kernel.Mul, s.h, out, s.tmp[:n])
}

// gruStep is ONNX's GRU with linear_before_reset and the gates in the order update, reset, hidden:
// h = (1−z)·h̃ + z·h = h̃ + z·(h−h̃).
func gruStep(l kernel.Level, s *cellState) {
	n := s.size
	l.Binary(kernel.Add, s.sums[:2*n], s.sums[:2*n], s.hidden[:2*n])
	l.Unary(kernel.Sigmoid, s.sums[:2*n], s.sums[:2*n])
	z, r, fresh := s.sums[:n], s.sums[n:2*n], s.sums[2*n:]
	l.Binary(kernel.Mul, r, r, s.hidden[2*n:])
	l.Binary(kernel.Add, fresh, fresh, r)
	l.Unary(kernel.Tanh, fresh, fresh)
	l.Binary(kernel.Sub, s.h, s.h, fresh)
	l.Binary(kernel.Mul, s.h, s.h, z)
	l.Binary(kernel.Add, s.h, s.h, fresh)
}
