package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A spread is how ConvTranspose's attributes place the output: x (N,C,D...), w (C,M/group,k...).
type spread struct {
	slide
	extra, size []int // output_padding; output_shape, nil where it is computed
}

func spreadOf(n *graph.Node, kernel []int) (*spread, error) {
	s, err := slideOf(n, kernel)
	if err != nil {
		return nil, err
	}
	t := &spread{slide: s, size: n.Ints("output_shape")}
	if t.extra, err = stepsOf(n, "output_padding", len(kernel), 0); err != nil {
		return nil, err
	}
	if len(t.size) == len(kernel)+2 {
		t.size = t.size[2:] // some exporters write the batch and channels too
	}
	if len(t.size) > 0 {
		err = checkSizes("output_shape", t.size, len(kernel))
	}
	return t, err
}

// full returns the size of the unpadded output along axis i.
func (t *spread) full(i, in int) int { return t.stride[i]*(in-1) + t.extra[i] + t.extent(i) }

// place returns the output size along axis i and how much of the full output is cut in front.
func (t *spread) place(i, in int) (out, front int, err error) {
	full := t.full(i, in)
	switch {
	case len(t.size) > 0:
		out = t.size[i]
	case t.same():
		out = in * t.stride[i]
	case t.auto == "VALID":
		return full, 0, nil
	default:
		front = t.pads[i]
		out = full - front - t.pads[len(t.kernel)+i]
		if out < 0 {
			err = invalidf("padding %v is wider than the output of %d", t.pads, full)
		}
		return out, front, err
	}
	cut := max(0, full-out)
	if t.auto == "SAME_UPPER" {
		return out, cut / 2, nil
	}
	return out, cut - cut/2, nil
}

// newSpread returns the geometry of a ConvTranspose node as the convolution that it reverses:
// the window's input is y, its output is x.
func newSpread(n *graph.Node, x, w []int) (*convolution, error) {
	if err := checkFilter(n, x, w); err != nil {
		return nil, err
	}
	v := &convolution{batch: x[0], outC: x[1], group: n.Int("group", 1)}
	if v.group < 1 || x[1] != w[0] || v.outC%v.group != 0 {
		return nil, invalidf("%d groups do not divide input channels %d as weight %v wants", v.group, x[1], w)
	}
	t, err := spreadOf(n, w[2:])
	if err != nil {
		return nil, err
	}
	v.window = &window{out: x[2:], kernel: t.kernel, stride: t.stride, dilation: t.dilation}
	for i, in := range x[2:] {
		out, front, err := t.place(i, in)
		if err != nil {
			return nil, err
		}
		v.in, v.front = append(v.in, out), append(v.front, front)
	}
	if _, err := sized([]int{w[1], v.group}); err != nil {
		return nil, err
	}
	v.inC = w[1] * v.group
	_, err = sized(append([]int{v.batch, v.inC}, v.in...))
	return v, err
}

// ConvTransposeFront returns how much of the full output of a ConvTranspose is cut in front, along each spatial axis: pads where
// they are given, else what auto_pad and output_shape leave.
func ConvTransposeFront(n *graph.Node, x, w []int) ([]int, error) {
	v, err := newSpread(n, x, w)
	if err != nil {
		return nil, err
	}
	return v.front, nil
}

// reverse computes ConvTranspose of x with w. bias (M) may be nil.
func (v *convolution) reverse(x, w, bias []float64) []float64 {
	in, out, taps := tensor.Elements(v.in), tensor.Elements(v.out), tensor.Elements(v.kernel)
	perIn, perOut := v.inC/v.group, v.outC/v.group
	y := make([]float64, v.batch*v.inC*in)
	for i := range v.batch * v.inC {
		n, m := i/v.inC, i%v.inC
		plane := y[i*in : (i+1)*in]
		if bias != nil {
			fill(plane, bias[m])
		}
		first := m / perIn * perOut // the first channel of x in the group of output channel m
		for c := first; c < first+perOut; c++ {
			filter := w[(c*perIn+m%perIn)*taps:][:taps]
			v.scatter(plane, x[(n*v.outC+c)*out:][:out], filter)
		}
	}
	return y
}

// scatter adds every element of x times the filter to y at the positions the window reads.
func (w *window) scatter(y, x, filter []float64) {
	step := w.step()
	for tap, f := range filter {
		w.runs(tap, func(o, i, n int) {
			for j, v := range x[o : o+n] {
				y[i+j*step] += float64(v * f)
			}
		})
	}
}

func evalConvTranspose(c *Call) ([]*tensor.Tensor, error) {
	x, w := c.In[0], c.In[1]
	v, err := newSpread(c.Node, x.Shape, w.Shape)
	if err != nil {
		return nil, err
	}
	if err := wantShape("bias", c.Input(2), v.inC); err != nil {
		return nil, err
	}
	in, err := floatsOf(x, w, c.Input(2))
	if err != nil {
		return nil, err
	}
	shape := append([]int{v.batch, v.inC}, v.in...)
	return one(fromFloats(x.DType, v.reverse(in[0], in[1], in[2]), shape))
}

func inferConvTranspose(c *Inference) ([]Fact, error) {
	x, w := c.Input(0), c.Input(1)
	if !x.Ranked {
		return Typed(graph.Unranked(x.DType)), nil
	}
	rank := len(x.Shape)
	if rank < 3 || w.Ranked && len(w.Shape) != rank {
		return nil, invalidf("input %s and weight %s do not fit", x.Type, w.Type)
	}
	dims := append([]graph.Dim{x.Shape[0]}, unknownDims(rank-1)...)
	kernel := c.Node.Ints("kernel_shape")
	if w.Ranked {
		dims[1] = mulDims(w.Shape[1], graph.Known(max(1, c.Int("group", 1))))
		if k, ok := graph.OfDims(w.DType, w.Shape[2:]).Static(); ok {
			kernel = k
		}
	}
	if len(kernel) == rank-2 {
		t, err := spreadOf(c.Node, kernel)
		if err != nil {
			return nil, err
		}
		for i, d := range x.Shape[2:] {
			if dims[2+i], err = t.dim(i, d); err != nil {
				return nil, err
			}
		}
	}
	return Typed(graph.OfDims(x.DType, dims)), nil
}

// dim is place for an input size that may be a symbol.
func (t *spread) dim(i int, in graph.Dim) (graph.Dim, error) {
	if in.IsKnown() {
		out, _, err := t.place(i, in.Size)
		return graph.Known(out), err
	}
	scaled := mulDims(in, graph.Known(t.stride[i]))
	switch {
	case len(t.size) > 0:
		return graph.Known(t.size[i]), nil
	case t.same():
		return scaled, nil
	}
	rest := t.full(i, 1) - t.stride[i]
	if t.auto == "NOTSET" {
		rest -= t.pads[i] + t.pads[len(t.kernel)+i]
	}
	if rest < 0 {
		return addDims(scaled, graph.Known(-rest), -1), nil
	}
	return addDims(scaled, graph.Known(rest), 1), nil
}
