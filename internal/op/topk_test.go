package op

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// TestTopKSorts holds TopK against a stable sort of whole rows, along every axis and both ways,
// on few different values and on odd ones.
func TestTopKSorts(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	types := []tensor.DType{tensor.Float32, tensor.Float16, tensor.Float64, tensor.Int8, tensor.Int64, tensor.Uint64}
	for range 1000 {
		shape := []int{1 + r.IntN(3), 1 + r.IntN(3), 1 + r.IntN(3)}
		axis, largest := r.IntN(3), r.IntN(2)
		shape[axis] = 1 + r.IntN(50)
		k := r.IntN(shape[axis] + 1)
		x := scores(r, types[r.IntN(len(types))], shape)
		got := run(t, node("TopK", 2, 2, "axis", int64(axis), "largest", int64(largest)), x, i64v(int64(k)))
		at := sortedRows(t, x, axis, k, largest == 1)
		values := run(t, node("GatherElements", 2, 1, "axis", int64(axis)), x, at)[0]
		for i, want := range outs(values, at) {
			if got[i].String() != want.String() || !slices.Equal(got[i].Raw, want.Raw) {
				t.Fatalf("output %d of %s along %d, %d of them, largest %d: %v, want %v", i, x, axis, k, largest, got[i].Raw, want.Raw)
			}
		}
	}
}

// run returns the outputs of a node at opset 13.
func run(t *testing.T, n *graph.Node, in ...*tensor.Tensor) []*tensor.Tensor {
	t.Helper()
	m, feed := modelOf(n, 13, in)
	values, err := Run(m, feed, Options{})
	if err != nil {
		t.Fatal(err)
	}
	var out []*tensor.Tensor
	for _, name := range n.Out {
		out = append(out, values[name])
	}
	return out
}

// scores are elements of few values, among them what floats have besides numbers and the ends of
// 64-bit integers.
func scores(r *rand.Rand, d tensor.DType, shape []int) *tensor.Tensor {
	v := make([]float64, tensor.Elements(shape))
	odd := []float64{math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 0}
	for i := range v {
		v[i] = float64(r.IntN(9) - 4)
		if d.IsFloat() && r.IntN(3) == 0 {
			v[i] = odd[r.IntN(len(odd))]
		}
	}
	if !d.IsInt() {
		return of(d, shape, v...)
	}
	n := make([]int64, len(v))
	for i := range n {
		n[i] = int64(v[i])
		if r.IntN(4) == 0 {
			n[i] += math.MinInt64
		}
	}
	x, _ := fromInts(d, n, shape)
	return x
}

// sortedRows returns the positions along axis of the first k of each row sorted whole.
func sortedRows(t *testing.T, x *tensor.Tensor, axis, k int, largest bool) *tensor.Tensor {
	t.Helper()
	compare, err := comparer(x)
	if err != nil {
		t.Fatal(err)
	}
	shape := slices.Clone(x.Shape)
	shape[axis] = k
	at := tensor.New(tensor.Int64, shape...)
	step := strides(x.Shape)[axis]
	for i := range at.Len() {
		to := unravel(i, shape)
		rank := to[axis]
		to[axis] = 0
		order := make([]int, x.Shape[axis])
		for j := range order {
			order[j] = ravel(to, x.Shape) + j*step
		}
		first := order[0]
		slices.SortStableFunc(order, func(a, b int) int {
			if largest {
				a, b = b, a
			}
			return compare(a, b)
		})
		tensor.Of[int64](at)[i] = int64((order[rank] - first) / step)
	}
	return at
}

// ravel returns the row-major position of coordinates.
func ravel(at, shape []int) (p int) {
	for k, v := range at {
		p = p*shape[k] + v
	}
	return p
}

// TestEachPairRow holds the walks of two operands against the coordinates of every element.
func TestEachPairRow(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		shape := make([]int, r.IntN(5))
		for i := range shape {
			shape[i] = r.IntN(4)
		}
		part := func() []int {
			s := slices.Clone(shape[r.IntN(len(shape)+1):])
			for i := range s {
				if r.IntN(3) == 0 {
					s[i] = 1
				}
			}
			return s
		}
		sa, sb := part(), part()
		next := 0
		eachPairRow(sa, sb, shape, func(at, n int, x, y walk) {
			for k := range n {
				full := unravel(at+k, shape)
				a, b := x.from+k*x.step, y.from+k*y.step
				if at != next || a != operandAt(full, sa) || b != operandAt(full, sb) {
					t.Fatalf("%v and %v as %v: element %d, not %d, is of %d and %d", sa, sb, shape, at+k, next+k, a, b)
				}
			}
			next += n
		})
		if next != tensor.Elements(shape) {
			t.Fatalf("%v and %v as %v: %d elements", sa, sb, shape, next)
		}
	}
}

// operandAt returns the position in an operand of the given shape that broadcasts to coordinates at.
func operandAt(at, shape []int) int {
	own := slices.Clone(at[len(at)-len(shape):])
	for k, d := range shape {
		own[k] = min(own[k], d-1)
	}
	return ravel(own, shape)
}
