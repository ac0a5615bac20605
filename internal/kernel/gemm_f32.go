package kernel

import "math"

// OutF32 says where float32 results go: row i, column j to C[i*Ldc+j].
// The stored value is clamp(sum + Bias[j] + Add[i*LdAdd+j]).
type OutF32 struct {
	C        []float32
	Ldc      int
	Bias     []float32 // one per column; nil: none
	Add      []float32 // a residual of the same shape; nil: none. May be C itself
	LdAdd    int
	Min, Max float32 // no clamp where Min == Max; a NaN passes
}

// PackedF32 is a float32 weight, arranged for the kernels of one level. It is
// read-only and may be shared.
type PackedF32 struct {
	shape
	level Level
	data  []float32
	zeros []float32 // a row of padding
}

// PackF32 arranges the weight w(n, tap, k) for products under this level.
func (l Level) PackF32(w []float32, n, k, taps int, o Order) *PackedF32 {
	p := l.emptyF32(n, k, taps)
	w, o = byTaps(l, w, &p.shape, o)
	p.Repack(w, o)
	return p
}

// PackReadF32 arranges a matrix that is read piece by piece, by rows or by columns: read sets dst to its numbers from i on.
func (l Level) PackReadF32(n, k int, o Order, read func(dst []float32, i int)) *PackedF32 {
	p := l.emptyF32(n, k, 1)
	if o.K != 1 {
		row := make([]float32, n)
		for i := range k {
			read(row, i*o.K)
			for _, pn := range p.panels {
				copy(p.data[pn.off+i*pn.nv*p.lanes:], row[pn.n0:pn.n1])
			}
		}
		return p
	}
	columns := make([]float32, p.widest()*k)
	for _, pn := range p.panels {
		for j := range pn.n1 - pn.n0 {
			read(columns[j*k:][:k], (pn.n0+j)*o.N)
		}
		TransposePitch(l, p.data[pn.off:], columns, pn.n1-pn.n0, k, pn.nv*p.lanes, k)
	}
	return p
}

// emptyF32 is a weight of zeros.
func (l Level) emptyF32(n, k, taps int) *PackedF32 {
	if k == 0 {
		l = Generic // an empty sum is no work for assembly
	}
	p := &PackedF32{shape: shape{n: n, k: k, taps: taps, kd: k, per: 1}, level: l}
	var widths func(int) []int
	p.lanes, widths = l.tilingF32(taps, k)
	p.data = aligned[float32](p.cut(widths))
	p.zeros = make([]float32, k)
	return p
}

// Repack replaces the weight by another one of the same shape, in the same
// memory: for a right side that changes with every run. No product may be
// under way.
func (p *PackedF32) Repack(w []float32, o Order) {
	if o.K != 1 && o.N != 1 || p.k == 0 {
		packPanels(p.data, w, &p.shape, o)
		return
	}
	for _, pn := range p.panels {
		width, columns := pn.nv*p.lanes, pn.n1-pn.n0
		for tap := range p.taps {
			dst, src := p.data[pn.off+tap*p.k*width:], w[pn.n0*o.N+tap*o.Tap:]
			if o.K == 1 {
				TransposePitch(p.level, dst, src, columns, p.k, width, o.N)
				continue
			}
			for k := range p.k {
				copy(dst[k*width:], src[k*o.K:][:columns])
			}
		}
	}
}

// Gemm multiplies: row i of the output is a[i*lda:][:K] times the weight,
// which has one tap.
func (p *PackedF32) Gemm(a []float32, lda int, out *OutF32, r Range) {
	p.run(rows[float32]{x: a, lda: lda, k: p.k, taps: 1}, out, r)
}

// Conv convolves one image x: row i of the output is the pixel i of ix.
// Padding reads as zero.
func (p *PackedF32) Conv(x []float32, ix *Indirect, out *OutF32, r Range) {
	p.run(rows[float32]{x: x, ix: ix, k: p.k, taps: p.taps, pad: p.zeros}, out, r)
}

func (p *PackedF32) run(a rows[float32], out *OutF32, r Range) {
	if r.M0 >= r.M1 || r.P0 >= r.P1 {
		return
	}
	a.check(r.M1)
	out.check(p.n, r.M1)
	if !p.runFast(a, out, r) {
		p.runGeneric(a, out, r)
	}
}

// check panics where a slice is too short for n columns and m rows.
func (o *OutF32) check(n, m int) {
	checkOut(len(o.C), o.Ldc, n, m)
	if o.Add != nil {
		checkOut(len(o.Add), o.LdAdd, n, m)
	}
	if o.Bias != nil {
		_ = o.Bias[n-1]
	}
}

// checkOut panics where the last row of m rows by n columns does not fit.
func checkOut(length, ld, n, m int) {
	if length < (m-1)*ld+n {
		panic("kernel: output is too short")
	}
}

// rows is the left side of a product: rows of a matrix, or pixels of an image.
type rows[T any] struct {
	x    []T
	lda  int // without ix
	ix   *Indirect
	k    int
	taps int
	pad  []T // read for an offset below zero
}

// check panics where a row before m lies outside of x.
func (a *rows[T]) check(m int) {
	need := (m-1)*a.lda + a.k
	if a.ix != nil {
		if a.ix.Taps != a.taps || m > a.ix.Rows {
			panic("kernel: indirection does not fit the weight")
		}
		need = a.ix.span + a.k
	} else if a.taps != 1 {
		panic("kernel: a weight of many taps needs Conv")
	}
	if len(a.x) < need {
		panic("kernel: input is too short")
	}
}

// row gives the k elements of row i at a tap.
func (a *rows[T]) row(i, tap int) []T {
	o := i * a.lda
	if a.ix != nil {
		o = int(a.ix.off[i*a.taps+tap])
		if o < 0 {
			return a.pad[:a.k]
		}
	}
	return a.x[o:][:a.k]
}

// negZeros stand for what is not to be added: x + -0 = x.
var negZeros = func() (z [64]float32) {
	fill(z[:], float32(math.Copysign(0, -1)))
	return z
}()

// genericLanes is the width of a panel in plain Go.
const genericLanes = 16

// sumBlock is how many products at most are added one after the other. The error of a float32 sum
// grows with their number, so that longer sums are made of those of blocks.
const sumBlock = 320

// sumBlocks gives the blocks of a sum over taps and k: so many taps each, or of each tap so many k.
func sumBlocks(taps, k int) (per, part int) {
	if k > sumBlock {
		return 1, (ceilDiv(k, ceilDiv(k, sumBlock)) + 3) &^ 3
	}
	part = max(1, k)
	return ceilDiv(taps, max(1, ceilDiv(taps, sumBlock/part))), part
}

func ceilDiv(a, b int) int { return (a + b - 1) / b }

// runGeneric is the meaning of Gemm and Conv: each sum starts at the bias and
// runs over taps, then k, in ascending order, but for the sums of blocks, which are added.
func (p *PackedF32) runGeneric(a rows[float32], out *OutF32, r Range) {
	for _, pn := range p.panels[r.P0:r.P1] {
		p.panelGeneric(pn, &a, out, r.M0, r.M1)
	}
}

func (p *PackedF32) panelGeneric(pn panel, a *rows[float32], out *OutF32, m0, m1 int) {
	per, part := sumBlocks(p.taps, p.k)
	for i := m0; i < m1; i++ {
		var acc [genericLanes]float32
		if out.Bias != nil {
			copy(acc[:], out.Bias[pn.n0:pn.n1])
		}
		before, w := [genericLanes]float32(negZeros[:]), p.data[pn.off:]
		for tap := range p.taps {
			row := a.row(i, tap)
			for k := 0; k < p.k; k += part {
				if k > 0 || tap > 0 && tap%per == 0 {
					addRef(before[:], before[:], acc[:])
					clear(acc[:])
				}
				for _, v := range row[k:min(p.k, k+part)] {
					addScaled(acc[:], v, w)
					w = w[genericLanes:]
				}
			}
		}
		addRef(acc[:], acc[:], before[:])
		out.store(acc[:pn.n1-pn.n0], i, pn.n0)
	}
}

// store finishes the sums of row i from column j on.
func (o *OutF32) store(acc []float32, i, j int) {
	c := o.C[i*o.Ldc+j:][:len(acc)]
	for q, v := range acc {
		if o.Add != nil {
			v += o.Add[i*o.LdAdd+j+q]
		}
		if o.Min != o.Max {
			if v < o.Min {
				v = o.Min
			}
			if v > o.Max {
				v = o.Max
			}
		}
		c[q] = v
	}
}
