package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// elemsOf returns what is known of each element of an integer scalar or vector: its constant
// elements (see numberOf for negative ones), those that inference followed, or as many unknown
// ones as its shape says. It is false where even their number is unknown.
func elemsOf(f Fact) ([]graph.Dim, bool) {
	if f.Value != nil && f.Value.Rank() <= 1 && f.Value.Len() <= foldLimit {
		if v, err := f.Value.Ints(); err == nil {
			out := make([]graph.Dim, len(v))
			for i, x := range v {
				out[i] = constDim(int(x))
			}
			return out, true
		}
	}
	if f.Elems != nil {
		return f.Elems, true
	}
	shape, ok := f.Static()
	if !ok || len(shape) > 1 || tensor.Elements(shape) > foldLimit {
		return nil, false
	}
	return unknownDims(tensor.Elements(shape)), true
}

// numbers returns the numbers that all of the elements are, false where one is not known.
func numbers(elems []graph.Dim) ([]int, bool) {
	out := make([]int, len(elems))
	for i, e := range elems {
		n, ok := numberOf(e)
		if !ok {
			return nil, false
		}
		out[i] = n
	}
	return out, true
}

// elemsFact is an integer scalar or vector of which elements are known; where all are, it is
// a constant.
func elemsFact(d tensor.DType, elems []graph.Dim, scalar bool) Fact {
	f := Fact{Type: graph.Of(d, len(elems)), Elems: elems}
	if scalar {
		f.Type = graph.Of(d)
	}
	list, ok := numbers(elems)
	if !ok {
		return f
	}
	v := make([]int64, len(list))
	for i, n := range list {
		v[i] = int64(n)
	}
	shape, _ := f.Static()
	if t, err := fromInts(d, v, shape); err == nil {
		f.Value = t
	}
	return f
}

// followsElems says whether a type is an integer scalar or vector, whose elements inference follows.
func followsElems(t graph.Type) bool {
	return t.IsTensor() && t.Ranked && len(t.Shape) <= 1 && (t.DType == tensor.Int64 || t.DType == tensor.Int32)
}

// sizesOnly returns t with the dimensions that are negative numbers open.
func sizesOnly(t graph.Type) graph.Type {
	for i, d := range t.Shape {
		if n, ok := numberOf(d); ok && n < 0 {
			t.Shape = slices.Clone(t.Shape)
			t.Shape[i] = graph.Unknown
		}
	}
	return t
}

// equalDims says whether two elements are equal or cannot be; known is false where it depends.
func equalDims(a, b graph.Dim) (equal, known bool) {
	x, okX := numberOf(a)
	y, okY := numberOf(b)
	switch {
	case okX && okY:
		return x == y, true
	case a.Same(b):
		return true, true
	}
	return false, okX && x < 0 && neverNegative(b) || okY && y < 0 && neverNegative(a)
}

// neverNegative says whether d is a sum of sizes.
func neverNegative(d graph.Dim) bool {
	p := polyOf(d)
	for _, c := range p {
		if c < 0 {
			return false
		}
	}
	return p != nil
}

// keepElems is the fact of a value of type t that has the elements of f in the same order.
func keepElems(f Fact, t graph.Type) []Fact {
	if f.Elems == nil || !followsElems(t) {
		return Typed(t)
	}
	return []Fact{{Type: graph.OfDims(t.DType, scalarOrVector(t, len(f.Elems))), Elems: f.Elems}}
}

func scalarOrVector(t graph.Type, n int) []graph.Dim {
	if len(t.Shape) == 0 {
		return nil
	}
	return []graph.Dim{graph.Known(n)}
}

// followZip notes in out, the result of broadcasting a and b, what f makes of their elements
// where these are integer scalars or vectors.
func followZip(out *Fact, a, b Fact, f func(x, y graph.Dim) graph.Dim) {
	if !followsElems(out.Type) || !followsElems(a.Type) || !followsElems(b.Type) {
		return
	}
	x, okX := elemsOf(a)
	y, okY := elemsOf(b)
	n := max(len(x), len(y))
	if !okX || !okY || !repeats(len(x), n) || !repeats(len(y), n) {
		return
	}
	elems := make([]graph.Dim, n)
	for i := range elems {
		elems[i] = f(x[i%len(x)], y[i%len(y)])
	}
	*out = elemsFact(out.DType, elems, len(out.Shape) == 0)
}

// repeats says whether a vector of so many elements broadcasts to one of n.
func repeats(elems, n int) bool { return elems == n || elems == 1 }
