package engine

import (
	"math"
	"slices"

	"lowbit/internal/tensor"
)

// A ranking finds the k elements that come first among n that lie inner apart, in order. What is found is kept as numbers
// that stand in that order: what an element is worth, and below it its position.
type ranking struct {
	k, n, inner int
	least       bool // the smallest come first
}

type ranked interface{ float32 | int32 | uint8 | int8 }

const (
	fewBest     = 16  // elements up to which those found so far are kept in order
	leastRoom   = 24  // elements that are kept beside k and k more
	leastSelect = 128 // elements up to which all are sorted
	digitBits   = 11  // by which others are told apart at once
)

// lowerTopK emits TopK of elements of up to 32 bits.
func lowerTopK(lw *lowerer, n *node) bool {
	x, rank := n.in[0], len(n.in[0].shape)
	axis := n.onnx.Int("axis", -1)
	if axis < 0 {
		axis += rank
	}
	find := map[tensor.DType]func(r *ranking, values, at, x *tensor.Tensor, room []uint64, from, to int){
		tensor.Float32: findTop[float32], tensor.Int32: findTop[int32], tensor.Uint8: findTop[uint8], tensor.Int8: findTop[int8],
	}[x.dtype]
	k := []int{n.onnx.Int("k", 0)}
	if n.version >= 10 {
		k, _ = intsOf(n.input(1))
	}
	if find == nil || axis < 0 || axis >= rank || len(k) != 1 || k[0] <= 0 || k[0] > x.shape[axis] || x.elems() == 0 || x.shape[axis] > math.MaxInt32 {
		return false
	}
	shape := slices.Clone(x.shape)
	shape[axis] = k[0]
	var out [2]*slot
	for i, d := range []tensor.DType{x.dtype, tensor.Int64} {
		if y := n.output(i); y == nil {
			out[i] = lw.scratch(d, tensor.Elements(shape))
		} else if y.dtype != d || !sameShape(y.shape, shape) {
			return false
		}
	}
	for i, s := range out {
		if s == nil {
			out[i] = lw.make(n.out[i], rowMajor)
		}
	}
	r := &ranking{k[0], x.shape[axis], tensor.Elements(x.shape[axis+1:]), !n.onnx.Bool("largest", true)}
	src, lines := lw.use(x, rowMajor), x.elems()/x.shape[axis]
	parts := lw.partsFor(float64(x.elems())*functionNanos, lines)
	room := lw.scratch(tensor.Uint64, parts*r.room())
	lw.emit(&step{node: n, kernel: x.dtype.String() + " TopK", parts: parts, in: []*slot{src}, out: []*slot{out[0], out[1], room}, run: func(f *frame, part int) error {
		own := tensor.Of[uint64](f.vals[room.id])[part*r.room():][:r.room()]
		find(r, f.vals[out[0].id], f.vals[out[1].id], f.vals[src.id], own, lines*part/parts, lines*(part+1)/parts)
		return nil
	}})
	return true
}

// room is how many numbers are kept: what comes first so far, and what may.
func (r *ranking) room() int {
	if r.k <= fewBest {
		return r.k
	}
	return min(r.n, 2*r.k+leastRoom)
}

// findTop finds those of the lines from to to-1.
func findTop[T ranked](r *ranking, values, at, src *tensor.Tensor, room []uint64, from, to int) {
	x, v, where := tensor.Of[T](src), tensor.Of[T](values), tensor.Of[int64](at)
	for i := from; i < to; i++ {
		line := x[i/r.inner*r.n*r.inner+i%r.inner:]
		if r.k <= fewBest {
			topFew(r, room, line)
		} else {
			topMany(r, room, line)
		}
		p := i/r.inner*r.k*r.inner + i%r.inner
		for _, e := range room[:r.k] {
			k := int(uint32(e))
			v[p], where[p] = line[k*r.inner], int64(k)
			p += r.inner
		}
	}
}

// worth is smaller for what comes first. What is no number counts as the largest, and zero has no sign.
func worth[T ranked](v T, least bool) uint32 {
	var w uint32
	switch v := any(v).(type) {
	case float32:
		w = math.Float32bits(v + 0)
		if v != v {
			w = math.MaxInt32
		}
		w ^= uint32(int32(w)>>31) | 1<<31
	case int32:
		w = uint32(v) ^ 1<<31
	case int8:
		w = uint32(v) ^ 1<<31
	case uint8:
		w = uint32(v)
	}
	if !least {
		return ^w
	}
	return w
}

// entry is what stands for the element at position i of a line.
func entry[T ranked](r *ranking, line []T, i int) uint64 {
	return uint64(worth(line[i*r.inner], r.least))<<32 | uint64(i)
}

// topFew finds what comes first in a line, and keeps those found so far in order.
func topFew[T ranked](r *ranking, best []uint64, line []T) {
	for i := range best {
		insert(best[:i+1], entry(r, line, i))
	}
	i, worst := r.k, len(best)-1
	for {
		last := line[int(uint32(best[worst]))*r.inner]
		if i = nextBefore(r, line, i, last); i == r.n {
			return
		}
		if e := entry(r, line, i); e < best[worst] {
			insert(best, e)
		}
		i++
	}
}

// insert puts a number where it belongs among others in order, the last of which goes.
func insert(list []uint64, e uint64) {
	i := len(list) - 1
	for ; i > 0 && list[i-1] > e; i-- {
		list[i] = list[i-1]
	}
	list[i] = e
}

// topMany finds what comes first in a line. What may be among it is kept beside the k found so far until the room is full.
func topMany[T ranked](r *ranking, room []uint64, line []T) {
	n, i := len(room), len(room)
	for k := range room {
		room[k] = entry(r, line, k)
	}
	for {
		selectFirst(room[:n], r.k, 64-digitBits)
		if n = r.k; i == r.n {
			break
		}
		last := line[int(uint32(slices.Max(room[:n])))*r.inner]
		for n < len(room) {
			if i = nextBefore(r, line, i, last); i == r.n {
				break
			}
			room[n] = entry(r, line, i)
			n, i = n+1, i+1
		}
	}
	slices.Sort(room[:r.k])
}

// nextBefore is the position, from i on, of an element that may come before another one that stands earlier.
func nextBefore[T ranked](r *ranking, line []T, i int, last T) int {
	switch {
	case r.inner > 1:
		for ; i < r.n; i++ {
			if v := line[i*r.inner]; r.least && !(v >= last) || !r.least && !(v <= last) {
				return i
			}
		}
	case r.least:
		for k, v := range line[i:r.n] {
			if !(v >= last) {
				return i + k
			}
		}
	default:
		for k, v := range line[i:r.n] {
			if !(v <= last) {
				return i + k
			}
		}
	}
	return r.n
}

// selectFirst brings the k smallest numbers, which agree above some bits, to the front.
func selectFirst(list []uint64, k, shift int) {
	for len(list) > k {
		if len(list) <= leastSelect || shift < 0 {
			slices.Sort(list)
			return
		}
		const mask = 1<<digitBits - 1
		var counts [1 << digitBits]int32
		for _, e := range list {
			counts[e>>shift&mask]++
		}
		digit, below := uint64(0), 0
		for below+int(counts[digit]) < k {
			below += int(counts[digit])
			digit++
		}
		front(list, shift, mask, digit)
		list, k = list[below:], k-below
		front(list, shift, mask, digit+1)
		list, shift = list[:counts[digit]], shift-digitBits
	}
}

// front brings the numbers whose digit is below a limit to the front.
func front(list []uint64, shift int, mask, limit uint64) {
	n := 0
	for i, e := range list {
		if e>>shift&mask < limit {
			list[i], list[n] = list[n], e
			n++
		}
	}
}
