package engine

import (
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// Nanoseconds of one multiply-add of signs, and of packing one sign, roughly.
const (
	bitNanos     = 0.0005
	bitPackNanos = 0.05
)

// bitsConv convolves signs with signs.
func (lw *lowerer) bitsConv(n *node, s *intConv) {
	ws := packed(lw.packs, packKey{n.out[0].name, "conv b1"}, []*tensor.Tensor{s.weight}, func() []*kernel.PackedBits {
		taps, og := s.taps(), s.o/s.group
		w := tensor.Of[int8](s.weight)
		ws := make([]*kernel.PackedBits, s.group)
		for g := range ws {
			ws[g] = lw.level.PackBits(w[g*og*s.cg*taps:], og, s.cg, taps, kernel.Order{N: s.cg * taps, Tap: 1, K: taps})
		}
		return ws
	})
	x, size, to := lw.pixelsOf(n.in[0]), ws[0].RowBytes(), s.store(make([]int32, s.o))
	rows := n.in[0].elems() / s.inputs()
	bits := lw.packBits(n, ws[0], x, s.cg, s.group, rows)
	st := &step{node: n, kernel: "b1b1 conv " + s.sizeText() + to.text(), macs: s.macs(n.out[0])}
	io := lw.convIO(n, st, pixels{bits, 0, s.group * size})
	ix := lw.indirect(&s.convShape, s.group*size)
	cuts := lw.cuts(st, ws[0], ix, io.im, float64(st.macs)*bitNanos, nil)
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		k := cuts[part]
		for g, w := range ws {
			w.Conv(imageAt(f.u8(bits), io.im.in, k.image, g*size), ix, to.outConv(f, io, k.image, g*w.N()), k.Range)
		}
		return nil
	}
	lw.emit(st)
}

// packBits emits the packing of rows of signs, each in groups of c, side by side.
func (lw *lowerer) packBits(n *node, w *kernel.PackedBits, x pixels, c, groups, rows int) *slot {
	size := w.RowBytes()
	dst := lw.scratch(tensor.Uint8, rows*groups*size)
	parts := lw.partsFor(float64(rows*groups*c)*bitPackNanos, rows)
	lw.emit(&step{node: n, kernel: "u8 to b1", parts: parts, in: []*slot{x.slot}, out: []*slot{dst}, run: func(f *frame, part int) error {
		from, to := rows*part/parts, rows*(part+1)/parts
		if groups == 1 {
			w.PackRows(f.u8(dst)[from*size:], f.u8(x.slot)[from*x.pitch+x.off:], x.pitch, to-from)
			return nil
		}
		for i := from * groups; i < to*groups; i++ {
			w.PackRows(f.u8(dst)[i*size:], f.u8(x.slot)[i/groups*x.pitch+x.off+i%groups*c:], 0, 1)
		}
		return nil
	}})
	return dst
}

// bitsGemm multiplies rows of signs by a matrix of signs.
func (lw *lowerer) bitsGemm(n *node, s *intGemm) {
	w := packed(lw.packs, packKey{n.out[0].name, "gemm b1"}, []*tensor.Tensor{s.weight}, func() *kernel.PackedBits {
		return lw.level.PackBits(tensor.Of[int8](s.weight), s.n, s.k, 1, s.order)
	})
	size := n.out[0].elems()
	rows := size / s.n
	x := pixels{lw.use(n.in[0], rowMajor), 0, s.k}
	bits, to := lw.packBits(n, w, x, s.k, 1, rows), s.store(make([]int32, s.n))
	dst := lw.make(n.out[0], rowMajor)
	st := &step{node: n, kernel: "b1b1 gemm" + to.text(), macs: int64(size) * int64(s.k), in: []*slot{bits}, out: []*slot{dst}}
	cuts := lw.cuts(st, w, nil, image{1, 0, size, rows}, float64(st.macs)*bitNanos, nil)
	st.parts = len(cuts)
	st.run = func(f *frame, part int) error {
		w.Gemm(f.u8(bits), to.out(f, dst, 0, size, 0, s.n), cuts[part].Range)
		return nil
	}
	lw.emit(st)
}
