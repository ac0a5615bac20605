package engine

import "lowbit/internal/kernel"

// A depth is the geometry of a sliding window along the first of three spatial dimensions; nil: there are fewer.
type depth struct{ size, kernel, stride, dilation, before, out int }

// mostTaps bounds the list of taps of all output pixels of a window with a depth.
const mostTaps = 1 << 26

// geometry reads the sliding window of a convolution or pooling node over x, giving y: of one to three
// spatial dimensions, in channels-last order with pitch elements from pixel to pixel. A 1-D window is
// one row of a 2-D one; of a 3-D one, the window is that of the last two dimensions.
func geometry(n *node, x, y *value, kernelShape []int, pitch int) (kernel.Window, *depth, bool) {
	space := len(x.shape) - 2
	if space < 1 || space > 3 || len(kernelShape) != space || len(y.shape) != len(x.shape) {
		return kernel.Window{}, nil, false
	}
	strides, dil := orOnes(n.onnx.Ints("strides"), space), orOnes(n.onnx.Ints("dilations"), space)
	if len(strides) != space || len(dil) != space {
		return kernel.Window{}, nil, false
	}
	begin := padsBefore(n, x.shape[2:], y.shape[2:], kernelShape, strides, dil)
	if begin == nil {
		return kernel.Window{}, nil, false
	}
	w := kernel.Window{
		H: 1, KH: 1, StrideH: 1, DilH: 1, OH: 1, Pitch: pitch,
		W: x.shape[space+1], KW: kernelShape[space-1], StrideW: strides[space-1], DilW: dil[space-1],
		Left: begin[space-1], OW: y.shape[space+1],
	}
	if i := space - 2; i >= 0 {
		w.H, w.KH, w.StrideH, w.DilH, w.Top, w.OH = x.shape[2+i], kernelShape[i], strides[i], dil[i], begin[i], y.shape[2+i]
	}
	if space < 3 {
		return w, nil, true
	}
	d := &depth{x.shape[2], kernelShape[0], strides[0], dil[0], begin[0], y.shape[2]}
	if float64(d.out)*float64(d.kernel)*float64(w.OH*w.OW)*float64(w.KH*w.KW) > mostTaps {
		return w, d, false
	}
	return w, d, true
}

// indirect lists where the taps of each output pixel begin: those of the window, in each slice that the depth's reach.
func (d *depth) indirect(w kernel.Window) *kernel.Indirect {
	if d == nil {
		return w.Indirect()
	}
	flat := w.Indirect()
	slice, taps := w.H*w.W*w.Pitch, flat.Taps
	off := make([]int32, 0, d.out*w.OH*w.OW*d.kernel*taps)
	for o := range d.out {
		for row := range w.OH * w.OW {
			for k := range d.kernel {
				z := o*d.stride - d.before + k*d.dilation
				for t := range taps {
					at := flat.At(row, t)
					if at < 0 || z < 0 || z >= d.size {
						at = -1
					} else {
						at += z * slice
					}
					off = append(off, int32(at))
				}
			}
		}
	}
	return kernel.NewIndirect(off, d.kernel*taps)
}

// taps is the number of taps of the window in all slices.
func (d *depth) taps(w kernel.Window) int {
	if d == nil {
		return w.KH * w.KW
	}
	return d.kernel * w.KH * w.KW
}

// pointwise says whether each slice of the output is made of the one at the same place.
func (d *depth) pointwise() bool {
	return d == nil || d.kernel == 1 && d.stride == 1 && d.before == 0 && d.out == d.size
}

// text writes the size of a kernel, such as "3x3".
func (d *depth) text(w kernel.Window) string {
	if d == nil {
		return sizeText(w)
	}
	return itoa(d.kernel) + "x" + sizeText(w)
}

func orOnes(list []int, n int) []int {
	if list != nil {
		return list
	}
	list = make([]int, n)
	for i := range list {
		list[i] = 1
	}
	return list
}

// padsBefore returns the padding before the first element of each spatial dimension (ONNX Conv: pads,
// auto_pad).
func padsBefore(n *node, in, out, k, strides, dil []int) []int {
	begin := make([]int, len(in))
	switch auto := n.onnx.Str("auto_pad", "NOTSET"); auto {
	case "VALID":
	case "SAME_UPPER", "SAME_LOWER":
		for i := range begin {
			total := max(0, (out[i]-1)*strides[i]+(k[i]-1)*dil[i]+1-in[i])
			begin[i] = total / 2
			if auto == "SAME_LOWER" {
				begin[i] = total - total/2
			}
		}
	default:
		pads := n.onnx.Ints("pads")
		if pads == nil {
			return begin
		}
		if len(pads) != 2*len(in) {
			return nil
		}
		copy(begin, pads)
		for _, p := range pads {
			if p < 0 {
				return nil
			}
		}
	}
	return begin
}

// pointwise says whether each output pixel is made of the input pixel at the same place.
func pointwise(w kernel.Window) bool {
	return w.KH*w.KW == 1 && w.StrideH == 1 && w.StrideW == 1 && w.Top == 0 && w.Left == 0 && w.OH == w.H && w.OW == w.W
}

// sizeText writes the size of a kernel, such as "3x3".
func sizeText(w kernel.Window) string {
	return itoa(w.KH) + "x" + itoa(w.KW)
}
