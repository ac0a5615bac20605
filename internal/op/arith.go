package op

import (
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// arith is a binary arithmetic operator on each class of element types.
type arith struct {
	f    func(x, y float64) float64
	i    func(x, y int64) int64
	u    func(x, y uint64) uint64 // of uint64 where i would read the sign; nil: i
	dim  func(x, y graph.Dim) graph.Dim
	safe bool // an integer divisor of 0 is refused
}

var (
	addArith = &arith{
		f:   func(x, y float64) float64 { return x + y },
		i:   func(x, y int64) int64 { return x + y },
		dim: func(x, y graph.Dim) graph.Dim { return addDims(x, y, 1) },
	}
	subArith = &arith{
		f:   func(x, y float64) float64 { return x - y },
		i:   func(x, y int64) int64 { return x - y },
		dim: func(x, y graph.Dim) graph.Dim { return addDims(x, y, -1) },
	}
	mulArith = &arith{
		f:   func(x, y float64) float64 { return x * y },
		i:   func(x, y int64) int64 { return x * y },
		dim: func(x, y graph.Dim) graph.Dim { return mulDims(x, y) },
	}
	divArith = &arith{
		f:    func(x, y float64) float64 { return x / y },
		i:    func(x, y int64) int64 { return x / y },
		u:    func(x, y uint64) uint64 { return x / y },
		dim:  floorDims,
		safe: true,
	}
	maxArith = &arith{
		f: func(x, y float64) float64 {
			if x > y || x != x {
				return x
			}
			return y
		},
		i: func(x, y int64) int64 { return max(x, y) },
		u: func(x, y uint64) uint64 { return max(x, y) },
	}
	minArith = &arith{
		f: func(x, y float64) float64 {
			if x < y || x != x {
				return x
			}
			return y
		},
		i: func(x, y int64) int64 { return min(x, y) },
		u: func(x, y uint64) uint64 { return min(x, y) },
	}
	floorMod = &arith{
		f: modFloat,
		i: func(x, y int64) int64 {
			r := x % y
			if r != 0 && (r < 0) != (y < 0) {
				r += y
			}
			return r
		},
		u:    func(x, y uint64) uint64 { return x % y },
		safe: true,
	}
	truncMod = &arith{
		f:    math.Mod,
		i:    func(x, y int64) int64 { return x % y },
		u:    func(x, y uint64) uint64 { return x % y },
		safe: true,
	}
)

// modFloat is the remainder of a floored division; it has the sign of y.
func modFloat(x, y float64) float64 {
	r := math.Mod(x, y)
	switch {
	case r == 0:
		return math.Copysign(0, y)
	case (r < 0) != (y < 0):
		return r + y
	}
	return r
}

// apply computes the operator on two tensors of one element type.
func (o *arith) apply(a, b *tensor.Tensor) (*tensor.Tensor, error) {
	shape, err := zipShape(a.DType, a, b)
	if err != nil {
		return nil, err
	}
	switch {
	case a.DType == tensor.Float32:
		f := func(x, y float32) float32 { return float32(o.f(float64(x), float64(y))) }
		return tensor.Float32s(zip(tensor.Of[float32](a), tensor.Of[float32](b), a.Shape, b.Shape, shape, f), shape...), nil
	case a.DType.IsFloat():
		return o.floats(a, b, shape)
	case a.DType == tensor.Uint64 && o.u != nil:
		x, y := tensor.Of[uint64](a), tensor.Of[uint64](b)
		if err := o.checkDivisor(tensor.Of[int64](b)); err != nil {
			return nil, err
		}
		return tensor.Wrap(a.DType, zip(x, y, a.Shape, b.Shape, shape, o.u), shape...), nil
	}
	x, err := ints(a)
	if err != nil {
		return nil, err
	}
	y, err := ints(b)
	if err != nil {
		return nil, err
	}
	if err := o.checkDivisor(y); err != nil {
		return nil, err
	}
	return fromInts(a.DType, zip(x, y, a.Shape, b.Shape, shape, o.i), shape)
}

func (o *arith) floats(a, b *tensor.Tensor, shape []int) (*tensor.Tensor, error) {
	x, err := floats(a)
	if err != nil {
		return nil, err
	}
	y, err := floats(b)
	if err != nil {
		return nil, err
	}
	return fromFloats(a.DType, zip(x, y, a.Shape, b.Shape, shape, o.f), shape)
}

func (o *arith) checkDivisor(y []int64) error {
	if o.safe {
		for _, v := range y {
			if v == 0 {
				return invalidf("integer division by zero")
			}
		}
	}
	return nil
}

// infer broadcasts the shapes and follows the elements of integer vectors.
func (o *arith) infer(c *Inference) ([]Fact, error) {
	a, b := c.Input(0), c.Input(1)
	out, err := inferBroadcast(a.DType, a, b)
	if err != nil {
		return nil, err
	}
	if o.dim != nil {
		followZip(&out[0], a, b, o.dim)
	}
	return out, nil
}

// inferZip broadcasts the shapes of two operands to the first one's type.
func inferZip(c *Inference) ([]Fact, error) {
	return inferBroadcast(c.Input(0).DType, c.Input(0), c.Input(1))
}

// floorDims is the quotient of two dimensions, rounded down.
func floorDims(x, y graph.Dim) graph.Dim {
	if x.IsKnown() && y.IsKnown() && y.Size > 0 {
		return graph.Known(x.Size / y.Size)
	}
	return divDims(x, y)
}

// eval is the Eval of a binary operator.
func (o *arith) eval(c *Call) ([]*tensor.Tensor, error) { return one(o.apply(c.In[0], c.In[1])) }

// evalMod picks the rounding of the quotient by attribute fmod.
func evalMod(c *Call) ([]*tensor.Tensor, error) {
	if c.Bool("fmod", false) {
		return truncMod.eval(c)
	}
	return floorMod.eval(c)
}
