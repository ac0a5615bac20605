package pass_test

import (
	"slices"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// recurrentModel is an LSTM of two inputs and two hidden units with constant weights.
func recurrentModel(dirs int) *graph.Model {
	g := &graph.Graph{Name: "g", In: []*graph.Value{{Name: "x", Type: graph.OfDims(tensor.Float32, []graph.Dim{graph.Unknown, graph.Known(1), graph.Known(2)})}},
		Out: []*graph.Value{{Name: "y", Type: graph.OfDims(tensor.Float32, []graph.Dim{graph.Unknown, graph.Known(dirs), graph.Known(1), graph.Known(2)})}}}
	for _, name := range []string{"w", "r"} {
		t := tensor.New(tensor.Float32, dirs, 8, 2)
		for i := range tensor.Of[float32](t) {
			tensor.Of[float32](t)[i] = float32(i%5) - 2
		}
		g.SetConst(name, t)
	}
	n := &graph.Node{Op: "LSTM", Name: "lstm", In: []string{"x", "w", "r"}, Out: []string{"y"}}
	n.SetAttr("hidden_size", int64(2))
	if dirs == 2 {
		n.SetAttr("direction", "bidirectional")
	}
	g.Nodes = []*graph.Node{n}
	return &graph.Model{IR: 8, Opsets: []graph.Opset{{Version: 14}}, Graph: g}
}

// TestDynamicContribLSTM writes LSTMs of one and two directions on codes, with a scale for each row of the gates
// and with one for all: the operator's weights stand for those of the plan, and the result stays near.
func TestDynamicContribLSTM(t *testing.T) {
	for _, c := range []struct {
		dirs    int
		channel bool
		params  []int // shape of the scales
	}{{1, true, []int{1, 8}}, {2, true, []int{2, 8}}, {1, false, []int{1}}, {2, false, []int{2}}} {
		m := recurrentModel(c.dirs)
		in := map[string]*tensor.Tensor{"x": tensor.Float32s([]float32{0.5, -1, 0.25, 1}, 2, 1, 2)}
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
		if !c.channel {
			set.Weights.Block = format.Block{}
		}
		p := plan.Decide(m, facts, set, nil)
		if err := p.Fit(m, nil, set, 1); err != nil {
			t.Fatal(err)
		}
		if err := pass.Quantize(m, p, "contrib"); err != nil {
			t.Fatal(err)
		}
		lstm := m.Graph.Nodes[len(m.Graph.Nodes)-1]
		if lstm.Op != "DynamicQuantizeLSTM" || len(lstm.In) != 12 {
			t.Fatalf("it is %s of %v", lstm.Op, lstm.In)
		}
		if scale := m.Graph.ConstTensor(lstm.In[8]); scale == nil || !slices.Equal(scale.Shape, c.params) {
			t.Errorf("%v: scales %v", c, scale)
		}
		if _, err := op.Infer(m, nil); err != nil {
			t.Error(err)
		}
		after, err := op.Run(m, in, op.Options{})
		if err != nil {
			t.Fatal(err)
		}
		a, b := tensor.Of[float32](before["y"]), tensor.Of[float32](after["y"])
		for i := range a {
			if d := a[i] - b[i]; d > 0.03 || d < -0.03 {
				t.Errorf("%v: output %d is %v, was %v", c, i, b[i], a[i])
			}
		}
	}
}

// TestDynamicKeepsWhatItPlans holds the dynamic form of an operator that has no integer form:
// both weights are stored as codes and read through DequantizeLinear, and the result stays near.
func TestDynamicKeepsWhatItPlans(t *testing.T) {
	m := recurrentModel(1)
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
