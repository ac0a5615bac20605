package kernel

import "math"

// expSumFn is an assembly body: it returns the sum of exp(x−m) over n ≥ 1 elements in the order of
// [ReduceSum]. One form stores the terms in dst, the other takes no notice of dst.
type expSumFn func(dst, x *float32, n int, m float32) float32

// softmaxFn and layerNormFn are assembly bodies for rows of n ≥ 1 elements.
type (
	softmaxFn   func(dst, x *float32, n, rows int)
	layerNormFn func(dst, x, gamma, beta *float32, n, rows int, size, eps float32)
)

// callLen is about how many elements one call of assembly over rows takes. Assembly cannot be
// preempted, so a call must not last.
const callLen = 1 << 14

// SoftmaxRows sets each of len(dst)/cols rows to exp(x−max)·(1/Σ). dst may be x itself.
func (l Level) SoftmaxRows(dst, x []float32, cols int) {
	x = x[:len(dst)]
	if f, ok := softmaxAsm.pick(l); ok && cols > 0 {
		spans(len(dst)/cols, max(1, callLen/cols), func(r, n int) { f(&dst[r*cols], &x[r*cols], cols, n) })
		return
	}
	spans(len(dst), cols, func(i, n int) {
		row := dst[i : i+n]
		s := l.ExpSum(row, x[i:i+n], l.Reduce(ReduceMax, x[i:i+n], 0))
		l.BinaryScalar(Mul, row, row, 1/s)
	})
}

// LogSoftmaxRows sets each row of cols elements to (x−max) − ln Σ exp(x−max). dst may be x itself.
func (l Level) LogSoftmaxRows(dst, x []float32, cols int) {
	x = x[:len(dst)]
	spans(len(dst), cols, func(i, n int) {
		row := x[i : i+n]
		_, m := l.MinMax(row) // NaN comes back with the sum
		l.UnaryWith(SubTwo, dst[i:i+n], row, m, logOne(l.ExpSum(nil, row, m)))
	})
}

// ExpSum sets dst[i] = exp(x[i]−m) and returns the sum of them: one step of a softmax that is
// computed in parts. A nil dst only sums. dst may be x itself.
func (l Level) ExpSum(dst, x []float32, m float32) float32 {
	asm, out := expSumAsm, (*float32)(nil)
	if dst != nil && len(x) > 0 {
		asm, out = expSumStoreAsm, &dst[:len(x)][0]
	}
	if f, ok := asm.pick(l); ok && len(x) > 0 {
		return f(out, &x[0], len(x), m)
	}
	var s [lanes]float32
	for i, v := range x {
		e := float32(expOne(v - m))
		if dst != nil {
			dst[i] = e
		}
		s[i%lanes] += e
	}
	return foldSum(&s)
}

// LayerNormRows normalises each row of len(gamma) elements:
// dst = (x−mean)·(1/√(var+eps))·gamma + beta, var = Σ(x−mean)²/n, sums as in [ReduceSum].
// A nil beta is zero. dst may be x itself.
func (l Level) LayerNormRows(dst, x, gamma, beta []float32, eps float32) {
	x = x[:len(dst)]
	cols, size := len(gamma), float32(len(gamma))
	f, ok := layerNormAsm.pick(l)
	if beta != nil {
		beta = beta[:cols]
	}
	if ok && beta != nil && cols > 0 {
		spans(len(dst)/cols, max(1, callLen/cols), func(r, n int) {
			f(&dst[r*cols], &x[r*cols], &gamma[0], &beta[0], cols, n, size, eps)
		})
		return
	}
	spans(len(dst), cols, func(i, n int) {
		row, in := dst[i:i+n], x[i:i+n]
		mean := l.Reduce(ReduceSum, in, 0) / size
		inv := inverseRoot(l.Reduce(ReduceDeviation, in, mean)/size, eps)
		l.BinaryScalar(Sub, row, in, mean)
		l.BinaryScalar(Mul, row, row, inv)
		l.Binary(Mul, row, row, gamma)
		if beta != nil {
			l.Binary(Add, row, row, beta)
		}
	})
}

// RMSNormRows sets each row of len(gamma) elements to x·(1/√(Σx²/n+eps))·gamma. dst may be x itself.
func (l Level) RMSNormRows(dst, x, gamma []float32, eps float32) {
	x = x[:len(dst)]
	spans(len(dst), len(gamma), func(i, n int) {
		row, in := dst[i:i+n], x[i:i+n]
		inv := inverseRoot(l.Reduce(ReduceSumSquare, in, 0)/float32(len(gamma)), eps)
		l.BinaryScalar(Mul, row, in, inv)
		l.Binary(Mul, row, row, gamma)
	})
}

func inverseRoot(v, eps float32) float32 { return 1 / float32(math.Sqrt(float64(v+eps))) }
