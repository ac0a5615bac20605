package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A cell is what RNN, GRU and LSTM differ in.
type cell struct {
	gates       int      // rows of the weights per hidden unit
	activations []string // of one direction
	states      int      // 1: hidden; 2: hidden and cell
	step        func(d *direction, gate []float64, s *state)
}

// A recurrence is one node's shapes, and its inputs as numbers by position.
type recurrence struct {
	*graph.Node
	cell
	seq, batch, input, hidden, dirs int
	batchFirst                      bool // layout 1
	in                              [][]float64
	lens                            []int // steps of each sequence
	f                               []func(float64) float64
	clip                            float64
	look                            func(states []*state) // sets what products see of the states; nil: the states
}

// A direction is the share of the weights that one sweep over time uses: w (G*H,I), r (G*H,H),
// the biases of both (G*H) and the peepholes (3*H), nil where absent.
type direction struct {
	*recurrence
	w, r, wb, rb, peep []float64
	f                  []func(float64) float64
	reverse            bool
}

// A state is what one sequence carries from step to step: h (H), c (H). The recurrence weight sees h as seen.
type state struct{ h, c, seen []float64 }

// newRecurrence checks the attributes and shapes of a recurrent node.
func newRecurrence(c *Call, kind cell) (*recurrence, error) {
	v := &recurrence{Node: c.Node, cell: kind, batchFirst: c.Int("layout", 0) == 1}
	x, w, r := c.In[0], c.In[1], c.In[2]
	if x.Rank() != 3 || w.Rank() != 3 || r.Rank() != 3 {
		return nil, invalidf("shapes %v, %v and %v, three dimensions each are needed", x.Shape, w.Shape, r.Shape)
	}
	v.seq, v.batch, v.input = x.Shape[0], x.Shape[1], x.Shape[2]
	if v.batchFirst {
		v.seq, v.batch = v.batch, v.seq
	}
	v.hidden = r.Shape[2]
	var err error
	if v.dirs, err = directionsOf(c.Node); err != nil {
		return nil, err
	}
	if h := c.Int("hidden_size", v.hidden); h != v.hidden || h < 1 {
		return nil, invalidf("hidden_size is %d, the recurrence weight is %v", h, r.Shape)
	}
	v.clip = float64(c.Float("clip", 0))
	if v.f, err = bindActivations(c.Node, kind.activations, v.dirs); err != nil {
		return nil, err
	}
	return v, v.checkInputs(c)
}

func directionsOf(n *graph.Node) (int, error) {
	switch d := n.Str("direction", "forward"); d {
	case "forward", "reverse":
		return 1, nil
	case "bidirectional":
		return 2, nil
	default:
		return 0, invalidf("direction %q", d)
	}
}

// checkInputs holds the operands against the node's sizes and reads them.
func (v *recurrence) checkInputs(c *Call) error {
	rows := v.gates * v.hidden
	init := v.stateShape()
	for _, want := range []struct {
		name  string
		at    int
		shape []int
	}{
		{"W", 1, []int{v.dirs, rows, v.input}}, {"R", 2, []int{v.dirs, rows, v.hidden}},
		{"B", 3, []int{v.dirs, 2 * rows}}, {"sequence_lens", 4, []int{v.batch}},
		{"initial_h", 5, init}, {"initial_c", 6, init}, {"P", 7, []int{v.dirs, 3 * v.hidden}},
	} {
		if err := wantShape(want.name, c.Input(want.at), want.shape...); err != nil {
			return err
		}
	}
	if _, err := sized([]int{v.seq, v.dirs, v.batch, v.hidden}); err != nil {
		return err
	}
	if err := v.readLens(c.Input(4)); err != nil {
		return err
	}
	in := slices.Clone(c.In)
	if len(in) > 4 {
		in[4] = nil
	}
	var err error
	v.in, err = floatsOf(append(in, make([]*tensor.Tensor, 8-len(in))...)...)
	return err
}

// readLens reads sequence_lens (batch); every sequence is as long as the input where it is absent.
func (v *recurrence) readLens(t *tensor.Tensor) error {
	v.lens = slices.Repeat([]int{v.seq}, v.batch)
	if t == nil {
		return nil
	}
	lens, err := indices(t)
	if err != nil {
		return err
	}
	for _, n := range lens {
		if n < 0 || n > v.seq {
			return invalidf("sequence length %d, the input has %d steps", n, v.seq)
		}
	}
	v.lens = lens
	return nil
}

// stateShape returns the shape of initial and final states.
func (v *recurrence) stateShape() []int {
	if v.batchFirst {
		return []int{v.batch, v.dirs, v.hidden}
	}
	return []int{v.dirs, v.batch, v.hidden}
}

// direction returns the weights of sweep i.
func (v *recurrence) direction(i int) *direction {
	d := &direction{recurrence: v, reverse: i == 1 || v.Str("direction", "forward") == "reverse"}
	part := func(x []float64, n int) []float64 {
		if x == nil {
			return make([]float64, n)
		}
		return x[i*n : (i+1)*n]
	}
	rows := v.gates * v.hidden
	d.w, d.r = part(v.in[1], rows*v.input), part(v.in[2], rows*v.hidden)
	b := part(v.in[3], 2*rows)
	d.wb, d.rb = b[:rows], b[rows:]
	d.peep = part(v.in[7], 3*v.hidden)
	n := len(v.activations)
	d.f = v.f[i*n : (i+1)*n]
	return d
}

// activate applies activation k of the direction behind the clip.
func (d *direction) activate(k int, x float64) float64 {
	if d.clip > 0 {
		x = min(max(x, -d.clip), d.clip)
	}
	return d.f[k](x)
}

// at returns the offset of a vector of v.hidden numbers in a state.
func (v *recurrence) at(dir, b int) int {
	if v.batchFirst {
		return (b*v.dirs + dir) * v.hidden
	}
	return (dir*v.batch + b) * v.hidden
}

// run computes all outputs: y in the node's layout, then the final states.
func (v *recurrence) run() (y []float64, final [][]float64) {
	y = make([]float64, v.seq*v.dirs*v.batch*v.hidden)
	for range v.states {
		final = append(final, make([]float64, v.dirs*v.batch*v.hidden))
	}
	for i := range v.dirs {
		states := make([]*state, v.batch)
		for b := range states {
			states[b] = v.initial(i, b)
		}
		v.direction(i).sweep(states, func(t, b int) { copy(y[v.out(t, i, b):], states[b].h) })
		for b, s := range states {
			copy(final[0][v.at(i, b):], s.h)
			if v.states > 1 {
				copy(final[1][v.at(i, b):], s.c)
			}
		}
	}
	return y, final
}

// steps is the length of the longest sequence.
func (v *recurrence) steps() int { return slices.Max(append(v.lens, 0)) }

// initial returns the state before the first step; zero where it is not given.
func (v *recurrence) initial(dir, b int) *state {
	s := &state{h: make([]float64, v.hidden), c: make([]float64, v.hidden)}
	at := v.at(dir, b)
	if v.in[5] != nil {
		copy(s.h, v.in[5][at:])
	}
	if v.in[6] != nil {
		copy(s.c, v.in[6][at:])
	}
	s.seen = s.h
	return s
}

// out returns the offset in Y of step t.
func (v *recurrence) out(t, dir, b int) int {
	if v.batchFirst {
		return ((b*v.seq+t)*v.dirs + dir) * v.hidden
	}
	return ((t*v.dirs+dir)*v.batch + b) * v.hidden
}

// sweep runs all sequences through the cell and calls done after each step of each.
func (d *direction) sweep(states []*state, done func(t, b int)) {
	gate := make([]float64, d.gates*d.hidden)
	for k := range d.steps() {
		if d.look != nil {
			d.look(states)
		}
		for b, s := range states {
			if k >= d.lens[b] {
				continue
			}
			t := k
			if d.reverse {
				t = d.lens[b] - 1 - k
			}
			x := d.vector(t, b)
			for i := range gate {
				gate[i] = d.wb[i] + dot(d.w[i*d.input:][:d.input], x)
			}
			d.step(d, gate, s)
			done(t, b)
		}
	}
}

// vector returns the input of sequence b at step t.
func (v *recurrence) vector(t, b int) []float64 {
	at := t*v.batch + b
	if v.batchFirst {
		at = b*v.seq + t
	}
	return v.in[0][at*v.input:][:v.input]
}

// recur returns what row i of the recurrence weight adds to a gate, bias included.
func (d *direction) recur(i int, h []float64) float64 {
	return d.rb[i] + dot(d.r[i*d.hidden:][:d.hidden], h)
}

// evalRecurrent returns the evaluation of a recurrent operator.
func evalRecurrent(kind cell) func(*Call) ([]*tensor.Tensor, error) {
	return func(c *Call) ([]*tensor.Tensor, error) {
		v, err := newRecurrence(c, kind)
		if err != nil {
			return nil, err
		}
		return v.tensors(c.In[0].DType)
	}
}

// tensors computes all outputs.
func (v *recurrence) tensors(d tensor.DType) (out []*tensor.Tensor, err error) {
	y, final := v.run()
	shape := []int{v.seq, v.dirs, v.batch, v.hidden}
	if v.batchFirst {
		shape = []int{v.batch, v.seq, v.dirs, v.hidden}
	}
	out = make([]*tensor.Tensor, 1+len(final))
	if out[0], err = fromFloats(d, y, shape); err != nil {
		return nil, err
	}
	for i, s := range final {
		if out[1+i], err = fromFloats(d, s, v.stateShape()); err != nil {
			return nil, err
		}
	}
	return out, nil
}
