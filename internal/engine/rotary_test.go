package engine

import (
	"fmt"
	"testing"

	"lowbit/internal/tensor"
)

// A turnCase is the shape of heads of which half pairs of features are turned.
type turnCase struct{ batch, heads, rows, size, half int }

var turnCases = []turnCase{{1, 1, 1, 2, 1}, {2, 3, 5, 8, 4}, {1, 4, 9, 80, 40}, {3, 2, 4, 24, 5}, {1, 2, 3, 600, 300}}

// places adds positions below limit.
func (k *maker) places(limit int, shape ...int) string {
	t := tensor.New(tensor.Int64, shape...)
	for i := range tensor.Of[int64](t) {
		tensor.Of[int64](t)[i] = int64(k.rng.IntN(limit))
	}
	return k.input(t)
}

// TestRotary turns heads in front and in rows by the positions of either operator.
func TestRotary(t *testing.T) {
	for i, c := range turnCases {
		for form, tables := range map[string]func(k *maker, x string) (op string, in []string){
			"positions": func(k *maker, x string) (string, []string) {
				return "RotaryEmbedding", append(append([]string{x}, k.tables(20, c.half)...), k.places(20, c.batch, c.rows))
			},
			"rows": func(k *maker, x string) (string, []string) {
				return "RotaryEmbedding", []string{x, k.input(k.floats(c.batch, c.rows, c.half)), k.constant(k.floats(c.batch, c.rows, c.half))}
			},
			"contrib": func(k *maker, x string) (string, []string) {
				return "com.microsoft.RotaryEmbedding", append([]string{x, k.places(20, c.batch, c.rows)}, k.tables(20, c.half)...)
			},
			"first": func(k *maker, x string) (string, []string) {
				return "com.microsoft.RotaryEmbedding", append([]string{x, k.places(7, 1)}, k.tables(20, c.half)...)
			},
		} {
			for _, interleaved := range []int64{0, 1} {
				for _, flat := range []bool{false, true} {
					t.Run(fmt.Sprintf("%d %s %d %v", i, form, interleaved, flat), func(t *testing.T) {
						k := newMaker(uint64(i + 1))
						k.m.Opsets[0].Version = 23
						shape, attrs := []int{c.batch, c.heads, c.rows, c.size}, []any{"interleaved", interleaved}
						if flat {
							shape, attrs = []int{c.batch, c.rows, c.heads * c.size}, append(attrs, "num_heads", int64(c.heads))
						}
						if 2*c.half < c.size {
							attrs = append(attrs, "rotary_embedding_dim", int64(2*c.half))
						}
						op, in := tables(k, k.input(k.floats(shape...)))
						k.output(k.node(op, in, attrs...))
						wantKernels(t, k.checkFloat(t), "f32 RotaryEmbedding")
					})
				}
			}
		}
	}
}

// TestRotaryHeads finds out how wide the heads are by the tables, as ONNX Runtime's operator does.
func TestRotaryHeads(t *testing.T) {
	k := newMaker(1)
	x := k.input(k.floats(2, 3, 24))
	k.output(k.node("com.microsoft.RotaryEmbedding", append([]string{x, k.places(5, 2, 3)}, k.tables(5, 4)...)))
	wantKernels(t, k.checkFloat(t), "f32 RotaryEmbedding")
}

// TestRotaryFaults gives the definition's errors.
func TestRotaryFaults(t *testing.T) {
	for _, p := range []int64{-1, 5, 4} {
		k := newMaker(1)
		at := k.input(tensor.Int64s([]int64{0, p, 1}, 1, 3))
		k.output(k.node("com.microsoft.RotaryEmbedding", append([]string{k.input(k.floats(1, 2, 3, 8)), at}, k.tables(5, 4)...)))
		if err := k.agree(); err != nil {
			t.Error(err)
		}
	}
	for _, attrs := range [][]any{{"rotary_embedding_dim", int64(6)}, {"num_heads", int64(5)}, {"scale", float32(2)}, {"is_packed_batching", int64(1)}} {
		k := newMaker(1)
		at := k.places(5, 1, 3)
		k.output(k.node("com.microsoft.RotaryEmbedding", append([]string{k.input(k.floats(1, 3, 16)), at}, k.tables(5, 4)...), attrs...))
		if err := k.agree(); err != nil {
			t.Error(err)
		}
	}
}
