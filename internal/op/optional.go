package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

func evalOptional(c *Call) ([]*tensor.Tensor, error) {
	if c.Has(0) {
		return []*tensor.Tensor{tensor.NewOptional(c.In[0].DType, c.In[0])}, nil
	}
	t, err := optionalType(c.Node)
	if err != nil {
		return nil, err
	}
	for t.Elem != nil {
		t = *t.Elem
	}
	return []*tensor.Tensor{tensor.NewOptional(t.DType, nil)}, nil
}

// optionalType returns the attribute that types an empty optional.
func optionalType(n *graph.Node) (graph.Type, error) {
	if a := n.Attr("type"); a != nil {
		if t, ok := a.Value.(graph.Type); ok {
			return t, nil
		}
	}
	return graph.Type{}, invalidf("neither a value nor a type is given")
}

func inferOptional(c *Inference) ([]Fact, error) {
	if c.Has(0) {
		return Typed(graph.OptionalOf(c.Input(0).Type)), nil
	}
	t, err := optionalType(c.Node)
	return Typed(graph.OptionalOf(t)), err
}

func evalOptionalGetElement(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	switch {
	case x.Kind != tensor.Optional:
		return []*tensor.Tensor{x}, nil
	case len(x.Items) == 0:
		return nil, invalidf("the optional holds nothing")
	}
	return []*tensor.Tensor{x.Items[0]}, nil
}

func inferOptionalGetElement(c *Inference) ([]Fact, error) {
	if x := c.Input(0); x.Kind != graph.OptionalType {
		return []Fact{x}, nil
	}
	return Typed(elemType(c.Input(0).Type)), nil
}

func evalOptionalHasElement(c *Call) ([]*tensor.Tensor, error) {
	x := c.Input(0)
	has := x != nil && (x.Kind != tensor.Optional || len(x.Items) > 0)
	return []*tensor.Tensor{tensor.Wrap(tensor.Bool, []bool{has})}, nil
}

func inferOptionalHasElement(c *Inference) ([]Fact, error) { return Typed(graph.Of(tensor.Bool)), nil }
