//go:build amd64 && !purego

package kernel

import (
	"sync"
	"unsafe"
)

// planesArgs is the argument of the kernels in _asm/planes_f32.go, which knows its layout.
type planesArgs struct {
	x      unsafe.Pointer // the first pixel
	off    *int32         // bytes from there, for each k
	k      int
	w      unsafe.Pointer // [k][rows]
	bias   unsafe.Pointer // one per row
	c      unsafe.Pointer
	ldc    int // bytes
	tiles  int
	lo, hi float32
}

// planesKernel is one body: channels by vectors of pixels of its tile.
type planesKernel struct {
	rows, vectors int
	fn            func(*planesArgs)
}

var planesAVX512 = []planesKernel{
	{1, 8, planesF32AVX5121x128}, {2, 6, planesF32AVX5122x96}, {3, 6, planesF32AVX5123x96},
	{4, 6, planesF32AVX5124x96}, {6, 4, planesF32AVX5126x64}, {8, 3, planesF32AVX5128x48},
}

var planesAVX2 = []planesKernel{
	{1, 8, planesF32AVX21x64}, {2, 4, planesF32AVX22x32}, {3, 3, planesF32AVX23x24}, {4, 3, planesF32AVX24x24},
}

// planesSet gives the bodies of a level, those of fewer channels first, and the pixels of a vector; nil where it has none.
func (l Level) planesSet() (set []planesKernel, lanes int) {
	switch {
	case l.use(AVX512):
		return planesAVX512, 16
	case l.use(AVX2):
		return planesAVX2, 8
	}
	return nil, 0
}

// group deals the output channels out to bodies. Channels past the last have weights of zero.
func (p *PlanesF32) group() {
	set, _ := p.level.planesSet()
	if set == nil {
		return
	}
	for i, off := range p.off {
		p.off[i] = 4 * off
	}
	for n0 := 0; n0 < p.n; {
		g := planesGroup{n0: n0, rows: planesFor(set, p.n-n0).rows}
		g.n1 = min(p.n, n0+g.rows)
		g.w = aligned[float32](p.k * g.rows)
		for r := range g.n1 - n0 {
			for k := range p.k {
				g.w[k*g.rows+r] = p.w[(n0+r)*p.k+k]
			}
		}
		p.groups, n0 = append(p.groups, g), g.n1
	}
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
	biases [8]float32
	out    []float32
}

var planesScratches = sync.Pool{New: func() any { return new(planesScratch) }}

func (p *PlanesF32) runFast(planes []float32, out *OutPlanes, y0, y1 int) bool {
	set, lanes := p.level.planesSet()
	if set == nil {
		return false
	}
	s := planesScratches.Get().(*planesScratch)
	s.off, s.k = &p.off[0], p.k
	s.lo, s.hi = (&OutF32{Min: out.Min, Max: out.Max}).bounds()
	for _, g := range p.groups {
		k := planesFor(set, g.rows)
		wide := k.vectors * lanes
		s.w, s.bias = unsafe.Pointer(&g.w[0]), unsafe.Pointer(&s.biases[0])
		clear(s.biases[:])
		if out.Bias != nil {
			copy(s.biases[:], out.Bias[g.n0:g.n1])
		}
		rows := max(1, planesBudget/(p.k*g.rows)*lanes/p.pitch)
		for y := y0; y < y1; y += rows {
			end := min(y1, y+rows)
			run := (end-y-1)*p.pitch + p.win.OW
			s.tiles = (run + wide - 1) / wide
			ldc := s.tiles * wide
			s.out = grow(s.out, g.rows*ldc)
			s.x, s.c, s.ldc = unsafe.Pointer(&planes[y*p.pitch]), unsafe.Pointer(&s.out[0]), ldc*4
			k.fn(&s.planesArgs)
			for n := g.n0; n < g.n1; n++ {
				for r := range end - y {
					copy(out.C[n*out.Ldc+(y+r)*p.win.OW:][:p.win.OW], s.out[(n-g.n0)*ldc+r*p.pitch:])
				}
			}
		}
	}
	s.planesArgs = planesArgs{}
	planesScratches.Put(s)
	return true
}
