package engine

import (
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// movers lists the operators that move numbers without changing them, so that codes can be moved
// instead, and which of their operands they move; −1 means all.
var movers = map[string]int{
	"Reshape": 0, "Flatten": 0, "Squeeze": 0, "Unsqueeze": 0, "Transpose": 0, "Slice": 0, "Split": 0, "Expand": 0, "Gather": 0,
	"MaxPool": 0, "DepthToSpace": 0, "SpaceToDepth": 0, "Tile": 0, "Concat": -1, "Resize": 0, "GlobalMaxPool": 0,
}

// intMoves lets codes be moved instead of the numbers they mean: DQ → move → Q.
func intMoves(g *net) {
	for _, n := range slices.Clone(g.nodes) {
		if which, ok := moverOf(n); ok {
			g.moveCodes(n, which)
		}
	}
	g.sweep()
}

func (g *net) moveCodes(n *node, which int) {
	to, ok := sameLandings(n)
	if !ok {
		return
	}
	in := slices.Clone(n.in)
	meaning := make([]affine, len(in))
	for i := range in {
		if i == which || which < 0 {
			if in[i], meaning[i], ok = g.codesOf(n.in[i]); !ok {
				return
			}
		}
	}
	for i := range in {
		if i == which || which < 0 {
			in[i] = g.requantized(in[i], meaning[i], to[0].to, n)
		}
	}
	n.setIn(in...)
	for i, l := range to {
		y := l.node.out[0]
		g.kill(l.node)
		n.out[i], y.def = y, n
	}
}

// sameLandings finds where all results of n are quantized: with one meaning and no clamp in between.
func sameLandings(n *node) ([]landing, bool) {
	var to []landing
	for _, v := range n.out {
		if v == nil || v.single() == nil || v.single().kind != "quantize" || !v.is(tensor.Float32) {
			return nil, false
		}
		l, _ := landingOf(v)
		if len(to) > 0 && l.to != to[0].to {
			return nil, false
		}
		to = append(to, l)
	}
	return to, len(to) > 0
}

// An intPool says what an "int pool" node computes: an average of codes.
type intPool struct {
	pool *kernel.Pool
	q    kernel.PoolQuant
}

// intPools turns averages of dequantized tensors that are quantized again into averages of codes.
func intPools(g *net) {
	for _, n := range g.nodes {
		if n.kind != "AveragePool" && n.kind != "GlobalAveragePool" || !n.static() || len(n.in[0].shape) < 3 || n.in[0].elems() == 0 {
			continue
		}
		x, a, ok := g.codesOf(n.in[0])
		l, landed := landingOf(n.out[0])
		if !ok || !landed || x.konst != nil {
			continue
		}
		p := globalPoolOf(n.in[0], true)
		if n.kind == "AveragePool" {
			if p, ok = poolOf(n); !ok {
				continue
			}
		}
		s := &intPool{p.dense(), kernel.PoolQuant{XScale: a.scale, OutScale: l.to.scale, XZero: a.zero, OutZero: l.to.zero, Lo: l.lo, Hi: l.hi}}
		l.node.onnx, l.node.version = n.onnx, n.version
		l.node.become("int pool", s, x)
	}
	g.sweep()
}

func lowerIntPool(lw *lowerer, n *node) bool {
	s := n.spec.(*intPool)
	lw.poolU8(n, s.pool, "u8 average pool", func(dst, x []uint8, r0, r1 int) { lw.level.AvgPoolU8(s.pool, &s.q, dst, x, r0, r1) })
	return true
}

// lowerMaxPoolU8 emits MaxPool on codes.
func lowerMaxPoolU8(lw *lowerer, n *node) bool {
	if !n.in[0].is(tensor.Uint8) || n.in[0].elems() == 0 || len(n.in[0].shape) < 3 {
		return false
	}
	var p poolSpec
	ok := n.kind != "MaxPool"
	if ok {
		p = globalPoolOf(n.in[0], false)
	} else {
		p, ok = poolOf(n)
	}
	if ok {
		level, pool := lw.level, p.dense()
		lw.poolU8(n, pool, "u8 max pool", func(dst, x []uint8, r0, r1 int) { level.MaxPoolU8(pool, dst, x, r0, r1) })
	}
	return ok
}

func (lw *lowerer) poolU8(n *node, p *kernel.Pool, name string, run func(dst, x []uint8, r0, r1 int)) {
	x, y := n.in[0], n.out[0]
	src := lw.use(x, channelsLast)
	dst := lw.make(y, channelsLast)
	im := imageOf(x, y)
	cuts := lw.rowCuts(im, 1, float64(y.elems()*p.Taps.Taps)*poolNanos/4, nil)
	lw.emit(&step{node: n, kernel: name, parts: len(cuts), in: []*slot{src}, out: []*slot{dst}, run: func(f *frame, part int) error {
		c := cuts[part]
		run(f.u8(dst)[c.image*im.out:][:im.out], f.u8(src)[c.image*im.in:][:im.in], c.M0, c.M1)
		return nil
	}})
}
