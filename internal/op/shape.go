package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

func evalShape(c *Call) ([]*tensor.Tensor, error) {
	shape := c.In[0].Shape
	lo, hi := shapeRange(c.Node, len(shape))
	out := make([]int64, 0, len(shape))
	for _, d := range shape[lo:hi] {
		out = append(out, int64(d))
	}
	return []*tensor.Tensor{tensor.Vector(out...)}, nil
}

// shapeRange clamps the attributes start and end to a rank.
func shapeRange(n *graph.Node, rank int) (lo, hi int) {
	clamp := func(v int) int {
		if v < 0 {
			v += rank
		}
		return max(0, min(v, rank))
	}
	lo, hi = clamp(n.Int("start", 0)), clamp(n.Int("end", rank))
	return lo, max(lo, hi)
}

func inferShape(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	if !x.Ranked {
		return Typed(graph.OfDims(tensor.Int64, []graph.Dim{graph.Unknown})), nil
	}
	lo, hi := shapeRange(c.Node, len(x.Shape))
	return []Fact{elemsFact(tensor.Int64, append([]graph.Dim{}, x.Shape[lo:hi]...), false)}, nil
}

func evalSize(c *Call) ([]*tensor.Tensor, error) {
	return []*tensor.Tensor{tensor.Int64s([]int64{int64(c.In[0].Len())})}, nil
}

func inferSize(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	if !x.Ranked {
		return Typed(graph.Of(tensor.Int64)), nil
	}
	return []Fact{elemsFact(tensor.Int64, []graph.Dim{mulDims(x.Shape...)}, true)}, nil
}
