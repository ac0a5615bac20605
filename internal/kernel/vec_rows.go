package kernel

// SumRows sets each element of dst to the sum of rows of x times their weights: row k begins at off[k]. Sums begin at zero
// and run over the rows in order, each product and sum rounded once.
func (l Level) SumRows(dst, x []float32, off []int32, w []float32) {
	w = w[:len(off)]
	for _, o := range off {
		_ = x[o:][:len(dst)]
	}
	if len(off) > 0 && l.sumRowsFast(dst, x, off, w) {
		return
	}
	clear(dst)
	for k, o := range off {
		addScaled(dst, w[k], x[o:])
	}
}
