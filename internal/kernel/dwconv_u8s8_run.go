//go:build amd64 && !purego

package kernel

import "unsafe"

// dwBodies are the bodies of one level by channels; 0 is for the last ones,
// fewer than 16.
type dwBodies map[int]func(*microArgs)

var (
	dwU8S8VNNI    = dwBodies{64: dwU8S8VNNI64, 32: dwU8S8VNNI32, 16: dwU8S8VNNI16, 0: dwU8S8VNNI16Masked}
	dwU8S8AVXVNNI = dwBodies{32: dwU8S8AVXVNNI32, 16: dwU8S8AVXVNNI16}
	dwU8S8AVX2    = dwBodies{32: dwU8S8AVX232, 16: dwU8S8AVX216}
)

func (d *DepthwiseU8S8) bodies() dwBodies {
	switch l := d.level; {
	case l.use(VNNI):
		return dwU8S8VNNI
	case l.use(AVXVNNI):
		return dwU8S8AVXVNNI
	case l.use(AVX2):
		return dwU8S8AVX2
	}
	return nil
}

// pack cuts the channels into blocks. Channels that fill no block of 16 are
// left to Go where the level has no masks.
func (d *DepthwiseU8S8) pack() {
	bodies := d.bodies()
	if bodies == nil {
		return
	}
	groups := (d.taps + 3) / 4
	off, c := 0, 0
	for c < d.n {
		width := 64
		for width > 16 && (width > d.n-c || bodies[width] == nil) {
			width /= 2
		}
		if width > d.n-c && bodies[0] == nil {
			break
		}
		d.blocks = append(d.blocks, dwBlock{c, min(d.n, c+width), width, off})
		c += width
		off += groups * 4 * width
	}
	wide := !d.level.use(VNNI) && !d.level.use(AVXVNNI)
	if wide {
		d.wide = aligned[int16](off)
	} else {
		d.data = aligned[int8](off)
	}
	for _, b := range d.blocks {
		for t := range d.taps {
			for i := range b.c1 - b.c0 {
				if w := d.w[t*d.n+b.c0+i]; wide {
					d.wide[b.off+b.wideAt(t, i)] = int16(w)
				} else {
					d.data[b.off+b.byteAt(t, i)] = w
				}
			}
		}
	}
}

// place says in which accumulator the channel i of a block lies, and in which
// of its dwords: lane L of accumulator v holds the channels 16L+4v on.
func (b *dwBlock) place(i int) (v, dword int) { return i % 16 / 4, i/16*4 + i%4 }

// byteAt is where the weight of tap t goes: four taps to a dword.
func (b *dwBlock) byteAt(t, i int) int {
	v, dword := b.place(i)
	return t/4*4*b.width + v*b.width + dword*4 + t%4
}

// wideAt is the same in 16 bits: a vector with the taps 0 and 2 of each
// channel, then one with 1 and 3.
func (b *dwBlock) wideAt(t, i int) int {
	v, dword := b.place(i)
	return t/4*4*b.width + (2*v+t%2)*b.width/2 + dword*2 + t%4/2
}

func (d *DepthwiseU8S8) runFast(a rows[uint8], pad uint8, out *OutU8S8, m0, m1 int) bool {
	if len(d.blocks) == 0 || out.U8 == nil && out.S8 == nil {
		return false
	}
	bodies := d.bodies()
	s := scratches.Get().(*scratch)
	s.setOutput(out)
	s.pad = grow(s.pad, 64)
	fill(s.pad, pad)
	s.zero = unsafe.Pointer(&s.pad[0])
	s.offRow, s.taps, s.ldc = d.taps*4, (d.taps+3)/4, out.Ldc
	for _, b := range d.blocks {
		s.mask = ^uint64(0) >> (64 - (b.c1 - b.c0))
		if d.wide != nil {
			s.b = unsafe.Pointer(&d.wide[b.off])
		} else {
			s.b = unsafe.Pointer(&d.data[b.off])
		}
		s.bias = unsafe.Pointer(&zeros)
		if out.Bias != nil {
			s.bias = vectors(out.Bias, b.c0, b.c1, b.width, s.biasI32[:])
		}
		s.scale = vectors(out.Scale, b.c0, b.c1, b.width, s.scaleF32[:])
		s.a = unsafe.Pointer(&a.x[b.c0])
		body := bodies[b.width]
		if b.c1-b.c0 < b.width {
			body = bodies[0]
		}
		for m := m0; m < m1; m += dwCall {
			s.off, s.rows = &a.ix.off[m*d.taps], min(dwCall, m1-m)
			s.c, _ = out.at(m*out.Ldc + b.c0)
			body(&s.microArgs)
		}
	}
	s.microArgs = microArgs{}
	scratches.Put(s)
	if c0 := d.blocks[len(d.blocks)-1].c1; c0 < d.n {
		d.runGeneric(a, pad, out, m0, m1, c0)
	}
	return true
}
