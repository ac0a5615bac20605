package engine

import (
	"context"
	"slices"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// A grower is a model that reads a past, whose length differs from run to run.
type grower struct {
	*maker
	open map[string][]int // of an input, the axis with the past, and how much longer it is
}

func newGrower(seed uint64) *grower { return &grower{newMaker(seed), map[string][]int{}} }

// past adds an input of which an axis is as long as the past and so much more.
func (g *grower) past(t *tensor.Tensor, axis, more int) string {
	name := g.input(t)
	g.m.Graph.In[len(g.m.Graph.In)-1].Type.Shape[axis] = graph.Unknown
	g.open[name] = []int{axis, more}
	return name
}

// feed gives the inputs for a past of some length.
func (g *grower) feed(length int) map[string]*tensor.Tensor {
	in := map[string]*tensor.Tensor{}
	for _, v := range g.m.Graph.In {
		shape := slices.Clone(g.in[v.Name].Shape)
		if o := g.open[v.Name]; o != nil {
			shape[o[0]] = length + o[1]
		}
		in[v.Name] = g.numbers(v.Type.DType, shape)
	}
	return in
}

func (g *grower) numbers(d tensor.DType, shape []int) *tensor.Tensor {
	switch d {
	case tensor.Int64:
		t := tensor.New(d, shape...)
		for i := range tensor.Of[int64](t) {
			tensor.Of[int64](t)[i] = int64(min(1, g.rng.IntN(4)))
		}
		return t
	case tensor.Float16:
		t := tensor.New(d, shape...)
		encodeHalf(best(), d, tensor.Of[uint16](t), tensor.Of[float32](g.floats(shape...)))
		return t
	}
	return g.floats(shape...)
}

// grow runs pasts of these lengths by one session, and holds every run against the definition. It returns the session.
func (g *grower) grow(t *testing.T, rtol float64, lengths ...int) *Session {
	t.Helper()
	s := g.compile(t, Options{Threads: 2})
	for _, n := range lengths {
		g.hold(t, s, g.feed(n), rtol)
	}
	return s
}

// hold compares a run with the definition, and where that says that something is wrong, with a program made for this run alone.
func (g *grower) hold(t *testing.T, s *Session, in map[string]*tensor.Tensor, rtol float64) {
	t.Helper()
	got, err := s.Run(context.Background(), in)
	if want, wrong := op.Run(g.m, in, op.Options{}); wrong == nil {
		if err != nil {
			t.Fatal(err)
		}
		for name, w := range want {
			if w.DType == tensor.Float16 {
				got[name], w = floatsOf(got[name]), floatsOf(w)
			}
			within(t, name, got[name], w, rtol, rtol/10)
		}
		return
	}
	if _, wrong := g.compile(t, Options{Threads: 1}).Run(context.Background(), in); err == nil || wrong == nil || err.Error() != wrong.Error() {
		t.Errorf("error %v, not %v", err, wrong)
	}
}

func floatsOf(t *tensor.Tensor) *tensor.Tensor {
	x := tensor.New(tensor.Float32, t.Shape...)
	decodeHalf(best(), t.DType, tensor.Of[float32](x), tensor.Of[uint16](t))
	return x
}

// size is an element of the shape of x, as a vector of one.
func (k *maker) size(x string, axis int64) string {
	return k.node("Gather", []string{k.node("Shape", []string{x}), k.constant(tensor.Vector(axis))}, "axis", int64(0))
}

func (k *maker) vector(list ...int64) string { return k.constant(tensor.Vector(list...)) }

// sliced is x from one place of an axis to another.
func (k *maker) sliced(x, from, to string, axis int64) string {
	return k.node("Slice", []string{x, from, to, k.vector(axis)})
}

// TestAssumptionsFail changes what was the same in the first runs: the open program is given up.
func TestAssumptionsFail(t *testing.T) {
	for name, fails := range map[string]func(g *grower, past string) string{
		"a slice that ends": func(g *grower, past string) string {
			from := g.size(past, 1)
			return g.sliced(g.constant(g.floats(9, 4)), from, g.node("Add", []string{from, g.vector(2)}), 0)
		},
		"a size of a size": func(g *grower, past string) string {
			from := g.size(past, 1)
			part := g.sliced(g.constant(g.floats(9, 4)), from, g.node("Add", []string{from, g.vector(2)}), 0)
			return g.node("Expand", []string{g.scalar(3), g.node("Shape", []string{part})})
		},
		"a whole of parts": func(g *grower, past string) string {
			return g.node("ConstantOfShape", []string{g.node("Div", []string{g.size(past, 1), g.vector(7)})})
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGrower(5)
			y := g.node("Neg", []string{fails(g, g.past(tensor.New(tensor.Int64, 1, 3), 1, 0))})
			g.output(g.node("Add", []string{y, g.scalar(1)}))
			s := g.grow(t, 1e-6, 4, 5, 6)
			if !slices.ContainsFunc(s.programs, func(k *keyed) bool { return k.runs != nil }) {
				t.Error("no program is open")
			}
			for _, n := range []int{8, 7, 9, 0, 14, 6, 3} {
				g.hold(t, s, g.feed(n), 1e-6)
			}
			if len(s.rigids) != 1 {
				t.Errorf("%d open programs were given up", len(s.rigids))
			}
		})
	}
}
