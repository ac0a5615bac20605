//go:build amd64 && !purego

package kernel

import "unsafe"

// dwBodies are the bodies of one level by channels; 0 is for the last ones,
// fewer than 16. Those in run take neighbouring pixels of a 3 by 3 kernel,
// those in slide such pixels at stride and dilation 1.
type dwBodies struct {
	pixel, run, slide map[int]func(*microArgs)
}

var (
	dwU8S8VNNI = dwBodies{
		map[int]func(*microArgs){64: dwU8S8VNNI64, 32: dwU8S8VNNI32, 16: dwU8S8VNNI16, 0: dwU8S8VNNI16Masked},
		map[int]func(*microArgs){64: dwU8S8RunVNNI64, 32: dwU8S8RunVNNI32, 16: dwU8S8RunVNNI16},
		map[int]func(*microArgs){64: dwU8S8Slide64, 32: dwU8S8Slide32, 16: dwU8S8Slide16},
	}
	dwU8S8AVXVNNI = dwBodies{
		map[int]func(*microArgs){32: dwU8S8AVXVNNI32, 16: dwU8S8AVXVNNI16},
		map[int]func(*microArgs){32: dwU8S8RunAVXVNNI32, 16: dwU8S8RunAVXVNNI16},
		nil,
	}
	dwU8S8AVX2 = dwBodies{
		map[int]func(*microArgs){32: dwU8S8AVX232, 16: dwU8S8AVX216},
		map[int]func(*microArgs){32: dwU8S8RunAVX232, 16: dwU8S8RunAVX216},
		nil,
	}
)

func (d *DepthwiseU8S8) bodies() *dwBodies {
	switch l := d.level; {
	case l.use(VNNI):
		return &dwU8S8VNNI
	case l.use(AVXVNNI):
		return &dwU8S8AVXVNNI
	case l.use(AVX2):
		return &dwU8S8AVX2
	}
	return nil
}

// pack cuts the channels into blocks. Where the level has no masks, the last
// block begins so that it is full, over channels of the one before; fewer
// than 16 channels are one block, whose results are copied.
func (d *DepthwiseU8S8) pack() {
	bodies := d.bodies()
	if bodies == nil {
		return
	}
	groups := (d.taps + 3) / 4
	off, c := 0, 0
	for c < d.n {
		width := 64
		for width > 16 && (width > d.n-c || bodies.pixel[width] == nil) {
			width /= 2
		}
		if width > d.n-c && bodies.pixel[0] == nil {
			c = max(0, d.n-width)
		}
		d.blocks = append(d.blocks, dwBlock{c, min(d.n, c+width), width, off})
		c += width
		off += groups * 4 * width
	}
	if bodies.slide != nil && d.taps == 9 {
		d.packColumns()
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

// packColumns arranges 3 by 3 taps for the sliding bodies: [column of taps]
// [4 vectors], the rows in the bytes of a dword.
func (d *DepthwiseU8S8) packColumns() {
	d.columns = aligned[int8](12 * (d.n + 63))
	for _, b := range d.blocks {
		for t := range 9 {
			for i := range b.c1 - b.c0 {
				v, dword := b.place(i)
				d.columns[12*b.c0+(t%3*4+v)*b.width+dword*4+t/3] = d.w[t*d.n+b.c0+i]
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
	if len(d.blocks) == 0 {
		return false
	}
	bodies := d.bodies()
	if d.n < 16 && bodies.pixel[0] == nil {
		d.runNarrow(a, pad, out, m0, m1)
		return true
	}
	s := scratches.Get().(*scratch)
	d.runBlocks(s, a, pad, out, m0, m1)
	s.microArgs = microArgs{}
	scratches.Put(s)
	return true
}

// runNarrow makes rows of 16 channels, of which the output has fewer, and copies those. What lies behind a pixel's channels
// is read as others of them.
func (d *DepthwiseU8S8) runNarrow(a rows[uint8], pad uint8, out *OutU8S8, m0, m1 int) {
	s := scratches.Get().(*scratch)
	if a.ix.span+16 > cap(a.x) {
		s.block = grow(s.block, len(a.x)+16)
		copy(s.block, a.x)
		a.x = s.block
	}
	_, size := out.at(0)
	rows := len(s.tile) * 4 / (16 * size)
	for m := m0; m < m1; m += rows {
		end := min(m1, m+rows)
		s.wider = &s.tile
		d.runBlocks(s, a, pad, out, m, end)
		for i := m; i < end; i++ {
			dst, _ := out.at(i * out.Ldc)
			from := unsafe.Add(unsafe.Pointer(&s.tile), (i-m)*16*size)
			copy(unsafe.Slice((*byte)(dst), d.n*size), unsafe.Slice((*byte)(from), d.n*size))
		}
	}
	s.wider = nil
	s.microArgs = microArgs{}
	scratches.Put(s)
}

// runBlocks makes the rows m0 to m1-1.
func (d *DepthwiseU8S8) runBlocks(s *scratch, a rows[uint8], pad uint8, out *OutU8S8, m0, m1 int) {
	bodies := d.bodies()
	s.setOutput(out)
	w := &a.ix.win
	runs := w.KH == 3 && w.KW == 3
	length := 64
	if runs {
		length += 2 * w.DilW * w.Pitch // a padding row under three columns of taps
	}
	s.pad = grow(s.pad, length)
	fill(s.pad, pad)
	for i := range d.blocks {
		r := dwIntRun{s: s, d: d, a: &a, out: out, b: &d.blocks[i], first: m0}
		r.pixel, r.run = bodies.pixel[r.b.width], bodies.run[r.b.width]
		if r.b.c1-r.b.c0 < r.b.width && bodies.pixel[0] != nil {
			r.pixel, r.run = bodies.pixel[0], nil
		}
		r.channels()
		if w.StrideW == 1 && w.DilW == 1 && r.run != nil && d.columns != nil {
			r.run, r.columns = bodies.slide[r.b.width], unsafe.Pointer(&d.columns[12*r.b.c0])
		}
		if runs && r.run != nil {
			w.segments(m0, m1, r.pixels, r.inner)
		} else {
			r.pixels(m0, m1-m0, 1)
		}
	}
}

// dwIntRun is the work of one block of channels.
type dwIntRun struct {
	s          *scratch
	d          *DepthwiseU8S8
	a          *rows[uint8]
	out        *OutU8S8
	b          *dwBlock
	pixel, run func(*microArgs)
	columns    unsafe.Pointer // weights of run, where they are not those of pixel
	first      int            // output row that is the first of rows made wider than the output
}

// channels points the arguments at the weights and factors of the block.
func (r *dwIntRun) channels() {
	s, b := r.s, r.b
	s.mask = ^uint64(0) >> (64 - (b.c1 - b.c0))
	if r.d.wide != nil {
		s.b = unsafe.Pointer(&r.d.wide[b.off])
	} else {
		s.b = unsafe.Pointer(&r.d.data[b.off])
	}
	s.factors(r.out, b.c0, b.c1, b.width)
}

// pixels takes any pixels through the list of offsets: n from m on, step apart.
func (r *dwIntRun) pixels(m, n, step int) {
	s, taps := r.s, r.d.taps
	s.a, s.zero = unsafe.Pointer(&r.a.x[r.b.c0]), unsafe.Pointer(&s.pad[0])
	s.offRow, s.taps = step*taps*4, (taps+3)/4
	for end := m + n*step; m < end; m += blockPixels * step {
		s.off, s.rows = &r.a.ix.off[m*taps], min(blockPixels, (end-m)/step)
		r.target(m, step)
		r.pixel(&s.microArgs)
	}
}

// inner takes a block. A kernel row outside of the image reads the padding row
// and stays there.
func (r *dwIntRun) inner(b block) {
	s, w := r.s, &r.a.ix.win
	var row [3]unsafe.Pointer
	var step [3]int
	for k := range 3 {
		row[k] = unsafe.Pointer(&s.pad[0])
		if k >= b.k0 && k < b.k1 {
			row[k] = unsafe.Pointer(&r.a.x[w.first(b.oy, b.ox, k)+r.b.c0])
			step[k] = w.StrideW * w.Pitch
		}
	}
	s.a, s.zero, s.add = row[0], row[1], row[2]
	s.aStep, s.offStep, s.ldAdd = step[0], step[1], step[2]
	r.target(b.oy*w.OW+b.ox, 1)
	s.kb, s.rows, s.lines = w.DilW*w.Pitch, b.n, b.lines
	s.aSkip, s.cSkip = w.StrideH*w.W*w.Pitch-b.n*step[0], (w.OW-b.n)*s.ldc
	weights := s.b
	if r.columns != nil {
		s.b = r.columns
	}
	r.run(&s.microArgs)
	s.b = weights
}

// target points the arguments at output row m, of rows step apart.
func (r *dwIntRun) target(m, step int) {
	at, size := r.out.at(m*r.out.Ldc + r.b.c0)
	r.s.c, r.s.ldc = at, step*r.out.Ldc*size
	if r.s.wider != nil {
		r.s.c, r.s.ldc = unsafe.Add(unsafe.Pointer(r.s.wider), (m-r.first)*16*size), step*16*size
	}
}
