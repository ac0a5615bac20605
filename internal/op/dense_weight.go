package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// DenseWeight returns the weight of a MatMulNBits node as floats of shape (K,N); in are the node's
// operands, of which all but the first must be there or left out.
func DenseWeight(n *graph.Node, in []*tensor.Tensor) (*tensor.Tensor, error) {
	w, err := nbitsOf(n)
	if err != nil {
		return nil, err
	}
	if n.Int("weight_prepacked", 0) != 0 {
		return nil, unsupportedf("weights in a device's own layout")
	}
	weights, err := w.weights(&Call{Node: n, In: in})
	if err != nil {
		return nil, err
	}
	return fromFloats(tensor.Float32, weights, []int{w.k, w.n})
}
