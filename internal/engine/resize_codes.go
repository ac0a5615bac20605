package engine

import "lowbit/internal/tensor"

// An intResize says what an "int resize" node computes: lines of codes in between, of which the numbers are blended and
// made codes again.
type intResize struct {
	lines    blendLines
	from, to affine
	lo, hi   int32 // codes
}

// intResizes turns linear interpolations of dequantized images that are quantized again into those of codes.
func intResizes(g *net) {
	for _, n := range g.nodes {
		if n.kind != "Resize" || !n.static() || len(n.in[0].shape) > 4 {
			continue
		}
		x, from, ok := g.codesOf(n.in[0])
		l, landed := landingOf(n.out[0])
		if !ok || !landed || x.konst != nil || !x.is(tensor.Uint8) || !l.node.out[0].is(tensor.Uint8) {
			continue
		}
		along, ok := g.linearResize(n)
		if !ok {
			continue
		}
		c, w := x.shape[1], x.shape[len(x.shape)-1]
		m := blendLines{rows: along[len(along)-2], cols: along[len(along)-1], c: c, w: w, h: x.elems() / (x.shape[0] * c * w), apart: true}
		l.node.onnx, l.node.version = n.onnx, n.version
		l.node.become("int resize", &intResize{m, from, l.to, l.lo, l.hi}, x)
	}
	g.sweep()
}

func lowerIntResize(lw *lowerer, n *node) bool {
	s := n.spec.(*intResize)
	m := &s.lines
	m.level = lw.level
	x, y := n.in[0], n.out[0]
	src, dst := lw.use(x, channelsLast), lw.make(y, channelsLast)
	in, out, wide, line := m.h*m.w*m.c, len(m.rows)*m.line(), m.w*m.c, m.line()
	cuts := lw.rowCuts(image{x.shape[0], in, out, len(m.rows)}, 1, float64(y.elems()), nil)
	each := m.room() + wide + line
	room := lw.scratch(tensor.Float32, len(cuts)*each)
	lw.emit(&step{node: n, kernel: "u8 linear resize", parts: len(cuts), in: []*slot{src}, out: []*slot{dst, room}, run: func(f *frame, part int) error {
		k := cuts[part]
		codes, made := f.u8(src)[k.image*in:][:in], f.u8(dst)[k.image*out:][:out]
		own := f.f32(room)[part*each:][:each]
		row, result := own[:wide], own[wide:][:line]
		m.run(func(i int) []float32 {
			lw.level.DequantizeU8(row, codes[i*wide:][:wide], s.from.scale, uint8(s.from.zero))
			return row
		}, func(int) []float32 { return result }, func(i int) {
			y := made[i*line:][:line]
			lw.level.QuantizeU8(y, result, s.to.scale, uint8(s.to.zero))
			s.bound(y)
		}, own[wide+line:], k.M0, k.M1)
		return nil
	}})
	return true
}

// bound keeps codes within what clamps leave.
func (s *intResize) bound(y []uint8) {
	if s.lo <= 0 && s.hi >= 255 {
		return
	}
	for i, v := range y {
		y[i] = uint8(min(max(int32(v), s.lo), s.hi))
	}
}
