package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// Groups of up to mostSpread channels, of which as many are made, would leave most of a vector of a product empty. Of single
// channels, which are spread at once, mostSpreadOne are made.
const (
	mostSpread    = 4
	mostSpreadOne = 8
	mostSpreadSum = 256 // products to a sum
)

// spreads says whether groups are better convolved as single channels, each as often as its group has others to see.
func (s *convSpec) spreads() bool {
	each := s.o / s.group
	few := s.cg == 1 && each <= mostSpreadOne || s.cg <= mostSpread && each <= mostSpread
	return few && s.group > 1 && s.taps() > 1 && s.taps()*s.cg <= mostSpreadSum
}

// spreadF32 writes the first channel of each group, once for each that is made of it, then the second of each and so on, and
// convolves these with each tap taken once for each of them.
func (lw *lowerer) spreadF32(n *node, s *convSpec) {
	order := kernel.Order{N: s.cg * s.taps(), Tap: 1}
	w := packed(lw.packs, packKey{n.out[0].name, "spread f32"}, []*tensor.Tensor{s.weight}, func() *kernel.GroupedF32 {
		return lw.level.PackGroupedF32(tensor.Of[float32](s.weight), s.o, 1, s.cg*s.taps(), order)
	})
	x := lw.spreadGroups(n, s)
	st, io := lw.convStep(n, s, "f32 grouped "+s.sizeText(), x)
	lw.emitGrouped(st, w, s, io, lw.spreadTaps(s, x.pitch), f32DepthwiseNanos)
}

// spreadGroups emits the step that writes the channels of groups.
func (lw *lowerer) spreadGroups(n *node, s *convSpec) pixels {
	x := n.in[0]
	in, pitch, level := s.inputs(), s.cg*s.o, lw.level
	src, count := lw.use(x, channelsLast), x.elems()/in
	wide, turned := lw.scratch(tensor.Float32, count*pitch), src
	out := []*slot{wide}
	if s.cg > 1 {
		turned = lw.scratch(tensor.Float32, x.elems())
		out = append(out, turned)
	}
	parts := lw.partsFor(float64(count*pitch)*splitNanos, count)
	lw.emit(&step{node: n, kernel: "spread groups", parts: parts, in: []*slot{src}, out: out, run: func(f *frame, part int) error {
		a, b := count*part/parts, count*(part+1)/parts
		from := f.f32(src)[a*in : b*in]
		if s.cg > 1 {
			to := f.f32(turned)[a*in : b*in]
			kernel.Transpose(level, to, from, b-a, s.group, s.cg)
		}
		kernel.Repeat(level, tensor.Of[uint32](f.vals[wide.id])[a*pitch:b*pitch], tensor.Of[uint32](f.vals[turned.id])[a*in:b*in], s.o/s.group)
		return nil
	}})
	return pixels{wide, 0, pitch}
}

// spreadTaps lists the taps of each output pixel for the first channels of groups, for the second, and so on.
func (lw *lowerer) spreadTaps(s *convSpec, pitch int) *kernel.Indirect {
	ix := lw.indirect(&s.convShape, pitch)
	if s.cg == 1 {
		return ix
	}
	off := make([]int32, 0, ix.Rows*ix.Taps*s.cg)
	for row := range ix.Rows {
		for k := range s.cg {
			for t := range ix.Taps {
				at := ix.At(row, t)
				if at >= 0 {
					at += k * s.o
				}
				off = append(off, int32(at))
			}
		}
	}
	return kernel.NewIndirect(off, ix.Taps*s.cg)
}
