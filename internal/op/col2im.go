package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

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
	taps := tensor.Elements(block)
	if x[1]%taps != 0 || x[2] != tensor.Elements(w.out) {
		return nil, invalidf("columns of shape %v, %d rows for a block and %d blocks are needed", x, taps, tensor.Elements(w.out))
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
	y := make([]float64, tensor.Elements(f.shape()))
	in, out, taps := tensor.Elements(f.in), tensor.Elements(f.out), tensor.Elements(f.kernel)
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
