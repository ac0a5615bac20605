package kernel

// OutU8S8 says how integer sums leave a product, and where to: row i, column
// j to element i*Ldc+j of the one slice that is set.
//
//	U8, S8  [Requantize](sum+Bias[j], Scale[j], Zero, Min, Max)
//	I32     sum + Bias[j]
//	F32     float32(sum+Bias[j])*Scale[j] + Shift[j], each step rounded
//
// Bias carries the correction for the zero point of the activations,
// -zero*[PackedU8S8.ColumnSums].
type OutU8S8 struct {
	U8             []uint8
	S8             []int8
	I32            []int32
	F32            []float32
	Ldc            int
	Bias           []int32   // one per column; nil: none
	Scale          []float32 // one per column; for U8, S8 and F32
	Shift          []float32 // one per column, for F32; nil: none
	Zero, Min, Max int32     // for U8 and S8: output zero point and least and greatest code
}

// PackedU8S8 is an int8 weight, arranged for the kernels of one level. It is
// read-only and may be shared.
type PackedU8S8 struct {
	shape
	level Level
	set   *microSet // nil: plain Go
	data  []int8    // empty where the level multiplies in 16 bits
	wide  []int16   // the same in 16 bits
	sums  []int32
}

// PackU8S8 arranges the weight w(n, tap, k) for products with uint8
// activations under this level. Sums are exact modulo 2^32. For int8
// activations flip the top bit of each, which adds 128, and count 128 more in
// their zero point.
func (l Level) PackU8S8(w []int8, n, k, taps int, o Order) *PackedU8S8 {
	if k == 0 {
		l = Generic // an empty sum is no work for assembly
	}
	p := &PackedU8S8{shape: shape{n: n, k: k, taps: taps}, level: l}
	return p.filled(w, o)
}

// PackRowsU8S8 arranges the weight (n, KH, KW, Pitch) of a convolution for
// [Window.RowTaps].
func (l Level) PackRowsU8S8(w []int8, n int, win Window) *PackedU8S8 {
	k := win.KW * win.Pitch
	p := &PackedU8S8{shape: shape{n: n, k: k, taps: win.KH}, level: l}
	p.pixels = l.takesPixels(p.shape, win)
	return p.filled(w, Order{N: win.KH * k, Tap: k, K: 1})
}

// RowsPayU8S8 says whether a convolution to n channels is faster by
// [Window.RowTaps], whatever the number of channels: where tiles read the
// padded image in place.
func (l Level) RowsPayU8S8(n int, win Window) bool {
	s := shape{n: n, k: win.KW * win.Pitch, taps: win.KH}
	return win.DilW == 1 && l.takesPixels(s, win)
}

func (p *PackedU8S8) filled(w []int8, o Order) *PackedU8S8 {
	w, o = byTaps(p.level, w, &p.shape, o)
	p.pack(w, o)
	p.sums = make([]int32, p.n)
	if p.n > 0 {
		p.ofOnes(p.sums)
	}
	return p
}

// ofOnes multiplies a row of ones by the weight, which adds up its columns.
func (p *PackedU8S8) ofOnes(sums []int32) {
	ones := make([]uint8, p.k, p.k+64)
	fill(ones, 1)
	a := rows[uint8]{x: ones, lda: p.k, k: p.k, taps: p.taps}
	if p.taps != 1 {
		a.ix = NewIndirect(make([]int32, p.taps), p.taps) // each tap reads the same row
	}
	p.run(a, 0, &OutU8S8{I32: sums, Ldc: p.n}, p.All(1))
}

// columnSums adds the weights of each column.
func columnSums(w []int8, n, k, taps int, o Order) []int32 {
	s := make([]int32, n)
	for tap := range taps {
		if o.K == 1 {
			for j := range s {
				sum := int32(0)
				for _, v := range w[j*o.N+tap*o.Tap:][:k] {
					sum += int32(v)
				}
				s[j] += sum
			}
			continue
		}
		for i := range k {
			for j := range s {
				s[j] += int32(w[j*o.N+tap*o.Tap+i*o.K])
			}
		}
	}
	return s
}

// ColumnSums is the sum of the weights of each column, for zero points.
func (p *PackedU8S8) ColumnSums() []int32 { return p.sums }

// Gemm multiplies: row i of the output is a[i*lda:][:K] times the weight,
// which has one tap. It is fastest where a has three elements of capacity
// beyond its last row, or K is a multiple of four.
func (p *PackedU8S8) Gemm(a []uint8, lda int, out *OutU8S8, r Range) {
	p.run(rows[uint8]{x: a, lda: lda, k: p.k, taps: 1}, 0, out, r)
}

// Conv convolves one image x: row i of the output is the pixel i of ix.
// Padding reads as the code pad, the zero point of the activations. It is
// fastest where x has three elements of capacity beyond the last pixel, or K
// is a multiple of four.
func (p *PackedU8S8) Conv(x []uint8, pad uint8, ix *Indirect, out *OutU8S8, r Range) {
	p.run(rows[uint8]{x: x, ix: ix, k: p.k, taps: p.taps}, pad, out, r)
}

func (p *PackedU8S8) run(a rows[uint8], pad uint8, out *OutU8S8, r Range) {
	if r.M0 >= r.M1 || r.P0 >= r.P1 {
		return
	}
	a.check(r.M1)
	out.check(p.n, r.M1)
	if !p.runFast(a, pad, out, r) {
		p.runGeneric(a, pad, out, r)
	}
}

// check panics where a slice is too short for n columns and m rows.
func (o *OutU8S8) check(n, m int) {
	checkOut(o.len(), o.Ldc, n, m)
	o.checkFactors(n)
}

func (o *OutU8S8) len() int { return max(len(o.U8), len(o.S8), len(o.I32), len(o.F32)) }

// checkFactors panics where a slice is too short for n columns.
func (o *OutU8S8) checkFactors(n int) {
	if o.Bias != nil {
		_ = o.Bias[n-1]
	}
	if o.I32 == nil {
		_ = o.Scale[n-1]
	}
	if o.Shift != nil {
		_ = o.Shift[n-1]
	}
}

// runGeneric is the meaning of Gemm and Conv.
func (p *PackedU8S8) runGeneric(a rows[uint8], pad uint8, out *OutU8S8, r Range) {
	a.pad = make([]uint8, p.k)
	fill(a.pad, pad)
	for _, pn := range p.panels[r.P0:r.P1] {
		for i := r.M0; i < r.M1; i++ {
			var acc [genericLanes]int32
			if out.Bias != nil {
				copy(acc[:], out.Bias[pn.n0:pn.n1])
			}
			w := p.data[pn.off:]
			for tap := range p.taps {
				for _, v := range a.row(i, tap) {
					b := (*[genericLanes]int8)(w)
					for j := range acc {
						acc[j] += int32(v) * int32(b[j])
					}
					w = w[genericLanes:]
				}
			}
			out.store(acc[:pn.n1-pn.n0], i, pn.n0)
		}
	}
}

// store finishes the sums of row i from column j on.
func (o *OutU8S8) store(acc []int32, i, j int) {
	at := i*o.Ldc + j
	switch {
	case o.U8 != nil:
		for q, v := range acc {
			o.U8[at+q] = uint8(Requantize(v, o.Scale[j+q], o.Zero, o.Min, o.Max))
		}
	case o.S8 != nil:
		for q, v := range acc {
			o.S8[at+q] = int8(Requantize(v, o.Scale[j+q], o.Zero, o.Min, o.Max))
		}
	case o.I32 != nil:
		copy(o.I32[at:], acc)
	default:
		for q, v := range acc {
			f := float32(float32(v) * o.Scale[j+q])
			if o.Shift != nil {
				f += o.Shift[j+q]
			}
			o.F32[at+q] = f
		}
	}
}

// packGeneric keeps one column step per byte.
func (p *PackedU8S8) packGeneric(w []int8, o Order) {
	p.lanes, p.kd, p.per = genericLanes, p.k, 1
	p.data = make([]int8, p.cut(single(1)))
	packPanels(p.data, w, &p.shape, o)
}
