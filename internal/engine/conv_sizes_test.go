package engine

import (
	"fmt"
	"math"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// TestPlanesOfOtherSizes runs convolutions over planes on images of several sizes in one session, of floats and of
// codes that are quantized in the run: weights are packed once, but planes are of one size.
func TestPlanesOfOtherSizes(t *testing.T) {
	for _, kind := range []string{"Conv", "ConvInteger"} {
		for _, attrs := range [][]any{{"pads", []int64{1, 1, 1, 1}}, {"strides", []int64{2, 1}, "auto_pad", "SAME_UPPER"}} {
			k := newMaker(3)
			x := k.input(k.floats(1, 6, 50, 50))
			for i, name := range []string{"H", "W"} {
				k.m.Graph.In[0].Type.Shape[2+i] = graph.Symbol(name)
			}
			if kind == "Conv" {
				k.output(k.node(kind, []string{x, k.constant(k.floats(3, 6, 3, 3))}, attrs...))
			} else {
				k.m.Graph.Nodes = append(k.m.Graph.Nodes, &graph.Node{Op: "DynamicQuantizeLinear", In: []string{x}, Out: []string{"q", "s", "z"}})
				sums := k.node(kind, []string{"q", k.constant(k.codes(tensor.Int8, -128, 127, 3, 6, 3, 3)), "z"}, attrs...)
				k.output(k.node("Mul", []string{k.node("Cast", []string{sums}, "to", int64(tensor.Float32)), "s"}))
			}
			s, err := Compile(k.m, Options{Threads: 2})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			for _, size := range [][]int{{50, 50}, {41, 60}, {60, 34}, {50, 50}, {1, 700}} {
				k.in[x] = k.floats(1, 6, size[0], size[1])
				want, err := op.Run(k.m, k.in, op.Options{})
				if err != nil {
					t.Fatal(err)
				}
				got, err := s.Run(t.Context(), k.in)
				if err != nil {
					t.Fatal(kind, attrs, size, err)
				}
				for name, w := range want {
					g, most, far := asFloats(got[name]), 0.0, 0.0
					for i, v := range asFloats(w) {
						most, far = max(most, math.Abs(float64(v))), max(far, math.Abs(float64(g[i]-v)))
					}
					if got[name].String() != w.String() || !(far <= 1e-5*most) {
						t.Error(fmt.Sprint(kind, attrs, size), got[name], w, far, most)
					}
				}
			}
		}
	}
}
