package engine

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// wantOpen says how many programs a session has to have, of which one is open and has an attention.
func wantOpen(t *testing.T, s *Session, programs int) {
	t.Helper()
	if len(s.programs) != programs || len(s.rigids) != 0 {
		t.Errorf("%d programs, not %d, and %d open ones in vain", len(s.programs), programs, len(s.rigids))
	}
	for _, k := range s.programs {
		if k.runs != nil {
			if !slices.ContainsFunc(k.prog.steps, func(st *step) bool { return st.kernel == "f32 attention" }) {
				t.Error("the open program has no attention")
			}
			return
		}
	}
	t.Error("no program is open")
}

// byPosition is a layer that counts its rows from the length of the past on, as GPT-2 does: embeddings and tables by position, a
// buffer of triangles as the mask.
func byPosition(seed uint64, rows int) *grower {
	g := newGrower(seed)
	x, past := g.input(g.floats(1, rows, 8)), g.past(g.floats(1, 2, 3, 4), 2, 0)
	values := g.past(g.floats(1, 2, 3, 4), 2, 0)
	from := g.size(past, 2)
	to := g.node("Add", []string{from, g.size(x, 1)})
	scalar := func(v string) string { return g.node("Squeeze", []string{v, g.vector(0)}) }
	at := g.node("Range", []string{scalar(from), scalar(to), g.constant(tensor.Int64s([]int64{1}))})
	x = g.node("Add", []string{x, g.node("Gather", []string{g.constant(g.floats(40, 8)), at})})
	x = g.node("Mul", []string{x, g.sliced(g.constant(g.floats(40, 8)), from, to, 0)})
	heads := func() string {
		y := g.node("MatMul", []string{x, g.constant(g.floats(8, 8))})
		return g.transposed(g.node("Reshape", []string{y, g.vector(0, 0, 2, 4)}), 0, 2, 1, 3)
	}
	k := g.node("Concat", []string{past, heads()}, "axis", int64(2))
	v := g.node("Concat", []string{values, heads()}, "axis", int64(2))
	scores := g.node("Div", []string{g.node("MatMul", []string{heads(), g.transposed(k, 0, 1, 3, 2)}), g.scalar(2)})
	all := g.size(scores, 3)
	triangle := tensor.New(tensor.Bool, 40, 40)
	for i := range tensor.Of[bool](triangle) {
		tensor.Of[bool](triangle)[i] = i%40 <= i/40
	}
	open := g.sliced(g.constant(triangle), g.node("Sub", []string{all, g.size(scores, 2)}), all, 0)
	open = g.sliced(open, g.vector(0), all, 1)
	scores = g.node("Where", []string{open, scores, g.scalar(-1e4)})
	y := g.node("MatMul", []string{g.node("Softmax", []string{scores}, "axis", int64(-1)), v})
	g.output(g.node("Reshape", []string{g.transposed(y, 0, 2, 1, 3), g.vector(0, 0, 8)}), k, v)
	return g
}

// TestOpenPositions lets positions depend on the past: what the open program assumes of them holds until the tables end, from
// where on the answer, or what is wrong, is told by programs of their own.
func TestOpenPositions(t *testing.T) {
	for rows := 1; rows <= 3; rows++ {
		g := byPosition(uint64(rows), rows)
		s := g.grow(t, 1e-4, 4, 5, 6, 0, 17, 2, 30)
		wantOpen(t, s, 2)
		g.hold(t, s, g.feed(40-rows), 1e-4)
		wantOpen(t, s, 2)
		odd := g.feed(9)
		odd[g.m.Graph.In[2].Name] = g.floats(1, 2, 8, 4) // fewer values than keys
		g.hold(t, s, odd, 1e-4)
		g.hold(t, s, g.feed(40), 1e-4)
		g.hold(t, s, g.feed(10), 1e-4)
	}
}

// TestOpenAfterAFault makes open programs where a run in between failed.
func TestOpenAfterAFault(t *testing.T) {
	g := byPosition(1, 1)
	s := g.grow(t, 1e-4, 4)
	odd := g.feed(9)
	odd[g.m.Graph.In[2].Name] = g.floats(1, 2, 8, 4)
	g.hold(t, s, odd, 1e-4)
	for n := range 6 {
		g.hold(t, s, g.feed(5+n), 1e-4)
	}
	if !slices.ContainsFunc(s.programs, func(k *keyed) bool { return k.runs != nil }) {
		t.Error("no program is open")
	}
}

// An openForm says how an attention behind a past is written.
type openForm struct {
	flat, turned, turnedFlat, stacked, cast, half bool
	batch                                         int
	scores                                        func(g *grower, s string, f *openForm) string
}

// mask is an input of numbers that goes with the scores.
func (g *grower) mask(dims ...int) string {
	return g.past(g.floats(append(dims, 5)...), len(dims), 2)
}

var openForms = map[string]openForm{
	"plain":                {batch: 2},
	"flat":                 {batch: 2, flat: true},
	"turned":               {batch: 1, turned: true},
	"turned, stacked":      {batch: 2, turned: true, stacked: true},
	"stacked":              {batch: 1, stacked: true},
	"turned flat":          {batch: 2, turnedFlat: true},
	"cast":                 {batch: 1, cast: true},
	"16 bits":              {batch: 1, half: true},
	"16 bits, cast, mask":  {batch: 2, half: true, cast: true, scores: func(g *grower, s string, _ *openForm) string { return g.node("Add", []string{s, g.mask(1, 1, 2)}) }},
	"flat, mask of heads":  {batch: 2, flat: true, scores: func(g *grower, s string, _ *openForm) string { return g.node("Add", []string{s, g.mask(6, 1)}) }},
	"flat, mask of all":    {batch: 2, flat: true, scores: func(g *grower, s string, _ *openForm) string { return g.node("Add", []string{g.mask(1, 2), s}) }},
	"flat, mask unflatted": {batch: 2, flat: true, scores: addUnflattened},
	"bound and masks": {batch: 1, scores: func(g *grower, s string, _ *openForm) string {
		s = g.node("Mul", []string{g.node("Tanh", []string{g.node("Div", []string{s, g.scalar(3)})}), g.scalar(3)})
		s = g.node("Mul", []string{s, g.mask(3, 1)})
		s = g.node("Sub", []string{s, g.mask(1, 1, 1)})
		return g.node("Max", []string{s, g.scalar(-.5)})
	}},
	"places": {batch: 1, scores: func(g *grower, s string, _ *openForm) string {
		shut := g.node("Greater", []string{g.mask(2), g.scalar(1)})
		open := g.node("Greater", []string{g.mask(1, 1, 1), g.scalar(-1)})
		s = g.node("Where", []string{shut, g.scalar(-4), s})
		return g.node("Where", []string{open, s, g.scalar(float32(math.Inf(-1)))})
	}},
	"asks for sizes": {batch: 1, scores: func(g *grower, s string, f *openForm) string {
		all := g.size(s, 3)
		return g.node("Add", []string{s, g.sliced(g.constant(g.floats(2, 310)), g.vector(0), all, 1)})
	}},
}

// addUnflattened adds a mask to scores that have their samples and heads apart for it.
func addUnflattened(g *grower, s string, f *openForm) string {
	s = g.node("Reshape", []string{s, g.vector(int64(f.batch), 3, 2, -1)})
	s = g.node("Add", []string{s, g.mask(f.batch, 1, 1)})
	return g.node("Reshape", []string{s, g.vector(int64(3*f.batch), 2, -1)})
}

// attended writes an attention of three heads and two rows.
func (f *openForm) attended(g *grower) {
	n, d := f.batch, tensor.Float32
	if f.half {
		d = tensor.Float16
	}
	input := func(dims ...int) string { return g.input(tensor.New(d, dims...)) }
	flat := func(x string) string { return g.node("Reshape", []string{x, g.vector(int64(3*n), -1, 4)}) }
	rows := func() string {
		return g.transposed(g.node("Reshape", []string{input(n, 2, 12), g.vector(0, 0, 3, 4)}), 0, 2, 1, 3)
	}
	var past [2]string
	if f.stacked {
		both := g.past(tensor.New(d, 2, n, 3, 3, 4), 3, 0)
		for i := range past {
			past[i] = g.node("Gather", []string{both, g.constant(tensor.Int64s([]int64{int64(i)}))}, "axis", int64(0))
		}
	} else {
		past = [2]string{g.past(tensor.New(d, n, 3, 3, 4), 2, 0), g.past(tensor.New(d, n, 3, 3, 4), 2, 0)}
	}
	v := g.node("Concat", []string{past[1], rows()}, "axis", int64(2))
	var k, turned string
	switch {
	case f.turned:
		x := g.node("Reshape", []string{input(n, 2, 12), g.vector(0, 0, 3, 4)})
		turned = g.node("Concat", []string{g.transposed(past[0], 0, 1, 3, 2), g.transposed(x, 0, 2, 3, 1)}, "axis", int64(-1))
		k = g.transposed(turned, 0, 1, 3, 2)
	case f.flat:
		k = g.node("Concat", []string{past[0], rows()}, "axis", int64(2))
		turned = g.transposed(flat(k), 0, 2, 1)
	case f.turnedFlat:
		k = g.node("Concat", []string{past[0], rows()}, "axis", int64(2))
		turned = g.node("Reshape", []string{g.transposed(flat(k), 0, 2, 1), g.vector(int64(n), 3, 4, -1)})
	default:
		k = g.node("Concat", []string{past[0], rows()}, "axis", int64(2))
		turned = g.transposed(k, 0, 1, 3, 2)
	}
	q, values := rows(), v
	if f.flat {
		q, values = flat(q), flat(v)
	}
	s := g.node("MatMul", []string{q, turned})
	if f.cast {
		s = g.node("Cast", []string{s}, "to", int64(1))
	}
	if f.scores != nil {
		s = f.scores(g, s, f)
	}
	w := g.node("Softmax", []string{s}, "axis", int64(-1))
	if f.cast {
		w = g.node("Cast", []string{w}, "to", map[bool]int64{false: 1, true: 10}[f.half])
	}
	y := g.node("MatMul", []string{w, values})
	if f.flat {
		y = g.node("Reshape", []string{y, g.vector(int64(n), 3, 2, 4)})
	}
	g.output(g.transposed(y, 0, 2, 1, 3))
	if !f.stacked {
		g.output(k, v)
		return
	}
	var both []string
	for _, x := range []string{k, v} {
		both = append(both, g.node("Unsqueeze", []string{x, g.vector(0)}))
	}
	g.output(g.node("Concat", both, "axis", int64(0)))
}

// TestOpenForms finds attentions in open programs in the forms that exporters write.
func TestOpenForms(t *testing.T) {
	for name, f := range openForms {
		t.Run(name, func(t *testing.T) {
			g, rtol := newGrower(uint64(len(name))), 1e-4
			f.attended(g)
			if f.half {
				rtol = 1e-2
			}
			wantOpen(t, g.grow(t, rtol, 4, 5, 6, 0, 300, 3, 7), 2)
		})
	}
}

// TestOpenKeysOfMasks does not find an attention one of whose masks is computed from its own keys.
func TestOpenKeysOfMasks(t *testing.T) {
	f := openForm{batch: 1}
	f.scores = func(g *grower, s string, _ *openForm) string {
		keys := g.m.Graph.Nodes[slices.IndexFunc(g.m.Graph.Nodes, func(n *graph.Node) bool {
			return n.Op == "Transpose" && len(n.Out) == 1 && n.Out[0] == lastOf(g, "MatMul").In[1]
		})].In[0]
		m := g.node("ReduceMean", []string{keys}, "axes", []int64{3}, "keepdims", int64(0))
		return g.node("Add", []string{s, g.node("Unsqueeze", []string{m, g.vector(2)})})
	}
	g := newGrower(3)
	f.attended(g)
	if s := g.grow(t, 1e-4, 4, 5, 6, 2); len(s.rigids) != 1 {
		t.Errorf("%d open programs in vain", len(s.rigids))
	}
}

// lastOf is the last node of an operator.
func lastOf(g *grower, op string) *graph.Node {
	for _, n := range slices.Backward(g.m.Graph.Nodes) {
		if n.Op == op {
			return n
		}
	}
	panic(fmt.Sprintf("no %s", op))
}
