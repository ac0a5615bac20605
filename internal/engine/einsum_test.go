package engine

import (
	"testing"

	"lowbit/internal/tensor"
)

// TestEinsum holds what is written for equations against their definition, of which nothing may be left. The operands
// are inputs, and once more all but the first are constants.
func TestEinsum(t *testing.T) {
	product, gemm := "f32 matmul", "f32 gemm"
	for _, c := range []struct {
		equation        string
		shapes          [][]int
		kernel, weights string // between inputs, with constants
	}{
		{"bhid,bhjd->bhij", [][]int{{2, 3, 5, 8}, {2, 3, 7, 8}}, product, product},
		{"bhij,bhjd->bhid", [][]int{{2, 3, 5, 7}, {2, 3, 7, 8}}, product, product},
		{"B H I D, B H J D -> B H I J", [][]int{{2, 3, 5, 8}, {2, 3, 7, 8}}, product, product},
		{"bhij,bhjd->bihd", [][]int{{2, 3, 5, 7}, {2, 3, 7, 8}}, product, product},
		{"bihd,bjhd->bhij", [][]int{{2, 5, 3, 8}, {2, 7, 3, 8}}, product, product},
		{"ij,jk->ik", [][]int{{5, 7}, {7, 9}}, product, gemm},
		{"ij,jk->ki", [][]int{{5, 7}, {7, 9}}, product, gemm},
		{"ji,kj->ik", [][]int{{7, 5}, {9, 7}}, product, gemm},
		{"bij,jk", [][]int{{2, 5, 7}, {7, 9}}, product, gemm},
		{"bij,bik->bjk", [][]int{{2, 5, 7}, {2, 5, 9}}, product, product},
		{"bi,bij->bj", [][]int{{2, 5}, {2, 5, 7}}, product, product},
		{"j,jk->k", [][]int{{7}, {7, 9}}, product, gemm},
		{"B H W C, d C -> B H W d", [][]int{{2, 3, 4, 8}, {9, 8}}, product, gemm},
		{"bhwc,hkc->bhwk", [][]int{{2, 3, 4, 8}, {3, 5, 8}}, product, product},
		{"bchw,oc->bohw", [][]int{{2, 8, 3, 4}, {9, 8}}, product, gemm},
		{"bshd,hde->bse", [][]int{{2, 5, 3, 8}, {3, 8, 9}}, product, gemm},
		{"bse,hde->bhsd", [][]int{{2, 5, 9}, {3, 8, 9}}, product, gemm},
		{"aA,aB->AB", [][]int{{5, 7}, {5, 3}}, product, gemm},
		{"...ij,...jk->...ik", [][]int{{2, 3, 5, 7}, {3, 7, 9}}, product, product},
		{"...ij,jk", [][]int{{2, 3, 5, 7}, {7, 9}}, product, gemm},
		{"bij,bjk->bik", [][]int{{2, 5, 7}, {1, 7, 9}}, product, gemm},
		{"bij,bjk->bik", [][]int{{2, 1, 7}, {2, 1, 9}}, "Mul", "Mul"},
		{"bijx,bjky->kbi", [][]int{{2, 5, 7, 3}, {2, 7, 9, 4}}, product, product},
		{"ij,ik->i", [][]int{{5, 7}, {5, 3}}, "Mul", "Mul"},
		{"i,j->ij", [][]int{{5}, {7}}, "Mul", "Mul"},
		{"i,j->ji", [][]int{{5}, {7}}, "Mul", "Mul"},
		{"bcij,c->bcij", [][]int{{2, 3, 4, 5}, {3}}, "Mul", "Mul"},
		{"bi,ib->b", [][]int{{5, 7}, {7, 5}}, "Mul", "Mul"},
		{"i,i->", [][]int{{7}, {7}}, "Mul", "Mul"},
		{"i,->i", [][]int{{7}, {}}, "Mul", "Mul"},
		{"ij,jk,kl->il", [][]int{{5, 7}, {7, 9}, {9, 4}}, product, gemm},
		{"ij->ji", [][]int{{5, 7}}, "", ""},
		{"ij->ij", [][]int{{5, 7}}, "", ""},
		{"ba", [][]int{{5, 7}}, "", ""},
		{"ij->i", [][]int{{5, 7}}, "f32 ReduceSum", "f32 ReduceSum"},
		{"abcd->ca", [][]int{{2, 3, 4, 5}}, "f32 ReduceSum", "f32 ReduceSum"},
		{"ij->", [][]int{{5, 7}}, "f32 ReduceSum", "f32 ReduceSum"},
	} {
		for _, constants := range []bool{false, true} {
			name, want := c.equation, c.kernel
			if constants {
				name, want = name+" with constants", c.weights
			}
			t.Run(name, func(t *testing.T) {
				k := newMaker(3)
				k.output(k.einsum(c.equation, constants, c.shapes...))
				steps := k.checkFloat(t)
				if wantKernels(t, steps); want != "" {
					wantKernels(t, steps, want)
				}
			})
		}
	}
}

// einsum adds an equation between an input and others, or constants.
func (k *maker) einsum(equation string, constants bool, shapes ...[]int) string {
	var in []string
	for i, s := range shapes {
		if x := k.floats(s...); constants && i > 0 {
			in = append(in, k.constant(x))
		} else {
			in = append(in, k.input(x))
		}
	}
	return k.node("Einsum", in, "equation", equation)
}

// TestEinsumAmong holds equations that are left to the definition, and those among other nodes.
func TestEinsumAmong(t *testing.T) {
	for name, build := range map[string]func(k *maker) string{
		"diagonal":      func(k *maker) string { return k.einsum("ii->i", false, []int{5, 5}) },
		"diagonals":     func(k *maker) string { return k.einsum("bii,bij->bj", false, []int{2, 5, 5}, []int{2, 5, 3}) },
		"large between": func(k *maker) string { return k.einsum("i,j,ij->", false, []int{50}, []int{70}, []int{50, 70}) },
		"outer between": func(k *maker) string { return k.einsum("ij,kl,jk->il", false, []int{5, 7}, []int{9, 4}, []int{7, 9}) },
		"nothing":       func(k *maker) string { return k.einsum("ij,jk->ik", false, []int{3, 0}, []int{0, 4}) },
		"first constant": func(k *maker) string {
			return k.node("Einsum", []string{k.constant(k.floats(9, 7)), k.input(k.floats(2, 5, 7))}, "equation", "oc,bsc->bso")
		},
		"all constant": func(k *maker) string {
			w := k.node("Einsum", []string{k.constant(k.floats(9, 7)), k.constant(k.floats(7, 3))}, "equation", "ij,jk->ik")
			return k.node("MatMul", []string{k.input(k.floats(2, 9)), w})
		},
		"one operand twice": func(k *maker) string {
			x := k.input(k.floats(2, 5, 7))
			return k.node("Einsum", []string{x, x}, "equation", "bij,bkj->bik")
		},
		"behind a transposition": func(k *maker) string {
			x := k.node("Transpose", []string{k.input(k.floats(2, 5, 3, 8))}, "perm", []int64{0, 2, 1, 3})
			y := k.node("Einsum", []string{x, k.input(k.floats(2, 3, 7, 8))}, "equation", "bhid,bhjd->bhji")
			return k.node("Add", []string{k.node("Transpose", []string{y}, "perm", []int64{0, 2, 1, 3}), k.constant(k.floats(5))})
		},
		"read and shown": func(k *maker) string {
			y := k.einsum("bij,bkj->bik", false, []int{2, 5, 7}, []int{2, 3, 7})
			k.output(y)
			return k.node("Relu", []string{y})
		},
		"codes": func(k *maker) string {
			w, _ := k.weight(1, true, 7, 9)
			return k.node("Einsum", []string{k.input(k.floats(2, 3, 7)), w}, "equation", "abi,io->abo")
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := newMaker(5)
			k.output(build(k))
			k.checkFloat(t)
		})
	}
	k := newMaker(7)
	k.output(k.node("Einsum", []string{k.input(k.codes(tensor.Int32, -9, 9, 5, 7)), k.input(k.codes(tensor.Int32, -9, 9, 7, 3))}, "equation", "ij,jk->ik"))
	k.checkExact(t)
}
