package conform

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"lowbit/internal/engine"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
	"lowbit/internal/testdata"
)

// A mutator makes valid models invalid in one place.
type mutator struct{ *rand.Rand }

func (r mutator) int() int64 {
	odd := []int64{math.MaxInt64, math.MinInt64, 1 << 40, -(1 << 40), 100, -100}
	if r.IntN(3) == 0 {
		return odd[r.IntN(len(odd))]
	}
	return int64(r.IntN(9)) - 3
}

// attr changes an attribute's value within its type.
func (r mutator) attr(v any) any {
	switch v := v.(type) {
	case int64:
		return r.int()
	case float32:
		return []float32{0, -1, float32(math.NaN()), float32(math.Inf(1)), 1e30}[r.IntN(5)]
	case string:
		return v + "x"
	case []int64:
		list := slices.Clone(v)
		if len(list) == 0 || r.IntN(3) == 0 {
			return append(list, r.int())
		}
		if r.IntN(3) == 0 {
			return list[1:]
		}
		list[r.IntN(len(list))] = r.int()
		return list
	case []float32:
		return append(slices.Clone(v), 1)
	case []string:
		return append(slices.Clone(v), "x")
	}
	return v
}

// tensor changes the shape of an input, or one element of an integer one.
func (r mutator) tensor(t *tensor.Tensor) *tensor.Tensor {
	c := t.Clone()
	if t.Kind != tensor.Dense {
		if len(c.Items) > 0 {
			c.Items = c.Items[1:]
		}
		return c
	}
	if t.DType.IsInt() && t.DType.Bits() == 64 && t.Len() > 0 && r.IntN(2) == 0 {
		tensor.Of[int64](c)[r.IntN(t.Len())] = r.int()
		return c
	}
	shape := slices.Clone(t.Shape)
	switch r.IntN(4) {
	case 0:
		shape = append(shape, 1)
	case 1:
		shape = []int{t.Len()}
	case 2:
		shape = shape[:max(0, len(shape)-1)]
	default:
		if len(shape) > 0 {
			shape[r.IntN(len(shape))] = r.IntN(3)
		}
	}
	d := tensor.New(t.DType, shape...)
	copy(d.Raw, c.Raw)
	copy(d.Str, c.Str)
	return d
}

// model returns copies of a model and its inputs that differ in one place.
func (r mutator) model(m *graph.Model, in map[string]*tensor.Tensor) (*graph.Model, map[string]*tensor.Tensor) {
	model, g := *m, *m.Graph
	model.Graph = &g
	g.Info, g.In, g.Out = nil, nil, nil
	for _, v := range m.Graph.In {
		g.In = append(g.In, &graph.Value{Name: v.Name, Type: graph.Type{}})
	}
	for _, v := range m.Graph.Out {
		g.Out = append(g.Out, &graph.Value{Name: v.Name})
	}
	changed := map[string]*tensor.Tensor{}
	for name, t := range in {
		changed[name] = t
	}
	if r.IntN(2) == 0 {
		defer func() { r.fix(&g, changed) }()
	}
	if len(g.In) > 0 && r.IntN(3) > 0 {
		name := g.In[r.IntN(len(g.In))].Name
		if t := in[name]; t != nil {
			changed[name] = r.tensor(t)
		}
		return &model, changed
	}
	g.Nodes = slices.Clone(g.Nodes)
	k := r.IntN(len(g.Nodes))
	n := *g.Nodes[k]
	n.Attrs = slices.Clone(n.Attrs)
	if len(n.Attrs) > 0 {
		i := r.IntN(len(n.Attrs))
		n.Attrs[i] = &graph.Attr{Name: n.Attrs[i].Name, Value: r.attr(n.Attrs[i].Value), Ref: n.Attrs[i].Ref}
	}
	g.Nodes[k] = &n
	return &model, changed
}

// fix makes initializers of the inputs but the first, so that they are known when a model is compiled.
func (r mutator) fix(g *graph.Graph, in map[string]*tensor.Tensor) {
	for _, v := range g.In[min(1, len(g.In)):] {
		if t := in[v.Name]; t != nil && t.Kind == tensor.Dense {
			g.SetConst(v.Name, t)
			delete(in, v.Name)
		}
	}
	g.In = slices.DeleteFunc(g.In, func(v *graph.Value) bool { return g.Const(v.Name) != nil })
}

// survive infers and runs a model. It returns what is wrong with how that fails.
func survive(m *graph.Model, in map[string]*tensor.Tensor) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	start := time.Now()
	known := map[string]graph.Type{}
	for name, t := range in {
		known[name] = graph.TypeOf(t)
	}
	facts, inferErr := op.Infer(m, known)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond) // for endless loops
	defer cancel()
	out, err := op.Run(m, in, op.Options{Context: ctx})
	if d := time.Since(start); d > 3*time.Second {
		return fmt.Errorf("takes %v", d)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return nil
	}
	if e := compiled(m, in, out, err); e != nil {
		return fmt.Errorf("engine: %w", e)
	}
	if err != nil {
		if fault.KindOf(err) == fault.Internal {
			return fmt.Errorf("unclassified error: %w", err)
		}
		return nil
	}
	if inferErr != nil {
		return fmt.Errorf("runs, but inference fails: %w", inferErr)
	}
	for name, t := range out {
		if f := facts[name]; t.Kind == tensor.Dense && !f.Type.Accepts(graph.TypeOf(t)) {
			return fmt.Errorf("output %s is %s, inferred %s", name, t, f.Type)
		}
	}
	return nil
}

// compiled runs a model on the engine. It returns how that differs from what the definitions of its operators
// give: the values in want, or refused, an error.
func compiled(m *graph.Model, in, want map[string]*tensor.Tensor, refused error) error {
	s, err := engine.Compile(m, engine.Options{Threads: 2})
	var got map[string]*tensor.Tensor
	if err == nil {
		defer s.Close()
		got, err = s.Run(context.Background(), in)
	}
	switch _, random := unseeded(m); {
	case err != nil && fault.KindOf(err) == fault.Internal:
		return fmt.Errorf("unclassified error: %w", err)
	case err == nil && refused != nil:
		return fmt.Errorf("runs, but by definition: %w", refused)
	case err != nil && refused == nil:
		return fmt.Errorf("fails: %w", err)
	case err != nil:
		return nil
	case random || hasHalves(m, in):
		for name, w := range want {
			if !sameType(got[name], w) {
				return fmt.Errorf("output %q is %s, want %s", name, got[name], w)
			}
		}
		return nil
	}
	return compareAll(m, in, got, want, Tolerance{Rel: 1e-3, Abs: 1e-4})
}

// hasHalves says whether a model takes 16-bit floats, which the engine keeps longer from one node to the next.
func hasHalves(m *graph.Model, in map[string]*tensor.Tensor) bool {
	for _, c := range m.Graph.Consts() {
		if c.Tensor != nil && c.Tensor.DType.Bits() == 16 {
			return true
		}
	}
	for _, t := range in {
		if t.DType.Bits() == 16 {
			return true
		}
	}
	return false
}

// TestMutated changes one attribute, shape or index of every conformance case: nothing may
// panic, hang or fail without a reason, what still runs agrees with inference, and the engine
// gives what the definitions give, or refuses what they refuse.
func TestMutated(t *testing.T) {
	cases, err := Find(testdata.Dir(t, "onnx-conformance"))
	if err != nil {
		t.Fatal(err)
	}
	r := mutator{rand.New(rand.NewPCG(3, 4))}
	for _, c := range cases {
		f, err := onnx.Open(c.Model, onnx.Limits{AllowHardlinks: true})
		if err != nil {
			t.Fatal(err)
		}
		in, _, err := c.Sets[0].load(f.Model.Graph)
		if err != nil {
			t.Fatal(err)
		}
		for range mutations {
			m, changed := r.model(f.Model, in)
			if err := survive(m, changed); err != nil {
				t.Errorf("%s: %v", c.Name, err)
				break
			}
		}
		f.Close()
	}
}

// mutations is the number of tries for each case.
const mutations = 12
