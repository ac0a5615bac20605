//go:build amd64 && !purego

package kernel

import (
	"sync"
	"unsafe"
)

// planesArgs is the argument of the kernels in _asm/planes_f32.go, which knows its layout.
type planesArgs struct {
	x       unsafe.Pointer // the first pixel
	off     *int32         // bytes from there, for each k
	k       int
	w       unsafe.Pointer // [k][rows]
	bias    unsafe.Pointer // one per row
	c       unsafe.Pointer
	ldc     int // bytes
	tiles   int
	lo, hi  float32
	scale   unsafe.Pointer // for codes from here on: one per row
	shift   unsafe.Pointer // the same
	kind    int32          // 0: results are codes, else floats
	zero    int32
	qlo     int32
	qhi     int32
	part    int            // k of a block of a float32 sum
	partial unsafe.Pointer // takes the sums of a tile over the blocks so far
}

// planesKernel is one body: channels by vectors of pixels of its tile.
type planesKernel struct {
	rows, vectors int
	fn            func(*planesArgs)
}

// planesFor is the body for n channels: the least that has as many, else the largest.
func planesFor(set []planesKernel, n int) planesKernel {
	for _, k := range set {
		if k.rows >= n {
			return k
		}
	}
	return set[len(set)-1]
}

// planesBudget bounds the vectors that one call multiplies, so that it returns within 100 µs.
const planesBudget = 1 << 17

// planesScratch is what a run needs beside its arguments.
type planesScratch struct {
	planesArgs
	biasF32        [planesMost]float32
	biasI32        [planesMost]int32
	scales, shifts [planesMost]float32
	floats         []float32
	codes          []uint8
	partials       [tileSums]float32
}

// planesMost is the largest number of channels of a body.
const planesMost = 8

var planesScratches = sync.Pool{New: func() any { return new(planesScratch) }}

// planesRows makes the output rows y0 to y1-1 of the channels n0 to n1-1, by way of a buffer that takes what runs make at
// the ends of rows.
func planesRows[T any](s *planesScratch, p *planes, k planesKernel, x unsafe.Pointer, lanes, n0, n1 int, dst []T, ldc, y0, y1 int, buf *[]T) {
	var z T
	wide, size, ow := k.vectors*lanes, int(unsafe.Sizeof(z)), p.win.OW
	most := max(1, planesBudget/(s.k*k.rows*k.vectors)) * wide // pixels of a call
	rows, cols := max(1, most/p.pitch), min(ow, most)
	for y := y0; y < y1; y += rows {
		end := min(y1, y+rows)
		for c0 := 0; c0 < ow; c0 += cols {
			c1 := min(ow, c0+cols)
			s.tiles = ((end-y-1)*p.pitch + c1 - c0 + wide - 1) / wide
			run := s.tiles * wide
			*buf = grow(*buf, k.rows*run)
			s.x, s.c, s.ldc = unsafe.Add(x, 4*(y*p.pitch+c0)), unsafe.Pointer(&(*buf)[0]), run*size
			k.fn(&s.planesArgs)
			for n := n0; n < n1; n++ {
				for r := range end - y {
					copy(dst[n*ldc+(y+r)*ow+c0:][:c1-c0], (*buf)[(n-n0)*run+r*p.pitch:])
				}
			}
		}
	}
}
