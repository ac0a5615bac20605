package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// truth reads a boolean tensor of one element.
func truth(t *tensor.Tensor) (bool, error) {
	if t.Len() != 1 || t.DType != tensor.Bool {
		return false, invalidf("the condition is %s, not one bool", t)
	}
	return t.Raw[0] != 0, nil
}

func evalIf(c *Call) ([]*tensor.Tensor, error) {
	cond, err := truth(c.In[0])
	if err != nil {
		return nil, err
	}
	name := "else_branch"
	if cond {
		name = "then_branch"
	}
	return c.Run(c.Graph(name), nil)
}

// inferIf takes what both branches agree on, or the one branch that a constant condition leaves.
func inferIf(c *Inference) ([]Fact, error) {
	if v := c.Input(0).Value; v != nil {
		if cond, err := truth(v); err == nil && cond {
			return c.Sub(c.Graph("then_branch"), nil)
		} else if err == nil {
			return c.Sub(c.Graph("else_branch"), nil)
		}
	}
	a, err := c.Sub(c.Graph("then_branch"), nil)
	b, err2 := c.Sub(c.Graph("else_branch"), nil)
	switch {
	case err != nil && err2 != nil:
		return nil, err
	case err != nil: // a branch that cannot run is not taken
		return b, nil
	case err2 != nil:
		return a, nil
	}
	out := make([]Fact, min(len(a), len(b)))
	for i := range out {
		out[i].Type = graph.Join(a[i].Type, b[i].Type)
	}
	return out, nil
}
