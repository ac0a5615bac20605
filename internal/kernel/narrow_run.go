//go:build amd64 && !purego

package kernel

var microNarrow = map[int]*microSet{
	8: {2: {{4, narrow8x4x16}, {2, narrow8x2x16}, {1, narrow8x1x16}}},
	2: {2: {{4, narrow2x4x16}, {2, narrow2x2x16}, {1, narrow2x1x16}}},
}

// packSpan arranges a weight for sums over span dwords; nil where the level has no use for that.
func (l Level) packSpan(w []int8, n, k, taps int, o Order, span int) *PackedNarrow {
	if !l.use(AVX2) || l.use(AVXVNNI) || l.use(VNNI) {
		return nil
	}
	p := &PackedU8S8{shape: shape{n: n, k: k, taps: taps, lanes: 8, per: 4, kd: (k + 3) / 4}, level: l, set: microNarrow[span]}
	w, o = byTaps(l, w, &p.shape, o)
	p.sums = columnSums(w, n, k, taps, o)
	p.data = aligned[int8](p.cut(widthsY))
	packBytes(p.level, p.data, w, &p.shape, o)
	return &PackedNarrow{PackedU8S8: p, fits: make([]bool, len(p.panels))}
}
