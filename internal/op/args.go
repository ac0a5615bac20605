package op

import (
	"fmt"
	"slices"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// listArg returns the integers that a version of the operator takes from input i and an older
// one from an attribute; nil where neither is given.
func listArg(c *Call, i int, attr string) ([]int, error) {
	if c.Has(i) {
		return indices(c.In[i])
	}
	return c.Ints(attr), nil
}

// inferList is listArg for inference. It is false where the integers are not known.
func inferList(c *Inference, i int, attr string) (list []int, known bool) {
	if c.Has(i) {
		return c.Ints(i)
	}
	return c.Node.Ints(attr), true
}

// scalarOf returns the only element of input i as a float64.
func (c *Call) scalarOf(i int) (float64, error) {
	t := c.Input(i)
	if t == nil {
		return 0, invalidf("input %d is missing", i)
	}
	if t.Len() != 1 {
		return 0, invalidf("input %d has shape %v where a single element is wanted", i, t.Shape)
	}
	x, err := floats(t)
	if err != nil {
		return 0, err
	}
	return x[0], nil
}

// intScalarOf returns the only element of input i as an int64.
func (c *Call) intScalarOf(i int) (int64, error) {
	t := c.Input(i)
	if t == nil {
		return 0, invalidf("input %d is missing", i)
	}
	if t.Len() != 1 {
		return 0, invalidf("input %d has shape %v where a single element is wanted", i, t.Shape)
	}
	x, err := ints(t)
	if err != nil {
		return 0, err
	}
	return x[0], nil
}

// dtypeAttr returns the element type that an attribute names, or def.
func dtypeAttr(n *graph.Node, name string, def tensor.DType) (tensor.DType, error) {
	v := n.Int(name, int(def))
	if v < 0 || v > 255 || v != int(def) && !tensor.DType(v).Valid() {
		return 0, unsupportedf("attribute %q names the unknown element type %d", name, v)
	}
	return tensor.DType(v), nil
}

// inferAs returns the first input's shape with the element type of attribute name, or def.
func inferAs(name string, def tensor.DType) func(c *Inference) ([]Fact, error) {
	return func(c *Inference) ([]Fact, error) {
		d, err := dtypeAttr(c.Node, name, def)
		if err != nil {
			return nil, err
		}
		t := c.Input(0).Type
		if d == tensor.Undefined {
			d = t.DType
		}
		t.DType = d
		return Typed(t), nil
	}
}

// scalarOr returns the only element of input i as a number, or def where it is absent or empty.
func (c *Call) scalarOr(i int, def float64) (float64, error) {
	if c.operand(i) == nil {
		return def, nil
	}
	return c.scalarOf(i)
}

// flag returns the truth value of input i, false where it is absent.
func (c *Call) flag(i int) (bool, error) {
	if t := c.Input(i); t != nil {
		return truth(t)
	}
	return false, nil
}

// operand returns input i, or nil where there is none or it is empty: an empty tensor stands
// for an operand left out.
func (c *Call) operand(i int) *tensor.Tensor {
	if i < 0 || !c.Has(i) || c.In[i].Len() == 0 {
		return nil
	}
	return c.In[i]
}

// given says whether operand i is there and not an empty tensor.
func given(c *Inference, i int) bool {
	if i < 0 || !c.Has(i) {
		return false
	}
	f := c.Input(i)
	return !(f.Ranked && len(f.Shape) == 1 && f.Shape[0].Size == 0)
}

// wantRank refuses a tensor with fewer than least dimensions.
func wantRank(what string, shape []int, least int) error {
	if len(shape) < least {
		return invalidf("%s of shape %v, at least %d dimensions are needed", what, shape, least)
	}
	return nil
}

// wantShape refuses a tensor whose shape is not the expected one; one that is absent has any.
func wantShape(what string, t *tensor.Tensor, shape ...int) error {
	if t == nil || slices.Equal(t.Shape, shape) {
		return nil
	}
	return invalidf("%s of shape %v, %v is needed", what, t.Shape, shape)
}

// checkSizes refuses a list of sizes of another length, or with one below 1 or too large.
func checkSizes(name string, list []int, length int) error {
	if len(list) != length {
		return invalidf("%s %v, %d numbers are needed", name, list, length)
	}
	for _, n := range list {
		if n < 1 || n > maxElements {
			return invalidf("%s %v is out of range", name, list)
		}
	}
	return nil
}

// wantInputs refuses a variadic call without operands or with one left out.
func wantInputs(c *Call) error {
	if len(c.In) == 0 {
		return invalidf("no inputs")
	}
	for i, t := range c.In {
		if t == nil {
			return invalidf("input %d is left out", i)
		}
	}
	return nil
}

// invalidf is an invalid-input error of the node at hand.
func invalidf(format string, a ...any) error {
	return fault.Invalidf("", "%s", fmt.Sprintf(format, a...))
}

// unsupportedf is an error for what the standard allows and lowbit lacks.
func unsupportedf(format string, a ...any) error {
	return fault.Unsupportedf("", "%s", fmt.Sprintf(format, a...))
}
