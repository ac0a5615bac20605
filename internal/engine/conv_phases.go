package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A phase is every stride-th output pixel of a transposed convolution: a convolution of its own with the taps that reach
// those pixels.
type phase struct {
	y, x int           // the first pixel
	taps []int         // of the transposed kernel, in the order of the window
	win  kernel.Window // seen from the input
}

// phaseColumns is how many channels of a group phases have at least: with fewer, all taps together fill vectors better.
const phaseColumns = 16

// depthwise says whether each channel is spread alone.
func (s *convTranspose) depthwise() bool { return s.cg == 1 && s.og == 1 && s.group > 1 }

// phases splits a transposed convolution, or returns nil where that does not pay, or some pixels see no tap at all.
func (s *convTranspose) phases() []phase {
	w := &s.win
	if s.deep != nil || w.DilH != 1 || w.DilW != 1 || w.H < w.StrideH || w.W < w.StrideW || !s.depthwise() && (s.og < phaseColumns || s.disjoint()) {
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
			if s.depthwise() && w.StrideH == 1 && rows.out > 1 && cols.out*w.StrideW > w.W {
				return nil // of the later rows, pixel 0 would lie before the image
			}
			p := phase{y: y, x: x, win: kernel.Window{
				H: w.OH, W: w.OW, Pitch: s.cg * s.group, KH: rows.taps, KW: cols.taps, StrideH: 1, StrideW: 1, DilH: 1, DilW: 1,
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

// weightsOf returns those of some taps of w, in its order (C, O/group, taps).
func (s *convTranspose) weightsOf(w []float32, taps []int) []float32 {
	all := s.taps()
	some := make([]float32, 0, len(w)/all*len(taps))
	for ; len(w) > 0; w = w[all:] {
		for _, t := range taps {
			some = append(some, w[t])
		}
	}
	return some
}

// phaseForm names how the weights of phases are packed: which taps are in which depends on what is cut in front, which depends
// on the size of the input where the file gives that of the output.
func (s *convTranspose) phaseForm() string {
	return "conv transpose phases f32 " + itoa(s.win.Top%s.win.StrideH) + " " + itoa(s.win.Left%s.win.StrideW)
}

// phaseTaps lists where the taps of each pixel of some phases begin.
func (lw *lowerer) phaseTaps(phases []phase) []*kernel.Indirect {
	list := make([]*kernel.Indirect, len(phases))
	for i := range phases {
		list[i] = lw.indirect(&convShape{win: phases[i].win}, phases[i].win.Pitch)
	}
	return list
}

// phasedDense emits the phases of a transposed convolution as products, and a step that deals their pixels out.
func (lw *lowerer) phasedDense(n *node, s *convTranspose, phases []phase) {
	level, o := lw.level, s.channels()
	packs := transposePacks(lw, n, s, s.phaseForm(), func(weights []float32) [][]*kernel.PackedF32 {
		list := make([][]*kernel.PackedF32, len(phases))
		for i, p := range phases {
			w, taps := s.weightsOf(weights, p.taps), len(p.taps)
			list[i] = packGroups(s.group, func(g int) *kernel.PackedF32 {
				return level.PackF32(w[g*s.cg*s.og*taps:], s.og, s.cg, taps, kernel.Order{N: taps, Tap: 1, K: s.og * taps})
			})
		}
		return list
	})
	x := lw.use(n.in[0], channelsLast)
	im := imageOf(n.in[0], n.out[0])
	sums := lw.scratch(tensor.Float32, im.batch*im.out)
	indirect := lw.phaseTaps(phases)
	type job struct {
		cut
		phase, at int // which one, and where its pixels begin in sums
	}
	var jobs []job
	macs, at := int64(im.batch*im.in)*int64(s.og*s.taps()), 0
	for i, p := range phases {
		rows := p.win.OH * p.win.OW
		each := image{im.batch, im.in, rows * o, rows}
		for _, c := range lw.rowCuts(each, 1, float64(macs)*f32Nanos/float64(len(phases)), nil) {
			jobs = append(jobs, job{c, i, c.image*im.out + at})
		}
		at += rows * o
	}
	lw.emit(&step{node: n, kernel: "f32 conv transpose by phases " + sizeText(s.win), macs: macs, parts: len(jobs), in: []*slot{x}, out: []*slot{sums}, run: func(f *frame, part int) error {
		k := jobs[part]
		for g, w := range packs(f)[k.phase] {
			out := &kernel.OutF32{C: f.f32(sums)[k.at+g*s.og:], Ldc: o, Min: s.act.lo, Max: s.act.hi}
			if s.bias != nil {
				out.Bias = s.bias[g*s.og:]
			}
			w.Conv(imageAt(f.f32(x), im.in, k.image, g*s.cg), indirect[k.phase], out, kernel.Range{M0: k.M0, M1: k.M1, P1: w.Panels()})
		}
		return nil
	}})
	lw.dealPhases(n, s, phases, sums, im)
}

// dealPhases puts the pixels of phases to their places.
func (lw *lowerer) dealPhases(n *node, s *convTranspose, phases []phase, sums *slot, im image) {
	dst, level, o := lw.make(n.out[0], channelsLast), lw.level, s.channels()
	cuts := lw.rowCuts(image{im.batch, 0, 0, s.win.H}, 1, float64(n.out[0].elems())*functionNanos, nil)
	lw.emit(&step{node: n, kernel: "deal phases" + s.act.text, parts: len(cuts), in: []*slot{sums}, out: []*slot{dst}, run: func(f *frame, part int) error {
		k := cuts[part]
		all := f.f32(dst)[k.image*im.out:][:im.out]
		from := f.f32(sums)[k.image*im.out:][:im.out]
		for _, p := range phases {
			size := p.win.OW * o
			for y := p.y; y < s.win.H; y += s.win.StrideH {
				if y < k.M0 || y >= k.M1 {
					from = from[size:]
					continue
				}
				line := all[(y*s.win.W+p.x)*o:]
				for x := range p.win.OW {
					copy(line[x*s.win.StrideW*o:][:o], from[x*o:])
				}
				from = from[size:]
			}
		}
		s.act.finish(level, all, o, tile{k.M0 * s.win.W, k.M1 * s.win.W, 0, o})
		return nil
	}})
}

// phasedDepthwise emits the phases of a transposed convolution of single channels, each row of pixels on its own.
func (lw *lowerer) phasedDepthwise(n *node, s *convTranspose, phases []phase) {
	c, level := s.group, lw.level
	packs := transposePacks(lw, n, s, s.phaseForm(), func(weights []float32) []*kernel.GroupedF32 {
		list := make([]*kernel.GroupedF32, len(phases))
		for i, p := range phases {
			list[i] = level.PackGroupedF32(s.weightsOf(weights, p.taps), c, 1, len(p.taps), kernel.Order{N: len(p.taps), Tap: 1, K: len(p.taps)})
		}
		return list
	})
	x := lw.use(n.in[0], channelsLast)
	im := imageOf(n.in[0], n.out[0])
	dst := lw.make(n.out[0], channelsLast)
	indirect := lw.phaseTaps(phases)
	macs := int64(im.batch*im.in) * int64(s.taps())
	lines := image{im.batch, 0, 0, (s.win.H + s.win.StrideH - 1) / s.win.StrideH}
	cuts := lw.rowCuts(lines, 1, float64(macs)*f32DepthwiseNanos, nil)
	lw.emit(&step{node: n, kernel: "f32 depthwise conv transpose " + sizeText(s.win) + s.act.text, macs: macs, parts: len(cuts), in: []*slot{x}, out: []*slot{dst}, run: func(f *frame, part int) error {
		k, ws := cuts[part], packs(f)
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
