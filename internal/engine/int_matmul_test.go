package engine

import (
	"fmt"
	"testing"

	"lowbit/internal/tensor"
)

// TestIntMatMulComputed multiplies two computed matrices of codes, with zero points of all forms and depths whose sums no float
// holds.
func TestIntMatMulComputed(t *testing.T) {
	for i, c := range []struct {
		x, w       []int
		dx, dw     tensor.DType
		rows, cols bool // zero points of each
	}{
		{x: []int{2, 3, 7, 32}, w: []int{2, 3, 32, 9}, dx: tensor.Uint8, dw: tensor.Uint8},
		{x: []int{5, 1000}, w: []int{1000, 12}, dx: tensor.Uint8, dw: tensor.Int8, cols: true},
		{x: []int{3, 5, 259}, w: []int{259, 4}, dx: tensor.Int8, dw: tensor.Int8, rows: true},
		{x: []int{1, 258}, w: []int{2, 258, 3}, dx: tensor.Int8, dw: tensor.Uint8, cols: true, rows: true},
	} {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			k := newMaker(uint64(i))
			extreme := func(d tensor.DType, shape ...int) *tensor.Tensor {
				x := k.anything(d, shape...)
				for i := range x.Raw {
					if i%3 > 0 {
						x.Raw[i] = 255
					}
				}
				return x
			}
			zero := func(each bool, d tensor.DType, n int) string {
				if each {
					return k.input(k.anything(d, n))
				}
				return k.input(tensor.New(d))
			}
			x, w := k.input(extreme(c.dx, c.x...)), k.input(extreme(c.dw, c.w...))
			k.output(k.node("MatMulInteger", []string{x, w, zero(c.rows, c.dx, c.x[len(c.x)-2]), zero(c.cols, c.dw, c.w[len(c.w)-1])}))
			k.output(k.node("MatMulInteger", []string{x, w}))
			k.output(k.node("Cast", []string{k.node("MatMulInteger", []string{x, w})}, "to", int64(tensor.Float32)))
			wantKernels(t, k.checkExact(t), "f32 matmul")
		})
	}
}
