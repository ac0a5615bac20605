package engine

import (
	"math"
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// A resampling makes each line of one axis of the sum of some lines of its operand times weights. The operand is seen as
// (outer,in,inner) around the axis.
type resampling struct {
	level        kernel.Level
	in, inner    int
	lines        []weighted
	outside      float32
	outer, terms int
}

// weighted says what lines a line is the sum of: where they begin, and their weights; none for what lies outside.
type weighted struct {
	off     []int32
	weights []float32
	beside  bool // lines of one element, which lie beside each other
}

// lowerResample emits Resize and Upsample of any interpolation, one axis after the other.
func lowerResample(lw *lowerer, n *node) bool {
	x, y := n.in[0], n.out[0]
	if !x.is(tensor.Float32) || x.elems() == 0 || y.elems() == 0 || max(x.elems(), y.elems()) > math.MaxInt32 { // offsets have 32 bits
		return false
	}
	samples, ok := samplesOf(n)
	if !ok {
		return false
	}
	l, rank := lw.resampleLayout(x), len(x.shape)
	var axes []int // as they lie in memory
	for axis, list := range samples {
		if list != nil {
			axes = append(axes, l.axis(axis, rank))
		}
	}
	if len(axes) == 0 {
		return false
	}
	from, to := l.physical(x.shape), l.physical(y.shape)
	slices.SortStableFunc(axes, func(a, b int) int { return resampleOrder(from, to, a, b) })
	shape, src := slices.Clone(from), lw.use(x, l)
	for i, axis := range axes {
		r := &resampling{level: lw.level, in: shape[axis], inner: tensor.Elements(shape[axis+1:]), outer: tensor.Elements(shape[:axis]), outside: n.onnx.Float("extrapolation_value", 0)}
		r.read(samples[l.logical(axis, rank)])
		shape[axis] = to[axis]
		var dst *slot
		if i == len(axes)-1 {
			dst = lw.make(y, l)
		} else {
			dst = lw.scratch(tensor.Float32, tensor.Elements(shape))
		}
		lw.resample(n, r, src, dst)
		src = dst
	}
	return true
}

// resampleLayout is the layout in which x lies, if its pixels are long enough to be added up as such.
func (lw *lowerer) resampleLayout(x *value) layout {
	if l, ok := lw.natural(x); ok && l == channelsLast && x.shape[1] >= callLeast {
		return l
	}
	return rowMajor
}

// resampleOrder puts axes that shrink before those that grow: of the former first those whose lines are long, of the latter last.
func resampleOrder(from, to []int, a, b int) int {
	shrinks := func(axis int) bool { return to[axis] < from[axis] }
	switch {
	case shrinks(a) && shrinks(b):
		return a - b
	case shrinks(a):
		return -1
	case shrinks(b):
		return 1
	}
	return b - a
}

// samplesOf asks the operator's definition what the positions of each axis average; nil for axes that stay as they are.
func samplesOf(n *node) ([][]op.Sample, bool) {
	list, ok := definedSamples(n)
	for axis, samples := range list {
		if samples != nil && n.in[0].shape[axis] == n.out[0].shape[axis] && identical(samples) {
			list[axis] = nil
		}
	}
	return list, ok
}

// definedSamples returns them as the definition has them, also where they change nothing.
func definedSamples(n *node) ([][]op.Sample, bool) {
	x, y := n.in[0], n.out[0]
	args := []*tensor.Tensor{{DType: x.dtype, Shape: x.shape}}
	for _, v := range n.in[1:] {
		if v != nil && v.konst == nil {
			return nil, false
		}
		var t *tensor.Tensor
		if v != nil && v.elems() > 0 {
			t = v.konst
		}
		args = append(args, t)
	}
	list, err := op.ResizeSamples(&op.Call{Node: n.onnx, Opset: n.version, In: args})
	if err != nil || len(list) != len(y.shape) {
		return nil, false
	}
	for axis, samples := range list {
		if samples == nil && x.shape[axis] != y.shape[axis] || samples != nil && len(samples) != y.shape[axis] {
			return nil, false
		}
	}
	return list, true
}

// leastWeight is under what weights come of how coordinates were rounded.
const leastWeight = 0x1p-40

// identical says whether each position is the one of the same number.
func identical(list []op.Sample) bool {
	for i, s := range list {
		if s.Outside {
			return false
		}
		for k, at := range s.At {
			if at != i && !(max(s.Weight[k], -s.Weight[k]) < leastWeight) {
				return false
			}
		}
	}
	return true
}

// read takes what lines are sums of.
func (r *resampling) read(list []op.Sample) {
	r.lines = make([]weighted, len(list))
	for i, s := range list {
		if s.Outside {
			continue
		}
		line := &r.lines[i]
		for k, at := range s.At {
			line.off = append(line.off, int32(at*r.inner))
			line.weights = append(line.weights, float32(s.Weight[k]))
		}
		r.terms += len(s.At)
		line.beside = r.inner == 1 && s.At[len(s.At)-1]-s.At[0] == len(s.At)-1 && slices.IsSorted(s.At)
	}
}

// tapNanos is the time of one term of a sum of a few elements, roughly.
const tapNanos = 1

// resample emits the step of one axis.
func (lw *lowerer) resample(n *node, r *resampling, src, dst *slot) {
	count := r.outer * len(r.lines)
	nanos := float64(r.outer*r.terms*r.inner) * byteNanos
	if r.inner < callLeast {
		nanos = float64(r.outer*r.terms*r.inner) * tapNanos
	}
	parts := lw.partsFor(nanos, count)
	lw.emit(&step{node: n, kernel: "f32 resize", parts: parts, in: []*slot{src}, out: []*slot{dst}, run: func(f *frame, part int) error {
		x, y, size := f.f32(src), f.f32(dst), r.in*r.inner
		for i := count * part / parts; i < count*(part+1)/parts; i++ {
			r.line(y[i*r.inner:][:r.inner], x[i/len(r.lines)*size:][:size], &r.lines[i%len(r.lines)])
		}
		return nil
	}})
}

// line makes one line.
func (r *resampling) line(dst, x []float32, line *weighted) {
	switch {
	case line.off == nil:
		for i := range dst {
			dst[i] = r.outside
		}
	case len(dst) >= callLeast:
		r.level.SumRows(dst, x, line.off, line.weights)
	case line.beside:
		var sum float32
		weights := line.weights
		for k, v := range x[line.off[0]:][:len(weights)] {
			sum += float32(v * weights[k])
		}
		dst[0] = sum
	default:
		weights := line.weights[:len(line.off)]
		for i := range dst {
			var sum float32
			for k, o := range line.off {
				sum += float32(x[int(o)+i] * weights[k])
			}
			dst[i] = sum
		}
	}
}
