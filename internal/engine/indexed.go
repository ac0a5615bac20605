package engine

import (
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// An index is what elements are looked up by. One below 0 counts from the end.
type index interface{ int32 | int64 }

// refusal returns what gives the error with which n's own definition refuses operands.
func (lw *lowerer) refusal(n *node, in []*slot) (func(f *frame) error, bool) {
	e, err := lw.net.evaluator(n, lw.seed)
	return func(f *frame) error {
		args := make([]*tensor.Tensor, len(in))
		for i, s := range in {
			args[i] = f.vals[s.id]
		}
		if _, err := e.run(f.ctx, args); err != nil {
			return err
		}
		return errDeclared
	}, err == nil
}

// emitIndexed adds a step that finds elements by indices, operand 1 of n, and says whether all are within bounds.
func (lw *lowerer) emitIndexed(n *node, name string, limit int, over bool, run func(dst *tensor.Tensor, in []*tensor.Tensor, part, parts int) bool) bool {
	var in []*slot
	for _, v := range n.in {
		in = append(in, lw.use(v, rowMajor))
	}
	refuse, ok := lw.refusal(n, in)
	if !ok {
		return false
	}
	dst := lw.make(n.out[0], rowMajor)
	parts := lw.partsFor(float64(n.out[0].elems())*functionNanos, limit)
	st := &step{node: n, kernel: name, parts: parts, in: in, out: []*slot{dst}, run: func(f *frame, part int) error {
		args := make([]*tensor.Tensor, len(in))
		for i, s := range in {
			args[i] = f.vals[s.id]
		}
		if !run(f.vals[dst.id], args, part, parts) {
			return refuse(f)
		}
		return nil
	}}
	if over {
		st.over = in[0]
	}
	lw.emit(st)
	return true
}

// indexAxis is the axis along which n looks elements up, where it can be done.
func indexAxis(n *node) (axis int, ok bool) {
	x := n.in[0]
	if axis = n.onnx.Int("axis", 0); axis < 0 {
		axis += len(x.shape)
	}
	return axis, axis >= 0 && axis < len(x.shape) && indexed(n)
}

// indexed says whether operand 1 of n is of indices of elements that can be moved.
func indexed(n *node) bool {
	return movable(n.in[0].dtype) && (n.in[1].is(tensor.Int32) || n.in[1].is(tensor.Int64)) && n.out[0].elems() > 0
}

// lowerGather emits Gather by indices that are known in the run.
func lowerGather(lw *lowerer, n *node) bool {
	x, at := n.in[0], n.in[1]
	axis, ok := indexAxis(n)
	if !ok || !sameShape(n.out[0].shape, slices.Concat(x.shape[:axis], at.shape, x.shape[axis+1:])) {
		return false
	}
	outer, size, each, count := tensor.Elements(x.shape[:axis]), x.shape[axis], tensor.Elements(x.shape[axis+1:]), at.elems()
	if each > 1 || count == 1 {
		each *= x.dtype.Bits() / 8
		return lw.emitIndexed(n, "gather rows", outer*count, false, func(dst *tensor.Tensor, in []*tensor.Tensor, part, parts int) bool {
			from, to := outer*count*part/parts, outer*count*(part+1)/parts
			if in[1].DType == tensor.Int32 {
				return gatherRows(dst.Raw, in[0].Raw, tensor.Of[int32](in[1]), size, each, from, to)
			}
			return gatherRows(dst.Raw, in[0].Raw, tensor.Of[int64](in[1]), size, each, from, to)
		})
	}
	l := &lookup{lines: newCopy([]int{outer, count}, []int{count, 1}, []int{size, 0}, 0, 0), size: size, step: 1, again: true}
	return lw.emitIndexed(n, "gather", outer, false, l.run)
}

// gatherRows copies the rows from to to-1 of each bytes, which indices name among size in turn.
func gatherRows[I index](dst, src []byte, at []I, size, each, from, to int) bool {
	for i := from; i < to; i++ {
		k := int(at[i%len(at)])
		if k < 0 {
			k += size
		}
		if k < 0 || k >= size {
			return false
		}
		copy(dst[i*each:][:each], src[(i/len(at)*size+k)*each:])
	}
	return true
}

// lowerGatherElements emits GatherElements by indices that are known in the run.
func lowerGatherElements(lw *lowerer, n *node) bool {
	x, at := n.in[0], n.in[1]
	axis, ok := indexAxis(n)
	if !ok || len(at.shape) != len(x.shape) || !sameShape(at.shape, n.out[0].shape) {
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
	return lw.emitIndexed(n, "gather elements", l.lines.rows(), false, l.run)
}

// A lookup finds for each element of the result one of size that lie step apart, from where its line says on.
type lookup struct {
	lines      *copyPlan
	size, step int
	again      bool // all lines have the same indices
}

func (l *lookup) run(dst *tensor.Tensor, in []*tensor.Tensor, part, parts int) bool {
	if in[1].DType == tensor.Int32 {
		return lookupBy(l, dst, in[0], tensor.Of[int32](in[1]), part, parts)
	}
	return lookupBy(l, dst, in[0], tensor.Of[int64](in[1]), part, parts)
}

func lookupBy[I index](l *lookup, dst, src *tensor.Tensor, at []I, part, parts int) bool {
	switch src.DType.Bits() {
	case 8:
		return lookupLines(l, dst.Raw, src.Raw, at, part, parts)
	case 16:
		return lookupLines(l, tensor.Of[uint16](dst), tensor.Of[uint16](src), at, part, parts)
	case 32:
		return lookupLines(l, tensor.Of[uint32](dst), tensor.Of[uint32](src), at, part, parts)
	}
	return lookupLines(l, tensor.Of[uint64](dst), tensor.Of[uint64](src), at, part, parts)
}

func lookupLines[T kernel.Word, I index](l *lookup, dst, src []T, at []I, part, parts int) bool {
	k := len(l.lines.dims) - 1
	n, own, ok := l.lines.dims[k], l.lines.ss[k], true
	dr, sr := l.lines.step()
	l.lines.runs(part, parts, func(d, s, rows int) {
		for range rows {
			first := d
			if l.again {
				first = 0
			}
			ok = ok && lookupLine(dst[d:][:n], src[s:], at[first:][:n], l.size, l.step, own)
			d, s = d+dr, s+sr
		}
	})
	return ok
}

// lookupLine looks up the elements of one line, which begin own apart.
func lookupLine[T kernel.Word, I index](dst, src []T, at []I, size, step, own int) bool {
	dst = dst[:len(at)]
	if step == 1 && own == 0 {
		return lookupNear(dst, src[:size], at)
	}
	from := 0
	for i, v := range at {
		k := int(v)
		if uint(k) >= uint(size) {
			if k += size; uint(k) >= uint(size) {
				return false
			}
		}
		dst[i] = src[from+k*step]
		from += own
	}
	return true
}

// lookupNear looks elements up that lie side by side.
func lookupNear[T kernel.Word, I index](dst, src []T, at []I) bool {
	for i, v := range at {
		k := int(v)
		if k < 0 {
			k += len(src)
		}
		if uint(k) >= uint(len(src)) {
			return false
		}
		dst[i] = src[k]
	}
	return true
}

// A tupleIndex finds slices of each bytes by tuples of indices.
type tupleIndex struct {
	dims, strides []int // of those that a tuple names; strides in bytes
	each          int
	batch, apart  int // tuples of one batch, and the bytes from batch to batch
}

// tupleIndexOf is that of operand 1 of n, behind some dimensions of batches.
func tupleIndexOf(n *node, batches int) (*tupleIndex, bool) {
	x, at := n.in[0].shape, n.in[1].shape
	last := len(at) - 1
	if !indexed(n) || last < 0 || batches < 0 || batches > last || batches > len(x) || !sameShape(x[:batches], at[:batches]) || at[last] > len(x)-batches || at[last] == 0 {
		return nil, false
	}
	width, size := at[last], n.in[0].dtype.Bits()/8
	t := &tupleIndex{dims: x[batches:][:width], each: tensor.Elements(x[batches+width:]) * size}
	for _, s := range denseStrides(x[batches:])[:width] {
		t.strides = append(t.strides, s*size)
	}
	t.batch, t.apart = max(1, tensor.Elements(at[batches:last])), tensor.Elements(x[batches:])*size
	return t, true
}

// places calls f with each of the tuples from to to-1 and where its slice begins, and says whether all are within bounds.
func (t *tupleIndex) places(at *tensor.Tensor, from, to int, f func(i, place int)) bool {
	if at.DType == tensor.Int32 {
		return placesBy(t, tensor.Of[int32](at), from, to, f)
	}
	return placesBy(t, tensor.Of[int64](at), from, to, f)
}

func placesBy[I index](t *tupleIndex, at []I, from, to int, f func(i, place int)) bool {
	width := len(t.dims)
	for i := from; i < to; i++ {
		place := i / t.batch * t.apart
		for j, v := range at[i*width:][:width] {
			k := int(v)
			if k < 0 {
				k += t.dims[j]
			}
			if k < 0 || k >= t.dims[j] {
				return false
			}
			place += k * t.strides[j]
		}
		f(i, place)
	}
	return true
}

// lowerGatherND emits GatherND by indices that are known in the run.
func lowerGatherND(lw *lowerer, n *node) bool {
	x, at, y := n.in[0], n.in[1], n.out[0]
	batches := n.onnx.Int("batch_dims", 0)
	t, ok := tupleIndexOf(n, batches)
	if !ok {
		return false
	}
	tuples := at.shape[:len(at.shape)-1]
	if !sameShape(y.shape, slices.Concat(tuples, x.shape[batches+len(t.dims):])) {
		return false
	}
	count := tensor.Elements(tuples)
	return lw.emitIndexed(n, "gather slices", count, false, func(dst *tensor.Tensor, in []*tensor.Tensor, part, parts int) bool {
		to, from := dst.Raw, in[0].Raw
		return t.places(in[1], count*part/parts, count*(part+1)/parts, func(i, place int) {
			copy(to[i*t.each:][:t.each], from[place:])
		})
	})
}

// lowerScatterSlices emits ScatterND by indices that are known in the run. Of slices for one place the last stays.
func lowerScatterSlices(lw *lowerer, n *node) bool {
	x, at, y := n.in[0], n.in[1], n.out[0]
	t, ok := tupleIndexOf(n, 0)
	if !ok || n.onnx.Str("reduction", "none") != "none" || !sameShape(x.shape, y.shape) || n.in[2].dtype != x.dtype {
		return false
	}
	tuples := at.shape[:len(at.shape)-1]
	if !sameShape(n.in[2].shape, slices.Concat(tuples, x.shape[len(t.dims):])) {
		return false
	}
	count := tensor.Elements(tuples)
	return lw.emitIndexed(n, "scatter slices", 1, true, func(dst *tensor.Tensor, in []*tensor.Tensor, _, _ int) bool {
		to, from := dst.Raw, in[2].Raw
		if &to[0] != &in[0].Raw[0] {
			copy(to, in[0].Raw)
		}
		return t.places(in[1], 0, count, func(i, place int) {
			copy(to[place:][:t.each], from[i*t.each:])
		})
	})
}
