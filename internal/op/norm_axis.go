package op

import (
	"math"
	"slices"

	"lowbit/internal/tensor"
)

func evalLpNorm(c *Call) ([]*tensor.Tensor, error) {
	x, p := c.In[0], c.Int("p", 2)
	axis, err := axisOf(c.Int("axis", -1), x.Rank())
	if err != nil {
		return nil, err
	}
	if p != 1 && p != 2 {
		return nil, invalidf("p is %d, not 1 or 2", p)
	}
	data, err := floats(x)
	if err != nil {
		return nil, err
	}
	y := slices.Clone(data)
	norms := reduceOver(y, x.Shape, []int{axis}, func(v float64) float64 {
		if p == 1 {
			return math.Abs(v)
		}
		return square(v)
	})
	norms.each(func(i, group int) {
		n := norms.sum[group]
		if p == 2 {
			n = math.Sqrt(n)
		}
		if n != 0 {
			y[i] /= n
		} else {
			y[i] = 0
		}
	})
	return one(fromFloats(x.DType, y, x.Shape))
}

// An axisSum is a sum over some axes, each group of elements that share the others by itself.
type axisSum struct {
	shape, step []int // of the elements; step walks the groups
	sum         []float64
	count       int // elements of a group
}

// reduceOver sums f of the elements of x over the given axes.
func reduceOver(x []float64, shape, axes []int, f func(float64) float64) *axisSum {
	kept := slices.Clone(shape)
	for _, a := range axes {
		kept[a] = 1
	}
	r := &axisSum{shape: shape, step: broadcastStrides(kept, shape), sum: make([]float64, tensor.Elements(kept))}
	r.count = len(x) / max(1, len(r.sum))
	r.each(func(i, group int) { r.sum[group] += f(x[i]) })
	return r
}

// each calls f with every element's position and its group.
func (r *axisSum) each(f func(i, group int)) {
	eachIndex(r.shape, [][]int{r.step}, func(i int, off []int) { f(i, off[0]) })
}

// evalMeanVariance subtracts the mean over the axes and divides by the deviation. The small
// term is that of the standard's own function body.
func evalMeanVariance(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	axes := c.Ints("axes")
	if axes == nil {
		axes = []int{0, 2, 3}
	}
	axes, err := axesOf(axes, x.Rank())
	if err != nil {
		return nil, err
	}
	data, err := floats(x)
	if err != nil {
		return nil, err
	}
	y := slices.Clone(data)
	mean := reduceOver(y, x.Shape, axes, same[float64])
	mean.each(func(i, group int) { y[i] -= mean.sum[group] / float64(mean.count) })
	square := reduceOver(y, x.Shape, axes, square[float64])
	square.each(func(i, group int) { y[i] /= math.Sqrt(square.sum[group]/float64(square.count)) + 1e-9 })
	return one(fromFloats(x.DType, y, x.Shape))
}

// evalLRN divides by a power of the sum of squares over size neighbouring channels of (N,C,D...).
func evalLRN(c *Call) ([]*tensor.Tensor, error) {
	x, size := c.In[0], c.Int("size", 0)
	if err := wantRank("input", x.Shape, 2); err != nil {
		return nil, err
	}
	if size < 1 {
		return nil, invalidf("size is %d", size)
	}
	data, err := floats(x)
	if err != nil {
		return nil, err
	}
	alpha, beta, bias := float64(c.Float("alpha", 1e-4)), float64(c.Float("beta", 0.75)), float64(c.Float("bias", 1))
	channels, inner := x.Shape[1], tensor.Elements(x.Shape[2:])
	y := make([]float64, len(data))
	for i := range data {
		ch := i / inner % channels
		sum := 0.0
		for k := max(0, ch-(size-1)/2); k <= min(channels-1, ch+size/2); k++ {
			v := data[i+(k-ch)*inner]
			sum += float64(v * v)
		}
		y[i] = data[i] / math.Pow(bias+alpha/float64(size)*sum, beta)
	}
	return one(fromFloats(x.DType, y, x.Shape))
}
