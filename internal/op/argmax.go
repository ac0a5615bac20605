package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// arg is ArgMax or ArgMin by class of element type: says whether a wins against b.
type arg struct {
	f func(a, b float64) bool
	i func(a, b int64) bool
	u func(a, b uint64) bool
}

var (
	argMax = &arg{above[float64], above[int64], above[uint64]}
	argMin = &arg{below[float64], below[int64], below[uint64]}
)

// above says whether a is larger than b; NaN is above all numbers.
func above[T number](a, b T) bool { return a > b || a != a && b == b }

// below says whether a is smaller than b; NaN is below all numbers.
func below[T number](a, b T) bool { return a < b || a != a && b == b }

// eval finds the position along an axis of the element that wins against all others; of equal ones
// the first, or the last if the node says so.
func (k *arg) eval(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	axis, err := axisOf(c.Int("axis", 0), x.Rank())
	if err != nil {
		return nil, err
	}
	reduced := make([]bool, x.Rank())
	reduced[axis] = true
	g := newGroups(x.Shape, reduced)
	shape := g.shape(c.Bool("keepdims", true))
	if x.Shape[axis] == 0 && tensor.Elements(shape) > 0 {
		return nil, invalidf("axis %d of shape %v is empty", axis, x.Shape)
	}
	at, err := k.positions(x, g, c.Bool("select_last_index", false))
	if err != nil {
		return nil, err
	}
	return one(tensor.Int64s(at, shape...), nil)
}

// positions returns where the winner of each group stands.
func (k *arg) positions(x *tensor.Tensor, g *groups, last bool) ([]int64, error) {
	switch {
	case x.DType == tensor.Uint64:
		return reduceBy(tensor.Of[uint64](x), g, winner(k.u, last)), nil
	case x.DType.IsInt():
		v, err := ints(x)
		if err != nil {
			return nil, err
		}
		return reduceBy(v, g, winner(k.i, last)), nil
	}
	v, err := floats(x)
	if err != nil {
		return nil, err
	}
	return reduceBy(v, g, winner(k.f, last)), nil
}

// winner returns the function that finds the winner of a row, of equal ones the first or the last.
func winner[T number](wins func(a, b T) bool, last bool) func(row []T) int64 {
	return func(row []T) int64 {
		best := 0
		for i, v := range row {
			if wins(v, row[best]) || last && !wins(row[best], v) {
				best = i
			}
		}
		return int64(best)
	}
}

func inferArg(c *Inference) ([]Fact, error) {
	t := c.Input(0).Type
	if !t.Ranked {
		return Typed(graph.Unranked(tensor.Int64)), nil
	}
	axis, err := axisOf(c.Int("axis", 0), len(t.Shape))
	if err != nil {
		return nil, err
	}
	reduced := make([]bool, len(t.Shape))
	reduced[axis] = true
	return Typed(graph.OfDims(tensor.Int64, reducedShape(t.Shape, reduced, c.Bool("keepdims", true), graph.Known(1)))), nil
}
