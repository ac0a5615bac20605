package engine

import (
	"slices"
	"testing"
)

// TestFused runs operators that ONNX Runtime's optimizer fused by the kernels of those that they stand for.
func TestFused(t *testing.T) {
	for _, c := range []struct {
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
	} {
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

// TestFusedOdd leaves a sum that grows to the definition, which refuses it.
func TestFusedOdd(t *testing.T) {
	k := newMaker(14)
	x := k.input(k.floats(1, 5, 24))
	k.output(k.node("com.microsoft.SkipLayerNormalization", []string{x, k.input(k.floats(3, 5, 24)), k.constant(k.floats(24))}))
	if err := k.agree(); err != nil {
		t.Error(err)
	}
}
