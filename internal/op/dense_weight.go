package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// DenseWeight returns the weight of a MatMulNBits node as floats of shape (K,N); in are the node's
// operands, of which all but the first must be there or left out.
func DenseWeight(n *graph.Node, in []*tensor.Tensor) (*tensor.Tensor, error) {
	w, c, err := storedWeight(n, in)
	if err != nil {
		return nil, err
	}
	weights, err := w.weights(c)
	if err != nil {
		return nil, err
	}
	return fromFloats(tensor.Float32, weights, []int{w.k, w.n})
}

// CheckWeight returns the error that [DenseWeight] would for what the operands are, not what they hold, without
// making the floats.
func CheckWeight(n *graph.Node, in []*tensor.Tensor) error {
	w, c, err := storedWeight(n, in)
	if err != nil {
		return err
	}
	return w.check(c)
}

// storedWeight reads the geometry of the weight, and the call whose operands hold it.
func storedWeight(n *graph.Node, in []*tensor.Tensor) (*nbits, *Call, error) {
	w, err := nbitsOf(n)
	if err == nil && n.Int("weight_prepacked", 0) != 0 {
		err = unsupportedf("weights in a device's own layout")
	}
	return w, &Call{Node: n, In: in}, err
}
