package engine

import (
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A merging says what becomes of an element and an update, by the reduction of Scatter.
type merging[T any] func(old, update T) T

// mergings lists those of numbers; nil is for an update that takes the element's place.
func mergings[T int32 | int64 | float32](reduction string) (m merging[T], ok bool) {
	switch reduction {
	case "none":
		return nil, true
	case "add":
		return func(a, b T) T { return a + b }, true
	case "mul":
		return func(a, b T) T { return a * b }, true
	case "max":
		return func(a, b T) T { return max(a, b) }, true
	case "min":
		return func(a, b T) T { return min(a, b) }, true
	}
	return nil, false
}

// A scatter merges updates, operand 2, into dst at what the indices of operand 1 name, and says whether all are within bounds.
type scatter func(dst *tensor.Tensor, in []*tensor.Tensor) bool

// emitScatter adds the step of a scatter into a copy of operand 0, or into itself.
func (lw *lowerer) emitScatter(n *node, name string, run scatter) bool {
	return lw.emitIndexed(n, name, 1, true, func(dst *tensor.Tensor, in []*tensor.Tensor, _, _ int) bool {
		if &dst.Raw[0] != &in[0].Raw[0] {
			copy(dst.Raw, in[0].Raw)
		}
		return run(dst, in)
	})
}

// lowerScatterElements emits ScatterElements by indices that are known in the run.
func lowerScatterElements(lw *lowerer, n *node) bool {
	x, at, updates := n.in[0], n.in[1], n.in[2]
	axis, ok := indexAxis(n)
	if !ok || len(at.shape) != len(x.shape) || at.elems() == 0 || !sameShape(at.shape, updates.shape) || !sameShape(x.shape, n.out[0].shape) || updates.dtype != x.dtype {
		return false
	}
	for k, d := range at.shape {
		if k != axis && d > x.shape[k] {
			return false
		}
	}
	own := denseStrides(x.shape)
	l := &lookup{size: x.shape[axis], step: own[axis]}
	own[axis] = 0
	l.lines = newCopy(at.shape, denseStrides(at.shape), own, 0, 0)
	run, ok := scatterElements(l, x.dtype, n.onnx.Str("reduction", "none"))
	return ok && lw.emitScatter(n, "scatter elements", run)
}

// scatterElements returns the scatter of elements of a type.
func scatterElements(l *lookup, d tensor.DType, reduction string) (scatter, bool) {
	switch {
	case reduction == "none" && d.Bits() == 8:
		return scatterBy[uint8](l, nil), true
	case reduction == "none" && d.Bits() == 16:
		return scatterBy[uint16](l, nil), true
	case reduction == "none" && d.Bits() == 32:
		return scatterBy[uint32](l, nil), true
	case reduction == "none" && d.Bits() == 64:
		return scatterBy[uint64](l, nil), true
	case d == tensor.Int32:
		m, ok := mergings[int32](reduction)
		return scatterBy(l, m), ok
	case d == tensor.Int64:
		m, ok := mergings[int64](reduction)
		return scatterBy(l, m), ok
	case d == tensor.Float32:
		m, ok := mergings[float32](reduction)
		return scatterBy(l, m), ok
	}
	return nil, false
}

func scatterBy[T tensor.Element](l *lookup, m merging[T]) scatter {
	return func(dst *tensor.Tensor, in []*tensor.Tensor) bool {
		to, from := tensor.Of[T](dst), tensor.Of[T](in[2])
		if in[1].DType == tensor.Int32 {
			return scatterLines(l, m, to, from, tensor.Of[int32](in[1]))
		}
		return scatterLines(l, m, to, from, tensor.Of[int64](in[1]))
	}
}

func scatterLines[T any, I index](l *lookup, m merging[T], to, from []T, at []I) bool {
	k, ok := len(l.lines.dims)-1, true
	n, own := l.lines.dims[k], l.lines.ss[k]
	dr, sr := l.lines.step()
	l.lines.runs(0, 1, func(d, s, rows int) {
		for range rows {
			ok = ok && scatterLine(m, to[s:], from[d:][:n], at[d:][:n], l.size, l.step, own)
			d, s = d+dr, s+sr
		}
	})
	return ok
}

// scatterLine merges the updates of one line into elements of lines that begin own apart.
func scatterLine[T any, I index](m merging[T], to, from []T, at []I, size, step, own int) bool {
	from = from[:len(at)]
	line := 0
	for i, v := range at {
		k := int(v)
		if uint(k) >= uint(size) {
			if k += size; uint(k) >= uint(size) {
				return false
			}
		}
		p := &to[line+k*step]
		if m == nil {
			*p = from[i]
		} else {
			*p = m(*p, from[i])
		}
		line += own
	}
	return true
}

// lowerScatterMerge emits ScatterND that merges slices.
func lowerScatterMerge(lw *lowerer, n *node) bool {
	x, at, y := n.in[0], n.in[1], n.out[0]
	t, ok := tupleIndexOf(n, 0)
	reduction := n.onnx.Str("reduction", "none")
	if !ok || reduction == "none" || !sameShape(x.shape, y.shape) || n.in[2].dtype != x.dtype {
		return false
	}
	tuples := at.shape[:len(at.shape)-1]
	if !sameShape(n.in[2].shape, slices.Concat(tuples, x.shape[len(t.dims):])) {
		return false
	}
	run, ok := mergeSlices(t, tensor.Elements(tuples), x.dtype, reduction, lw.level)
	return ok && lw.emitScatter(n, "merge slices", run)
}

func mergeSlices(t *tupleIndex, count int, d tensor.DType, reduction string, level kernel.Level) (scatter, bool) {
	switch d {
	case tensor.Int32:
		m, ok := mergings[int32](reduction)
		return mergeBy(t, count, rowsOf(m)), ok
	case tensor.Int64:
		m, ok := mergings[int64](reduction)
		return mergeBy(t, count, rowsOf(m)), ok
	case tensor.Float32:
		if op, ok := map[string]kernel.Binary{"add": kernel.Add, "mul": kernel.Mul}[reduction]; ok {
			return mergeBy(t, count, func(to, from []float32) { level.Binary(op, to, to, from) }), true
		}
		m, ok := mergings[float32](reduction)
		return mergeBy(t, count, rowsOf(m)), ok
	}
	return nil, false
}

// rowsOf merges slices element by element.
func rowsOf[T any](m merging[T]) func(to, from []T) {
	return func(to, from []T) {
		for i, v := range from {
			to[i] = m(to[i], v)
		}
	}
}

func mergeBy[T tensor.Element](t *tupleIndex, count int, merge func(to, from []T)) scatter {
	return func(dst *tensor.Tensor, in []*tensor.Tensor) bool {
		to, from := tensor.Of[T](dst), tensor.Of[T](in[2])
		size := dst.DType.Bits() / 8
		each := t.each / size
		return t.places(in[1], 0, count, func(i, place int) { merge(to[place/size:][:each], from[i*each:][:each]) })
	}
}

// lowerMaxUnpool emits MaxUnpool to the shape that its windows imply.
func lowerMaxUnpool(lw *lowerer, n *node) bool {
	x, at, y := n.in[0], n.in[1], n.out[0]
	if n.input(2) != nil || !movable(x.dtype) || !at.is(tensor.Int64) || !sameShape(x.shape, at.shape) || x.elems() == 0 || y.elems() == 0 {
		return false
	}
	return lw.emitIndexed(n, "unpool", 1, false, func(dst *tensor.Tensor, in []*tensor.Tensor, _, _ int) bool {
		clear(dst.Raw)
		switch at := tensor.Of[int64](in[1]); x.dtype.Bits() {
		case 8:
			return unpool(dst.Raw, in[0].Raw, at)
		case 16:
			return unpool(tensor.Of[uint16](dst), tensor.Of[uint16](in[0]), at)
		case 32:
			return unpool(tensor.Of[uint32](dst), tensor.Of[uint32](in[0]), at)
		default:
			return unpool(tensor.Of[uint64](dst), tensor.Of[uint64](in[0]), at)
		}
	})
}

func unpool[T kernel.Word](dst, x []T, at []int64) bool {
	x = x[:len(at)]
	for i, k := range at {
		if uint64(k) >= uint64(len(dst)) {
			return false
		}
		dst[k] = x[i]
	}
	return true
}
