package kernel

// turnFn is an assembly body of [Level.TurnHalves] and [Level.TurnPairs]; steps are in bytes. For pairs n counts features, each
// cosine is there twice, each sine with its sign turned and as it is.
type turnFn func(dst, x, cos, sin *float32, n, dstStep, xStep, rows int)

// TurnHalves turns the features i and n+i of some rows as points of a plane by the angle whose cosine and sine are cos[i]
// and sin[i], of which there are n: dst[i] = x[i]·cos[i] − x[n+i]·sin[i], dst[n+i] = x[n+i]·cos[i] + x[i]·sin[i], rounded after
// each operation. The rows begin dstStep and xStep elements apart.
func (l Level) TurnHalves(dst []float32, dstStep int, x []float32, xStep, rows int, cos, sin []float32) {
	n := len(cos)
	if n == 0 || rows < 1 {
		return
	}
	sin = sin[:n]
	if f, ok := turnHalvesAsm.pick(l); ok {
		_, _ = dst[(rows-1)*dstStep:][:2*n], x[(rows-1)*xStep:][:2*n]
		spans(rows, max(1, callMax/n), func(r, rows int) { f(&dst[r*dstStep], &x[r*xStep], &cos[0], &sin[0], n, 4*dstStep, 4*xStep, rows) })
		return
	}
	for r := range rows {
		a, lo := x[r*xStep:][:n], dst[r*dstStep:][:n]
		b, hi := x[r*xStep+n:][:n], dst[r*dstStep+n:][:n]
		for i, c := range cos {
			u, v, s := a[i], b[i], sin[i]
			lo[i], hi[i] = float32(u*c)-float32(v*s), float32(v*c)+float32(u*s)
		}
	}
}

// TurnPairs turns neighbours so: dst[2i] = x[2i]·cos[i] − x[2i+1]·sin[i], dst[2i+1] = x[2i+1]·cos[i] + x[2i]·sin[i].
func (l Level) TurnPairs(dst []float32, dstStep int, x []float32, xStep, rows int, cos, sin []float32) {
	n := len(cos)
	if n == 0 || rows < 1 {
		return
	}
	sin = sin[:n]
	if f, ok := turnPairsAsm.pick(l); ok && 2*n <= tileLen {
		_, _ = dst[(rows-1)*dstStep:][:2*n], x[(rows-1)*xStep:][:2*n]
		t := getScratch()
		c, s := t.x[:2*n], t.y[:2*n]
		for i, v := range cos {
			c[2*i], c[2*i+1], s[2*i], s[2*i+1] = v, v, -sin[i], sin[i]
		}
		spans(rows, callMax/tileLen, func(r, rows int) { f(&dst[r*dstStep], &x[r*xStep], &c[0], &s[0], 2*n, 4*dstStep, 4*xStep, rows) })
		t.free()
		return
	}
	for r := range rows {
		a, y := x[r*xStep:][:2*n], dst[r*dstStep:][:2*n]
		for i, c := range cos {
			u, v, s := a[2*i], a[2*i+1], sin[i]
			y[2*i], y[2*i+1] = float32(u*c)-float32(v*s), float32(v*c)+float32(u*s)
		}
	}
}
