package op

import "lowbit/internal/tensor"

// evalIdentity returns its input, which may be a sequence or an optional value.
func evalIdentity(c *Call) ([]*tensor.Tensor, error) { return c.In[:1], nil }

func inferIdentity(c *Inference) ([]Fact, error) { return []Fact{c.Input(0)}, nil }
