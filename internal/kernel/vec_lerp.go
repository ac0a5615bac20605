package kernel

// lerpFn is an assembly body of [Level.Lerp].
type lerpFn func(dst, x, y *float32, n int, w float32)

// Lerp sets dst[i] = x[i] + (y[i]−x[i])·w, rounded after each operation. x and y have the length of dst.
func (l Level) Lerp(dst, x, y []float32, w float32) {
	x, y = x[:len(dst)], y[:len(dst)]
	if f, m := lerpAsm.part(l, len(dst)); m > 0 {
		spans(m, callMax, func(i, n int) { f(&dst[i], &x[i], &y[i], n, w) })
		dst, x, y = dst[m:], x[m:], y[m:]
	}
	for i, v := range x {
		dst[i] = v + float32((y[i]-v)*w)
	}
}
