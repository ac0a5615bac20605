//go:build amd64 && !purego

package kernel

import "unsafe"

var planesVNNI = []planesKernel{
	{1, 8, planesU8S8VNNI1x128}, {2, 6, planesU8S8VNNI2x96}, {3, 6, planesU8S8VNNI3x96},
	{4, 6, planesU8S8VNNI4x96}, {6, 4, planesU8S8VNNI6x64}, {8, 3, planesU8S8VNNI8x48},
}

var planesAVXVNNI = []planesKernel{
	{1, 8, planesU8S8AVXVNNI1x64}, {2, 4, planesU8S8AVXVNNI2x32}, {3, 3, planesU8S8AVXVNNI3x24}, {4, 3, planesU8S8AVXVNNI4x24},
}

var planesPairs = []planesKernel{{1, 8, planesU8S8AVX21x64}, {2, 3, planesU8S8AVX22x24}}

// planesSetU8S8 gives the bodies of a level, the pixels of a vector, and whether these multiply codes as words.
func (l Level) planesSetU8S8() (set []planesKernel, lanes int, pairs bool) {
	switch {
	case l.use(VNNI):
		return planesVNNI, 16, false
	case l.use(AVXVNNI):
		return planesAVXVNNI, 8, false
	case l.use(AVX2):
		return planesPairs, 8, true
	}
	return nil, 0, false
}

// group deals the output channels out to bodies. Channels past the last have weights of zero.
func (p *PlanesU8S8) group() {
	set, _, pairs := p.level.planesSetU8S8()
	if set == nil {
		return
	}
	for n0 := 0; n0 < p.n; {
		g := planesGroupU8S8{n0: n0, rows: planesFor(set, p.n-n0).rows}
		g.n1 = min(p.n, n0+g.rows)
		bytes := quad
		if pairs {
			bytes = 2 * quad
		}
		g.w = aligned[int8](p.steps * g.rows * bytes)
		for r := range g.n1 - n0 {
			for k := range p.steps {
				to, w := g.w[(k*g.rows+r)*bytes:][:bytes], p.w[((n0+r)*p.steps+k)*quad:][:quad]
				if !pairs {
					copy(to, w)
					continue
				}
				for i, v := range w { // words: of the even codes, then of the odd ones
					at := i%2*quad + i/2*2
					to[at], to[at+1] = v, v>>7
				}
			}
		}
		p.groups, n0 = append(p.groups, g), g.n1
	}
}

func (p *PlanesU8S8) runFast(planes []uint8, out *OutU8S8, y0, y1 int) bool {
	set, lanes, _ := p.level.planesSetU8S8()
	if set == nil || out.U8 == nil && out.F32 == nil {
		return false
	}
	s := planesScratches.Get().(*planesScratch)
	s.off, s.k = &p.off[0], p.steps
	s.lo, s.hi, s.zero, s.qlo, s.qhi = -65536, 65536, out.Zero, out.Min, out.Max
	for _, g := range p.groups {
		s.w = unsafe.Pointer(&g.w[0])
		s.planesFactors(out, g.n0, g.n1)
		k, x := planesFor(set, g.rows), unsafe.Pointer(&planes[0])
		if out.U8 != nil {
			planesRows(s, &p.planes, k, x, lanes, g.n0, g.n1, out.U8, out.Ldc, y0, y1, &s.codes)
		} else {
			s.kind = 1
			planesRows(s, &p.planes, k, x, lanes, g.n0, g.n1, out.F32, out.Ldc, y0, y1, &s.floats)
		}
	}
	s.planesArgs = planesArgs{}
	planesScratches.Put(s)
	return true
}

// planesFactors points s at the factors of the channels n0 to n1-1.
func (s *planesScratch) planesFactors(out *OutU8S8, n0, n1 int) {
	clear(s.biasI32[:])
	if out.Bias != nil {
		copy(s.biasI32[:], out.Bias[n0:n1])
	}
	copy(s.scales[:], out.Scale[n0:n1])
	copy(s.shifts[:], negZeros[:])
	if out.Shift != nil {
		copy(s.shifts[:], out.Shift[n0:n1])
	}
	s.bias, s.scale, s.shift = unsafe.Pointer(&s.biasI32[0]), unsafe.Pointer(&s.scales[0]), unsafe.Pointer(&s.shifts[0])
}
