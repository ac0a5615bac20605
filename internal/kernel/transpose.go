package kernel

import "unsafe"

// Elem is an element that Transpose and Permute move: 1, 2, 4 or 8 bytes.
type Elem interface {
	~bool | ~uint8 | ~int8 | ~uint16 | ~int16 | ~uint32 | ~int32 | ~float32 | ~uint64 | ~int64 | ~float64
}

// Transpose turns batch matrices of (rows, cols) into (cols, rows), each after the other without
// gaps. NCHW to NHWC is (N, C, H·W), the way back (N, H·W, C). dst must not overlap src.
func Transpose[T Elem](l Level, dst, src []T, batch, rows, cols int) {
	n := rows * cols
	for b := range batch {
		TransposePitch(l, dst[b*n:][:n], src[b*n:][:n], rows, cols, rows, cols)
	}
}

// TransposePitch sets dst[c*ldd+r] = src[r*lds+c] for one matrix of (rows, cols).
func TransposePitch[T Elem](l Level, dst, src []T, rows, cols, ldd, lds int) {
	if rows <= 0 || cols <= 0 {
		return
	}
	dst, src = dst[:(cols-1)*ldd+rows], src[:(rows-1)*lds+cols]
	r, c := transposeFast(l, unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), rows, cols, ldd, lds, int(unsafe.Sizeof(dst[0])))
	transposeRef(dst, src, 0, r, c, cols, ldd, lds)
	transposeRef(dst, src, r, rows, 0, cols, ldd, lds)
}

// transposeRef does the rows r0 to r1 of the columns c0 to c1, in blocks that stay in cache.
func transposeRef[T Elem](dst, src []T, r0, r1, c0, c1, ldd, lds int) {
	const block = 16
	for r := r0; r < r1; r += block {
		re := min(r+block, r1)
		for c := c0; c < c1; c++ {
			d := dst[c*ldd+r:][:re-r]
			for i := range d {
				d[i] = src[(r+i)*lds+c]
			}
		}
	}
}
