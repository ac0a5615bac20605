//go:build amd64 && !purego

package kernel

import "unsafe"

// rowsArgs is the argument of the kernels in _asm/vec_rows.go, which knows its layout.
type rowsArgs struct {
	x   unsafe.Pointer
	off *int32 // elements
	w   *float32
	k   int
	dst unsafe.Pointer
	n   int
}

// sumRowsFast makes whole vectors, of which the last begins so that it is full.
func (l Level) sumRowsFast(dst, x []float32, off []int32, w []float32) bool {
	lanes := 8
	if l.use(AVX512) {
		lanes = 16
	}
	if !l.use(AVX2) || len(dst) < lanes {
		return false
	}
	a := rowsArgs{unsafe.Pointer(&x[0]), &off[0], &w[0], len(off), unsafe.Pointer(&dst[0]), len(dst) / lanes * lanes}
	l.sumRows(&a)
	if rest := len(dst) - lanes; a.n < len(dst) {
		a.x, a.dst, a.n = unsafe.Pointer(&x[rest]), unsafe.Pointer(&dst[rest]), lanes
		l.sumRows(&a)
	}
	return true
}

// sumRows calls by name, so that the argument stays on the stack.
func (l Level) sumRows(a *rowsArgs) {
	if l.use(AVX512) {
		sumRowsAVX512(a)
	} else {
		sumRowsAVX2(a)
	}
}
