package kernel

import "testing"

func BenchmarkQuant(b *testing.B) {
	const n = 1 << 14
	x, y := normals(n), make([]float32, n)
	u, v, w := make([]uint8, n), make([]uint8, n), make([]uint8, n)
	h := make([]uint16, n)
	var table [256]uint8
	for i := range u {
		u[i], v[i] = uint8(i*7), uint8(i*13)
	}
	q := &QBinary{XScale: 0.1, YScale: 0.2, OutScale: 0.25, XZero: 3, YZero: 100, OutZero: 30, Hi: 255}
	benchLevels(b, "QuantizeU8", n, func(l Level) { l.QuantizeU8(w, x, 0.05, 128) })
	benchLevels(b, "QuantizeU8/64", 64, func(l Level) { l.QuantizeU8(w[:64], x[:64], 0.05, 128) })
	benchLevels(b, "DequantizeU8", n, func(l Level) { l.DequantizeU8(y, u, 0.05, 128) })
	benchLevels(b, "LUT8", n, func(l Level) { l.LUT8(w, u, &table) })
	benchLevels(b, "QAddU8", n, func(l Level) { l.QAddU8(q, w, u, v) })
	s := &QSum{Weights: 0x1a12, Offset: 2160, Factor: 23831, Round: 1 << 11, Zero: 99, Hi: 255}
	benchLevels(b, "QSumU8", n, func(l Level) { l.QSumU8(s, w, u, v) })
	benchLevels(b, "QMulRowsU8", n, func(l Level) { l.QMulRowsU8(q, w, u, v[:32]) })
	benchLevels(b, "EncodeF16", n, func(l Level) { l.EncodeF16(h, x) })
	benchLevels(b, "DecodeBF16", n, func(l Level) { l.DecodeBF16(y, h) })
	benchLevels(b, "EncodeBF16", n, func(l Level) { l.EncodeBF16(h, x) })
}

func BenchmarkPool(b *testing.B) {
	w := Window{H: 28, W: 28, Pitch: 128, KH: 3, KW: 3, StrideH: 2, StrideW: 2, DilH: 1, DilW: 1, Top: 1, Left: 1, OH: 14, OW: 14}
	p := &Pool{Taps: w.Indirect(), C: 128, OutPitch: 128}
	g := &Pool{Taps: GlobalTaps(49, 1280), C: 1280, OutPitch: 1280}
	q := &PoolQuant{XScale: 0.1, OutScale: 0.1, Hi: 255}
	x, u := normals(28*28*128), make([]uint8, 28*28*128)
	y, v := make([]float32, 14*14*128), make([]uint8, 14*14*128)
	n := 14 * 14 * 128 * 9
	benchLevels(b, "MaxF32", n, func(l Level) { l.MaxPoolF32(p, y, x, 0, 196) })
	benchLevels(b, "AvgF32", n, func(l Level) { l.AvgPoolF32(p, y, x, 0, 196) })
	benchLevels(b, "MaxU8", n, func(l Level) { l.MaxPoolU8(p, v, u, 0, 196) })
	benchLevels(b, "AvgU8", n, func(l Level) { l.AvgPoolU8(p, q, v, u, 0, 196) })
	benchLevels(b, "GlobalF32", 49*1280, func(l Level) { l.AvgPoolF32(g, y, x, 0, 1) })
	benchLevels(b, "GlobalU8", 49*1280, func(l Level) { l.AvgPoolU8(g, q, v, u, 0, 1) })
}
