package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalAffineGrid maps evenly spaced positions (N,D...,rank) by theta (N,rank,rank+1).
func evalAffineGrid(c *Call) ([]*tensor.Tensor, error) {
	theta := c.In[0]
	size, err := indices(c.In[1])
	if err != nil {
		return nil, err
	}
	rank := len(size) - 2
	if rank != 2 && rank != 3 {
		return nil, invalidf("size %v, 4 or 5 numbers are needed", size)
	}
	if err := wantShape("theta", theta, size[0], rank, rank+1); err != nil {
		return nil, err
	}
	shape := append(append([]int{size[0]}, size[2:]...), rank)
	if _, err := sized(shape); err != nil {
		return nil, err
	}
	m, err := floats(theta)
	if err != nil {
		return nil, err
	}
	corners := c.Bool("align_corners", false)
	y := make([]float64, 0, tensor.Elements(shape))
	points := tensor.Elements(size[2:])
	for i := range size[0] * points {
		idx := unravel(i%points, size[2:])
		t := m[i/points*rank*(rank+1):]
		for r := range rank {
			row := t[r*(rank+1):][:rank+1]
			v := row[rank]
			for k := range rank { // x belongs to the last axis
				axis := rank - 1 - k
				v += float64(row[k] * gridPosition(idx[axis], size[2+axis], corners))
			}
			y = append(y, v)
		}
	}
	return one(fromFloats(theta.DType, y, shape))
}

// gridPosition returns position i of n evenly spaced ones in [-1,1].
func gridPosition(i, n int, corners bool) float64 {
	if !corners {
		return (2*float64(i)+1)/float64(n) - 1
	}
	if n == 1 {
		return 0
	}
	return 2*float64(i)/float64(n-1) - 1
}

func inferAffineGrid(c *Inference) ([]Fact, error) {
	theta := c.Input(0)
	size, ok := c.Ints(1)
	if !ok {
		return Typed(graph.Unranked(theta.DType)), nil
	}
	if len(size) != 4 && len(size) != 5 {
		return nil, invalidf("size %v, 4 or 5 numbers are needed", size)
	}
	shape := append(append([]int{size[0]}, size[2:]...), len(size)-2)
	if _, err := sized(shape); err != nil {
		return nil, err
	}
	return Typed(graph.Of(theta.DType, shape...)), nil
}
