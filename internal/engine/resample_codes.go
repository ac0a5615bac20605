package engine

import (
	"lowbit/internal/format"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// A codeResampling is a resampling of integers of eight bits along one axis, in the numbers and the order of the operator's
// definition: the results are cut off to integers, so that the last bit counts.
type codeResampling struct {
	in, inner, outer int
	lines            []weightedCodes
}

// weightedCodes says what lines a line is the sum of.
type weightedCodes struct {
	off     []int
	weights []float64
}

// lowerResampleCodes emits Resize and Upsample of integers of eight bits, the last axis first.
func lowerResampleCodes(lw *lowerer, n *node) bool {
	x, y := n.in[0], n.out[0]
	if !x.is(tensor.Uint8) && !x.is(tensor.Int8) || x.elems() == 0 || y.elems() == 0 || n.onnx.Str("coordinate_transformation_mode", "") == "tf_crop_and_resize" || n.onnx.Str("mode", "nearest") == "nearest" {
		return false
	}
	samples, ok := definedSamples(n)
	if !ok {
		return false
	}
	shape, src := append([]int(nil), x.shape...), lw.use(x, rowMajor)
	left := 0
	for _, list := range samples {
		if list != nil {
			left++
		}
	}
	if left == 0 {
		return false
	}
	for axis := len(shape) - 1; axis >= 0; axis-- {
		if samples[axis] == nil {
			continue
		}
		r := newCodeResampling(samples[axis], shape, axis)
		shape[axis] = y.shape[axis]
		left--
		var dst *slot
		if left == 0 {
			dst = lw.make(y, rowMajor)
		} else {
			dst = lw.scratch(tensor.Float64, tensor.Elements(shape))
		}
		lw.resampleCodes(n, r, src, dst)
		src = dst
	}
	return true
}

func newCodeResampling(list []op.Sample, shape []int, axis int) *codeResampling {
	r := &codeResampling{in: shape[axis], inner: tensor.Elements(shape[axis+1:]), outer: tensor.Elements(shape[:axis])}
	for _, s := range list {
		line := weightedCodes{weights: s.Weight}
		for _, at := range s.At {
			line.off = append(line.off, at*r.inner)
		}
		r.lines = append(r.lines, line)
	}
	return r
}

// resampleCodes emits the step of one axis.
func (lw *lowerer) resampleCodes(n *node, r *codeResampling, src, dst *slot) {
	count, terms := r.outer*len(r.lines), 0
	for _, l := range r.lines {
		terms += len(l.off)
	}
	parts := lw.partsFor(float64(r.outer*terms*r.inner)*tapNanos, count)
	run := map[[2]tensor.DType]func(r *codeResampling, dst, src *tensor.Tensor, row []float64, from, to int){
		{tensor.Uint8, tensor.Uint8}: resampleAxis[uint8, uint8], {tensor.Uint8, tensor.Float64}: resampleAxis[uint8, float64], {tensor.Float64, tensor.Uint8}: resampleAxis[float64, uint8],
		{tensor.Int8, tensor.Int8}: resampleAxis[int8, int8], {tensor.Int8, tensor.Float64}: resampleAxis[int8, float64], {tensor.Float64, tensor.Int8}: resampleAxis[float64, int8],
		{tensor.Float64, tensor.Float64}: resampleAxis[float64, float64],
	}[[2]tensor.DType{src.dtype, dst.dtype}]
	size := r.inner
	if r.inner < callLeast {
		size *= len(r.lines)
	}
	room := lw.scratch(tensor.Float64, parts*size)
	lw.emit(&step{node: n, kernel: "resize of codes", parts: parts, in: []*slot{src}, out: []*slot{dst, room}, run: func(f *frame, part int) error {
		run(r, f.vals[dst.id], f.vals[src.id], tensor.Of[float64](f.vals[room.id])[part*size:][:size], count*part/parts, count*(part+1)/parts)
		return nil
	}})
}

// resampleAxis makes the lines from to to-1. Row has room for one, or for those of an axis where they are short.
func resampleAxis[S, D uint8 | int8 | float64](r *codeResampling, dst, src *tensor.Tensor, row []float64, from, to int) {
	x, y, size := tensor.Of[S](src), tensor.Of[D](dst), r.in*r.inner
	for from < to {
		o, first := from/len(r.lines), from%len(r.lines)
		n := min(len(r.lines)-first, to-from)
		in, out := x[o*size:][:size], y[from*r.inner:][:n*r.inner]
		from += n
		if r.inner < callLeast {
			resampleFew(r.lines[first:][:n], r.inner, row, in)
			cutOff(out, row[:len(out)])
			continue
		}
		for i := range n {
			line := &r.lines[first+i]
			clear(row)
			for k, o := range line.off {
				addWeighted(row, in[o:], line.weights[k])
			}
			cutOff(out[i*r.inner:], row)
		}
	}
}

// resampleFew makes lines of n elements, which are few.
func resampleFew[S uint8 | int8 | float64](lines []weightedCodes, n int, row []float64, x []S) {
	for i := range lines {
		line, to := &lines[i], row[i*n:][:n]
		off := line.off
		weights := line.weights[:len(off)]
		if len(off) == 2 {
			a, b := x[off[0]:][:n], x[off[1]:][:n]
			for j := range to {
				to[j] = float64(float64(a[j])*weights[0]) + float64(float64(b[j])*weights[1])
			}
			continue
		}
		for j := range to {
			sum := 0.0
			for k, o := range off {
				sum += float64(float64(x[o+j]) * weights[k])
			}
			to[j] = sum
		}
	}
}

// addWeighted adds numbers times a weight.
func addWeighted[S uint8 | int8 | float64](row []float64, x []S, w float64) {
	x = x[:len(row)]
	for i := range row {
		row[i] += float64(float64(x[i]) * w)
	}
}

// cutOff makes numbers those of the result.
func cutOff[D uint8 | int8 | float64](dst []D, row []float64) {
	if to, ok := any(dst).([]float64); ok {
		copy(to, row)
		return
	}
	dst = dst[:len(row)]
	for i, v := range row {
		if v >= 0 && v < 128 {
			dst[i] = D(int32(v))
		} else {
			dst[i] = D(format.ToInt64(v))
		}
	}
}
