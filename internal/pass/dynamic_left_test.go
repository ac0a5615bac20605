package pass_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// leftCases are products whose constant w stands on the left, with the shapes of w and x; dynamic mode writes as many
// products of integers.
var leftCases = []struct {
	nodes    string
	w, x, y  string
	integers int
	rows     bool // each column of x has a scale of its own where that is asked for
}{
	{"y = MatMul (w, x)", "6,16", "16,4", "6,4", 1, true},
	{"y = MatMul (w, x)", "6,16", "3,16,4", "3,6,4", 1, true},
	{"y = MatMul (w, x)", "2,6,16", "16,4", "2,6,4", 1, true},
	{"y = MatMul (w, x)", "3,6,16", "2,1,16,4", "2,3,6,4", 1, true},
	{"y = MatMul (w, x)", "2,3,6,16", "2,3,16,4", "2,3,6,4", 1, true},
	{"y = MatMul (w, x)", "16", "3,16,4", "3,4", 1, false},
	{"y = MatMul (w, x)", "6,16", "16", "6", 1, false},
	{"y = MatMul (x, w)", "16", "3,4,16", "3,4", 1, false},
	{"y = Gemm <transA = 1> (w, x)", "16,6", "16,4", "6,4", 1, true},
	{"y = Gemm <transB = 1> (w, x, c)", "6,16", "4,16", "6,4", 1, true},
	{"y = Gemm <transA = 1, transB = 1> (w, x, c)", "16,6", "4,16", "6,4", 1, true},
	{"y = Gemm <alpha = 0.5> (w, x, c)", "6,16", "16,4", "6,4", 0, false},
	{"a = MatMul (w, x) b = MatMul (x, w) y = Add (a, b)", "16,16", "16,16", "16,16", 2, true},
	{"a = Gemm <transA = 1> (w, x) b = Gemm <transB = 1> (x, w) d = MatMul (w, x) y = Sum (a, b, d)", "16,16", "16,16", "16,16", 3, true},
}

// leftModel makes the network of a case; rows of w and columns of x differ in size.
func leftModel(t *testing.T, nodes, w, x, y string) (*graph.Model, map[string]*tensor.Tensor) {
	m, err := graph.ParseText(fmt.Sprintf(`<ir_version: 8, opset_import: ["" : 17]>
g (float[%s] x) => (float[%s] y) <float[%s] w, float[4] c> { %s }`, x, y, w, nodes))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	fill := func(text string) *tensor.Tensor {
		var shape []int
		for _, word := range strings.Split(text, ",") {
			n, err := strconv.Atoi(word)
			if err != nil {
				t.Fatal(err)
			}
			shape = append(shape, n)
		}
		v := make([]float32, tensor.Elements(shape))
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
		return tensor.Float32s(v, shape...)
	}
	m.Graph.SetConst("w", fill(w))
	m.Graph.SetConst("c", fill("4"))
	return m, map[string]*tensor.Tensor{"x": fill(x)}
}

// TestLeftWeights holds products with a constant on the left to the float network, in the modes that find no
// parameters of activations beforehand, and to the operators that they are to become.
func TestLeftWeights(t *testing.T) {
	for _, c := range leftCases {
		for _, mode := range []plan.Mode{plan.Dynamic, plan.Weights} {
			for _, block := range []format.Block{{}, {Kind: format.Channel}, {Kind: format.Group, Size: 8}} {
				for _, rows := range []bool{false, true} {
					if mode == plan.Weights && rows {
						continue
					}
					t.Run(fmt.Sprintf("%s w %s x %s %s %v %v", c.nodes, c.w, c.x, mode, block, rows), func(t *testing.T) {
						m, in := leftModel(t, c.nodes, c.w, c.x, c.y)
						want, err := op.Run(m, in, op.Options{})
						if err != nil {
							t.Fatal(err)
						}
						p := quantizeLeft(t, m, mode, block, rows)
						checkLeft(t, m, p, c.integers*boolInt(mode == plan.Dynamic && (block.Kind != format.Group || c.w == "16")))
						for _, n := range p.Nodes {
							if n.Op != "Add" && n.Op != "Sum" && (!n.Quantized || n.Rows != (rows && c.rows) && c.integers > 0) {
								t.Errorf("%s: quantized %v, by rows %v: %s", n.Name, n.Quantized, n.Rows, n.Reason)
							}
						}
						got, err := op.Run(m, in, op.Options{})
						if err != nil {
							t.Fatal(err)
						}
						if e := noiseOf(want["y"], got["y"]); e > 0.03 || e == 0 {
							t.Errorf("relative error %g", e)
						}
					})
				}
			}
		}
	}
}

func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}

// quantizeLeft writes int8 weights into a network and returns the plan.
func quantizeLeft(t *testing.T, m *graph.Model, mode plan.Mode, block format.Block, rows bool) *plan.Plan {
	t.Helper()
	if err := pass.Upgrade(m, 21); err != nil {
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
	set.Mode, set.Weights.Block = mode, block
	if rows {
		set.Acts.Block = format.Block{Kind: format.Channel}
	}
	p := plan.Decide(m, facts, set, nil)
	if err := p.Fit(m, nil, set, 1); err != nil {
		t.Fatal(err)
	}
	if err := pass.Quantize(m, p, ""); err != nil {
		t.Fatal(err)
	}
	return p
}

// checkLeft counts products of integers, and asks for weights in codes alone.
func checkLeft(t *testing.T, m *graph.Model, p *plan.Plan, integers int) {
	t.Helper()
	for _, n := range m.Graph.Nodes {
		if n.Op == "MatMulInteger" {
			integers--
		}
	}
	if integers != 0 {
		t.Errorf("%d products of integers are missing", integers)
	}
	if m.Graph.ConstTensor("w") != nil {
		t.Error("the float weight is still there")
	}
	for _, v := range p.Values {
		if v.Role == plan.RoleWeight && v.Block.Kind == format.Channel && len(v.Params) < 6 {
			t.Errorf("%s has %d scales by %v", v.As, len(v.Params), v.Block)
		}
	}
}

// noiseOf is the root of the squared differences as a share of the squares.
func noiseOf(want, got *tensor.Tensor) float64 {
	a, b := tensor.Of[float32](want), tensor.Of[float32](got)
	if len(a) != len(b) {
		return math.Inf(1)
	}
	var e, s float64
	for i, v := range a {
		e += (float64(v) - float64(b[i])) * (float64(v) - float64(b[i]))
		s += float64(v) * float64(v)
	}
	return math.Sqrt(e / s)
}
