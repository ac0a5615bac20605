package engine

import (
	"strings"
	"testing"

	"lowbit/internal/tensor"
)

// TestJoinTables computes x·sigmoid(x) with the sigmoid quantized on its own, and chains of tables, in one.
func TestJoinTables(t *testing.T) {
	for _, c := range []struct {
		name  string
		build func(k *maker, x string, d tensor.DType) string
	}{
		{"silu", func(k *maker, x string, d tensor.DType) string {
			return k.node("Mul", []string{x, k.quantized(k.node("Sigmoid", []string{x}), 1.0/256, 0, tensor.Uint8)})
		}},
		{"other order", func(k *maker, x string, d tensor.DType) string {
			return k.node("Mul", []string{k.quantized(k.node("Tanh", []string{x}), 1.0/128, 3, d), x})
		}},
		{"twice itself", func(k *maker, x string, d tensor.DType) string { return k.node("Add", []string{x, x}) }},
		{"chain", func(k *maker, x string, d tensor.DType) string {
			return k.node("Sigmoid", []string{k.quantized(k.node("Tanh", []string{x}), 1.0/100, 5, d)})
		}},
	} {
		for _, d := range []tensor.DType{tensor.Uint8, tensor.Int8} {
			t.Run(c.name+" "+d.String(), func(t *testing.T) {
				k := newMaker(9)
				k.output(k.quantized(c.build(k, k.codesIn(d, 2, 8, 5, 7), d), outScale/4, zeroFor(d), d))
				steps := k.checkSteps(t, outScale/4)
				wantKernels(t, steps, "u8 table")
				tables := 0
				for _, s := range steps {
					if strings.HasPrefix(s.Kernel, "u8 Mul") || strings.HasPrefix(s.Kernel, "u8 Add") {
						t.Errorf("%s is computed by %q", s.Node, s.Kernel)
					}
					if s.Kernel == "u8 table" {
						tables++
					}
				}
				if tables != 1 {
					t.Errorf("%d tables: %v", tables, kernelsOf(steps))
				}
			})
		}
	}
}
