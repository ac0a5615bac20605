package engine

import (
	"context"
	"testing"

	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// anything returns elements of any bytes.
func (k *maker) anything(d tensor.DType, shape ...int) *tensor.Tensor {
	t := tensor.New(d, shape...)
	for i := range t.Raw {
		t.Raw[i] = byte(k.rng.Uint32())
	}
	return t
}

// indices returns those of a dimension of n, from both ends.
func (k *maker) indices(d tensor.DType, n int, shape ...int) *tensor.Tensor {
	t := tensor.New(d, shape...)
	for i := range t.Len() {
		v := k.rng.IntN(2*n) - n
		if d == tensor.Int32 {
			tensor.Of[int32](t)[i] = int32(v)
		} else {
			tensor.Of[int64](t)[i] = int64(v)
		}
	}
	return t
}

// An indexCase looks elements of x up by indices of a shape, below a limit.
type indexCase struct {
	op     string
	x, at  []int
	limit  int
	attrs  []any
	kernel string
}

var indexCases = []indexCase{
	{"Gather", []int{30, 7}, []int{2, 9}, 30, nil, "gather rows"},
	{"Gather", []int{2, 5, 6}, []int{40}, 5, []any{"axis", int64(1)}, "gather rows"},
	{"Gather", []int{2, 5, 6}, []int{}, 5, []any{"axis", int64(-2)}, "gather rows"},
	{"Gather", []int{2, 5, 66}, []int{3, 2}, 66, []any{"axis", int64(2)}, "gather"},
	{"Gather", []int{4, 7}, []int{}, 7, []any{"axis", int64(1)}, "gather rows"},
	{"Gather", []int{9}, []int{700}, 9, nil, "gather"},
	{"Gather", []int{2, 3, 5}, []int{}, 5, []any{"axis", int64(2)}, "gather rows"},
	{"Gather", []int{2, 3, 5}, []int{1, 1}, 5, []any{"axis", int64(2)}, "gather rows"},
	{"GatherElements", []int{2, 9, 6}, []int{2, 4, 5}, 9, []any{"axis", int64(1)}, "gather elements"},
	{"GatherElements", []int{3, 4, 50}, []int{2, 4, 70}, 50, []any{"axis", int64(-1)}, "gather elements"},
	{"GatherElements", []int{300, 4}, []int{900, 1}, 300, nil, "gather elements"},
	{"GatherElements", []int{12}, []int{5}, 12, nil, "gather elements"},
	{"GatherND", []int{4, 4, 6}, []int{5, 3, 2}, 4, nil, "gather slices"},
	{"GatherND", []int{3, 5, 2}, []int{3, 7, 1}, 5, []any{"batch_dims", int64(1)}, "gather slices"},
	{"GatherND", []int{4, 4}, []int{2}, 4, nil, "gather slices"},
	{"ScatterND", []int{5, 5, 3}, []int{4, 2}, 5, nil, "scatter slices"},
	{"ScatterND", []int{40, 3}, []int{60, 1}, 40, nil, "scatter slices"},
}

// build adds the node of c.
func (c *indexCase) build(k *maker, d tensor.DType, at *tensor.Tensor) {
	in := []string{k.input(k.anything(d, c.x...)), k.input(at)}
	if c.op == "ScatterND" {
		last := len(c.at) - 1
		in = append(in, k.input(k.anything(d, append(append([]int{}, c.at[:last]...), c.x[c.at[last]:]...)...)))
	}
	k.output(k.node(c.op, in, c.attrs...))
}

// TestIndexed looks elements of every size up by indices that are known in the run.
func TestIndexed(t *testing.T) {
	for i, c := range indexCases {
		for _, by := range []tensor.DType{tensor.Int64, tensor.Int32} {
			if by == tensor.Int32 && (c.op == "GatherND" || c.op == "ScatterND") {
				continue // the standard has them by int64 alone
			}
			for _, d := range []tensor.DType{tensor.Uint8, tensor.Int16, tensor.Int32, tensor.Int64} {
				k := newMaker(uint64(i))
				c.build(k, d, k.indices(by, c.limit, c.at...))
				wantKernels(t, k.checkExact(t), c.kernel)
			}
		}
	}
}

// TestScatterInPlace scatters into what nobody else reads, and into what somebody does.
func TestScatterInPlace(t *testing.T) {
	k := newMaker(4)
	x := k.node("Neg", []string{k.input(k.floats(40, 30))})
	at, rows := k.input(k.indices(tensor.Int64, 40, 60, 1)), k.input(k.floats(60, 30))
	y := k.node("ScatterND", []string{k.node("ScatterND", []string{x, at, rows}), k.input(k.indices(tensor.Int64, 40, 60, 1)), rows})
	k.output(k.node("Neg", []string{y}), k.node("Abs", []string{x}))
	wantKernels(t, k.checkExact(t), "scatter slices")
}

// TestIndexOutside refuses indices out of bounds with the words of the definition.
func TestIndexOutside(t *testing.T) {
	for i, c := range indexCases {
		for _, bad := range []int64{int64(c.limit), int64(-c.limit - 1), 1 << 62, -1 << 63} {
			k := newMaker(uint64(i))
			at := k.indices(tensor.Int64, c.limit, c.at...)
			tensor.Of[int64](at)[at.Len()-1] = bad
			c.build(k, tensor.Int32, at)
			_, want := op.Run(k.m, k.in, op.Options{})
			s := k.compile(t, Options{Threads: 2})
			_, got := s.Run(context.Background(), k.in)
			if want == nil || got == nil || got.Error() != want.Error() {
				t.Errorf("%s by %d: %v, not %v", c.op, bad, got, want)
			}
		}
	}
}
