package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// argOf returns the Eval of ArgMax or ArgMin: the position along an axis of the element that
// beats all others; of equal ones the first, or the last if the node says so.
func argOf(beats func(a, b float64) bool) func(c *Call) ([]*tensor.Tensor, error) {
	return func(c *Call) ([]*tensor.Tensor, error) {
		x := c.In[0]
		axis, err := axisOf(c.Int("axis", 0), x.Rank())
		if err != nil {
			return nil, err
		}
		if x.Shape[axis] == 0 && x.Len() == 0 {
			return nil, invalidf("axis %d of shape %v is empty", axis, x.Shape)
		}
		reduced := make([]bool, x.Rank())
		reduced[axis] = true
		g := newGroups(x.Shape, reduced)
		v, err := floats(x)
		if err != nil {
			return nil, err
		}
		last := c.Bool("select_last_index", false)
		at := reduceBy(v, g, func(row []float64) int64 { return position(row, beats, last) })
		return one(tensor.Int64s(at, g.shape(c.Bool("keepdims", true))...), nil)
	}
}

// position returns where the winning element stands; a NaN wins.
func position(row []float64, beats func(a, b float64) bool, last bool) int64 {
	best := 0
	for i, v := range row {
		b := row[best]
		switch {
		case b != b && !(last && v != v):
		case v != v || beats(v, b) || last && v == b:
			best = i
		}
	}
	return int64(best)
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
	return Typed(graph.OfDims(tensor.Int64, reducedDims(t.Shape, reduced, c.Bool("keepdims", true)))), nil
}
