package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

func numbers[T Elem](n int, f func(i int) T) []T {
	s := make([]T, n)
	for i := range s {
		s[i] = f(i)
	}
	return s
}

func testTranspose[T Elem](t *testing.T, l Level, f func(i int) T, mark T) {
	t.Helper()
	for _, rows := range []int{0, 1, 2, 3, 4, 8, 15, 16, 17, 31, 32, 33, 50, 64, 65, 100, 130} {
		for _, cols := range []int{0, 1, 3, 7, 8, 9, 16, 23, 24, 49, 64, 70, 131} {
			const batch = 2
			src := numbers(batch*rows*cols, f)
			got := newGuard[T](len(src), 3, mark)
			Transpose(l, got.slice(), src, batch, rows, cols)
			for i, v := range got.slice() {
				b, c, r := i/(rows*cols), i/rows%cols, i%rows
				if want := src[(b*rows+r)*cols+c]; v != want {
					t.Fatalf("%s %T %dx%d: [%d] = %v, want %v", l, mark, rows, cols, i, v, want)
				}
			}
			got.check(t, fmt.Sprintf("%s %T %dx%d", l, mark, rows, cols))
		}
	}
}

func TestTranspose(t *testing.T) {
	for _, l := range Levels() {
		testTranspose(t, l, func(i int) uint8 { return uint8(i * 7) }, 255)
		testTranspose(t, l, func(i int) uint16 { return uint16(i) }, 65535)
		testTranspose(t, l, func(i int) float32 { return float32(i) }, -1)
		testTranspose(t, l, func(i int) int64 { return int64(i) }, -1)
	}
}

func TestTransposePitch(t *testing.T) {
	for _, c := range []struct{ rows, cols, ldd, lds int }{{19, 37, 21, 40}, {3, 37, 3, 50}, {3, 37, 4, 50}, {40, 3, 45, 3}, {40, 3, 45, 5}, {2, 45, 2, 50}, {2, 45, 3, 50}, {45, 2, 50, 2}, {45, 2, 50, 3}} {
		src := numbers(c.rows*c.lds, func(i int) float32 { return float32(i) + 1 })
		for _, l := range Levels() {
			dst := make([]float32, c.cols*c.ldd)
			TransposePitch(l, dst, src, c.rows, c.cols, c.ldd, c.lds)
			for i, v := range dst {
				col, row := i/c.ldd, i%c.ldd
				want := float32(0) // between the rows nothing is written
				if row < c.rows {
					want = src[row*c.lds+col]
				}
				if v != want {
					t.Fatalf("%s %+v: [%d][%d] = %v, want %v", l, c, col, row, v, want)
				}
			}
		}
	}
}

// TestPermute compares with the definition, for random shapes and all orders of up to five axes.
func TestPermute(t *testing.T) {
	r := rand.New(rand.NewPCG(13, 14))
	for range 300 {
		n := r.IntN(6)
		shape, perm := make([]int, n), r.Perm(n)
		total := 1
		for i := range shape {
			shape[i] = 1 + r.IntN(9)
			if r.IntN(12) == 0 {
				shape[i] = 0
			}
			total *= shape[i]
		}
		src := numbers(total, func(i int) uint16 { return uint16(i) })
		want := make([]uint16, 0, total)
		permuteSlow(src, shape, perm, 0, 0, &want)
		for _, l := range Levels() {
			got := make([]uint16, total)
			Permute(l, got, src, shape, perm)
			equal(t, fmt.Sprintf("%s %v %v", l, shape, perm), got, want)
		}
	}
}

func permuteSlow(src []uint16, shape, perm []int, axis, at int, dst *[]uint16) {
	if axis == len(perm) {
		*dst = append(*dst, src[at])
		return
	}
	step := 1
	for _, d := range shape[perm[axis]+1:] {
		step *= d
	}
	for i := range shape[perm[axis]] {
		permuteSlow(src, shape, perm, axis+1, at+i*step, dst)
	}
}
