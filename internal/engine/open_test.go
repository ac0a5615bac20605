package engine

import (
	"context"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// words is a layer of a language model: products around an attention whose past has any length.
func words(seed uint64) *maker {
	k := newMaker(seed)
	x := k.input(k.floats(1, 2, 16))
	mask := k.input(tensor.New(tensor.Int64, 1, 2))
	var q []string
	for range 3 {
		q = append(q, k.node("MatMul", []string{x, k.constant(k.floats(16, 16))}))
	}
	last := k.node("Sub", []string{k.node("ReduceSum", []string{mask, k.constant(tensor.Vector(1))}, "keepdims", int64(0)), k.constant(tensor.Vector(1))})
	total := k.node("Gather", []string{k.node("Shape", []string{mask}), k.constant(tensor.Wrap(tensor.Int64, []int64{1}))}, "axis", int64(0))
	in := append(q, k.input(k.floats(1, 4, 3, 4)), k.input(k.floats(1, 4, 3, 4)),
		k.node("Cast", []string{last}, "to", int64(6)), k.node("Cast", []string{total}, "to", int64(6)))
	k.attended("com.microsoft.GroupQueryAttention", append(in, k.tables(99, 2)...), true, "num_heads", int64(4), "kv_num_heads", int64(4), "do_rotary", int64(1))
	k.output(k.node("MatMul", []string{k.m.Graph.Out[0].Name, k.constant(k.floats(16, 5))}))
	for i, dims := range map[int][]int{0: {1}, 1: {1}, 2: {2}, 3: {2}} {
		for _, d := range dims {
			k.m.Graph.In[i].Type.Shape[d] = graph.Unknown
		}
	}
	return k
}

// TestOpenPrograms lets a past grow word by word: from the third length on one program serves all.
func TestOpenPrograms(t *testing.T) {
	k := words(1)
	s := k.compile(t, Options{Threads: 2})
	name := func(i int) string { return k.m.Graph.In[i].Name }
	in := map[string]*tensor.Tensor{name(2): tensor.New(tensor.Float32, 1, 4, 0, 4), name(3): tensor.New(tensor.Float32, 1, 4, 0, 4)}
	past := 0
	for step, rows := range []int{7, 1, 1, 1, 1, 1, 3, 3, 3} {
		past += rows
		in[name(0)] = k.floats(1, rows, 16)
		mask := make([]int64, past)
		for i := range mask {
			mask[i] = 1
		}
		in[name(1)] = tensor.Int64s(mask, 1, past)
		got, err := s.Run(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		want, err := op.Run(k.m, in, op.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for name, w := range want {
			within(t, name, got[name], w, 1e-4, 1e-5)
		}
		in[name(2)], in[name(3)] = got[k.m.Graph.Out[1].Name], got[k.m.Graph.Out[2].Name]
		if n := []int{1, 2, 3, 3, 3, 3, 4, 5, 5}[step]; len(s.programs) != n {
			t.Errorf("%d programs after %d runs, not %d", len(s.programs), step+1, n)
		}
	}
}

// TestRigidPrograms compiles for each length where numbers depend on it.
func TestRigidPrograms(t *testing.T) {
	k := newMaker(2)
	k.output(k.node("Softmax", []string{k.node("MatMul", []string{k.input(k.floats(1, 4, 8)), k.constant(k.floats(8, 8))})}))
	k.m.Graph.In[0].Type.Shape[1] = graph.Unknown
	s := k.compile(t, Options{Threads: 1})
	for rows := range 5 {
		if _, err := s.Run(context.Background(), map[string]*tensor.Tensor{k.m.Graph.In[0].Name: k.floats(1, rows+1, 8)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.programs) != 5 || len(s.rigids) != 1 {
		t.Errorf("%d programs for 5 lengths, %d of open ones were tried", len(s.programs), len(s.rigids))
	}
}
