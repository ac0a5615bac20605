package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

func evalTranspose(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	perm, err := permOf(c.Node, x.Rank())
	if err != nil {
		return nil, err
	}
	return one(permute(x, perm))
}

// permute returns x with axis perm[i] as its i-th.
func permute(x *tensor.Tensor, perm []int) (*tensor.Tensor, error) {
	own := strides(x.Shape)
	shape, step := make([]int, len(perm)), make([]int, len(perm))
	for i, p := range perm {
		shape[i], step[i] = x.Shape[p], own[p]
	}
	return strided(x, shape, 0, step)
}

// permOf returns the attribute perm; its default reverses the axes.
func permOf(n *graph.Node, rank int) ([]int, error) {
	perm := n.Ints("perm")
	if perm == nil {
		for i := range rank {
			perm = append(perm, rank-1-i)
		}
		return perm, nil
	}
	if len(perm) != rank {
		return nil, invalidf("perm %v does not order %d axes", perm, rank)
	}
	return axesOf(perm, rank)
}

func inferTranspose(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	if !x.Ranked {
		t := graph.Unranked(x.DType)
		if perm := c.Node.Ints("perm"); perm != nil {
			t.Ranked, t.Shape = true, unknownDims(len(perm))
		}
		return Typed(t), nil
	}
	perm, err := permOf(c.Node, len(x.Shape))
	if err != nil {
		return nil, err
	}
	dims := make([]graph.Dim, len(perm))
	for i, p := range perm {
		dims[i] = x.Shape[p]
	}
	return keepElems(x, graph.OfDims(x.DType, dims)), nil
}
