package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A slide is how a kernel moves along the spatial axes, as the attributes strides, dilations,
// pads, auto_pad and ceil_mode say. All lists are as long as kernel, pads twice that.
type slide struct {
	kernel, stride, dilation []int
	pads                     []int  // in front of each axis, then behind each
	auto                     string // NOTSET, VALID, SAME_UPPER or SAME_LOWER
	ceil                     bool
}

// maxStep bounds strides, dilations, paddings and kernel sizes, so that their products with
// the largest dimension fit.
const maxStep = 1 << 22

// maxTaps bounds the positions of a kernel.
const maxTaps = 1 << 24

// maxSpatial is the largest number of spatial axes: tensors have at most 16 dimensions.
const maxSpatial = 16

// slideOf reads and checks a node's attributes for a kernel of the given spatial size.
func slideOf(n *graph.Node, kernel []int) (slide, error) {
	s := slide{kernel: kernel, auto: n.Str("auto_pad", "NOTSET"), ceil: n.Bool("ceil_mode", false)}
	if s.auto == "" {
		s.auto = "NOTSET"
	}
	if !slices.Contains([]string{"NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"}, s.auto) {
		return s, invalidf("auto_pad %q", s.auto)
	}
	var err error
	if err = checkSteps("kernel_shape", kernel, len(kernel), 1); err != nil {
		return s, err
	}
	if s.stride, err = stepsOf(n, "strides", len(kernel), 1); err != nil {
		return s, err
	}
	if s.dilation, err = stepsOf(n, "dilations", len(kernel), 1); err != nil {
		return s, err
	}
	s.pads, err = stepsOf(n, "pads", 2*len(kernel), 0)
	return s, err
}

// stepsOf returns a list attribute of the given length, each element at least least; absent
// or empty it is least everywhere.
func stepsOf(n *graph.Node, name string, length, least int) ([]int, error) {
	list := n.Ints(name)
	if len(list) == 0 {
		return slices.Repeat([]int{least}, length), nil
	}
	return list, checkSteps(name, list, length, least)
}

func checkSteps(name string, list []int, length, least int) error {
	if len(list) != length {
		return invalidf("%s %v, %d numbers are needed", name, list, length)
	}
	for _, v := range list {
		if v < least || v > maxStep {
			return invalidf("%s %v is out of range", name, list)
		}
	}
	return nil
}

// same says whether auto_pad keeps the size of the input, divided by the stride.
func (s *slide) same() bool { return s.auto == "SAME_UPPER" || s.auto == "SAME_LOWER" }

// extent returns how many input positions the dilated kernel covers along axis i.
func (s *slide) extent(i int) int { return (s.kernel[i]-1)*s.dilation[i] + 1 }

// span returns the output size along axis i for an input of size in, and the padding in
// front and behind.
func (s *slide) span(i, in int) (out, front, behind int, err error) {
	front, behind = s.pads[i], s.pads[len(s.kernel)+i]
	stride, extent := s.stride[i], s.extent(i)
	switch {
	case s.auto == "VALID":
		front, behind = 0, 0
	case s.same():
		out = (in + stride - 1) / stride
		total := max(0, (out-1)*stride+extent-in)
		front, behind = total/2, total-total/2
		if s.auto == "SAME_LOWER" {
			front, behind = behind, front
		}
		return out, front, behind, nil
	}
	room := in + front + behind - extent
	if room < 0 {
		if s.ceil && -room < stride {
			return 1, front, behind, nil // ceil_mode keeps a window that begins inside and ends outside
		}
		return 0, 0, 0, invalidf("kernel covers %d positions, the padded input has %d", extent, in+front+behind)
	}
	out = room/stride + 1
	if s.ceil && room%stride != 0 && out*stride < in+front {
		out++ // the last window starts inside the input or the padding in front
	}
	return out, front, behind, nil
}

// outDims returns the output sizes for input sizes that may be symbols. A symbol stays where
// the size does not change.
func (s *slide) outDims(in []graph.Dim) ([]graph.Dim, error) {
	out := make([]graph.Dim, len(in))
	for i, d := range in {
		if d.IsKnown() {
			n, _, _, err := s.span(i, d.Size)
			if err != nil {
				return nil, err
			}
			out[i] = graph.Known(n)
			continue
		}
		out[i] = graph.Unknown
		kept := s.auto == "NOTSET" && s.pads[i]+s.pads[len(in)+i] == s.extent(i)-1
		if s.stride[i] == 1 && (s.same() || kept) {
			out[i] = d
		}
	}
	return out, nil
}

// over places the kernel on an input of the given spatial size.
func (s *slide) over(in []int) (*window, error) {
	if len(in) > maxSpatial {
		return nil, invalidf("%d spatial axes", len(in))
	}
	w := &window{in: in, kernel: s.kernel, stride: s.stride, dilation: s.dilation}
	for i, n := range in {
		out, front, behind, err := s.span(i, n)
		if err != nil {
			return nil, err
		}
		w.out = append(w.out, out)
		w.front = append(w.front, front)
		w.behind = append(w.behind, behind)
	}
	if _, err := sized(w.out); err != nil {
		return nil, err
	}
	if n, err := sized(w.kernel); err != nil || n > maxTaps {
		return nil, invalidf("kernel of shape %v", w.kernel)
	}
	return w, nil
}

// A window is a kernel in motion over the spatial axes: kernel position k at output o reads
// input o*stride + k*dilation - front.
type window struct {
	in, out, kernel, stride, dilation []int
	front, behind                     []int
}

// flat joins all axes into one where the kernel is a single position that visits all of the input.
func (w *window) flat() *window {
	for i := range w.kernel {
		if w.kernel[i] != 1 || w.stride[i] != 1 || w.front[i] != 0 || w.behind[i] != 0 {
			return w
		}
	}
	one, zero, n := []int{1}, []int{0}, []int{tensor.Elements(w.in)}
	return &window{in: n, out: n, kernel: one, stride: one, dilation: one, front: zero, behind: zero}
}

// step returns the distance in the input between neighbours of a run.
func (w *window) step() int { return w.stride[len(w.stride)-1] }

// meets returns the outputs [lo,hi) at which kernel position k along axis i lies inside the input.
func (w *window) meets(i, k int) (lo, hi int) {
	at := k*w.dilation[i] - w.front[i] // the input position of output 0
	s := w.stride[i]
	if at < 0 {
		lo = (-at + s - 1) / s
	}
	if at < w.in[i] {
		hi = min(w.out[i], (w.in[i]-1-at)/s+1)
	}
	return lo, hi
}

// runs calls f for every row of outputs at which kernel position tap (row-major) lies inside
// the input: n outputs from offset o on read inputs i, i+step, i+2*step and so on.
func (w *window) runs(tap int, f func(o, i, n int)) {
	var lo, n, at [maxSpatial]int // first output, number of outputs, input of the first one
	last := len(w.in) - 1
	rows := 1
	for i := last; i >= 0; i-- {
		k := tap % w.kernel[i]
		tap /= w.kernel[i]
		a, b := w.meets(i, k)
		if a >= b {
			return
		}
		lo[i], n[i], at[i] = a, b-a, a*w.stride[i]+k*w.dilation[i]-w.front[i]
		if i < last {
			rows *= b - a
		}
	}
	for r := range rows {
		o, in := 0, 0
		for i, rest, per := 0, r, rows; i < last; i++ {
			per /= n[i]
			k := rest / per
			rest %= per
			o = (o + lo[i] + k) * w.out[i+1]
			in = (in + at[i] + k*w.stride[i]) * w.in[i+1]
		}
		f(o+lo[last], in+at[last], n[last])
	}
}

// unravel returns the index of the row-major position at in shape.
func unravel(at int, shape []int) []int {
	idx := make([]int, len(shape))
	for i := len(shape) - 1; i >= 0; i-- {
		idx[i] = at % shape[i]
		at /= shape[i]
	}
	return idx
}
