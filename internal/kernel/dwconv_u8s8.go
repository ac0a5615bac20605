package kernel

// DepthwiseU8S8 is the weight of an integer convolution in which each channel
// sees only itself: uint8 activations, int8 weights, C channels, one filter
// each. It is read-only and may be shared.
type DepthwiseU8S8 struct {
	n, taps int
	level   Level
	w       []int8  // [taps][n]
	sums    []int32 // per channel
	blocks  []dwBlock
	data    []int8  // of the blocks, in bytes
	wide    []int16 // or in 16 bits
	columns []int8  // 3 by 3 only: three taps of a column to a dword, where there is a body for it
}

// PackDepthwiseU8S8 arranges the weight w(channel, tap), o.K unused.
func (l Level) PackDepthwiseU8S8(w []int8, c, taps int, o Order) *DepthwiseU8S8 {
	d := &DepthwiseU8S8{n: c, taps: taps, level: l, w: make([]int8, c*taps), sums: columnSums(w, c, 1, taps, o)}
	for t := range taps {
		for i := range c {
			d.w[t*c+i] = w[i*o.N+t*o.Tap]
		}
	}
	d.pack()
	return d
}

// ColumnSums is the sum of the weights of each channel, for zero points.
func (d *DepthwiseU8S8) ColumnSums() []int32 { return d.sums }

// Run convolves one image x: rows m0..m1-1 of the output are those pixels of
// ix, with C channels each. Padding reads as the code pad.
func (d *DepthwiseU8S8) Run(x []uint8, pad uint8, ix *Indirect, out *OutU8S8, m0, m1 int) {
	if m0 >= m1 {
		return
	}
	a := rows[uint8]{x: x, ix: ix, k: d.n, taps: d.taps}
	a.check(m1)
	out.check(d.n, m1)
	if !d.runFast(a, pad, out, m0, m1) {
		d.runGeneric(a, pad, out, m0, m1, 0)
	}
}

// dwBlock is a group of channels that assembly takes together.
type dwBlock struct {
	c0, c1 int
	width  int // 16, 32 or 64 channels with those past the last
	off    int // in the packed weights
}

// runGeneric is the meaning of Run, for the channels from c0 on.
func (d *DepthwiseU8S8) runGeneric(a rows[uint8], pad uint8, out *OutU8S8, m0, m1, c0 int) {
	a.pad = make([]uint8, d.n)
	fill(a.pad, pad)
	acc := make([]int32, d.n-c0)
	for i := m0; i < m1; i++ {
		clear(acc)
		if out.Bias != nil {
			copy(acc, out.Bias[c0:])
		}
		for t := range d.taps {
			w := d.w[t*d.n:][c0:d.n]
			for j, v := range a.row(i, t)[c0:] {
				acc[j] += int32(v) * int32(w[j])
			}
		}
		out.store(acc, i, c0)
	}
}
