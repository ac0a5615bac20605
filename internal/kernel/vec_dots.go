package kernel

// DotRows sets dst[v*pitch+i] to the sum of products of row i of x, which has as many as rows that begin step elements apart, and
// of vector v of q, of n elements each. Element j goes to lane j mod 16, each product and sum rounded once, and lanes that the
// last 16 do not fill get a zero; the lanes are folded as those of [Reduce] are.
func (l Level) DotRows(dst []float32, pitch int, x []float32, step, rows int, q []float32, n int) {
	if rows < 1 || n < 1 {
		return
	}
	vectors := len(q) / n
	if vectors == 0 {
		return
	}
	_, _ = dst[(vectors-1)*pitch:][:rows], x[(rows-1)*step:][:n]
	d := rowDots{dst, x, q, n, step, pitch}
	if !l.dotRowsFast(&d, vectors, rows) {
		for v := range vectors {
			for i := range rows {
				dst[v*pitch+i] = dotRef(x[i*step:][:n], q[v*n:])
			}
		}
	}
}

// rowDots are the operands of [Level.DotRows].
type rowDots struct {
	dst, x, q      []float32
	n, step, pitch int
}

func dotRef(x, q []float32) float32 {
	var s [lanes]float32
	for i, v := range x {
		s[i%lanes] = fma32(v, q[i], s[i%lanes])
	}
	for j := len(x); j%lanes != 0; j++ {
		s[j%lanes] += 0
	}
	return foldSum(&s)
}
