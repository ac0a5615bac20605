package engine

import "lowbit/internal/tensor"

// Short rows that repeat cost a call each. A constant that repeats in rows shorter than spreadRow is
// written out once, if the result has at most spreadMost elements.
const (
	spreadRow  = 64
	spreadMost = 1 << 16
)

// spread returns constant v as it repeats over y, where that saves time beside the operand other.
func (lw *lowerer) spread(v, other, y *value) *value {
	if v.konst == nil || y.elems() > spreadMost || v.elems() == 1 || sameShape(v.shape, y.shape) || !sameShape(other.shape, y.shape) {
		return v
	}
	rank := len(y.shape)
	b := broadcastOf(y.shape, padShape(v.shape, rank), y.shape)
	if k := len(b.dims) - 1; b.inner() >= spreadRow || k == 0 || k == 1 && b.xs[1] == 0 {
		return v
	}
	t := tensor.New(tensor.Float32, y.shape...)
	b.repeat(tensor.Of[float32](t), tensor.Of[float32](v.konst))
	return lw.net.constant(y.name+"·"+v.name, t)
}

// repeat writes operand x, as it is walked over the result.
func (b *broadcast) repeat(dst, x []float32) {
	n, step := b.inner(), b.xs[len(b.xs)-1]
	for i := 0; i*n < len(dst); i++ {
		at, _ := b.offsets(i)
		for j := range n {
			dst[i*n+j] = x[at+j*step]
		}
	}
}
