package pass_test

import (
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// recurrentModel is an LSTM of two inputs and two hidden units with constant weights.
func recurrentModel() *graph.Model {
	g := &graph.Graph{Name: "g", In: []*graph.Value{{Name: "x", Type: graph.Of(tensor.Float32, 1, 1, 2)}},
		Out: []*graph.Value{{Name: "y", Type: graph.Of(tensor.Float32, 1, 1, 1, 2)}}}
	for _, name := range []string{"w", "r"} {
		t := tensor.New(tensor.Float32, 1, 8, 2)
		for i := range tensor.Of[float32](t) {
			tensor.Of[float32](t)[i] = float32(i%5) - 2
		}
		g.SetConst(name, t)
	}
	n := &graph.Node{Op: "LSTM", Name: "lstm", In: []string{"x", "w", "r"}, Out: []string{"y"}}
	n.SetAttr("hidden_size", int64(2))
	g.Nodes = []*graph.Node{n}
	return &graph.Model{IR: 8, Opsets: []graph.Opset{{Version: 14}}, Graph: g}
}

// TestDynamicKeepsWhatItPlans holds the dynamic form of an operator that has no integer form:
// both weights are stored as codes and read through DequantizeLinear, and the result stays near.
func TestDynamicKeepsWhatItPlans(t *testing.T) {
	m := recurrentModel()
	in := map[string]*tensor.Tensor{"x": tensor.Float32s([]float32{0.5, -1}, 1, 1, 2)}
	before, err := op.Run(m, in, op.Options{})
	if err != nil {
		t.Fatal(err)
	}
	facts, err := op.Infer(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	set, err := plan.Default("W8A8")
	if err != nil {
		t.Fatal(err)
	}
	set.Mode = plan.Dynamic
	p := plan.Decide(m, facts, set, nil)
	if err := p.Fit(m, nil, set, 1); err != nil {
		t.Fatal(err)
	}
	if err := pass.Dynamic(m, p); err != nil {
		t.Fatal(err)
	}
	lstm := m.Graph.Nodes[len(m.Graph.Nodes)-1]
	for i := 1; i <= 2; i++ {
		n := m.Graph.Index().Producer(lstm.In[i])
		if n == nil || n.Op != "DequantizeLinear" || m.Graph.ConstTensor(n.In[0]).DType != tensor.Int8 {
			t.Errorf("input %d of the LSTM does not come from stored codes", i)
		}
	}
	after, err := op.Run(m, in, op.Options{})
	if err != nil {
		t.Fatal(err)
	}
	a, b := tensor.Of[float32](before["y"]), tensor.Of[float32](after["y"])
	for i := range a {
		if d := a[i] - b[i]; d > 0.02 || d < -0.02 { // weights move by at most 2/254
			t.Errorf("output %d is %v, was %v", i, b[i], a[i])
		}
	}
}
