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
	at := make([][]float64, rank) // the positions along each axis, the last one first: x belongs to it
	for k := range at {
		n := size[len(size)-1-k]
		for i := range n {
			at[k] = append(at[k], gridPosition(i, n, c.Bool("align_corners", false)))
		}
	}
	y := make([]float64, tensor.Elements(shape))
	points, width := tensor.Elements(size[2:]), len(at[0])
	for line := range len(y) / max(1, rank*width) {
		t, to := m[line*width/points*rank*(rank+1):], y[line*width*rank:][:width*rank]
		for r := range rank {
			row := t[r*(rank+1):][:rank+1]
			var rest [2]float64 // what the other axes add
			for k, over := 1, line%(points/width); k < rank; k++ {
				rest[k-1] = row[k] * at[k][over%len(at[k])]
				over /= len(at[k])
			}
			for i, x := range at[0] {
				v := row[rank] + float64(row[0]*x) + rest[0]
				if rank == 3 {
					v += rest[1]
				}
				to[i*rank+r] = v
			}
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
