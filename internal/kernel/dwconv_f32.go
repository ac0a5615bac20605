package kernel

// GroupedF32 is the weight of a float32 convolution of as many channels as its result has, in which each sees only itself
// (depthwise) or those of its group. It is read-only and may be shared.
type GroupedF32 struct {
	shape      // one column per channel; k is the channels of a group
	all   bool // there is one group: its input has k channels, whatever the result has
	level Level
	w     []float32 // [taps][k][n]
	data  []float32 // [panel][taps][k][column] for assembly
	zeros []float32
}

// PackDepthwiseF32 arranges the weight w(channel, tap), o.K unused.
func (l Level) PackDepthwiseF32(w []float32, c, taps int, o Order) *GroupedF32 {
	return l.PackGroupedF32(w, c, 1, taps, o)
}

// GroupsPayF32 says whether the assembly convolves c channels in groups of that many, more than one, over so many taps: sums are
// not cut into blocks there. A single group of sixteen is faster by it too than as a product.
func (l Level) GroupsPayF32(c, group, taps int) bool {
	if group*taps > sumBlock {
		return false
	}
	switch group {
	case 2, 4, 8:
		return l.use(AVX2) && c%8 == 0
	case 16:
		return l.use(AVX512) && c%16 == 0
	}
	return false
}

// DirectPaysF32 says whether a convolution from k to n channels is faster by [Level.PackDirectF32] than as a product: where its
// rows would take longer to find than to multiply.
func (l Level) DirectPaysF32(n, k, taps int) bool {
	return (n == 16 || n == 32 && k < 16) && k*taps <= sumBlock && l.use(AVX512)
}

// PackDirectF32 arranges the weight w(channel, tap, k) of n channels, 16 or 32, that see all k of the input.
func (l Level) PackDirectF32(w []float32, n, k, taps int, o Order) *GroupedF32 {
	return l.packGrouped(&GroupedF32{shape: shape{n: n, k: k, taps: taps, kd: k, per: 1}, all: true, level: l}, w, o)
}

// PackGroupedF32 arranges the weight w(channel, channel of its group, tap) of c channels.
func (l Level) PackGroupedF32(w []float32, c, group, taps int, o Order) *GroupedF32 {
	return l.packGrouped(&GroupedF32{shape: shape{n: c, k: group, taps: taps, kd: group, per: 1}, level: l}, w, o)
}

func (l Level) packGrouped(d *GroupedF32, w []float32, o Order) *GroupedF32 {
	d.w, d.zeros = make([]float32, d.n*d.taps*d.k), make([]float32, max(d.reads(), 8))
	for t := range d.taps * d.k {
		for i := range d.n {
			d.w[t*d.n+i] = w[i*o.N+t/d.k*o.Tap+t%d.k*o.K]
		}
	}
	if d.all && l.use(AVX512) || !d.all && (d.k == 1 || l.GroupsPayF32(d.n, d.k, d.taps)) {
		d.pack()
	}
	return d
}

// reads is the number of channels of a pixel of the input.
func (d *GroupedF32) reads() int {
	if d.all {
		return d.k
	}
	return d.n
}

// Run convolves one image x: rows m0..m1-1 of the output are those pixels of
// ix, with C channels each. Padding reads as zero.
func (d *GroupedF32) Run(x []float32, ix *Indirect, out *OutF32, m0, m1 int) {
	if m0 >= m1 {
		return
	}
	a := rows[float32]{x: x, ix: ix, k: d.reads(), taps: d.taps, pad: d.zeros}
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
// starts at the bias and runs over the taps in order, and over the channels of its group in each.
func (d *GroupedF32) runGeneric(a rows[float32], out *OutF32, m0, m1, c0 int) {
	acc := make([]float32, d.n-c0)
	for i := m0; i < m1; i++ {
		clear(acc)
		if out.Bias != nil {
			copy(acc, out.Bias[c0:])
		}
		for t := range d.taps {
			x := a.row(i, t)
			for k := range d.k {
				w := d.w[(t*d.k+k)*d.n:][c0:d.n]
				for j := range acc {
					acc[j] = fma32(x[d.sees(c0+j)+k], w[j], acc[j])
				}
			}
		}
		out.store(acc, i, c0)
	}
}

// sees is the first channel of the group of channel j.
func (d *GroupedF32) sees(j int) int {
	switch {
	case d.all:
		return 0
	case d.k == 1:
		return j
	}
	return j - j%d.k
}
