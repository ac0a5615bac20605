package engine

import (
	"fmt"
	"strings"
	"testing"

	"lowbit/internal/tensor"
)

// embedCase writes an EmbedLayerNormalization of floats, or of codes of a type, with segments or not.
func embedCase(k *maker, d tensor.DType, segments, positions bool) {
	const rows, width, batch, length = 7, 20, 3, 4
	ids := func(n int) string { return k.input(k.codes(tensor.Int32, 0, n-1, batch, length)) }
	table := func(shape ...int) string {
		if d == tensor.Float32 {
			return k.constant(k.floats(shape...))
		}
		return k.constant(k.codes(d, -128, 127, shape...))
	}
	in := []string{ids(rows), "", table(rows, width), table(length+1, width), "", table(width), table(width), k.input(k.codes(tensor.Int32, 0, 1, batch, length))}
	if segments {
		in[1], in[4] = ids(2), table(2, width)
	}
	kind, out := "com.microsoft.EmbedLayerNormalization", []string{"counts", "sum"}
	switch {
	case d != tensor.Float32:
		kind, out = "com.microsoft.QEmbedLayerNormalization", out[:1]
		for range 5 {
			in = append(in, k.scalar(0.01+k.rng.Float32()))
		}
		for range 5 {
			in = append(in, k.constant(k.codes(d, -128, 127)))
		}
	case positions:
		in = append(in, k.input(k.codes(tensor.Int32, 0, length, 1, length)))
	}
	y := k.node(kind, in, "epsilon", float32(1e-4))
	n := k.m.Graph.Nodes[0]
	n.Out = append(n.Out, out...)
	k.output(append(out, y)...)
}

func TestEmbedLayerNorm(t *testing.T) {
	for _, d := range []tensor.DType{tensor.Float32, tensor.Uint8, tensor.Int8} {
		for i := range 4 {
			t.Run(fmt.Sprint(d, i), func(t *testing.T) {
				k := newMaker(uint64(i))
				embedCase(k, d, i&1 > 0, i&2 > 0)
				wantKernels(t, k.checkFloat(t), "embeddings")
			})
		}
	}
}

// TestEmbedOutside asks for the definition's error where an id names no row.
func TestEmbedOutside(t *testing.T) {
	k := newMaker(1)
	embedCase(k, tensor.Uint8, true, false)
	tensor.Of[int32](k.in[k.m.Graph.In[0].Name])[5] = -1
	s, err := Compile(k.m, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Run(t.Context(), k.in); err == nil || !strings.Contains(err.Error(), "row -1 of an embedding of 7") {
		t.Errorf("error %v", err)
	}
}
