package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// unpoolShape returns the shape that a MaxPool with the node's attributes had read to write x.
func unpoolShape(n *graph.Node, x []int) ([]int, error) {
	kernel := n.Ints("kernel_shape")
	if len(kernel) == 0 || len(x) != len(kernel)+2 {
		return nil, invalidf("kernel_shape %v for an input of shape %v", kernel, x)
	}
	s, err := slideOf(n, kernel)
	if err != nil {
		return nil, err
	}
	shape := slices.Clone(x)
	for i, d := range x[2:] {
		shape[2+i] = (d-1)*s.stride[i] + kernel[i] - s.pads[i] - s.pads[len(kernel)+i]
	}
	_, err = sized(shape)
	return shape, err
}

// evalMaxUnpool puts every element where its index says. The indices are those of the shape
// that the attributes imply, even where output_shape asks for a larger one.
func evalMaxUnpool(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	if err := wantShape("indices", c.In[1], x.Shape...); err != nil {
		return nil, err
	}
	implied, err := unpoolShape(c.Node, x.Shape)
	if err != nil {
		return nil, err
	}
	shape := implied
	if c.Has(2) {
		if shape, err = indices(c.In[2]); err != nil {
			return nil, err
		}
		if err := covers(shape, implied); err != nil {
			return nil, err
		}
	}
	at, err := indices(c.In[1])
	if err != nil {
		return nil, err
	}
	dst, err := newCells(x.DType, shape)
	if err != nil {
		return nil, err
	}
	src, st := cellsOf(x), strides(shape)
	for i, p := range at {
		if p < 0 || p >= product(implied) {
			return nil, invalidf("index %d is outside shape %v", p, implied)
		}
		to := 0
		for k, d := range unravel(p, implied) {
			to += d * st[k]
		}
		dst.copy(to, src, i, 1)
	}
	return one(dst.tensor(x.DType, shape), nil)
}

// covers refuses a shape that differs from least in batch or channels or is smaller elsewhere.
func covers(shape, least []int) error {
	if len(shape) != len(least) {
		return invalidf("output_shape %v for rank %d", shape, len(least))
	}
	for i, d := range shape {
		if d < least[i] || i < 2 && d != least[i] {
			return invalidf("output_shape %v does not cover %v", shape, least)
		}
	}
	return nil
}

func inferMaxUnpool(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	if shape, ok := c.Ints(2); ok && c.Has(2) {
		if _, err := sized(shape); err != nil {
			return nil, err
		}
		return Typed(graph.Of(x.DType, shape...)), nil
	}
	if !x.Ranked {
		return Typed(graph.Unranked(x.DType)), nil
	}
	if shape, ok := x.Static(); ok && !c.Has(2) {
		out, err := unpoolShape(c.Node, shape)
		return Typed(graph.Of(x.DType, out...)), err
	}
	dims := unknownDims(len(x.Shape))
	if len(dims) > 1 {
		copy(dims, x.Shape[:2])
	}
	return Typed(graph.OfDims(x.DType, dims)), nil
}

// A folding is the geometry of Col2Im: columns (N,C*block,L) become an image (N,C,D...).
type folding struct {
	*window
	batch, channels int
}

func newFolding(n *graph.Node, x, image, block []int) (*folding, error) {
	if len(x) != 3 || len(image) != len(block) || len(image) == 0 {
		return nil, invalidf("columns of shape %v, image %v and block %v", x, image, block)
	}
	if err := checkSizes("image_shape", image, len(image)); err != nil {
		return nil, err
	}
	s, err := slideOf(n, block)
	if err != nil {
		return nil, err
	}
	w, err := s.over(image)
	if err != nil {
		return nil, err
	}
	if _, err := sized(block); err != nil {
		return nil, err
	}
	taps := product(block)
	if x[1]%taps != 0 || x[2] != product(w.out) {
		return nil, invalidf("columns of shape %v, %d rows for a block and %d blocks are needed", x, taps, product(w.out))
	}
	f := &folding{w, x[0], x[1] / taps}
	_, err = sized(f.shape())
	return f, err
}

func (f *folding) shape() []int { return append([]int{f.batch, f.channels}, f.in...) }

func evalCol2Im(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	image, err := indices(c.In[1])
	if err != nil {
		return nil, err
	}
	block, err := indices(c.In[2])
	if err != nil {
		return nil, err
	}
	f, err := newFolding(c.Node, x.Shape, image, block)
	if err != nil {
		return nil, err
	}
	data, err := floats(x)
	if err != nil {
		return nil, err
	}
	y := make([]float64, product(f.shape()))
	in, out, taps := product(f.in), product(f.out), product(f.kernel)
	step := f.step()
	for i := range f.batch * f.channels {
		plane := y[i*in : (i+1)*in]
		for tap := range taps {
			column := data[(i*taps+tap)*out:][:out]
			f.runs(tap, func(o, at, n int) {
				for j, v := range column[o : o+n] {
					plane[at+j*step] += v
				}
			})
		}
	}
	return one(fromFloats(x.DType, y, f.shape()))
}

func inferCol2Im(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	image, known := c.Ints(1)
	if !known {
		return Typed(graph.Unranked(x.DType)), nil
	}
	dims := append(unknownDims(2), graph.Of(x.DType, image...).Shape...)
	if x.Ranked && len(x.Shape) == 3 {
		dims[0] = x.Shape[0]
		if block, ok := c.Ints(2); ok && len(block) == len(image) {
			n, err := sized(block)
			if err != nil {
				return nil, err
			}
			dims[1] = divDims(x.Shape[1], graph.Known(n))
		}
	}
	if err := checkSizes("image_shape", image, len(image)); err != nil {
		return nil, err
	}
	return Typed(graph.OfDims(x.DType, dims)), nil
}
