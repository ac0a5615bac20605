package kernel

// DepthwiseF32 is the weight of a float32 convolution in which each channel
// sees only itself: C channels, one filter each. It is read-only and may be
// shared.
type DepthwiseF32 struct {
	shape // one column per channel, k = 1
	level Level
	w     []float32 // [taps][n]
	data  []float32 // [panel][taps][column] for assembly
	zeros []float32
}

// PackDepthwiseF32 arranges the weight w(channel, tap), o.K unused.
func (l Level) PackDepthwiseF32(w []float32, c, taps int, o Order) *DepthwiseF32 {
	d := &DepthwiseF32{shape: shape{n: c, k: 1, taps: taps, kd: 1, per: 1}, level: l}
	d.w, d.zeros = make([]float32, c*taps), make([]float32, max(c, 8))
	for t := range taps {
		for i := range c {
			d.w[t*c+i] = w[i*o.N+t*o.Tap]
		}
	}
	d.pack()
	return d
}

// Run convolves one image x: rows m0..m1-1 of the output are those pixels of
// ix, with C channels each. Padding reads as zero.
func (d *DepthwiseF32) Run(x []float32, ix *Indirect, out *OutF32, m0, m1 int) {
	if m0 >= m1 {
		return
	}
	a := rows[float32]{x: x, ix: ix, k: d.n, taps: d.taps, pad: d.zeros}
	a.check(m1)
	checkOut(len(out.C), out.Ldc, d.n, m1)
	if out.Add != nil {
		checkOut(len(out.Add), out.LdAdd, d.n, m1)
	}
	if out.Bias != nil {
		_ = out.Bias[d.n-1]
	}
	if !d.runFast(a, out, m0, m1) {
		d.runGeneric(a, out, m0, m1, 0)
	}
}

// runGeneric is the meaning of Run, for the channels from c0 on: each sum
// starts at the bias and runs over the taps in order.
func (d *DepthwiseF32) runGeneric(a rows[float32], out *OutF32, m0, m1, c0 int) {
	acc := make([]float32, d.n-c0)
	for i := m0; i < m1; i++ {
		clear(acc)
		if out.Bias != nil {
			copy(acc, out.Bias[c0:])
		}
		for t := range d.taps {
			w := d.w[t*d.n:][c0:d.n]
			for j, v := range a.row(i, t)[c0:] {
				acc[j] = fma32(v, w[j], acc[j])
			}
		}
		out.store(acc, i, c0)
	}
}
