package engine

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// fusedCases are operators that ONNX Runtime's optimizer fused.
var fusedCases = []struct {
	name, kernel string // one of the kernels that it takes
	build        func(k *maker) string
}{
	{"convolution, sum and function", "", func(k *maker) string {
		x, z := k.input(k.floats(1, 8, 6, 6)), k.input(k.floats(1, 8, 6, 6))
		return k.node("com.microsoft.FusedConv", []string{x, k.constant(k.floats(8, 8, 3, 3)), k.constant(k.floats(8)), z}, "pads", []int64{1, 1, 1, 1}, "activation", "LeakyRelu", "activation_params", []float32{0.25})
	}},
	{"convolution between bounds", "", func(k *maker) string {
		return k.node("com.microsoft.FusedConv", []string{k.input(k.floats(1, 8, 6, 6)), k.constant(k.floats(8, 8, 1, 1))}, "activation", "Clip", "activation_params", []float32{-0.5, 0.5})
	}},
	{"product and function", "", func(k *maker) string {
		return k.node("com.microsoft.FusedGemm", []string{k.input(k.floats(3, 24)), k.constant(k.floats(16, 24)), k.constant(k.floats(16))}, "transB", int64(1), "activation", "HardSigmoid", "activation_alpha", float32(0.3), "activation_beta", float32(0.6))
	}},
	{"product of transposed operands", "", func(k *maker) string {
		return k.node("com.microsoft.FusedMatMul", []string{k.input(k.floats(2, 24, 5)), k.input(k.floats(2, 7, 24))}, "transA", int64(1), "transB", int64(1), "alpha", float32(0.125))
	}},
	{"product with the batch behind", "", func(k *maker) string {
		return k.node("com.microsoft.FusedMatMul", []string{k.input(k.floats(5, 2, 24)), k.constant(k.floats(2, 24, 7))}, "transBatchA", int64(1))
	}},
	{"bias and Gelu", "Gelu", func(k *maker) string {
		return k.node("com.microsoft.BiasGelu", []string{k.input(k.floats(3, 5, 24)), k.constant(k.floats(24))})
	}},
	{"bias and Gelu by tanh", "GeluTanh", func(k *maker) string {
		return k.node("com.microsoft.FastGelu", []string{k.input(k.floats(3, 5, 24)), k.constant(k.floats(24))})
	}},
	{"SiLU", "Silu", func(k *maker) string {
		return k.node("com.microsoft.QuickGelu", []string{k.input(k.floats(3, 5, 24))}, "alpha", float32(1))
	}},
	{"Gelu by a sigmoid", "", func(k *maker) string {
		return k.node("com.microsoft.QuickGelu", []string{k.input(k.floats(3, 5, 24))})
	}},
	{"sums and layer norm", "f32 LayerNorm", func(k *maker) string {
		x := k.input(k.floats(3, 5, 24))
		return k.node("com.microsoft.SkipLayerNormalization", []string{x, k.input(k.floats(3, 5, 24)), k.constant(k.floats(24)), k.constant(k.floats(24)), k.constant(k.floats(24))}, "epsilon", float32(1e-3))
	}},
	{"sum and rms norm", "f32 RMSNorm", func(k *maker) string {
		x := k.input(k.floats(3, 5, 24))
		return k.node("com.microsoft.SkipSimplifiedLayerNormalization", []string{x, k.input(k.floats(3, 5, 24)), k.constant(k.floats(24))}, "epsilon", float32(1e-3))
	}},
}

// TestFused runs them by the kernels of the operators that they stand for.
func TestFused(t *testing.T) {
	for _, c := range fusedCases {
		t.Run(c.name, func(t *testing.T) {
			k := newMaker(13)
			k.output(c.build(k))
			names := kernelsOf(k.checkFloat(t))
			if slices.Contains(names, "reference") || c.kernel != "" && !slices.Contains(names, c.kernel) {
				t.Errorf("steps are %q", names)
			}
		})
	}
}

// TestOddOperators changes one constant, attribute, operand or input of ONNX Runtime's operators: the engine gives
// what the definitions give, or refuses what they refuse.
func TestOddOperators(t *testing.T) {
	builds := map[string]func(k *maker) []string{}
	for name, build := range transformerCases {
		builds[name] = build
	}
	for _, c := range fusedCases {
		builds[c.name] = func(k *maker) []string { return []string{c.build(k)} }
	}
	for name, build := range builds {
		for seed := range uint64(200) {
			k, r := newMaker(seed), rand.New(rand.NewPCG(seed, 5))
			k.output(build(k)...)
			what := ""
			if len(k.m.Graph.Consts()) > 0 && r.IntN(2) == 0 {
				what = k.spoil(r)
			} else {
				v := oneOf(r, k.m.Graph.In...)
				k.in[v.Name] = spoilt(r, k.in[v.Name])
				v.Type = graph.Unranked(k.in[v.Name].DType)
				what = fmt.Sprintf("input %s as %s", v.Name, k.in[v.Name])
			}
			if k.overflows() {
				continue
			}
			if err := k.agree(); err != nil {
				t.Errorf("%s, seed %d, with %s: %v", name, seed, what, err)
			}
		}
	}
}

// overflows says whether squares leave float32, in which the engine normalises and the definitions do not.
func (k *maker) overflows() bool {
	huge := func(t *tensor.Tensor) bool {
		return t.DType == tensor.Float32 && slices.ContainsFunc(tensor.Of[float32](t), func(v float32) bool { return v > 1e18 })
	}
	return slices.ContainsFunc(k.m.Graph.Consts(), func(c *graph.Const) bool { return huge(c.Tensor) }) ||
		slices.ContainsFunc(k.m.Graph.In, func(v *graph.Value) bool { return huge(k.in[v.Name]) })
}
