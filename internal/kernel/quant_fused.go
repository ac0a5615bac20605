package kernel

import "math"

// QFused adds two tensors of uint8 codes with two fused multiply-adds:
// out = clamp(RNE(fma(x, X, fma(y, Y, Offset))), Lo, Hi).
type QFused struct {
	X, Y, Offset float32
	Lo, Hi       uint8
}

type qfusedFn func(dst, x, y *uint8, n int, q *QFused)

// mostFused keeps sums that are not clamped yet within an int32.
const mostFused = 1 << 30

// Fused returns the sum by fused multiply-adds that gives the codes of [Level.QAddU8], which divides. Both
// round, differently: where a pair of codes sums to nearly the middle between two codes, factors a few units in
// the last place off are tried until all such pairs come out alike. Pairs in the very middle have no such factors.
// All 65,536 pairs are tried in the end. A level without such an instruction has none.
func (l Level) Fused(q *QBinary) (*QFused, bool) {
	if _, ok := qfusedU8Asm.pick(l); !ok || q.Lo < 0 || q.Hi > 255 {
		return nil, false
	}
	s, ok := q.fused(q.nearTies())
	return s, ok && l.adds(q, func(dst, x, y []uint8) { l.QFusedU8(s, dst, x, y) })
}

// tiePair is a pair of codes that sums to nearly the middle between two codes, and the one that it gives.
type tiePair struct{ x, y, code uint8 }

// nearTie is what rounding may move a sum by, in codes, and more.
const nearTie = 1e-4

func (q *QBinary) nearTies() (near []tiePair) {
	a, b := float64(q.XScale)/float64(q.OutScale), float64(q.YScale)/float64(q.OutScale)
	for x := range 256 {
		for y := range 256 {
			v := float64(x-int(q.XZero))*a + float64(y-int(q.YZero))*b
			if d := v - math.Floor(v) - 0.5; d > -nearTie && d < nearTie {
				near = append(near, tiePair{uint8(x), uint8(y), q.one(addOne, uint8(x), uint8(y))})
			}
		}
	}
	return near
}

// fused finds factors that give all codes of near.
func (q *QBinary) fused(near []tiePair) (*QFused, bool) {
	a, b := float64(q.XScale)/float64(q.OutScale), float64(q.YScale)/float64(q.OutScale)
	offset := float64(q.OutZero) - float64(q.XZero)*a - float64(q.YZero)*b
	if most := 255*(math.Abs(a)+math.Abs(b)) + math.Abs(offset); !(most < mostFused) {
		return nil, false
	}
	for _, d := range ulpsOff {
		s := &QFused{
			X: ulps(float32(a), d[0]), Y: ulps(float32(b), d[1]), Offset: ulps(float32(offset), d[2]),
			Lo: uint8(q.Lo), Hi: uint8(q.Hi),
		}
		if s.gives(near) {
			return s, true
		}
	}
	return nil, false
}

func (q *QFused) gives(near []tiePair) bool {
	for _, p := range near {
		if q.add(p.x, p.y) != p.code {
			return false
		}
	}
	return true
}

func (q *QFused) add(x, y uint8) uint8 {
	v := math.RoundToEven(float64(fma32(float32(x), q.X, fma32(float32(y), q.Y, q.Offset))))
	return uint8(min(max(v, float64(q.Lo)), float64(q.Hi)))
}

// ulpsOff are the moves of the two factors and the offset that are tried, small ones first.
var ulpsOff = func() (d [][3]int) {
	const most = 3
	for reach := range most + 1 {
		for x := -reach; x <= reach; x++ {
			for y := -reach; y <= reach; y++ {
				for o := -reach; o <= reach; o++ {
					if max(x, -x, y, -y, o, -o) == reach {
						d = append(d, [3]int{x, y, o})
					}
				}
			}
		}
	}
	return d
}()

// ulps is x moved by n units in the last place.
func ulps(x float32, n int) float32 { return math.Float32frombits(math.Float32bits(x) + uint32(n)) }

// QFusedU8 computes q of each pair. x and y have the length of dst, which may be one of them.
func (l Level) QFusedU8(q *QFused, dst, x, y []uint8) {
	x, y = x[:len(dst)], y[:len(dst)]
	fn, m := qfusedU8Asm.part(l, len(dst))
	if m > 0 {
		fn(&dst[0], &x[0], &y[0], m, q)
	}
	for i := m; i < len(dst); i++ {
		dst[i] = q.add(x[i], y[i])
	}
}

// QFusedRowsU8 computes q of each row of len(v) codes and v.
func (l Level) QFusedRowsU8(q *QFused, dst, x, v []uint8) {
	byRows(dst, x, v, func(dst, x, v []uint8) { l.QFusedU8(q, dst, x, v) })
}
