package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A convolution is the geometry of Conv: x (N,C,D...), w (M,C/group,k...), y (N,M,O...).
type convolution struct {
	*window
	batch, inC, outC, group int
}

// newConvolution checks the attributes of a convolution node against the shapes of x and w.
func newConvolution(n *graph.Node, x, w []int) (*convolution, error) {
	if err := checkFilter(n, x, w); err != nil {
		return nil, err
	}
	v := &convolution{batch: x[0], inC: x[1], outC: w[0], group: n.Int("group", 1)}
	if v.group < 1 || v.outC%v.group != 0 || w[1]*v.group != v.inC {
		return nil, invalidf("%d groups do not divide input channels %d as weight %v wants", v.group, v.inC, w)
	}
	s, err := slideOf(n, w[2:])
	if err != nil {
		return nil, err
	}
	if v.window, err = s.over(x[2:]); err != nil {
		return nil, err
	}
	_, err = sized(v.shape())
	return v, err
}

// checkFilter holds the weight w against the input x and attribute kernel_shape.
func checkFilter(n *graph.Node, x, w []int) error {
	if err := wantRank("input", x, 3); err != nil {
		return err
	}
	if len(w) != len(x) {
		return invalidf("input of shape %v and weight of shape %v differ in rank", x, w)
	}
	if k := n.Ints("kernel_shape"); len(k) > 0 && !slices.Equal(k, w[2:]) {
		return invalidf("kernel_shape %v, but the weight is %v", k, w)
	}
	if len(x)-2 > maxSpatial {
		return unsupportedf("%d spatial axes", len(x)-2)
	}
	return nil
}

// shape returns the shape of the result.
func (v *convolution) shape() []int { return append([]int{v.batch, v.outC}, v.out...) }

// apply convolves x with w. bias (M) may be nil.
func (v *convolution) apply(x, w, bias []float64) []float64 {
	y := make([]float64, tensor.Elements(v.shape()))
	win := v.flat()
	in, out, taps := tensor.Elements(v.in), tensor.Elements(v.out), tensor.Elements(v.kernel)
	perIn, perOut := v.inC/v.group, v.outC/v.group
	for i := range v.batch * v.outC {
		n, m := i/v.outC, i%v.outC
		acc := y[i*out : (i+1)*out]
		if bias != nil {
			fill(acc, bias[m])
		}
		first := n*v.inC + m/perOut*perIn
		for c := range perIn {
			plane := x[(first+c)*in : (first+c+1)*in]
			win.convolve(acc, plane, w[(m*perIn+c)*taps:][:taps])
		}
	}
	return y
}

// convolve adds the convolution of one plane with one filter to y.
func (w *window) convolve(y, x, filter []float64) {
	step := w.step()
	for tap, f := range filter {
		w.runs(tap, func(o, i, n int) { addScaled(y[o:o+n], x[i:], f, step) })
	}
}

func evalConv(c *Call) ([]*tensor.Tensor, error) {
	x, w := c.In[0], c.In[1]
	v, err := newConvolution(c.Node, x.Shape, w.Shape)
	if err != nil {
		return nil, err
	}
	if err := wantShape("bias", c.Input(2), v.outC); err != nil {
		return nil, err
	}
	in, err := floatsOf(x, w, c.Input(2))
	if err != nil {
		return nil, err
	}
	return one(fromFloats(x.DType, v.apply(in[0], in[1], in[2]), v.shape()))
}

func inferConv(c *Inference) ([]Fact, error) {
	return inferConvAs(c, c.Input(0).DType, c.Input(0), c.Input(1))
}

// inferConvAs is the type of the convolution of x with w, of element type d.
func inferConvAs(c *Inference, d tensor.DType, x, w Fact) ([]Fact, error) {
	dims, err := convDims(c.Node, x, w)
	if dims == nil || err != nil {
		return Typed(graph.Unranked(d)), err
	}
	return Typed(graph.OfDims(d, dims)), nil
}

// convDims returns the shape of a convolution's result; nil where not even the rank is known.
func convDims(n *graph.Node, x, w Fact) ([]graph.Dim, error) {
	if !x.Ranked {
		return nil, nil
	}
	if len(x.Shape) < 3 || w.Ranked && len(w.Shape) != len(x.Shape) {
		return nil, invalidf("input %s and weight %s do not fit", x.Type, w.Type)
	}
	dims := append([]graph.Dim{x.Shape[0]}, unknownDims(len(x.Shape)-1)...)
	kernel := n.Ints("kernel_shape")
	if w.Ranked {
		dims[1] = w.Shape[0]
		if k, ok := graph.OfDims(w.DType, w.Shape[2:]).Static(); ok {
			kernel = k
		}
	}
	if len(kernel) == 0 {
		return dims, nil
	}
	if len(kernel) != len(x.Shape)-2 {
		return nil, invalidf("kernel_shape %v for an input of rank %d", kernel, len(x.Shape))
	}
	s, err := slideOf(n, kernel)
	if err != nil {
		return nil, err
	}
	out, err := s.outDims(x.Shape[2:])
	return append(dims[:2], out...), err
}
