package op

import (
	"encoding/json"
	"math"
	"os"
	"strconv"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A goldenTensor is a tensor as testdata/make_golden.py writes it; numbers that JSON lacks are strings.
type goldenTensor struct {
	Type  string
	Shape []int
	Data  []any
}

func (g *goldenTensor) tensor(t *testing.T) *tensor.Tensor {
	t.Helper()
	if g == nil {
		return nil
	}
	d, ok := tensor.ParseDType(g.Type)
	if !ok {
		t.Fatalf("type %q", g.Type)
	}
	x := make([]float64, len(g.Data))
	for i, v := range g.Data {
		switch v := v.(type) {
		case float64:
			x[i] = v
		case bool:
			if v {
				x[i] = 1
			}
		case string:
			x[i], _ = strconv.ParseFloat(v, 64)
		}
	}
	out, err := fromFloats(d, x, g.Shape)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

type goldenCase struct {
	Name, Op, Domain string
	Opset            int
	Tol              float64
	Attrs            map[string]map[string]any
	In, Out          []*goldenTensor
	OutNames         []string
}

// node builds the case's node; inputs are named by position.
func (c *goldenCase) node() *graph.Node {
	n := node(c.Op, len(c.In), 0)
	n.Domain, n.Out = c.Domain, c.OutNames
	for name, v := range c.Attrs {
		for kind, x := range v {
			n.SetAttr(name, goldenAttr(kind, x))
		}
	}
	return n
}

func goldenAttr(kind string, x any) any {
	switch kind {
	case "int":
		return int64(x.(float64))
	case "float":
		return float32(x.(float64))
	case "ints":
		var list []int64
		for _, v := range x.([]any) {
			list = append(list, int64(v.(float64)))
		}
		return list
	case "floats":
		var list []float32
		for _, v := range x.([]any) {
			list = append(list, float32(v.(float64)))
		}
		return list
	}
	return x
}

func loadGolden(t *testing.T) []*goldenCase {
	t.Helper()
	b, err := os.ReadFile("testdata/golden.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []*goldenCase
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// TestGolden holds single nodes against what ONNX Runtime computes for them.
func TestGolden(t *testing.T) {
	for _, c := range loadGolden(t) {
		t.Run(c.Name, func(t *testing.T) {
			n := c.node()
			in := make([]*tensor.Tensor, len(c.In))
			for i, g := range c.In {
				in[i] = g.tensor(t)
			}
			m, feed := modelOf(n, c.Opset, in)
			m.Opsets[0].Domain = c.Domain
			var names []string
			for _, name := range n.Out {
				if name != "" {
					names = append(names, name)
				}
			}
			got, err := Run(m, feed, Options{Outputs: names})
			if err != nil {
				t.Fatal(err)
			}
			facts, err := Infer(m, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i, name := range names {
				compareGolden(t, name, got[name], c.Out[i].tensor(t), c.Tol)
				if typ := graph.TypeOf(got[name]); !facts[name].Accepts(typ) || facts[name].Kind == graph.NoType {
					t.Errorf("%s: inferred %s, is %s", name, facts[name].Type, typ)
				}
			}
		})
	}
}

// compareGolden allows tol code steps between integers and the relative error tol between floats.
func compareGolden(t *testing.T, name string, got, want *tensor.Tensor, tol float64) {
	t.Helper()
	if g, w := graph.TypeOf(got).String(), graph.TypeOf(want).String(); g != w {
		t.Fatalf("%s is %s, want %s", name, g, w)
	}
	g, err := floats(got)
	if err != nil {
		t.Fatal(err)
	}
	w, _ := floats(want)
	for i := range w {
		slack := tol
		if want.DType.IsFloat() {
			slack = tol * (1e-2 + math.Abs(w[i]))
		}
		if g[i] != w[i] && !(math.Abs(g[i]-w[i]) <= slack) && !(g[i] != g[i] && w[i] != w[i]) {
			t.Fatalf("%s[%d] is %v, want %v\ngot  %v\nwant %v", name, i, g[i], w[i], g, w)
		}
	}
}
