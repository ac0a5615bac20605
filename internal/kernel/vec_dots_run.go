//go:build amd64 && !purego

package kernel

// Rows of a block of the kernels.
const (
	dotRowsWide = 16 // of AVX-512
	dotRowsFew  = 4  // of AVX2, and of AVX-512 for as many vectors
)

func (l Level) dotRowsFast(d *rowDots, vectors, rows int) bool {
	if !l.use(AVX2) {
		return false
	}
	most := max(dotRowsWide, callMax/d.n/dotRowsWide*dotRowsWide)
	spans(rows, most, func(i, count int) {
		v := 0
		if l.use(AVX512) {
			for ; v+dotRowsFew <= vectors; v += dotRowsFew {
				d.span(l, v, dotRowsFew, i, count)
			}
		}
		for ; v < vectors; v++ {
			d.span(l, v, 1, i, count)
		}
	})
	return true
}

// span multiplies rows from i on by some vectors from v on. The last block begins so that it is full; rows that fill none are
// each taken for all of a block.
func (d *rowDots) span(l Level, v, vectors, i, rows int) {
	block := dotRowsFew
	if l.use(AVX512) && vectors == 1 {
		block = dotRowsWide
	}
	if rows >= block {
		d.blocks(l, &d.dst[v*d.pitch+i], v, vectors, i, d.step, d.pitch, rows/block)
		if rows%block > 0 {
			i += rows - block
			d.blocks(l, &d.dst[v*d.pitch+i], v, vectors, i, d.step, d.pitch, 1)
		}
		return
	}
	var one [dotRowsWide]float32
	for k := i; k < i+rows; k++ {
		d.blocks(l, &one[0], v, vectors, k, 0, dotRowsFew, 1)
		for j := range vectors {
			d.dst[(v+j)*d.pitch+k] = one[j*dotRowsFew]
		}
	}
}

// blocks calls by name, so that the room for one row stays on the stack.
func (d *rowDots) blocks(l Level, dst *float32, v, vectors, i, step, pitch, count int) {
	x, q := &d.x[i*d.step], &d.q[v*d.n]
	switch {
	case !l.use(AVX512):
		dotRowsAVX2x4(dst, x, q, d.n, 4*step, 4*pitch, count)
	case vectors == 1:
		dotRowsAVX512x16(dst, x, q, d.n, 4*step, 4*pitch, count)
	default:
		dotRowsAVX512x4(dst, x, q, d.n, 4*step, 4*pitch, count)
	}
}
