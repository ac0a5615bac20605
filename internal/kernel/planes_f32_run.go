//go:build amd64 && !purego

package kernel

import "unsafe"

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
	p.inBytes(4)
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

func (p *PlanesF32) runFast(planes []float32, out *OutPlanes, y0, y1 int) bool {
	set, lanes := p.level.planesSet()
	if set == nil {
		return false
	}
	s := planesScratches.Get().(*planesScratch)
	s.off, s.k, s.partial = &p.off[0], p.k, unsafe.Pointer(&s.partials)
	_, s.part = sumBlocks(1, p.k)
	s.lo, s.hi = (&OutF32{Min: out.Min, Max: out.Max}).bounds()
	for _, g := range p.groups {
		clear(s.biasF32[:])
		if out.Bias != nil {
			copy(s.biasF32[:], out.Bias[g.n0:g.n1])
		}
		s.w, s.bias = unsafe.Pointer(&g.w[0]), unsafe.Pointer(&s.biasF32[0])
		planesRows(s, &p.planes, planesFor(set, g.rows), unsafe.Pointer(&planes[0]), lanes, g.n0, g.n1, out.C, out.Ldc, y0, y1, &s.floats)
	}
	s.planesArgs = planesArgs{}
	planesScratches.Put(s)
	return true
}
