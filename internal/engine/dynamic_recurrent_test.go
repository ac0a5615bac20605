package engine

import (
	"fmt"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// dynamicLSTM is a DynamicQuantizeLSTM of random size, with weights of a type and the zero point given.
func dynamicLSTM(seed uint64, d tensor.DType, zero int, perChannel bool, dir string) *maker {
	k := newMaker(seed)
	dirs, size := 1, func(most int) int { return 1 + k.rng.IntN(most) }
	if dir == "bidirectional" {
		dirs = 2
	}
	seq, batch, input, hidden := size(5), size(4), size(70), size(70)
	shape := []int{dirs}
	if perChannel {
		shape = []int{dirs, 4 * hidden}
	}
	lo := -128
	if d == tensor.Uint8 {
		lo = 0
	}
	in := make([]string, 12)
	in[0] = k.input(k.floats(seq, batch, input))
	for i, rows := range []int{input, hidden} {
		scale := tensor.New(tensor.Float32, shape...)
		for j := range tensor.Of[float32](scale) {
			tensor.Of[float32](scale)[j] = (1 + k.rng.Float32()) / 512
		}
		in[1+i] = k.constant(k.codes(d, lo, lo+255, dirs, rows, 4*hidden))
		in[8+2*i], in[9+2*i] = k.constant(scale), k.constant(k.codes(d, zero, zero, shape...))
	}
	if k.rng.IntN(4) > 0 {
		in[3] = k.constant(k.floats(dirs, 8*hidden))
	}
	if k.rng.IntN(2) == 0 {
		in[5], in[6] = k.input(k.floats(dirs, batch, hidden)), k.input(k.floats(dirs, batch, hidden))
	}
	n := &graph.Node{Domain: "com.microsoft", Op: "DynamicQuantizeLSTM", In: in, Out: []string{"y", "h", "c"}}
	n.SetAttr("hidden_size", int64(hidden))
	n.SetAttr("direction", dir)
	k.m.Graph.Nodes = append(k.m.Graph.Nodes, n)
	k.output(n.Out...)
	return k
}

// TestDynamicLSTM holds LSTMs of codes against the definition, and all levels and threads to the same bits.
func TestDynamicLSTM(t *testing.T) {
	seed := uint64(0)
	for _, w := range []struct {
		d    tensor.DType
		zero int
	}{{tensor.Int8, 0}, {tensor.Int8, -9}, {tensor.Uint8, 128}, {tensor.Uint8, 100}} {
		for _, dir := range []string{"forward", "reverse", "bidirectional"} {
			for range 4 {
				seed++
				k := dynamicLSTM(seed, w.d, w.zero, seed%2 == 0, dir)
				t.Run(fmt.Sprintf("%v %d %s %d", w.d, w.zero, dir, seed), func(t *testing.T) {
					wantKernels(t, k.checkFloat(t), "u8s8 dynamic LSTM")
					want := k.bytesOf(t, allRuns()[0])
					for _, r := range allRuns()[1:] {
						if k.bytesOf(t, r) != want {
							t.Errorf("%v differs from plain Go", r)
						}
					}
				})
			}
		}
	}
}

// TestDynamicLSTMByDefinition holds what has no fast path to the definition all the same.
func TestDynamicLSTMByDefinition(t *testing.T) {
	for what, change := range map[string]func(k *maker, n *graph.Node){
		"lengths": func(k *maker, n *graph.Node) {
			n.In[4] = k.constant(k.codes(tensor.Int32, 1, 1, k.in[n.In[0]].Shape[1]))
		},
		"clip":      func(k *maker, n *graph.Node) { n.SetAttr("clip", float32(0.5)) },
		"peepholes": func(k *maker, n *graph.Node) { n.In[7] = k.constant(k.floats(1, 3*n.Int("hidden_size", 0))) },
	} {
		k := dynamicLSTM(5, tensor.Int8, 0, false, "forward")
		change(k, k.m.Graph.Nodes[0])
		if steps := k.checkFloat(t); steps[len(steps)-1].Kernel != "reference" {
			t.Errorf("%s: %v", what, kernelsOf(steps))
		}
	}
}
