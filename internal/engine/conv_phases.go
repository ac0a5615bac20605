package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A phase is every stride-th output pixel of a transposed convolution of single channels: a convolution of its own with the
// taps that reach those pixels.
type phase struct {
	y, x int           // the first pixel
	taps []int         // of the transposed kernel, in the order of the window
	win  kernel.Window // seen from the input
}

// phases splits a transposed convolution in which each channel sees only itself, or returns nil where it is another, or
// some pixels see no tap at all.
func (s *convTranspose) phases() []phase {
	w := &s.win
	if s.deep != nil || s.cg != 1 || s.og != 1 || s.group == 1 || w.DilH != 1 || w.DilW != 1 || w.H < w.StrideH || w.W < w.StrideW {
		return nil
	}
	var list []phase
	for y := range w.StrideH {
		rows := phaseOf(y, w.H, w.OH, w.KH, w.StrideH, w.Top)
		for x := range w.StrideW {
			cols := phaseOf(x, w.W, w.OW, w.KW, w.StrideW, w.Left)
			if rows.taps == 0 || cols.taps == 0 || rows.pad < 0 || cols.pad < 0 {
				return nil
			}
			if w.StrideH == 1 && rows.out > 1 && cols.out*w.StrideW > w.W {
				return nil // of the later rows, pixel 0 would lie before the image
			}
			p := phase{y: y, x: x, win: kernel.Window{
				H: w.OH, W: w.OW, Pitch: s.group, KH: rows.taps, KW: cols.taps, StrideH: 1, StrideW: 1, DilH: 1, DilW: 1,
				Top: rows.pad, Left: cols.pad, OH: rows.out, OW: cols.out,
			}}
			for i := range rows.taps {
				for k := range cols.taps {
					p.taps = append(p.taps, (rows.last-i*w.StrideH)*w.KW+cols.last-k*w.StrideW)
				}
			}
			list = append(list, p)
		}
	}
	return list
}

// A line is a phase along one axis.
type line struct {
	out  int // pixels
	taps int
	last int // the tap that the window begins with: they run backwards
	pad  int // pixels that the first window begins before the input
}

// phaseOf returns the pixels at, at+stride and so on of size, of a transposed convolution with that many taps whose
// result has pad pixels cut in front: input pixel i meets pixel i*stride+k-pad with tap k.
func phaseOf(at, size, in, taps, stride, pad int) line {
	first := (at + pad) % stride
	l := line{out: (size - at + stride - 1) / stride, taps: (taps - first + stride - 1) / stride}
	l.last = first + (l.taps-1)*stride
	l.pad = l.taps - 1 - (at+pad)/stride
	return l
}

// phasedF32 emits the phases of a transposed convolution, each row of pixels on its own.
func (lw *lowerer) phasedF32(n *node, s *convTranspose, phases []phase) {
	c, level := s.group, lw.level
	ws := packed(lw.packs, packKey{n.out[0].name, "conv transpose phases f32"}, []*tensor.Tensor{s.weight}, func() []*kernel.GroupedF32 {
		list, all, w := make([]*kernel.GroupedF32, len(phases)), s.taps(), tensor.Of[float32](s.weight)
		for i, p := range phases {
			some := make([]float32, 0, c*len(p.taps))
			for ch := range c {
				for _, t := range p.taps {
					some = append(some, w[ch*all+t])
				}
			}
			list[i] = level.PackGroupedF32(some, c, 1, len(p.taps), kernel.Order{N: len(p.taps), Tap: 1, K: len(p.taps)})
		}
		return list
	})
	x := lw.use(n.in[0], channelsLast)
	im := imageOf(n.in[0], n.out[0])
	dst := lw.make(n.out[0], channelsLast)
	indirect := make([]*kernel.Indirect, len(phases))
	for i := range phases {
		indirect[i] = lw.indirect(&convShape{o: c, cg: 1, group: c, win: phases[i].win}, c)
	}
	macs := int64(im.batch*im.in) * int64(s.taps())
	lines := image{im.batch, 0, 0, (s.win.H + s.win.StrideH - 1) / s.win.StrideH}
	cuts := lw.rowCuts(lines, 1, float64(macs)*f32DepthwiseNanos, nil)
	lw.emit(&step{node: n, kernel: "f32 depthwise conv transpose " + sizeText(s.win) + s.act.text, macs: macs, parts: len(cuts), in: []*slot{x}, out: []*slot{dst}, run: func(f *frame, part int) error {
		k := cuts[part]
		in, all := imageAt(f.f32(x), im.in, k.image, 0), f.f32(dst)[k.image*im.out:][:im.out]
		for y := k.M0; y < k.M1; y++ {
			for i, p := range phases {
				if y < p.win.OH {
					s.phaseLine(level, ws[i], in, indirect[i], all, &p, y)
				}
			}
		}
		return nil
	}})
}

// phaseLine computes one row of pixels of a phase.
func (s *convTranspose) phaseLine(l kernel.Level, w *kernel.GroupedF32, in []float32, ix *kernel.Indirect, all []float32, p *phase, y int) {
	pitch, m := s.win.StrideW*s.group, y*p.win.OW
	row := all[((y*s.win.StrideH+p.y)*s.win.W+p.x)*s.group-m*pitch:] // so that pixel m lies at m*pitch
	w.Run(in, ix, &kernel.OutF32{C: row, Ldc: pitch, Bias: s.bias, Min: s.act.lo, Max: s.act.hi}, m, m+p.win.OW)
	s.act.finish(l, row, pitch, tile{m, m + p.win.OW, 0, s.group})
}
