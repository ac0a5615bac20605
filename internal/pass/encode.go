package pass

import (
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// Encode returns the codes of a float constant as the network of plan value v stores them.
func Encode(t *tensor.Tensor, v *plan.Value) (*tensor.Tensor, error) { return encode(t, v) }
