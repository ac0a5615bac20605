package op

import (
	"strconv"
	"strings"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// typed reads "N,3,8" as a float type; what is no number is a symbol, "?" an open dimension.
func typed(text string) graph.Type {
	var dims []graph.Dim
	for _, f := range strings.Split(text, ",") {
		if n, err := strconv.Atoi(f); err == nil {
			dims = append(dims, graph.Known(n))
		} else if f == "?" {
			dims = append(dims, graph.Unknown)
		} else {
			dims = append(dims, graph.Symbol(f))
		}
	}
	return graph.OfDims(tensor.Float32, dims)
}

// TestNetInferSymbols holds what inference says of shapes with symbols; types are those of the
// inputs and then of the outputs.
func TestNetInferSymbols(t *testing.T) {
	for _, c := range []struct {
		node  *graph.Node
		opset int
		in    []string
		want  []string
	}{
		{node("MatMul", 2, 1), 13, []string{"N,T,64", "64,8"}, []string{"N,T,8"}},
		{node("MatMul", 2, 1), 13, []string{"N,1,T,K", "H,K,T"}, []string{"N,H,T,T"}},
		{node("Gemm", 2, 1, "transB", int64(1)), 13, []string{"N,4", "5,4"}, []string{"N,5"}},
		{node("Einsum", 2, 1, "equation", "bij,bjk->bik"), 12, []string{"N,T,4", "N,4,U"}, []string{"N,T,U"}},
		{node("Conv", 2, 1, "pads", i64s(1, 1, 1, 1)), 11, []string{"N,3,H,W", "8,3,3,3"}, []string{"N,8,H,W"}},
		{node("Conv", 2, 1, "strides", i64s(2, 2)), 11, []string{"N,3,H,9", "8,3,3,3"}, []string{"N,8,?,4"}},
		{node("ConvTranspose", 2, 1, "strides", i64s(2), "pads", i64s(1, 1)), 11, []string{"N,3,H", "3,4,4"}, []string{"N,4,2*H"}},
		{node("MaxPool", 1, 2, "kernel_shape", i64s(2, 2), "strides", i64s(2, 2), "ceil_mode", int64(1)), 12, []string{"N,3,7,W"}, []string{"N,3,4,?", "N,3,4,?"}},
		{node("AveragePool", 1, 1, "kernel_shape", i64s(3), "auto_pad", "SAME_UPPER"), 11, []string{"N,3,W"}, []string{"N,3,W"}},
		{node("GlobalAveragePool", 1, 1), 11, []string{"N,C,H,W"}, []string{"N,C,1,1"}},
		{node("LayerNormalization", 2, 3), 17, []string{"N,T,8", "8"}, []string{"N,T,8", "N,T,1", "N,T,1"}},
		{node("LSTM", 3, 3, "hidden_size", int64(5), "direction", "bidirectional"), 14, []string{"T,N,4", "2,20,4", "2,20,5"}, []string{"T,2,N,5", "2,N,5", "2,N,5"}},
		{node("GRU", 3, 2, "layout", int64(1)), 14, []string{"N,T,4", "1,15,4", "1,15,5"}, []string{"N,T,1,5", "N,1,5"}},
		{node("Attention", 6, 3), 23, []string{"N,4,T,8", "N,2,T,8", "N,2,T,6", "1,1", "N,2,P,8", "N,2,P,6"}, []string{"N,4,T,6", "N,2,P+T,8", "N,2,P+T,6"}},
		{node("GridSample", 2, 1), 20, []string{"N,3,H,W", "N,4,U,2"}, []string{"N,3,4,U"}},
		{node("STFT", 2, 1), 17, []string{"N,L,1", "1"}, []string{"N,?,?,2"}},
		{node("CausalConvWithState", 2, 2), 27, []string{"N,C,T", "C,1,4"}, []string{"N,C,T", "N,C,3"}},
		{node("SoftmaxCrossEntropyLoss", 2, 2), 13, []string{"N,C,H", "N,H"}, []string{"", "N,C,H"}},
	} {
		t.Run(c.node.Op, func(t *testing.T) {
			in := &Inference{Node: c.node, Opset: c.opset}
			for _, s := range c.in {
				in.In = append(in.In, Fact{Type: typed(s)})
			}
			out, err := Lookup("", c.node.Op).Infer(in)
			if err != nil {
				t.Fatal(err)
			}
			for i, want := range c.want {
				w := graph.Of(tensor.Float32)
				if want != "" {
					w = typed(want)
				}
				w.DType = out[i].DType // the other tests look at it
				if out[i].Type.String() != w.String() {
					t.Errorf("output %d is %s, want %s", i, out[i].Type, w)
				}
			}
		})
	}
}

func TestNetInferScales(t *testing.T) {
	in := &Inference{Node: node("Resize", 3, 1), Opset: 13, In: []Fact{{Type: typed("N,3,H,7")}, {}, factOf(vec(1, 1, 2, 1.5))}}
	out, err := inferResize(in)
	if err != nil {
		t.Fatal(err)
	}
	if got := out[0].Type.String(); got != "float[N,3,2*H,10]" {
		t.Errorf("Resize gives %s", got)
	}
}
