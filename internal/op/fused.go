package op

import (
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// fusedActivations are the functions that FusedConv and FusedGemm may apply, by name, with the attributes that
// their parameters are.
var fusedActivations = map[string]struct {
	params []string
	of     func(p []float32) func(float64) float64
}{
	"Relu":    {nil, func([]float32) func(float64) float64 { return relu }},
	"Tanh":    {nil, func([]float32) func(float64) float64 { return math.Tanh }},
	"Sigmoid": {nil, func([]float32) func(float64) float64 { return sigmoid }},
	"LeakyRelu": {[]string{"alpha"}, func(p []float32) func(float64) float64 {
		return leakyRelu(&graph.Node{Attrs: []*graph.Attr{{Name: "alpha", Value: p[0]}}})
	}},
	"Clip": {[]string{"min", "max"}, func(p []float32) func(float64) float64 {
		return func(x float64) float64 { return clamp(x, float64(p[0]), float64(p[1])) }
	}},
	"HardSigmoid": {[]string{"alpha", "beta"}, func(p []float32) func(float64) float64 {
		return func(x float64) float64 { return clamp(float64(p[0])*x+float64(p[1]), 0, 1) }
	}},
}

// fusedActivation returns the function of parameters p that a node's attribute activation names; nil if none.
func fusedActivation(n *graph.Node, p []float32) (func(float64) float64, error) {
	name := n.Str("activation", "")
	if name == "" {
		return nil, nil
	}
	a, ok := fusedActivations[name]
	if !ok {
		return nil, unsupportedf("activation %q", name)
	}
	if len(p) < len(a.params) {
		return nil, invalidf("activation %q with %d parameters, %d are needed", name, len(p), len(a.params))
	}
	return a.of(p), nil
}

// evalFusedConv is Conv, plus Z of the result's shape, then an activation.
func evalFusedConv(c *Call) ([]*tensor.Tensor, error) {
	f, err := fusedActivation(c.Node, c.Floats("activation_params"))
	if err != nil {
		return nil, err
	}
	out, err := evalConv(&Call{Node: c.Node, Opset: c.Opset, In: c.In[:min(3, len(c.In))]})
	if err != nil {
		return nil, err
	}
	y := out[0]
	if z := c.Input(3); z != nil {
		if err := wantShape("input Z", z, y.Shape...); err != nil {
			return nil, err
		}
		if y, err = addArith.apply(y, z); err != nil {
			return nil, err
		}
	}
	if f == nil {
		return one(y, nil)
	}
	return one(mapFloats(y, f))
}

// evalFusedGemm is Gemm, then an activation, whose parameters are attributes of their own.
func evalFusedGemm(c *Call) ([]*tensor.Tensor, error) {
	f, err := fusedActivation(c.Node, gemmActivation(c.Node))
	if err != nil {
		return nil, err
	}
	out, err := evalGemm(c)
	if err != nil || f == nil {
		return out, err
	}
	return one(mapFloats(out[0], f))
}

// gemmActivation returns the parameters of the activation of a FusedGemm.
func gemmActivation(n *graph.Node) []float32 {
	var p []float32
	for _, name := range []string{"activation_alpha", "activation_beta"} {
		if n.Has(name) {
			p = append(p, n.Float(name, 0))
		}
	}
	return p
}

// fusedOrder returns the order of the axes that a matrix operand of FusedMatMul takes: with
// batch, the first axis moves behind the batch axes; with swap, the last two change places.
func fusedOrder(rank int, swap, batch bool) []int {
	order := make([]int, rank)
	for i := range order {
		order[i] = i
	}
	if rank < 2 {
		return order
	}
	if batch {
		order = moved(order, 0, rank-2)
	}
	if swap {
		order[rank-1], order[rank-2] = order[rank-2], order[rank-1]
	}
	return order
}

// evalFusedMatMul is alpha times the product of operands that are transposed first.
func evalFusedMatMul(c *Call) ([]*tensor.Tensor, error) {
	var in [2]*tensor.Tensor
	for i, side := range []string{"A", "B"} {
		t := c.In[i]
		order := fusedOrder(t.Rank(), c.Bool("trans"+side, false), c.Bool("transBatch"+side, false))
		var err error
		if in[i], err = permute(t, order); err != nil {
			return nil, err
		}
	}
	s, err := newMatmul(in[0].Shape, in[1].Shape)
	if err != nil {
		return nil, err
	}
	v, err := floatsOf(in[0], in[1])
	if err != nil {
		return nil, err
	}
	y := multiply(s, v[0], v[1])
	alpha := float64(c.Float("alpha", 1))
	for i := range y {
		y[i] *= alpha
	}
	return one(fromFloats(in[0].DType, y, s.out))
}

func inferFusedMatMul(c *Inference) ([]Fact, error) {
	in := []Fact{c.Input(0), c.Input(1)}
	for i, side := range []string{"A", "B"} {
		order := fusedOrder(len(in[i].Shape), c.Bool("trans"+side, false), c.Bool("transBatch"+side, false))
		dims := make([]graph.Dim, len(order))
		for k, from := range order {
			dims[k] = in[i].Shape[from]
		}
		if in[i].Ranked {
			in[i] = Fact{Type: graph.OfDims(in[i].DType, dims)}
		}
	}
	return inferProduct(in[0].DType, in[0], in[1])
}
