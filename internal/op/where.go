package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalWhere takes each element from X where the condition holds, else from Y.
func evalWhere(c *Call) ([]*tensor.Tensor, error) {
	cond, x, y := c.In[0], c.In[1], c.In[2]
	shape, err := BroadcastShape(cond.Shape, x.Shape, y.Shape)
	if err != nil {
		return nil, err
	}
	out, err := newCells(x.DType, shape)
	if err != nil {
		return nil, err
	}
	from := []cells{cellsOf(x), cellsOf(y)}
	st := [][]int{broadcastStrides(cond.Shape, shape), broadcastStrides(x.Shape, shape), broadcastStrides(y.Shape, shape)}
	eachIndex(shape, st, func(i int, off []int) {
		pick := 1
		if cond.Raw[off[0]] != 0 {
			pick = 0
		}
		out.copy(i, from[pick], off[1+pick], 1)
	})
	return one(out.tensor(x.DType, shape), nil)
}

// inferWhere broadcasts, and follows the elements of integer vectors as far as the
// condition is constant or both sides agree.
func inferWhere(c *Inference) ([]Fact, error) {
	cond, x, y := c.Input(0), c.Input(1), c.Input(2)
	out, err := inferBroadcast(x.DType, cond, x, y)
	if err != nil || !followsElems(out[0].Type) {
		return out, err
	}
	if cond.Value == nil {
		agree := out[0]
		followZip(&agree, x, y, func(a, b graph.Dim) graph.Dim {
			if a.Same(b) {
				return a
			}
			return graph.Unknown
		})
		if len(agree.Shape) == len(out[0].Shape) && cond.Ranked && len(cond.Shape) <= len(agree.Shape) {
			out[0].Elems = agree.Elems
		}
		return out, nil
	}
	followWhere(&out[0], truths(cond.Value), x, y)
	return out, nil
}

// followWhere notes in out which element of x or y each position of a constant condition picks.
func followWhere(out *Fact, cond []bool, x, y Fact) {
	a, okA := elemsOf(x)
	b, okB := elemsOf(y)
	n := max(len(cond), len(a), len(b))
	if !okA || !okB || !repeats(len(cond), n) || !repeats(len(a), n) || !repeats(len(b), n) {
		return
	}
	elems := make([]graph.Dim, n)
	for i := range elems {
		elems[i] = b[i%len(b)]
		if cond[i%len(cond)] {
			elems[i] = a[i%len(a)]
		}
	}
	*out = elemsFact(out.DType, elems, len(out.Shape) == 0)
}
