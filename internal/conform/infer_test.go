package conform

import (
	"context"
	"fmt"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
	"lowbit/internal/testdata"
)

// bareModel drops what the file declares of all values but the inputs, so that inference has
// to find it, and renames unknown dimensions apart.
func bareModel(m *graph.Model) *graph.Model {
	c, g := *m, *m.Graph
	g.Info = nil
	g.Out = nil
	for _, v := range m.Graph.Out {
		g.Out = append(g.Out, &graph.Value{Name: v.Name})
	}
	c.Graph = &g
	return &c
}

// checkFacts runs a model and holds every value against what inference said of it.
func checkFacts(m *graph.Model, in map[string]*tensor.Tensor) error {
	m = bareModel(m)
	facts, err := op.Infer(m, nil)
	if err != nil {
		return fmt.Errorf("inference fails: %w", err)
	}
	var wrong error
	bound := map[string]int{}
	watch := func(name string, t *tensor.Tensor) {
		f, ok := facts[name]
		switch {
		case !ok:
			wrong = fmt.Errorf("%q is not inferred", name)
		case !f.Type.Accepts(graph.TypeOf(t)) && len(t.Items) > 0, !f.Type.Accepts(graph.TypeOf(t)) && t.Kind == tensor.Dense:
			wrong = fmt.Errorf("%q is %s, inferred %s", name, graph.TypeOf(t), f.Type)
		case f.Value != nil && t.Kind == tensor.Dense && Compare(t, f.Value, Tolerance{}) != nil:
			wrong = fmt.Errorf("%q: %w", name, Compare(t, f.Value, Tolerance{}))
		default:
			if err := checkElems(f, t); err != nil {
				wrong = fmt.Errorf("%q: %w", name, err)
			}
			if err := bindSymbols(bound, f.Type, t); err != nil {
				wrong = fmt.Errorf("%q: %w", name, err)
			}
		}
	}
	for _, v := range m.Graph.In {
		if t := in[v.Name]; t != nil {
			bindSymbols(bound, v.Type, t)
		}
	}
	_, err = op.Run(m, in, op.Options{Context: context.Background(), Watch: watch})
	if err != nil {
		return nil // the run itself is another test's matter
	}
	return wrong
}

// bindSymbols checks that a symbol has one size throughout.
func bindSymbols(bound map[string]int, typ graph.Type, t *tensor.Tensor) error {
	if !typ.Ranked || t.Kind != tensor.Dense || len(typ.Shape) != t.Rank() {
		return nil
	}
	for i, d := range typ.Shape {
		if d.Name == "" || d.IsKnown() {
			continue
		}
		if n, ok := bound[d.Name]; ok && n != t.Shape[i] {
			return fmt.Errorf("dimension %s is %d and %d", d.Name, n, t.Shape[i])
		}
		bound[d.Name] = t.Shape[i]
	}
	return nil
}

// checkElems compares the elements that inference followed with those that came out.
func checkElems(f op.Fact, t *tensor.Tensor) error {
	if f.Elems == nil {
		return nil
	}
	v, err := t.Ints()
	if err != nil || len(v) != len(f.Elems) {
		return fmt.Errorf("%d elements followed of %s", len(f.Elems), t)
	}
	for i, e := range f.Elems {
		if e.IsKnown() && int64(e.Size) != v[i] {
			return fmt.Errorf("element %d is %d, inferred %d", i, v[i], e.Size)
		}
	}
	return nil
}

// TestInferAgreesWithEval holds types and shapes from inference against the values themselves,
// once with the sizes that the file declares and once with symbols in their place.
func TestInferAgreesWithEval(t *testing.T) {
	cases, err := Find(testdata.Dir(t, "onnx-conformance"), testdata.Dir(t, "onnx-ops-burn"))
	if err != nil {
		t.Fatal(err)
	}
	known := Known()
	for _, c := range cases {
		if len(c.Sets) == 0 || known[c.Name] != "" {
			continue
		}
		f, err := onnx.Open(c.Model, onnx.Limits{AllowHardlinks: true})
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
			continue
		}
		in, _, err := c.Sets[0].load(f.Model.Graph)
		if err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		if err := checkFacts(f.Model, in); err != nil {
			t.Errorf("%s: %v", c.Name, err)
		}
		if err := checkFacts(symbolic(f.Model, in), in); err != nil {
			t.Errorf("%s with symbolic shapes: %v", c.Name, err)
		}
		f.Close()
	}
}

// symbolic replaces every declared dimension of the inputs by a symbol, one for each size.
func symbolic(m *graph.Model, in map[string]*tensor.Tensor) *graph.Model {
	c, g := *m, *m.Graph
	g.In = nil
	for _, v := range m.Graph.In {
		w := *v
		if t := in[v.Name]; t != nil && t.Kind == tensor.Dense {
			w.Type = graph.Of(t.DType, t.Shape...)
			for i, n := range t.Shape {
				if n != 1 {
					w.Type.Shape[i] = graph.Symbol(fmt.Sprintf("s%d", n))
				}
			}
		}
		g.In = append(g.In, &w)
	}
	c.Graph = &g
	return &c
}
