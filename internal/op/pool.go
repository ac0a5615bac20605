package op

import (
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// poolWindow places the kernel of a pooling node on x (N,C,D...).
func poolWindow(n *graph.Node, x []int) (*window, error) {
	kernel := n.Ints("kernel_shape")
	if len(kernel) == 0 || len(x) != len(kernel)+2 {
		return nil, invalidf("kernel_shape %v for an input of shape %v", kernel, x)
	}
	s, err := poolSlide(n, kernel)
	if err != nil {
		return nil, err
	}
	if tensor.Elements(x[2:]) == 0 {
		return nil, invalidf("input of shape %v has no elements to pool", x)
	}
	w, err := s.over(x[2:])
	if err != nil {
		return nil, err
	}
	_, err = sized(poolShape(x, w))
	return w, err
}

// poolSlide is slideOf for a pooling node, whose windows all see at least one element.
func poolSlide(n *graph.Node, kernel []int) (slide, error) {
	s, err := slideOf(n, kernel)
	if err != nil {
		return s, err
	}
	for i, p := range s.pads {
		if p >= s.extent(i%len(kernel)) {
			return s, invalidf("pads %v are as wide as the kernel %v", s.pads, kernel)
		}
	}
	return s, nil
}

func poolShape(x []int, w *window) []int { return append([]int{x[0], x[1]}, w.out...) }

func inferPool(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	types := []graph.Type{graph.Unranked(x.DType), graph.Unranked(tensor.Int64)}[:max(1, min(2, len(c.Out)))]
	if !x.Ranked {
		return Typed(types...), nil
	}
	kernel := c.Node.Ints("kernel_shape")
	if len(kernel) == 0 || len(x.Shape) != len(kernel)+2 {
		return nil, invalidf("kernel_shape %v for %s", kernel, x.Type)
	}
	s, err := poolSlide(c.Node, kernel)
	if err != nil {
		return nil, err
	}
	out, err := s.outDims(x.Shape[2:])
	if err != nil {
		return nil, err
	}
	for i := range types {
		types[i] = graph.OfDims(types[i].DType, append([]graph.Dim{x.Shape[0], x.Shape[1]}, out...))
	}
	return Typed(types...), nil
}

// planes calls f with each (n,c) plane of x and of y.
func planes(x, y []float64, in, out int, f func(i int, x, y []float64)) {
	if out == 0 {
		return
	}
	for i := range len(y) / out {
		f(i, x[i*in:(i+1)*in], y[i*out:(i+1)*out])
	}
}

func evalMaxPool(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	w, err := poolWindow(c.Node, x.Shape)
	if err != nil {
		return nil, err
	}
	data, err := floats(x)
	if err != nil {
		return nil, err
	}
	shape := poolShape(x.Shape, w)
	y := make([]float64, tensor.Elements(shape))
	at := make([]int64, len(y))
	fill(y, lowest(x.DType))
	in, out := tensor.Elements(w.in), tensor.Elements(w.out)
	columns := c.Bool("storage_order", false)
	planes(data, y, in, out, func(i int, x, y []float64) {
		idx := at[i*out : (i+1)*out]
		w.maximum(y, x, idx)
		for j, p := range idx {
			if columns {
				p = columnMajor(p, w.in)
			}
			idx[j] = p + int64(i*in)
		}
	})
	value, err := fromFloats(x.DType, y, shape)
	if err != nil {
		return nil, err
	}
	return []*tensor.Tensor{value, tensor.Int64s(at, shape...)}, nil
}

// maximum raises y to the largest element under the window and notes where the first one is.
func (w *window) maximum(y, x []float64, at []int64) {
	step := w.step()
	for tap := range tensor.Elements(w.kernel) {
		w.runs(tap, func(o, i, n int) {
			for j := range n {
				if v := x[i+j*step]; v > y[o+j] || v != v {
					y[o+j], at[o+j] = v, int64(i+j*step)
				}
			}
		})
	}
}

// columnMajor turns a row-major offset into the column-major one.
func columnMajor(at int64, shape []int) int64 {
	idx := unravel(int(at), shape)
	out := 0
	for i := len(shape) - 1; i >= 0; i-- {
		out = out*shape[i] + idx[i]
	}
	return int64(out)
}

// lowest returns the least number of an element type; minus infinity for floats.
func lowest(d tensor.DType) float64 {
	switch d.Class() {
	case tensor.ClassInt:
		return -math.Ldexp(1, d.Bits()-1)
	case tensor.ClassUint:
		return 0
	}
	return math.Inf(-1)
}

func evalAveragePool(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	w, err := poolWindow(c.Node, x.Shape)
	if err != nil {
		return nil, err
	}
	count := w.counts(c.Bool("count_include_pad", false))
	return poolPlanes(x, w, func(x, y []float64) {
		step := w.step()
		for tap := range tensor.Elements(w.kernel) {
			w.runs(tap, func(o, i, n int) { addScaled(y[o:o+n], x[i:], 1, step) })
		}
		for i := range y {
			y[i] /= count[i]
		}
	})
}

// poolPlanes computes a pooling whose results f finds plane by plane, from zero.
func poolPlanes(x *tensor.Tensor, w *window, f func(x, y []float64)) ([]*tensor.Tensor, error) {
	data, err := floats(x)
	if err != nil {
		return nil, err
	}
	shape := poolShape(x.Shape, w)
	y := make([]float64, tensor.Elements(shape))
	planes(data, y, tensor.Elements(w.in), tensor.Elements(w.out), func(_ int, x, y []float64) { f(x, y) })
	return one(fromFloats(x.DType, y, shape))
}

// counts returns how many kernel positions each output sees inside the input, or inside the
// padded input; at least 1.
func (w *window) counts(padded bool) []float64 {
	total := []float64{1}
	for i, out := range w.out {
		lo, hi := 0, w.in[i]
		if padded {
			lo, hi = -w.front[i], w.in[i]+w.behind[i]
		}
		next := make([]float64, 0, len(total)*out)
		for _, t := range total {
			for o := range out {
				next = append(next, t*float64(w.inside(i, o, lo, hi)))
			}
		}
		total = next
	}
	for i, t := range total {
		total[i] = max(1, t)
	}
	return total
}

// inside returns how many kernel positions of output o along axis i lie in [lo,hi).
func (w *window) inside(i, o, lo, hi int) int {
	d := w.dilation[i]
	at := o*w.stride[i] - w.front[i]
	first := 0
	if at < lo {
		first = (lo - at + d - 1) / d
	}
	if at >= hi {
		return 0
	}
	return max(0, min(w.kernel[i], (hi-1-at)/d+1)-first)
}

func evalLpPool(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	p := c.Int("p", 2)
	if p < 1 {
		return nil, invalidf("p is %d", p)
	}
	w, err := poolWindow(c.Node, x.Shape)
	if err != nil {
		return nil, err
	}
	return poolPlanes(x, w, func(x, y []float64) {
		step := w.step()
		for tap := range tensor.Elements(w.kernel) {
			w.runs(tap, func(o, i, n int) {
				for j := range n {
					y[o+j] += math.Pow(math.Abs(x[i+j*step]), float64(p))
				}
			})
		}
		for i, v := range y {
			y[i] = math.Pow(v, 1/float64(p))
		}
	})
}
