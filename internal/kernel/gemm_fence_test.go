//go:build linux

package kernel

import (
	"syscall"
	"testing"
	"unsafe"
)

// fence is memory whose end borders on a page that may not be touched.
type fence []byte

func newFence(t *testing.T, size int) fence {
	t.Helper()
	page := syscall.Getpagesize()
	size = (size + page - 1) / page * page
	b, err := syscall.Mmap(-1, 0, size+page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mprotect(b[size:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(b); err != nil {
			t.Error(err)
		}
	})
	return b[:size:size]
}

// last gives the n elements before the forbidden page.
func last[T any](f fence, n int) []T {
	size := int(unsafe.Sizeof(*new(T)))
	return unsafe.Slice((*T)(unsafe.Pointer(&f[len(f)-n*size])), n)
}

// TestFences runs products whose operands and results end where memory ends:
// one byte too far, read or written, ends the test by a fault.
func TestFences(t *testing.T) {
	in, res, bias, scale, add := newFence(t, 1<<18), newFence(t, 1<<18), newFence(t, 1<<12), newFence(t, 1<<12), newFence(t, 1<<18)
	eachLevel(t, func(t *testing.T, l Level) {
		for _, s := range gemmShapes {
			m, n, k := s[0], s[1], s[2]
			order := Order{N: k, K: 1}
			pf := l.PackF32(make([]float32, n*k), n, k, 1, order)
			pf.Gemm(last[float32](in, m*k), k, &OutF32{
				C: last[float32](res, m*n), Ldc: n, Bias: last[float32](bias, n), Add: last[float32](add, m*n), LdAdd: n,
			}, pf.All(m))
			w := make([]int8, n*k)
			fill(w, int8(n)) // small and great weights take different ways
			pi := l.PackU8S8(w, n, k, 1, order)
			for _, out := range []*OutU8S8{{U8: last[uint8](res, m*n)}, {I32: last[int32](res, m*n)}, {F32: last[float32](res, m*n)}} {
				out.Ldc, out.Bias, out.Scale, out.Shift = n, last[int32](bias, n), last[float32](scale, n), last[float32](scale, n)
				pi.Gemm(last[uint8](in, m*k), k, out, pi.All(m))
			}
		}
	})
}

func TestFencesConv(t *testing.T) {
	in, res, bias, scale := newFence(t, 1<<18), newFence(t, 1<<18), newFence(t, 1<<12), newFence(t, 1<<12)
	eachLevel(t, func(t *testing.T, l Level) {
		for c := 1; c <= 130; c++ {
			w := Window{H: 5, W: 9, Pitch: c, KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilH: 1, DilW: 1, Top: 1, Left: 1, OH: 5, OW: 9}
			ix, m, n := w.Indirect(), w.OH*w.OW, c%20+1
			order := Order{N: 9 * c, Tap: c, K: 1}
			xf, x := last[float32](in, m*c), last[uint8](in, m*c)
			outF := &OutF32{C: last[float32](res, m*c), Ldc: c, Bias: last[float32](bias, c)}
			out := &OutU8S8{U8: last[uint8](res, m*c), Ldc: c, Bias: last[int32](bias, c), Scale: last[float32](scale, c)}
			l.PackDepthwiseF32(make([]float32, 9*c), c, 9, Order{N: 9, Tap: 1}).Run(xf, ix, outF, 0, m)
			l.PackDepthwiseU8S8(make([]int8, 9*c), c, 9, Order{N: 9, Tap: 1}).Run(x, 3, ix, out, 0, m)
			for _, group := range []int{2, 4, 8, 16} {
				if c%group != 0 {
					continue
				}
				l.PackGroupedF32(make([]float32, 9*c*group), c, group, 9, Order{N: 9 * group, Tap: 1, K: 9}).Run(xf, ix, outF, 0, m)
				for g, together := 0, l.GroupsU8S8(c/group, group, group); g < c; g += together * group {
					p := l.PackGroupsU8S8(make([]int8, together*group*group*9), together, group, group, 9)
					to := *out
					to.U8, to.Bias, to.Scale = out.U8[g:], out.Bias[g:], out.Scale[g:]
					p.Conv(x[g:], 3, ix, &to, p.All(m))
				}
			}
			outF.C, outF.Ldc, outF.Bias = last[float32](res, m*n), n, last[float32](bias, n)
			out.U8, out.Ldc, out.Bias, out.Scale = last[uint8](res, m*n), n, last[int32](bias, n), last[float32](scale, n)
			pf, pi := l.PackF32(make([]float32, 9*c*n), n, c, 9, order), l.PackU8S8(make([]int8, 9*c*n), n, c, 9, order)
			pf.Conv(xf, ix, outF, pf.All(m))
			pi.Conv(x, 3, ix, out, pi.All(m))
		}
	})
}
