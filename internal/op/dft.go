package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A dftShape is the layout of DFT's input (outer,in,inner,parts) and output (outer,out,inner,outParts).
type dftShape struct {
	outer, in, inner, parts int
	length                  int // of the transform
	out, outParts           int
	inverse, onesided       bool
	axis                    int
}

// dftAxis returns the axis of a DFT node: an attribute before opset 20, then input 2.
func dftAxis(axis, rank int) (int, error) {
	axis, err := axisOf(axis, rank)
	if err == nil && axis == rank-1 {
		err = invalidf("axis %d holds the parts of the complex numbers", axis)
	}
	return axis, err
}

func (s *dftShape) resize(length int) error {
	if length < 1 {
		return invalidf("the transform's length is %d", length)
	}
	s.length, s.out, s.outParts = length, length, 2
	switch {
	case s.onesided && s.inverse:
		s.outParts = 1
	case s.onesided:
		s.out = length/2 + 1
	}
	_, err := sized([]int{s.outer, s.inner, length, 2})
	return err
}

// defaultLength is the length of the transform where dft_length is absent.
func (s *dftShape) defaultLength() int {
	if s.onesided && s.inverse {
		return 2 * (s.in - 1)
	}
	return s.in
}

func newDFT(c *Call) (*dftShape, error) {
	x := c.In[0].Shape
	if err := wantRank("input", x, 2); err != nil {
		return nil, err
	}
	axis := c.Int("axis", 1)
	if c.Opset >= 20 {
		axis = -2
		if t := c.operand(2); t != nil {
			v, err := c.intScalarOf(2)
			if err != nil {
				return nil, err
			}
			axis = int(v)
		}
	}
	axis, err := dftAxis(axis, len(x))
	if err != nil {
		return nil, err
	}
	last := len(x) - 1
	s := &dftShape{outer: tensor.Elements(x[:axis]), in: x[axis], inner: tensor.Elements(x[axis+1 : last]), parts: x[last], axis: axis}
	s.inverse, s.onesided = c.Bool("inverse", false), c.Bool("onesided", false)
	if s.parts != 1 && s.parts != 2 {
		return nil, invalidf("input of shape %v, the last axis is 1 or 2", x)
	}
	length := s.defaultLength()
	if c.operand(1) != nil {
		v, err := c.intScalarOf(1)
		if err != nil {
			return nil, err
		}
		length = int(v)
	}
	return s, s.resize(length)
}

func evalDFT(c *Call) ([]*tensor.Tensor, error) {
	s, err := newDFT(c)
	if err != nil {
		return nil, err
	}
	x, err := floats(c.In[0])
	if err != nil {
		return nil, err
	}
	shape := slices.Clone(c.In[0].Shape)
	shape[s.axis], shape[len(shape)-1] = s.out, s.outParts
	y := make([]float64, tensor.Elements(shape))
	for o := range s.outer {
		for i := range s.inner {
			z := s.transform(s.read(x, o, i))
			for k := range s.out {
				at := ((o*s.out+k)*s.inner + i) * s.outParts
				y[at] = z.re[k]
				if s.outParts == 2 {
					y[at+1] = z.im[k]
				}
			}
		}
	}
	return one(fromFloats(c.In[0].DType, y, shape))
}

// read returns one signal, cut or padded with zeros to the transform's length. Of a one-sided
// spectrum the other half is the mirrored conjugate.
func (s *dftShape) read(x []float64, o, i int) spectrum {
	z := newSpectrum(s.length)
	n := min(s.in, s.length)
	mirror := s.onesided && s.inverse
	if mirror {
		n = min(s.in, s.length/2+1)
	}
	for k := range n {
		at := ((o*s.in+k)*s.inner + i) * s.parts
		z.re[k] = x[at]
		if s.parts == 2 {
			z.im[k] = x[at+1]
		}
		if mirror && k > 0 && k < s.length-k {
			z.re[s.length-k], z.im[s.length-k] = z.re[k], -z.im[k]
		}
	}
	return z
}

func (s *dftShape) transform(z spectrum) spectrum {
	if !s.inverse {
		return fourier(z, -1)
	}
	z = fourier(z, 1)
	for k := range z.re {
		z.re[k] /= float64(s.length)
		z.im[k] /= float64(s.length)
	}
	return z
}

// inferDFTAxis returns the axis that a DFT node gives, false where it is not known.
func inferDFTAxis(c *Inference) (axis int, known bool) {
	switch {
	case c.Opset < 20:
		return c.Int("axis", 1), true
	case !c.Has(2):
		return -2, true
	}
	v, known := c.Ints(2)
	if len(v) == 1 {
		return v[0], known
	}
	return -2, known
}

func inferDFT(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	if !x.Ranked {
		return Typed(graph.Unranked(x.DType)), nil
	}
	rank := len(x.Shape)
	axis, known := inferDFTAxis(c)
	if !known {
		return Typed(graph.OfDims(x.DType, unknownDims(rank))), nil
	}
	axis, err := dftAxis(axis, rank)
	if err != nil {
		return nil, err
	}
	s := &dftShape{in: x.Shape[axis].Size, inverse: c.Bool("inverse", false), onesided: c.Bool("onesided", false), outer: 1, inner: 1}
	dims := slices.Clone(x.Shape)
	dims[rank-1] = graph.Known(2)
	if s.onesided && s.inverse {
		dims[rank-1] = graph.Known(1)
	}
	length := s.defaultLength()
	if c.Has(1) {
		length = -1
		if v, ok := c.Ints(1); ok && len(v) == 1 {
			length = v[0]
		}
	}
	switch {
	case length >= 1:
		if err := s.resize(length); err != nil {
			return nil, err
		}
		dims[axis] = graph.Known(s.out)
	case c.Has(1) || s.onesided:
		dims[axis] = graph.Unknown
	}
	return Typed(graph.OfDims(x.DType, dims)), nil
}
