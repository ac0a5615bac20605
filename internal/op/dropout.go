package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalDropout passes its input through, except in training mode (from opset 12 on): there it
// zeroes elements with probability ratio and scales up the others. The second output is the
// mask of what stays.
func evalDropout(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	keep := make([]bool, x.Len())
	for i := range keep {
		keep[i] = true
	}
	out := x
	if training, err := c.flag(2); err != nil {
		return nil, err
	} else if training {
		if out, err = drop(c, x, keep); err != nil {
			return nil, err
		}
	}
	mask := bools(keep, x.Shape)
	if c.Opset >= 10 || !c.Wants(1) {
		return []*tensor.Tensor{out, mask}, nil
	}
	mask, err := casting{to: x.DType}.apply(mask) // before opset 10 it has the type of the data
	return []*tensor.Tensor{out, mask}, err
}

// drop clears elements of keep and returns x without them.
func drop(c *Call, x *tensor.Tensor, keep []bool) (*tensor.Tensor, error) {
	ratio := 0.5
	if c.Has(1) {
		var err error
		if ratio, err = c.scalarOf(1); err != nil {
			return nil, err
		}
	}
	if !(ratio >= 0 && ratio < 1) {
		return nil, invalidf("ratio %g is not in [0,1)", ratio)
	}
	if ratio == 0 {
		return x, nil
	}
	v, err := floats(x)
	if err != nil {
		return nil, err
	}
	m := c.random()
	y := make([]float64, len(v))
	for i := range y {
		if keep[i] = m.float64() >= ratio; keep[i] {
			y[i] = v[i] / (1 - ratio)
		}
	}
	return fromFloats(x.DType, y, x.Shape)
}

func inferDropout(c *Inference) ([]Fact, error) {
	data := c.Input(0).Type
	mask := graph.Type{Kind: data.Kind, DType: tensor.Bool, Ranked: data.Ranked, Shape: data.Shape}
	if c.Opset < 10 {
		mask.DType = data.DType
	}
	return Typed(data, mask), nil
}
