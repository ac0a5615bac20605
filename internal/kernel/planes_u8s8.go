package kernel

import (
	"encoding/binary"
	"unsafe"
)

// PlanesU8S8 is the weight of a convolution of codes to few channels, as [PlanesF32] is of floats. An element of its planes
// is four codes that are multiplied at once: those of four channels, or of fewer channels and neighbouring taps.
type PlanesU8S8 struct {
	planes
	n, c     int // output and input channels
	channels int // of an element: 4, 2 or 1
	taps     int // of an element: as many as are left
	steps    int // elements of a sum
	w        []int8
	sums     []int32 // of the weights of each output channel
	groups   []planesGroupU8S8
}

// planesGroupU8S8 is a group of output channels that assembly makes together.
type planesGroupU8S8 struct {
	n0, n1, rows int
	w            []int8 // [steps][rows][4], or as much in 16 bits
}

// quad is the number of codes of an element.
const quad = 4

// PackPlanesU8S8 takes the weight (n, c, KH, KW) of a convolution of images of c channels. The pitch of win does not matter.
func (l Level) PackPlanesU8S8(w []int8, n, c int, win Window) *PlanesU8S8 {
	p := &PlanesU8S8{n: n, c: c, channels: quad, taps: 1}
	if c < 3 {
		p.channels, p.taps = c, quad/c
	}
	p.place(l, win)
	p.steps = len(p.off)
	p.sums = columnSums(w, n, c*win.KH*win.KW, 1, Order{N: c * win.KH * win.KW, K: 1})
	p.w = make([]int8, n*p.steps*quad)
	for i := range n {
		p.arrange(p.w[i*p.steps*quad:], w[i*c*win.KH*win.KW:])
	}
	p.group()
	return p
}

// place lays out the planes of images.
func (p *PlanesU8S8) place(l Level, win Window) {
	p.planes = newPlanes(l, win, (p.c+p.channels-1)/p.channels, p.taps)
	p.inBytes(quad)
}

// For returns p for images of another size, the strides and dilations of whose windows are those of p's.
func (p *PlanesU8S8) For(win Window) *PlanesU8S8 {
	q := *p
	q.place(p.level, win)
	return &q
}

// arrange writes the weights of one output channel as [steps][4], with zeros where there is no such channel or tap.
func (p *PlanesU8S8) arrange(dst, w []int8) {
	kh, kw := p.win.KH, p.win.KW
	for c := 0; c < p.c; c += p.channels {
		for ky := range kh {
			for kx := 0; kx < kw; kx += p.taps {
				for b := range quad {
					ch, tap := c+b%p.channels, kx+b/p.channels
					if ch < p.c && tap < kw {
						dst[b] = w[(ch*kh+ky)*kw+tap]
					}
				}
				dst = dst[quad:]
			}
		}
	}
}

// ColumnSums is the sum of the weights of each output channel, for zero points.
func (p *PlanesU8S8) ColumnSums() []int32 { return p.sums }

// Bytes is the size of the planes of an image, with what may be read behind them.
func (p *PlanesU8S8) Bytes() int { return quad * p.Len() }

// Rows is the number of rows of planes.
func (p *PlanesU8S8) Rows() int { return p.height }

// Split writes the rows from to to-1 of all planes of an image, whose element of channel c and pixel i is
// x[c*channel+i*pixel], with its padding, which has the code pad.
func (p *PlanesU8S8) Split(dst, x []uint8, channel, pixel int, pad uint8, from, to int) {
	w := &p.win
	for j := from; j < to; j++ {
		for i := range w.StrideH * w.StrideW {
			y, at := j*w.StrideH+i/w.StrideW-w.Top, i%w.StrideW-w.Left
			if y < 0 || y >= w.H {
				for k := i; k < p.count; k += w.StrideH * w.StrideW {
					fill(dst[quad*(k*p.size+j*p.pitch):][:quad*p.pitch], pad)
				}
				continue
			}
			p.splitRow(dst[quad*(i*p.size+j*p.pitch):], x[y*w.W*pixel:], channel, pixel, at, pad)
		}
	}
	if to == p.height { // what follows the rows is read, and dropped
		for k := range p.count {
			clear(dst[quad*(k*p.size+p.height*p.pitch) : quad*(k+1)*p.size])
		}
		clear(dst[quad*p.count*p.size:][:quad*planesSlack])
	}
}

// splitRow writes one row of each plane of channels from an image row, from its column at on.
func (p *PlanesU8S8) splitRow(dst, x []uint8, channel, pixel, at int, pad uint8) {
	w := &p.win
	next, step := quad*p.size*w.StrideH*w.StrideW, w.StrideW*pixel
	first, end := p.columns(at)
	if channel == 1 && p.taps == 1 && p.c%quad == 0 && pixel%quad == 0 {
		for c := 0; c < p.c; c += quad {
			row := dst[c/quad*next:][:quad*p.pitch]
			fill(row[:quad*first], pad)
			fill(row[quad*end:], pad)
		}
		if first < end {
			from := x[(at+first*w.StrideW)*pixel:]
			TransposePitch(p.level, words(dst[quad*first:]), words(from), end-first, p.c/quad, next/quad, step/quad)
		}
		return
	}
	for c := 0; c < p.c; c += p.channels {
		row := dst[c/p.channels*next:][:quad*p.pitch]
		fill(row, pad)
		var from [quad]int
		lo, hi := 0, p.pitch // where all four codes lie in the image
		for b := range quad {
			ch, col := min(c+b%p.channels, p.c-1), at+b/p.channels*w.DilW // a channel too many has weights of zero
			from[b] = ch*channel + col*pixel
			first, end := p.columns(col)
			lo, hi = max(lo, first), min(hi, end)
		}
		lo = min(lo, hi)
		for i := lo; i < hi; i++ {
			o := i * step
			four := uint32(x[from[0]+o]) | uint32(x[from[1]+o])<<8 | uint32(x[from[2]+o])<<16 | uint32(x[from[3]+o])<<24
			binary.LittleEndian.PutUint32(row[quad*i:], four)
		}
		for b := range quad {
			first, end := p.columns(at + b/p.channels*w.DilW)
			for _, edge := range [][2]int{{first, min(lo, end)}, {max(hi, first), end}} {
				for i := edge[0]; i < edge[1]; i++ {
					row[quad*i+b] = x[from[b]+i*step]
				}
			}
		}
	}
}

// words views bytes as words, as many as are whole.
func words(b []uint8) []uint32 {
	if len(b) < quad {
		return nil
	}
	return unsafe.Slice((*uint32)(unsafe.Pointer(&b[0])), len(b)/quad)
}

// Conv makes the output rows y0 to y1-1 of an image that Split has split. Channel n of pixel i is column n of row i of
// [OutU8S8], but lies at element n*Ldc+i.
func (p *PlanesU8S8) Conv(planes []uint8, out *OutU8S8, y0, y1 int) {
	if len(planes) < p.Bytes() {
		panic("kernel: input is too short")
	}
	checkOut(out.len(), out.Ldc, y1*p.win.OW, p.n)
	out.checkFactors(p.n)
	if y0 < y1 && !p.runFast(planes, out, y0, y1) {
		p.runGeneric(planes, out, y0, y1)
	}
}

// runGeneric is the meaning of Conv.
func (p *PlanesU8S8) runGeneric(planes []uint8, out *OutU8S8, y0, y1 int) {
	for n := range p.n {
		o, w := out.channel(n), p.w[n*p.steps*quad:]
		for y := y0; y < y1; y++ {
			for x := range p.win.OW {
				var sum [1]int32
				if o.Bias != nil {
					sum[0] = o.Bias[0]
				}
				at := planes[quad*(y*p.pitch+x):]
				for k, off := range p.off {
					for b, v := range at[off:][:quad] {
						sum[0] += int32(v) * int32(w[k*quad+b])
					}
				}
				o.store(sum[:], y*p.win.OW+x, 0)
			}
		}
	}
}

// channel is where one of several channels goes, Ldc elements apart: pixel i as row i.
func (o *OutU8S8) channel(n int) OutU8S8 {
	one := OutU8S8{Ldc: 1, Bias: from(o.Bias, n), Scale: from(o.Scale, n), Shift: from(o.Shift, n), Zero: o.Zero, Min: o.Min, Max: o.Max}
	one.U8, one.S8, one.I32, one.F32 = from(o.U8, n*o.Ldc), from(o.S8, n*o.Ldc), from(o.I32, n*o.Ldc), from(o.F32, n*o.Ldc)
	return one
}

// from is v from element n on; nil stays nil.
func from[T any](v []T, n int) []T {
	if v == nil {
		return nil
	}
	return v[n:]
}
