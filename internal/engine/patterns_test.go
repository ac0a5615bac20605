package engine

import (
	"math"
	"testing"
)

// TestPatterns writes functions in primitive operators, as exporters do, in several orders.
func TestPatterns(t *testing.T) {
	type of = func(k *maker, x string) string
	gate := func(k *maker, x string) string {
		arg := k.node("Div", []string{x, k.scalar(math.Sqrt2)})
		return k.node("Add", []string{k.node("Erf", []string{arg}), k.scalar(1)})
	}
	clip := func(k *maker, x string) string {
		return k.node("Clip", []string{k.node("Add", []string{k.scalar(3), x}), k.scalar(0), k.scalar(6)})
	}
	norm := func(square of, mean bool) of {
		return func(k *maker, x string) string {
			d := x
			if mean {
				d = k.node("Sub", []string{x, k.node("ReduceMean", []string{x}, "axes", []int64{-1})})
			}
			v := k.node("ReduceMean", []string{square(k, d)}, "axes", []int64{2})
			return k.node("Div", []string{d, k.node("Sqrt", []string{k.node("Add", []string{v, k.scalar(1e-3)})})})
		}
	}
	pow := func(k *maker, d string) string { return k.node("Pow", []string{d, k.scalar(2)}) }
	mul := func(k *maker, d string) string { return k.node("Mul", []string{d, d}) }
	for _, c := range []struct {
		name   string
		build  of
		kernel string
	}{
		{"gelu", func(k *maker, x string) string {
			return k.node("Mul", []string{k.node("Mul", []string{x, gate(k, x)}), k.scalar(0.5)})
		}, "Gelu"},
		{"gelu, half first", func(k *maker, x string) string {
			return k.node("Mul", []string{k.node("Mul", []string{x, k.scalar(0.5)}), gate(k, x)})
		}, "Gelu"},
		{"gelu, gate halved", func(k *maker, x string) string {
			return k.node("Mul", []string{x, k.node("Mul", []string{k.scalar(0.5), gate(k, x)})})
		}, "Gelu"},
		{"silu", func(k *maker, x string) string { return k.node("Mul", []string{k.node("Sigmoid", []string{x}), x}) }, "Silu"},
		{"hard swish by Div", func(k *maker, x string) string {
			return k.node("Div", []string{k.node("Mul", []string{x, clip(k, x)}), k.scalar(6)})
		}, "HardSwish"},
		{"hard swish by Mul", func(k *maker, x string) string {
			return k.node("Mul", []string{x, k.node("Mul", []string{clip(k, x), k.scalar(1.0 / 6)})})
		}, "HardSwish"},
		{"hard sigmoid", func(k *maker, x string) string { return k.node("Div", []string{clip(k, x), k.scalar(6)}) }, "HardSigmoid"},
		{"layer norm", func(k *maker, x string) string {
			y := k.node("Mul", []string{norm(pow, true)(k, x), k.constant(k.floats(24))})
			return k.node("Add", []string{y, k.constant(k.floats(24))})
		}, "f32 LayerNorm"},
		{"layer norm of products", norm(mul, true), "f32 LayerNorm"},
		{"rms norm", func(k *maker, x string) string {
			return k.node("Mul", []string{k.constant(k.floats(24)), norm(pow, false)(k, x)})
		}, "f32 RMSNorm"},
		{"rms norm by reciprocal", func(k *maker, x string) string {
			v := k.node("ReduceMean", []string{pow(k, x)}, "axes", []int64{-1})
			root := k.node("Sqrt", []string{k.node("Add", []string{v, k.scalar(1e-3)})})
			return k.node("Mul", []string{x, k.node("Reciprocal", []string{root})})
		}, "f32 RMSNorm"},
	} {
		t.Run(c.name, func(t *testing.T) {
			k := newMaker(11)
			k.output(c.build(k, k.input(k.floats(3, 5, 24))))
			steps := k.checkFloat(t)
			if len(steps) != 1 || steps[0].Kernel != c.kernel {
				t.Errorf("steps are %q, not one %q", kernelsOf(steps), c.kernel)
			}
		})
	}
}

// TestNoPattern keeps pieces that only look like a pattern.
func TestNoPattern(t *testing.T) {
	k := newMaker(12)
	x := k.input(k.floats(3, 5, 24))
	gate := k.node("Add", []string{k.node("Erf", []string{k.node("Div", []string{x, k.scalar(1.5)})}), k.scalar(1)})
	y := k.node("Mul", []string{k.node("Mul", []string{x, gate}), k.scalar(0.5)})
	s := k.node("Sigmoid", []string{x})
	k.output(y, s, k.node("Mul", []string{x, s}))
	for _, r := range k.checkFloat(t) {
		if r.Kernel == "Gelu" || r.Kernel == "Silu" {
			t.Errorf("%s is taken for %s", r.Node, r.Kernel)
		}
	}
}
