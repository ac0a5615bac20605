package op

import "lowbit/internal/tensor"

// A cumulation folds the elements along an axis and keeps every step.
type cumulation struct {
	f     func(acc, x float64) float64
	i     func(acc, x int64) int64
	start int64 // of an exclusive one: what stands in front of the first element
}

var (
	cumSum = &cumulation{
		f: func(acc, x float64) float64 { return acc + x },
		i: func(acc, x int64) int64 { return acc + x },
	}
	cumProd = &cumulation{
		f:     func(acc, x float64) float64 { return acc * x },
		i:     func(acc, x int64) int64 { return acc * x },
		start: 1,
	}
)

func (k *cumulation) eval(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	at, err := c.intScalarOf(1)
	if err != nil {
		return nil, err
	}
	axis, err := axisOf(int(at), x.Rank())
	if err != nil {
		return nil, err
	}
	outer, n, inner := tensor.Elements(x.Shape[:axis]), x.Shape[axis], tensor.Elements(x.Shape[axis+1:])
	exclusive, reverse := c.Bool("exclusive", false), c.Bool("reverse", false)
	if x.DType.IsInt() {
		v, err := ints(x)
		if err != nil {
			return nil, err
		}
		out := make([]int64, len(v))
		eachRow(v, out, outer, n, inner, cumulate(k.i, k.start, exclusive, reverse))
		return one(fromInts(x.DType, out, x.Shape))
	}
	v, err := floats(x)
	if err != nil {
		return nil, err
	}
	out := make([]float64, len(v))
	eachRow(v, out, outer, n, inner, cumulate(k.f, float64(k.start), exclusive, reverse))
	return one(fromFloats(x.DType, out, x.Shape))
}

// cumulate returns a function that folds a row in place.
func cumulate[T any](f func(acc, x T) T, start T, exclusive, reverse bool) func(row []T) {
	return func(row []T) {
		acc := start
		for k := range row {
			if reverse {
				k = len(row) - 1 - k
			}
			next := f(acc, row[k])
			row[k] = next
			if exclusive {
				row[k] = acc
			}
			acc = next
		}
	}
}
