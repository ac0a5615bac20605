package op

import (
	"lowbit/internal/tensor"
)

// less returns the elements of t minus a zero point, which is one number or one for each
// position along the given axis, counted from the end; its shape may also be t's with 1 along
// the axis across. Absent, it is zero.
func less(t, zero *tensor.Tensor, axis int) ([]float64, error) {
	x, err := floats(t)
	if err != nil || zero == nil {
		return x, err
	}
	z, err := floats(zero)
	if err != nil {
		return nil, err
	}
	shape := zero.Shape
	switch {
	case len(z) == 1:
		shape = nil
	case len(shape) == 1 && t.Rank()+axis >= 0:
		shape = make([]int, -axis)
		for i := range shape {
			shape[i] = 1
		}
		shape[0] = len(z)
	}
	if !broadcastsTo(shape, t.Shape) {
		return nil, invalidf("zero point of shape %v for an operand of shape %v", zero.Shape, t.Shape)
	}
	return zip(x, z, t.Shape, shape, t.Shape, func(x, z float64) float64 { return x - z }), nil
}

// A requant writes sums in the codes of a quantized type.
type requant struct {
	to     tensor.DType
	scales []float64 // of the product of the operands over the result's: one, or one for each channel
	zero   int64
}

// newRequant returns the way from sums of products at scales a·b to codes at scale y. a and b
// have one element, or one of them has one for each channel.
func newRequant(a, b, y, zero *tensor.Tensor) (*requant, error) {
	v, err := floatsOf(a, b, y)
	if err != nil {
		return nil, err
	}
	if len(v[2]) != 1 || zero.Len() != 1 {
		return nil, unsupportedf("result scale of shape %v and zero point of shape %v: one number each is supported", y.Shape, zero.Shape)
	}
	n := max(len(v[0]), len(v[1]))
	if n == 0 || len(v[0]) != n && len(v[0]) != 1 || len(v[1]) != n && len(v[1]) != 1 {
		return nil, invalidf("scales of shapes %v and %v", a.Shape, b.Shape)
	}
	r := &requant{to: zero.DType, scales: make([]float64, n)}
	for i := range r.scales {
		r.scales[i] = float64(float32(v[0][i%len(v[0])] * v[1][i%len(v[1])] / v[2][0]))
	}
	z, err := zeros(zero, 1)
	if err != nil {
		return nil, err
	}
	r.zero = z[0]
	return r, nil
}

// apply writes sums of the given shape; channel says which scale sum i takes. The sum and its
// product with the scale are rounded to float32, then half to even.
func (r *requant) apply(acc []float64, shape []int, channel func(i int) int) (*tensor.Tensor, error) {
	if r.to.IsFloat() {
		y := make([]float64, len(acc))
		for i, v := range acc {
			y[i] = float64(float32(v)) * r.scales[channel(i)]
		}
		return casting{to: r.to, saturate: true, round: "up"}.store(y, shape)
	}
	codes := make([]int64, len(acc))
	lo, hi := intRange(r.to)
	for i, v := range acc {
		p := float32(float64(float32(v)) * r.scales[channel(i)])
		codes[i] = saturated(float64(p), r.zero, lo, hi)
	}
	return fromInts(r.to, codes, shape)
}

// perTensor is the channel function of a single scale.
func perTensor(int) int { return 0 }
