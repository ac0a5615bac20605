package op

import (
	"math/rand/v2"
	"slices"
	"testing"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// transformerOps are the operators that optimizers of transformers write, and others of their domain.
var transformerOps = []string{
	"SimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization", "EmbedLayerNormalization", "RotaryEmbedding",
	"MultiHeadAttention", "Attention", "GroupQueryAttention", "QAttention", "QEmbedLayerNormalization", "DecoderMaskedMultiHeadAttention", "MoE", "QMoE", "MRotaryEmbedding",
	"LinearAttention", "LinearAttentionGate", "CausalConvWithState", "GatedRMSNorm", "CropAndResize", "Inverse", "CDist", "NGramRepeatBlock", "MurmurHash3", "ExpandDims", "Range", "Unique",
}

// TestTransformerHostile mutates the golden cases of these operators: each mutant ends in a result of the
// inferred type or in a classified error.
func TestTransformerHostile(t *testing.T) {
	defer func(n int) { sizeLimit = n }(sizeLimit)
	sizeLimit = 1 << 22
	rounds := 200
	if testing.Short() {
		rounds = 40
	}
	seen := map[string]bool{}
	for i, g := range loadGolden(t) {
		if !slices.Contains(transformerOps, g.Op) {
			continue
		}
		seen[g.Op] = true
		t.Run(g.Name, func(t *testing.T) {
			c := &netCase{node: g.node(), opset: g.Opset}
			if k := slices.Index(c.node.Out, ""); k >= 0 {
				c.node.Out = c.node.Out[:k]
			}
			for _, x := range g.In {
				c.in = append(c.in, x.tensor(t))
			}
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for range rounds {
				n, in := c.mutant(r)
				hostileRun(t, n, in, c.version())
			}
		})
	}
	for _, name := range transformerOps {
		if !seen[name] {
			t.Errorf("%s has no case", name)
		}
	}
}

func i32(shape []int, v ...int32) *tensor.Tensor { return tensor.Wrap(tensor.Int32, v, shape...) }

func contribNode(op string, in, out int, attrs ...any) *graph.Node {
	n := node(op, in, out, attrs...)
	n.Domain = microsoft
	return n
}

// TestTransformerRefusals holds which kind of error odd operands and options give.
func TestTransformerRefusals(t *testing.T) {
	two, one := int64(2), int64(1)
	q, pos, table := ramp(0, 1, 2, 4), tensor.Int64s(i64s(0, 9), 1, 2), ramp(0, 4, 1)
	gqa := func(out int, attrs ...any) *graph.Node {
		return contribNode("GroupQueryAttention", 7, out, append([]any{"num_heads", two, "kv_num_heads", two}, attrs...)...)
	}
	past, last := ramp(0, 1, 2, 3, 2), i32(dims(1), 4)
	for _, c := range []struct {
		name string
		node *graph.Node
		in   []*tensor.Tensor
		want fault.Kind
	}{
		{"position outside", contribNode("RotaryEmbedding", 4, 1), ins(q, pos, table, table), fault.Invalid},
		{"caches for other heads", contribNode("RotaryEmbedding", 4, 1, "num_heads", one), ins(q, pos, table, table), fault.Invalid},
		{"ragged batches", contribNode("RotaryEmbedding", 4, 1, "is_packed_batching", one), ins(q, pos, table, table), fault.Unsupported},
		{"heads that do not divide", contribNode("MultiHeadAttention", 3, 1, "num_heads", int64(3)), ins(q, q, q), fault.Invalid},
		{"heads beyond all numbers", contribNode("MultiHeadAttention", 3, 1, "num_heads", int64(1<<40)), ins(q, q, q), fault.Invalid},
		{"query alone", contribNode("MultiHeadAttention", 1, 1, "num_heads", two), ins(q), fault.Unsupported},
		{"mask of other keys", contribNode("MultiHeadAttention", 5, 1, "num_heads", two), ins(q, q, q, nil, i32(dims(1, 3), 1, 1, 1)), fault.Invalid},
		{"mask of four dimensions", contribNode("MultiHeadAttention", 5, 1, "num_heads", two), ins(q, q, q, nil, i32(dims(1, 1, 2, 2), 1, 1, 1, 1)), fault.Unsupported},
		{"bias of few scores", contribNode("MultiHeadAttention", 6, 1, "num_heads", two), ins(q, q, q, nil, nil, ramp(0, 1, 1, 2, 1)), fault.Invalid},
		{"backwards only, other keys", contribNode("MultiHeadAttention", 3, 1, "num_heads", two, "unidirectional", one), ins(q, ramp(0, 1, 3, 4), ramp(0, 1, 3, 4)), fault.Unsupported},
		{"weights not of three", contribNode("Attention", 2, 1, "num_heads", two), ins(q, ramp(0, 4, 10)), fault.Invalid},
		{"rotary in Attention", contribNode("Attention", 2, 1, "num_heads", two, "do_rotary", one), ins(q, ramp(0, 4, 12)), fault.Unsupported},
		{"past of another size", contribNode("Attention", 5, 1, "num_heads", two), ins(q, ramp(0, 4, 12), nil, nil, ramp(0, 2, 1, 2, 1, 3)), fault.Invalid},
		{"word outside", contribNode("EmbedLayerNormalization", 7, 1), ins(i32(dims(1, 2), 0, 4), nil, table, table, nil, vec(1), vec(0)), fault.Invalid},
		{"more tokens than positions", contribNode("EmbedLayerNormalization", 7, 1), ins(i32(dims(1, 5), 0, 0, 0, 0, 0), nil, table, table, nil, vec(1), vec(0)), fault.Invalid},
		{"skip that does not broadcast", contribNode("SkipSimplifiedLayerNormalization", 3, 1), ins(q, ramp(0, 1, 3, 4), vec(1, 1, 1, 1)), fault.Invalid},
		{"total beyond all rows", gqa(1), ins(q, q, q, past, past, last, i32(dims(), 1<<30)), fault.Invalid},
		{"more past than there is", gqa(1), ins(q, q, q, past, past, i32(dims(1), 5), i32(dims(), 5)), fault.Invalid},
		{"length below zero", gqa(1), ins(q, q, q, past, past, i32(dims(1), -7), i32(dims(), 5)), fault.Invalid},
		{"past of other heads", gqa(1), ins(q, q, q, ramp(0, 1, 1, 3, 2), ramp(0, 1, 1, 3, 2), last, i32(dims(), 5)), fault.Invalid},
		{"no caches for rotation", gqa(1, "do_rotary", one), ins(q, q, q, past, past, last, i32(dims(), 5)), fault.Invalid},
		{"window of nothing", gqa(1, "local_window_size", int64(0)), ins(q, q, q, past, past, last, i32(dims(), 5)), fault.Unsupported},
		{"cache of codes", gqa(1, "k_quant_type", "PER_TENSOR"), ins(q, q, q, past, past, last, i32(dims(), 5)), fault.Unsupported},
		{"scores wanted", gqa(4, "qk_output", one), ins(q, q, q, past, past, last, i32(dims(), 5)), fault.Unsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, feed := modelOf(c.node, 21, c.in)
			_, err := Run(m, feed, Options{})
			if err == nil || fault.KindOf(err) != c.want {
				t.Errorf("got %v of kind %v, want kind %v", err, fault.KindOf(err), c.want)
			}
		})
	}
}

// TestTransformerSymbols holds what inference says of shapes with symbols.
func TestTransformerSymbols(t *testing.T) {
	two := int64(2)
	for _, c := range []struct {
		node *graph.Node
		in   []string
		want []string
	}{
		{node("SimplifiedLayerNormalization", 2, 2), []string{"N,T,8", "8"}, []string{"N,T,8", "N,T,1"}},
		{contribNode("SkipSimplifiedLayerNormalization", 3, 4), []string{"N,T,8", "N,T,8", "8"}, []string{"N,T,8", "N,T,1", "N,T,1", "N,T,8"}},
		{contribNode("MultiHeadAttention", 8, 3, "num_heads", two), []string{"N,T,8", "N,T,8", "N,T,6", "", "", "", "N,2,P,4", "N,2,P,3"},
			[]string{"N,T,6", "N,2,P+T,4", "N,2,P+T,3"}},
		{contribNode("Attention", 2, 2, "num_heads", two), []string{"N,T,5", "5,24"}, []string{"N,T,8", "2,N,2,T,4"}},
		{contribNode("GroupQueryAttention", 7, 3, "num_heads", int64(4), "kv_num_heads", two), []string{"N,T,32", "", "", "N,2,P,4", "N,2,P,4", "N", "1"},
			[]string{"N,T,16", "N,2,?,4", "N,2,?,4"}},
	} {
		t.Run(c.node.Op, func(t *testing.T) {
			in := &Inference{Node: c.node, Opset: 1}
			for _, s := range c.in {
				f := Fact{}
				if s != "" {
					f.Type = typed(s)
				}
				in.In = append(in.In, f)
			}
			for i, s := range c.in {
				if s == "" {
					c.node.In[i] = ""
				}
			}
			out, err := Lookup(c.node.Domain, c.node.Op).Infer(in)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range c.want {
				if got := out[i].Type.String(); got != typed(want).String() {
					t.Errorf("output %d is %s, want %s", i, got, typed(want))
				}
			}
		})
	}
}
