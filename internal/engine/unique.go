package engine

import (
	"cmp"
	"slices"

	"lowbit/internal/tensor"
)

// lowerUnique emits Unique of single elements.
func lowerUnique(lw *lowerer, n *node) bool {
	x := n.in[0]
	find := map[tensor.DType]func(x *tensor.Tensor, sorted bool) [4]*tensor.Tensor{
		tensor.Float32: distinct[float32], tensor.Int32: distinct[int32], tensor.Int64: distinct[int64],
	}[x.dtype]
	axis := n.onnx.Int("axis", 0)
	if find == nil || !x.known || n.onnx.Has("axis") && (len(x.shape) != 1 || axis != 0 && axis != -1) || len(n.out) > 4 {
		return false
	}
	sorted, src := n.onnx.Bool("sorted", true), lw.use(x, rowMajor)
	st := &step{node: n, kernel: x.dtype.String() + " Unique", in: []*slot{src}}
	out := lw.heapOut(n, st)
	st.run = func(f *frame, _ int) error {
		found := find(f.vals[src.id], sorted)
		for i, s := range out {
			if s == nil {
				continue
			}
			if v := n.out[i]; v.known && !sameShape(found[i].Shape, v.shape) {
				return errDeclared
			}
			f.bind(s, found[i])
		}
		return nil
	}
	lw.emit(st)
	return true
}

// distinct returns the different elements, where each stands first, which of them each element is, and how many are alike.
// What is no number is one of them, and the largest.
func distinct[T float32 | int32 | int64](t *tensor.Tensor, sorted bool) [4]*tensor.Tensor {
	x := tensor.Of[T](t)
	var first, counts []int64
	of, ids := make([]int64, len(x)), map[T]int64{}
	none := int64(-1) // that of no number, which is equal to nothing
	for i, v := range x {
		id, ok := ids[v]
		if v != v {
			id, ok = none, none >= 0
		}
		if !ok {
			id = int64(len(first))
			first, counts = append(first, int64(i)), append(counts, 0)
			if v != v {
				none = id
			} else {
				ids[v] = id
			}
		}
		of[i] = id
		counts[id]++
	}
	if sorted {
		first, counts = numberInOrder(x, first, counts, of)
	}
	y := make([]T, len(first))
	for i, at := range first {
		y[i] = x[at]
	}
	return [4]*tensor.Tensor{tensor.Wrap(t.DType, y, len(y)), tensor.Vector(first...), tensor.Vector(of...), tensor.Vector(counts...)}
}

// numberInOrder numbers different elements in their order.
func numberInOrder[T float32 | int32 | int64](x []T, first, counts, of []int64) (newFirst, newCounts []int64) {
	order := make([]int64, len(first))
	for i := range order {
		order[i] = int64(i)
	}
	slices.SortFunc(order, func(a, b int64) int { return compareLast(x[first[a]], x[first[b]]) })
	rank := make([]int64, len(order))
	for i, id := range order {
		rank[id] = int64(i)
		newFirst, newCounts = append(newFirst, first[id]), append(newCounts, counts[id])
	}
	for i, id := range of {
		of[i] = rank[id]
	}
	return newFirst, newCounts
}

// compareLast compares, with what is no number as the largest.
func compareLast[T float32 | int32 | int64](a, b T) int {
	if a != a || b != b {
		return -cmp.Compare(a, b)
	}
	return cmp.Compare(a, b)
}
