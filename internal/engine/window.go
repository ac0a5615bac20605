package engine

import "lowbit/internal/kernel"

// geometry reads the sliding window of a convolution or pooling node over x, giving y: of one or two
// spatial dimensions, in channels-last order with pitch elements from pixel to pixel. A 1-D window is
// one row of a 2-D one.
func geometry(n *node, x, y *value, kernelShape []int, pitch int) (kernel.Window, bool) {
	space := len(x.shape) - 2
	if space < 1 || space > 2 || len(kernelShape) != space || len(y.shape) != len(x.shape) {
		return kernel.Window{}, false
	}
	strides, dil := orOnes(n.onnx.Ints("strides"), space), orOnes(n.onnx.Ints("dilations"), space)
	if len(strides) != space || len(dil) != space {
		return kernel.Window{}, false
	}
	begin := padsBefore(n, x.shape[2:], y.shape[2:], kernelShape, strides, dil)
	if begin == nil {
		return kernel.Window{}, false
	}
	w := kernel.Window{
		H: 1, KH: 1, StrideH: 1, DilH: 1, OH: 1, Pitch: pitch,
		W: x.shape[space+1], KW: kernelShape[space-1], StrideW: strides[space-1], DilW: dil[space-1],
		Left: begin[space-1], OW: y.shape[space+1],
	}
	if space == 2 {
		w.H, w.KH, w.StrideH, w.DilH, w.Top, w.OH = x.shape[2], kernelShape[0], strides[0], dil[0], begin[0], y.shape[2]
	}
	return w, true
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
