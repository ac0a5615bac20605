package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

func inferResize(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	if !x.Ranked {
		return Typed(graph.Unranked(x.DType)), nil
	}
	a, err := resizeArgsOf(c.Node, len(x.Shape))
	if err != nil {
		return nil, err
	}
	dims := slices.Clone(x.Shape)
	for _, k := range a.axes {
		dims[k] = graph.Unknown
	}
	roi, scales, sizes := resizeInputs(c.Opset)
	if given(c, sizes) {
		if v, ok := c.Ints(sizes); ok {
			err = a.inferSizes(dims, x.Shape, v)
		} else if e := c.Input(sizes).Elems; len(e) == len(a.axes) && a.policy == "stretch" {
			for i, k := range a.axes {
				dims[k] = e[i]
			}
		}
	} else if t := c.Input(scales).Value; t != nil && (!a.crop || given(c, roi) && c.Input(roi).Value != nil) {
		v, e := floats(t)
		if e != nil {
			return nil, e
		}
		err = a.inferScales(dims, x.Shape, v, c.Input(max(roi, 0)).Value)
	}
	return Typed(graph.OfDims(x.DType, dims)), err
}

func (a *resizeArgs) inferSizes(dims, in []graph.Dim, sizes []int) error {
	if len(sizes) != len(a.axes) {
		return invalidf("%d sizes for %d axes", len(sizes), len(a.axes))
	}
	rs := make([]resampling, len(in))
	for i, k := range a.axes {
		rs[k].in = in[k].Size
		if !in[k].IsKnown() {
			if a.policy != "stretch" {
				return nil
			}
			rs[k].in = min(1, sizes[i])
		}
	}
	if err := a.bySizes(rs, sizes); err != nil {
		return err
	}
	for _, k := range a.axes {
		dims[k] = graph.Known(rs[k].out)
	}
	return nil
}

func (a *resizeArgs) inferScales(dims, in []graph.Dim, scales []float64, roi *tensor.Tensor) error {
	if len(scales) != len(a.axes) {
		return invalidf("%d scales for %d axes", len(scales), len(a.axes))
	}
	rs := make([]resampling, len(in))
	for _, k := range a.axes {
		rs[k].in = max(0, in[k].Size)
	}
	if err := a.readROI(rs, roi); err != nil {
		return err
	}
	if err := a.byScales(rs, scales); err != nil {
		return err
	}
	for i, k := range a.axes {
		switch s := scales[i]; {
		case in[k].IsKnown():
			dims[k] = graph.Known(rs[k].out)
		case s == float64(int(s)) && !a.crop:
			dims[k] = mulDims(in[k], graph.Known(int(s)))
		}
	}
	return nil
}
