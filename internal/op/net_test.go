package op

import (
	"math"
	"slices"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A netCase is one node with its inputs; want is the first output, nil where an error is expected.
type netCase struct {
	name  string
	node  *graph.Node
	opset int
	in    []*tensor.Tensor
	want  []float32
	shape []int
}

// node builds a node of the operator with inputs named a, b, c and so on; out outputs.
func node(op string, in, out int, attrs ...any) *graph.Node {
	n := &graph.Node{Op: op}
	for i := range in {
		n.In = append(n.In, string(rune('a'+i)))
	}
	for i := range out {
		n.Out = append(n.Out, string(rune('p'+i)))
	}
	for i := 0; i < len(attrs); i += 2 {
		n.SetAttr(attrs[i].(string), attrs[i+1])
	}
	return n
}

// modelOf wraps a node as a model whose inputs have the types of the given values; an input
// whose value is nil is left out of the node.
func modelOf(n *graph.Node, opset int, in []*tensor.Tensor) (*graph.Model, map[string]*tensor.Tensor) {
	g := &graph.Graph{Name: "g", Nodes: []*graph.Node{n}}
	feed := map[string]*tensor.Tensor{}
	for i, t := range in {
		if t == nil {
			n.In[i] = ""
			continue
		}
		g.In = append(g.In, &graph.Value{Name: n.In[i], Type: graph.TypeOf(t)})
		feed[n.In[i]] = t
	}
	for _, name := range n.Out {
		g.Out = append(g.Out, &graph.Value{Name: name})
	}
	return &graph.Model{IR: 10, Opsets: []graph.Opset{{Version: opset}}, Graph: g}, feed
}

// ramp returns a float tensor that counts from start.
func ramp(start float32, shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	for i := range tensor.Of[float32](t) {
		tensor.Of[float32](t)[i] = start + float32(i)
	}
	return t
}

func vec(v ...float32) *tensor.Tensor { return tensor.Float32s(v, len(v)) }

func i64s(v ...int64) []int64 { return v }

func TestNetCases(t *testing.T) {
	for _, c := range netCases {
		t.Run(c.name, func(t *testing.T) { c.check(t) })
	}
}

// version is the opset of the case; 22 where it says none.
func (c *netCase) version() int {
	if c.opset == 0 {
		return 22
	}
	return c.opset
}

func (c *netCase) check(t *testing.T) {
	n := *c.node
	n.In = slices.Clone(n.In)
	m, feed := modelOf(&n, c.version(), c.in)
	facts, inferErr := Infer(m, nil)
	out, err := Run(m, feed, Options{})
	if c.want == nil {
		if err == nil {
			t.Fatal("no error")
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if inferErr != nil {
		t.Fatalf("infer: %v", inferErr)
	}
	for _, name := range c.node.Out {
		if f := facts[name].Type; !f.Accepts(graph.TypeOf(out[name])) {
			t.Errorf("output %s is %s, inferred %s", name, out[name], f)
		}
	}
	got := out[c.node.Out[0]]
	if c.shape != nil && !graph.Of(got.DType, c.shape...).Accepts(graph.TypeOf(got)) {
		t.Errorf("shape %v, want %v", got.Shape, c.shape)
	}
	x, err := floats(got)
	if err != nil || len(x) != len(c.want) {
		t.Fatalf("got %v %v, want %v", x, err, c.want)
	}
	for i, v := range c.want {
		if d := math.Abs(x[i] - float64(v)); d > 1e-5 || d != d && x[i] != float64(v) {
			t.Fatalf("got %v, want %v", x, c.want)
		}
	}
}
