package kernel

import "math"

// Pool describes a pooling in NHWC order over one image. Output pixel i, C channels from element
// i*OutPitch, is made of the input pixels that row i of Taps lists; padding is left out.
type Pool struct {
	Taps     *Indirect
	C        int // channels
	OutPitch int // elements from one output pixel to the next
	// Divisors divide the sum of each output pixel in an average; nil: the number of taps that
	// are no padding.
	Divisors []float32
}

// PoolQuant is the quantization of an average pooling on codes:
// out = clamp(RNE(Σ(x−XZero)·XScale / (OutScale·divisor)) + OutZero, Lo, Hi).
type PoolQuant struct {
	XScale, OutScale float32
	XZero, OutZero   int32
	Lo, Hi           int32
}

// GlobalTaps lists all pixels of an image as the taps of a single output pixel.
func GlobalTaps(pixels, pitch int) *Indirect {
	off := make([]int32, pixels)
	for i := range off {
		off[i] = int32(i * pitch)
	}
	return NewIndirect(off, max(pixels, 1))
}

// poolFn is an assembly body for output pixels of n channels, pitch apart: for each it folds
// x[taps[j]+c] over the k taps that are not negative. The sum of codes is int32.
type poolFn[T, U any] func(dst *U, x *T, taps *int32, k, n, pixels, pitch int)

// poolWork bounds the elements that one call of such a body folds.
const poolWork = 1 << 18

// MaxPoolF32 computes output pixels r0 to r1. NaN wins; a window of padding alone gives −∞.
func (l Level) MaxPoolF32(p *Pool, dst, x []float32, r0, r1 int) {
	foldRows(l, maxPoolF32Asm, maxTapsF32, p, dst[min(len(dst), r0*p.OutPitch):], p.OutPitch, x, r0, r1)
}

// FoldMaxF32 is MaxPoolF32 that writes output pixel r0 to the beginning of dst.
func (l Level) FoldMaxF32(p *Pool, dst, x []float32, r0, r1 int) {
	foldRows(l, maxPoolF32Asm, maxTapsF32, p, dst, p.OutPitch, x, r0, r1)
}

// FoldSumF32 computes the sums of output pixels r0 to r1, in tap order, from the beginning of dst on. A window of padding
// alone gives 0.
func (l Level) FoldSumF32(p *Pool, dst, x []float32, r0, r1 int) {
	foldRows(l, sumPoolF32Asm, sumTapsF32, p, dst, p.OutPitch, x, r0, r1)
}

// MaxPoolU8 computes output pixels r0 to r1. A window of padding alone gives 0.
func (l Level) MaxPoolU8(p *Pool, dst, x []uint8, r0, r1 int) {
	foldRows(l, maxPoolU8Asm, maxTapsU8, p, dst[min(len(dst), r0*p.OutPitch):], p.OutPitch, x, r0, r1)
}

// AvgPoolF32 computes output pixels r0 to r1: the sums of 64 taps each in tap order, these added
// in order, and divided. A window of padding alone gives 0/0 without Divisors.
func (l Level) AvgPoolF32(p *Pool, dst, x []float32, r0, r1 int) {
	if p.Taps.Taps <= sumTaps {
		foldRows(l, sumPoolF32Asm, sumTapsF32, p, dst[min(len(dst), r0*p.OutPitch):], p.OutPitch, x, r0, r1)
		p.runs(r0, r1, func(i, n, taps int) {
			div := p.divisor(i, taps)
			if p.OutPitch == p.C {
				out := dst[i*p.C:][:n*p.C]
				l.BinaryScalar(Div, out, out, div)
				return
			}
			for k := range n {
				out := dst[(i+k)*p.OutPitch:][:p.C]
				l.BinaryScalar(Div, out, out, div)
			}
		})
		return
	}
	buf := make([]float32, p.C)
	for i := r0; i < r1; i++ {
		taps := p.Taps.row(i)
		out := dst[i*p.OutPitch:][:p.C]
		clear(out)
		for j := 0; j < len(taps); j += sumTaps {
			poolPixel(l, sumPoolF32Asm, sumTapsF32, buf, x, taps[j:min(j+sumTaps, len(taps))])
			l.Binary(Add, out, out, buf)
		}
		l.BinaryScalar(Div, out, out, p.divisor(i, valid(taps)))
	}
}

// runs calls do for neighbouring output pixels, n from i on, that have the same number of taps and the same divisor.
func (p *Pool) runs(r0, r1 int, do func(i, n, taps int)) {
	for i := r0; i < r1; {
		taps, n := valid(p.Taps.row(i)), 1
		for i+n < r1 && valid(p.Taps.row(i+n)) == taps && (p.Divisors == nil || p.Divisors[i+n] == p.Divisors[i]) {
			n++
		}
		do(i, n, taps)
		i += n
	}
}

// sumTaps is how many taps AvgPoolF32 adds up before it adds to the total.
const sumTaps = 64

// meanFn is an assembly body that turns n sums into codes: the sum less zero, times scale.
type meanFn func(dst *uint8, sums *int32, n int, zero int32, div float32, q *PoolQuant)

// AvgPoolU8 computes output pixels r0 to r1 on codes.
func (l Level) AvgPoolU8(p *Pool, q *PoolQuant, dst, x []uint8, r0, r1 int) {
	if p.C == 0 {
		return
	}
	most := max(1, meanWork/p.C) // pixels at a time
	sums := make([]int32, min(most, max(0, r1-r0))*p.C)
	p.runs(r0, r1, func(i, n, taps int) {
		zero, div := q.XZero*int32(taps), float32(q.OutScale*p.divisor(i, taps))
		for end := i + n; i < end; {
			n := min(most, end-i)
			foldRows(l, sumPoolU8Asm, sumTapsU8, p, sums, p.C, x, i, i+n)
			if p.OutPitch == p.C {
				q.codes(l, dst[i*p.C:][:n*p.C], sums, zero, div)
			} else {
				for k := range n {
					q.codes(l, dst[(i+k)*p.OutPitch:][:p.C], sums[k*p.C:], zero, div)
				}
			}
			i += n
		}
	})
}

// codes turns sums, less zero, into codes.
func (q *PoolQuant) codes(l Level, dst []uint8, sums []int32, zero int32, div float32) {
	f, m := meanU8Asm.part(l, len(dst))
	if m > 0 {
		f(&dst[0], &sums[0], m, zero, div, q)
	}
	for c := m; c < len(dst); c++ {
		dst[c] = uint8(quantOne(float32(float32(sums[c]-zero)*q.XScale), div, q.OutZero, q.Lo, q.Hi))
	}
}

// meanWork is how many sums are made before they become codes.
const meanWork = 1 << 12

// foldRows folds output pixels r0 to r1, each pitch elements behind the one before.
func foldRows[T, U any](l Level, asm variants[poolFn[T, U]], ref func(dst []U, x []T, taps []int32), p *Pool, dst []U, pitch int, x []T, r0, r1 int) {
	if r0 >= r1 || p.C == 0 {
		return
	}
	k := p.Taps.Taps
	_, _ = x[p.Taps.span:][:p.C], dst[(r1-1-r0)*pitch:][:p.C]
	f, m := asm.part(l, p.C)
	for i := r0; i < r1 && m > 0 && k > 0; {
		n := min(r1-i, max(1, poolWork/(k*m)))
		f(&dst[(i-r0)*pitch], &x[0], &p.Taps.row(i)[0], k, m, n, pitch)
		i += n
	}
	if m == p.C && k > 0 {
		return
	}
	for i := r0; i < r1; i++ {
		ref(dst[(i-r0)*pitch:][m:p.C], x[m:], p.Taps.row(i))
	}
}

func poolPixel[T, U any](l Level, asm variants[poolFn[T, U]], ref func(dst []U, x []T, taps []int32), dst []U, x []T, taps []int32) {
	for _, o := range taps {
		if o >= 0 {
			_ = x[o:][:len(dst)]
		}
	}
	f, m := asm.part(l, len(dst))
	if m > 0 && len(x) > 0 && len(taps) > 0 {
		f(&dst[0], &x[0], &taps[0], len(taps), m, 1, 0)
		dst, x = dst[m:], x[min(m, len(x)):]
	}
	if len(dst) > 0 {
		ref(dst, x, taps)
	}
}

// Seen is how many of the taps of output pixel i are no padding.
func (ix *Indirect) Seen(i int) int { return valid(ix.row(i)) }

// row is the offsets of output pixel i.
func (ix *Indirect) row(i int) []int32 { return ix.off[:ix.Rows*ix.Taps][i*ix.Taps:][:ix.Taps] }

// divisor is that of output pixel i, of so many taps that are no padding.
func (p *Pool) divisor(i, taps int) float32 {
	if p.Divisors != nil {
		return p.Divisors[i]
	}
	return float32(taps)
}

func valid(taps []int32) (n int) {
	for _, o := range taps {
		if o >= 0 {
			n++
		}
	}
	return n
}

func maxTapsF32(dst, x []float32, taps []int32) {
	fill(dst, float32(math.Inf(-1)))
	for _, o := range taps {
		if o >= 0 {
			maxRef(dst, x[o:][:len(dst)], dst)
		}
	}
}

func maxTapsU8(dst, x []uint8, taps []int32) {
	clear(dst)
	for _, o := range taps {
		if o >= 0 {
			for c, v := range x[o:][:len(dst)] {
				dst[c] = max(dst[c], v)
			}
		}
	}
}

func sumTapsF32(dst, x []float32, taps []int32) {
	clear(dst)
	for _, o := range taps {
		if o >= 0 {
			addRef(dst, dst, x[o:][:len(dst)])
		}
	}
}

func sumTapsU8(dst []int32, x []uint8, taps []int32) {
	clear(dst)
	for _, o := range taps {
		if o >= 0 {
			for c, v := range x[o:][:len(dst)] {
				dst[c] += int32(v)
			}
		}
	}
}
