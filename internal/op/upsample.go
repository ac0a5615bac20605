package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// upsampleScales returns the scales of an Upsample node: an attribute before opset 9, then an input.
func upsampleScales(n *graph.Node, t *tensor.Tensor) ([]float64, error) {
	if t != nil {
		return floats(t)
	}
	var out []float64
	for _, s := range n.Floats("scales") {
		out = append(out, float64(s))
	}
	return out, nil
}

// evalUpsample is Resize as opset 10 has it.
func evalUpsample(c *Call) ([]*tensor.Tensor, error) {
	rs, s, err := upsampling(c)
	if err != nil {
		return nil, err
	}
	return one(resample(c.In[0], rs, s, 0))
}

// upsampling reads an Upsample node.
func upsampling(c *Call) ([]resampling, *sampler, error) {
	x := c.In[0]
	scales, err := upsampleScales(c.Node, c.Input(1))
	if err != nil {
		return nil, nil, err
	}
	a, err := resizeArgsOf(c.Node, x.Rank())
	if err != nil {
		return nil, nil, err
	}
	rs := make([]resampling, x.Rank())
	for i, d := range x.Shape {
		rs[i].in = d
	}
	if err := a.byScales(rs, scales); err != nil {
		return nil, nil, err
	}
	s, err := samplerOf(c.Node, min(c.Opset, 10))
	return rs, s, err
}

func inferUpsample(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	if !x.Ranked {
		return Typed(graph.Unranked(x.DType)), nil
	}
	dims := unknownDims(len(x.Shape))
	if c.HasAttr("scales") || c.Input(1).Value != nil {
		scales, err := upsampleScales(c.Node, c.Input(1).Value)
		if err != nil {
			return nil, err
		}
		a, err := resizeArgsOf(c.Node, len(x.Shape))
		if err != nil {
			return nil, err
		}
		if err := a.inferScales(dims, x.Shape, scales, nil); err != nil {
			return nil, err
		}
	}
	return Typed(graph.OfDims(x.DType, slices.Clone(dims))), nil
}
