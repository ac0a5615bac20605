package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalNonZero lists the coordinates (rank,n) of the nonzero elements in row-major order.
func evalNonZero(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	out, err := nonZeros(x)
	if err != nil || x.Rank() == 0 {
		return []*tensor.Tensor{out}, err
	}
	v, n := tensor.Of[int64](out), out.Shape[1]
	at := v[:n]
	for k := x.Rank() - 1; k > 0; k-- {
		row, d := v[k*n:(k+1)*n], int64(x.Shape[k])
		for i, p := range at {
			at[i], row[i] = p/d, p%d
		}
	}
	return []*tensor.Tensor{out}, nil
}

// nonZeros returns the result of NonZero with the elements' positions in the row of the first
// axis. The empty string counts as zero.
func nonZeros(t *tensor.Tensor) (*tensor.Tensor, error) {
	switch t.DType {
	case tensor.String:
		return nonZeroOf(t.Str, t.Rank())
	case tensor.Complex64, tensor.Complex128:
		return nonZeroOf(anyBytes(t.Raw, t.DType.Bits()/8), t.Rank())
	case tensor.Float32:
		return nonZeroOf(tensor.Of[float32](t), t.Rank())
	case tensor.Int64, tensor.Uint64:
		return nonZeroOf(tensor.Of[int64](t), t.Rank())
	case tensor.Bool:
		return nonZeroOf(t.Raw, t.Rank())
	}
	x, err := floats(t)
	if err != nil {
		return nil, err
	}
	return nonZeroOf(x, t.Rank())
}

func nonZeroOf[T comparable](x []T, rank int) (*tensor.Tensor, error) {
	var zero T
	n := 0
	for _, v := range x {
		if v != zero {
			n++
		}
	}
	out, err := newChecked(tensor.Int64, rank, n)
	if err != nil || rank == 0 {
		return out, err
	}
	at := tensor.Of[int64](out)[:0]
	for i, v := range x {
		if v != zero {
			at = append(at, int64(i))
		}
	}
	return out, nil
}

// anyBytes says of each element of size bytes whether one of these is not zero.
func anyBytes(raw []byte, size int) []bool {
	out := make([]bool, len(raw)/size)
	for i, v := range raw {
		out[i/size] = out[i/size] || v != 0
	}
	return out
}

func inferNonZero(c *Inference) ([]Fact, error) {
	dims := unknownDims(2)
	if x := c.Input(0); x.Ranked {
		dims[0] = graph.Known(len(x.Shape))
	}
	return Typed(graph.OfDims(tensor.Int64, dims)), nil
}
