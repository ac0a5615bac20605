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
	size := int(unsafe.Sizeof(dst[0]))
	if rows == 2 && ldd == 2 {
		joinPairs(l, dst, src, cols, lds, size)
		return
	}
	if cols == 2 && lds == 2 {
		splitPairs(l, dst, src, rows, ldd, size)
		return
	}
	if rows == 3 && ldd == 3 {
		joinPlanes(l, dst, src, cols, lds, size)
		return
	}
	if cols == 3 && lds == 3 {
		splitPixels(l, dst, src, rows, ldd, size)
		return
	}
	all := transposeAsm[size]
	for _, v := range all {
		k := v.fn
		if !l.use(v.level) || rows < k.rows || cols < k.cols {
			continue
		}
		// Strips of columns as wide as a cache line read each line once. The last columns are done
		// with some before them again, as are the last rows.
		r := rows - rows%k.rows
		strip := func(i, n int) {
			k.fn(unsafe.Pointer(&dst[i*ldd]), unsafe.Pointer(&src[i]), ldd*size, lds*size, r, n)
		}
		spans(cols-cols%k.cols, 64/size, strip)
		if cols%k.cols != 0 {
			strip(cols-k.cols, k.cols)
		}
		if r < rows {
			r = min(r, rows-all[len(all)-1].fn.rows)
			TransposePitch(l, dst[r:], src[r*lds:], rows-r, cols, ldd, lds)
		}
		return
	}
	transposeRef(dst, src, rows, cols, ldd, lds)
}

// transposeBody is an assembly body for whole tiles of rows by cols elements; pitches are in bytes.
type transposeBody struct {
	rows, cols int
	fn         func(dst, src unsafe.Pointer, ldd, lds, rows, cols int)
}

// pixelFn is an assembly body that turns n pixels of two or three elements around; pitch is in bytes.
type pixelFn func(dst, src unsafe.Pointer, pitch, n int)

// joinPairs makes pixels of two planes that lie pitch elements apart.
func joinPairs[T Elem](l Level, dst, src []T, n, pitch, size int) {
	f, m := joinPairsAsm[size].part(l, n)
	if m > 0 {
		f(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), pitch*size, m)
	}
	a, b := src[:n], src[pitch:][:n]
	for i := m; i < n; i++ {
		d := dst[2*i:][:2]
		d[0], d[1] = a[i], b[i]
	}
}

// splitPairs is the way back.
func splitPairs[T Elem](l Level, dst, src []T, n, pitch, size int) {
	f, m := splitPairsAsm[size].part(l, n)
	if m > 0 {
		f(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), pitch*size, m)
	}
	a, b := dst[:n], dst[pitch:][:n]
	for i := m; i < n; i++ {
		s := src[2*i:][:2]
		a[i], b[i] = s[0], s[1]
	}
}

// joinPlanes makes pixels of three planes that lie pitch elements apart.
func joinPlanes[T Elem](l Level, dst, src []T, n, pitch, size int) {
	f, m := joinAsm[size].part(l, n)
	if m > 0 {
		f(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), pitch*size, m)
	}
	a, b, c := src[:n], src[pitch:][:n], src[2*pitch:][:n]
	for i := m; i < n; i++ {
		d := dst[3*i:][:3]
		d[0], d[1], d[2] = a[i], b[i], c[i]
	}
}

// splitPixels is the way back.
func splitPixels[T Elem](l Level, dst, src []T, n, pitch, size int) {
	f, m := splitAsm[size].part(l, n)
	if m > 0 {
		f(unsafe.Pointer(&dst[0]), unsafe.Pointer(&src[0]), pitch*size, m)
	}
	a, b, c := dst[:n], dst[pitch:][:n], dst[2*pitch:][:n]
	for i := m; i < n; i++ {
		s := src[3*i:][:3]
		a[i], b[i], c[i] = s[0], s[1], s[2]
	}
}

// transposeRef goes by blocks of rows, so that the lines it reads stay in cache.
func transposeRef[T Elem](dst, src []T, rows, cols, ldd, lds int) {
	spans(rows, 16, func(r, n int) {
		for c := range cols {
			d := dst[c*ldd+r:][:n]
			for i := range d {
				d[i] = src[(r+i)*lds+c]
			}
		}
	})
}
