package engine

import (
	"strings"
	"testing"

	"lowbit/internal/tensor"
)

// transformerCases are ONNX Runtime's operators of transformers, by name.
var transformerCases = map[string]func(k *maker) []string{
	"skip": func(k *maker) []string {
		x, skip := k.input(k.floats(2, rows, hidden)), k.input(k.floats(1, rows, hidden))
		y := k.node("com.microsoft.SkipSimplifiedLayerNormalization", []string{x, skip, k.constant(k.floats(hidden)), k.constant(k.floats(hidden))}, "epsilon", float32(1e-5))
		n := k.m.Graph.Nodes[0]
		n.Out = append(n.Out, "", "", "sum")
		return []string{y, "sum"}
	},
	"rms": func(k *maker) []string {
		return []string{k.node("SimplifiedLayerNormalization", []string{k.input(k.floats(2, rows, hidden)), k.constant(k.floats(hidden))})}
	},
	"multi-head": func(k *maker) []string {
		in := []string{k.input(k.floats(2, rows, hidden)), k.input(k.floats(2, keys, hidden)), k.input(k.floats(2, keys, 9)), k.constant(k.floats(2*hidden + 9))}
		return []string{k.node("com.microsoft.MultiHeadAttention", append(in, maskOf(k, 2, keys), k.input(k.floats(1, 3, rows, keys))), headsOf()...)}
	},
	"mask of rows": func(k *maker) []string {
		in := []string{k.input(k.floats(1, rows, hidden)), k.input(k.floats(1, keys, hidden)), k.input(k.floats(1, keys, hidden)), ""}
		return []string{k.node("com.microsoft.MultiHeadAttention", append(in, maskOf(k, 1, rows, keys)), headsOf("scale", float32(0.3), "mask_filter_value", float32(-2))...)}
	},
	"past": func(k *maker) []string {
		x := k.input(k.floats(1, rows, hidden))
		past := k.input(k.floats(1, 3, 2, hidden/3))
		return []string{k.node("com.microsoft.MultiHeadAttention", []string{x, x, x, "", "", "", past, past}, headsOf()...)}
	},
	"projected": func(k *maker) []string {
		in := []string{k.input(k.floats(2, rows, 10)), k.constant(k.floats(10, 3*hidden)), k.constant(k.floats(3 * hidden))}
		return []string{k.node("com.microsoft.Attention", in, headsOf("unidirectional", int64(1))...)}
	},
	"projected behind a past": func(k *maker) []string {
		y := k.node("com.microsoft.Attention", k.projected(2, maskOf(k, 2, rows+4), k.input(k.floats(2, 2, 3, 4, hidden/3))), headsOf("unidirectional", int64(1), "scale", float32(0.3))...)
		n := k.m.Graph.Nodes[0]
		n.Out = append(n.Out, "present")
		return []string{y, "present"}
	},
	"projected, to be a past": func(k *maker) []string {
		y := k.node("com.microsoft.Attention", k.projected(1), headsOf()...)
		n := k.m.Graph.Nodes[0]
		n.Out = append(n.Out, "present")
		return []string{y, "present"}
	},
	"projected, lengths": func(k *maker) []string {
		return []string{k.node("com.microsoft.Attention", k.projected(2, k.input(tensor.Wrap(tensor.Int32, []int32{3, 5}, 2))), headsOf()...)}
	},
	"projected, ends and starts": func(k *maker) []string {
		return []string{k.node("com.microsoft.Attention", k.projected(2, k.input(tensor.Wrap(tensor.Int32, []int32{3, 5, 1, 0}, 4))), headsOf("mask_filter_value", float32(-3))...)}
	},
	"projected, cumulated lengths": func(k *maker) []string {
		return []string{k.node("com.microsoft.Attention", k.projected(1, k.input(tensor.Wrap(tensor.Int32, []int32{4, 0, 4, 0, 4}, 5))), headsOf()...)}
	},
	"of codes": func(k *maker) []string {
		return []string{k.node("com.microsoft.QAttention", k.projectedCodes(2, tensor.Int8, false, maskOf(k, 2, rows)), headsOf("unidirectional", int64(1))...)}
	},
	"of codes by columns, behind a past": func(k *maker) []string {
		in := k.projectedCodes(2, tensor.Uint8, true, maskOf(k, 2, rows+4))
		y := k.node("com.microsoft.QAttention", append(in, k.input(k.floats(2, 2, 3, 4, hidden/3))), headsOf("scale", float32(0.3))...)
		n := k.m.Graph.Nodes[0]
		n.Out = append(n.Out, "present")
		return []string{y, "present"}
	},
	"of codes, lengths": func(k *maker) []string {
		return []string{k.node("com.microsoft.QAttention", k.projectedCodes(2, tensor.Uint8, false, k.input(tensor.Wrap(tensor.Int32, []int32{3, 5}, 2))), headsOf()...)}
	},
}

// projectedCodes lists the operands of a QAttention but for the past, its weights with scales and zero points by columns or not.
func (k *maker) projectedCodes(batch int, d tensor.DType, columns bool, mask string) []string {
	var shape []int
	if columns {
		shape = []int{3 * hidden}
	}
	scale := tensor.New(tensor.Float32, shape...)
	for i := range tensor.Of[float32](scale) {
		tensor.Of[float32](scale)[i] = 0.001 + k.rng.Float32()/100
	}
	return []string{k.input(k.codes(tensor.Uint8, 0, 255, batch, rows, 10)), k.constant(k.codes(d, -128, 127, 10, 3*hidden)), k.constant(k.floats(3 * hidden)),
		k.scalar(0.02), k.constant(scale), mask, k.constant(k.codes(tensor.Uint8, 100, 150)), k.constant(k.codes(d, 90, 120, shape...))}
}

// projected lists input, weights and bias of an Attention, and what is behind them.
func (k *maker) projected(batch int, rest ...string) []string {
	return append([]string{k.input(k.floats(batch, rows, 10)), k.constant(k.floats(10, 3*hidden)), k.constant(k.floats(3 * hidden))}, rest...)
}

const rows, keys, hidden = 5, 7, 24

func maskOf(k *maker, shape ...int) string { return k.input(k.codes(tensor.Int32, 0, 1, shape...)) }

func headsOf(more ...any) []any { return append([]any{"num_heads", int64(3)}, more...) }

// TestTransformerOperators holds what is written for them against their definitions, and asks that nothing of them
// is left to these.
func TestTransformerOperators(t *testing.T) {
	for name, build := range transformerCases {
		t.Run(name, func(t *testing.T) {
			k := newMaker(9)
			k.output(build(k)...)
			for _, s := range k.checkFloat(t) {
				if s.Kernel == "reference" && (strings.Contains(s.Op, "Attention") || strings.Contains(s.Op, "Normalization") || strings.Contains(s.Op, "MatMul")) {
					t.Errorf("%s %s runs by its definition", s.Op, s.Node)
				}
			}
		})
	}
}
