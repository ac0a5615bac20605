package engine

import (
	"math"
	"math/bits"

	"lowbit/internal/tensor"
)

// exactMean is the most int32 whose sum float64 holds.
const exactMean = 1 << 22

// wholeReducer reduces the columns of units from to to-1 of a stage, each as wide as the stage says or what is left.
type wholeReducer func(kind string, dst, src *tensor.Tensor, s reduceStage, from, to int)

// lowerWholeReduce emits a reduction of integers. Sums and products wrap; means are those of a sum in float64, in order.
func lowerWholeReduce(lw *lowerer, n *node) bool {
	x := n.in[0]
	by := map[tensor.DType]wholeReducer{
		tensor.Int8: reduceWhole[int8], tensor.Uint8: reduceWhole[uint8], tensor.Int32: reduceWhole[int32], tensor.Int64: reduceWhole[int64],
	}[x.dtype]
	if n.kind == "ReduceMean" {
		by = map[tensor.DType]wholeReducer{tensor.Int32: reduceMeans[int32, int64], tensor.Int64: reduceMeans[int64, float64]}[x.dtype]
	}
	if by == nil || x.elems() == 0 {
		return false
	}
	gone, ok := reducedAxes(n, len(x.shape))
	if !ok {
		return false
	}
	stages := reduceStages(rowMajor, x.shape, gone)
	if n.kind == "ReduceMean" && (len(stages) > 1 || stages[0].mid > exactMean) {
		return false
	}
	src := lw.use(x, rowMajor)
	for i, s := range stages {
		to := lw.scratch(x.dtype, s.outer*s.inner)
		if i == len(stages)-1 {
			to = lw.make(n.out[0], rowMajor)
		}
		lw.emitWholeReduce(n, by, src, to, s)
		src = to
	}
	return true
}

func (lw *lowerer) emitWholeReduce(n *node, by wholeReducer, src, dst *slot, s reduceStage) {
	units := s.outer * s.blocks()
	parts := lw.partsFor(float64(s.outer*s.mid*s.inner)*functionNanos, units)
	lw.emit(&step{node: n, kernel: src.dtype.String() + " " + n.kind, parts: parts, in: []*slot{src}, out: []*slot{dst}, run: func(f *frame, part int) error {
		by(n.kind, f.vals[dst.id], f.vals[src.id], s, units*part/parts, units*(part+1)/parts)
		return nil
	}})
}

func reduceWhole[T int8 | uint8 | int32 | int64](kind string, dst, src *tensor.Tensor, s reduceStage, from, to int) {
	y, x := tensor.Of[T](dst), tensor.Of[T](src)
	for u := from; u < to; u++ {
		if s.inner == 1 {
			y[u] = wholeRow(kind, x[u*s.mid:][:s.mid])
			continue
		}
		at, in := s.columns(u)
		row := y[at:][:s.width(u)]
		copy(row, x[in:])
		for i := 1; i < s.mid; i++ {
			wholePairs(kind, row, x[in+i*s.inner:][:len(row)])
		}
	}
}

// wholePairs folds x into y element by element.
func wholePairs[T int8 | uint8 | int32 | int64](kind string, y, x []T) {
	x = x[:len(y)]
	switch kind {
	case "ReduceSum":
		for i, v := range x {
			y[i] += v
		}
	case "ReduceProd":
		for i, v := range x {
			y[i] *= v
		}
	case "ReduceMax":
		for i, v := range x {
			y[i] = max(y[i], v)
		}
	case "ReduceMin":
		for i, v := range x {
			y[i] = min(y[i], v)
		}
	}
}

// wholeRow folds x, which is not empty, to one number.
func wholeRow[T int8 | uint8 | int32 | int64](kind string, x []T) T {
	a, b, c, d := x[0], x[0], x[0], x[0]
	switch kind {
	case "ReduceSum":
		for a, b, c, d = 0, 0, 0, 0; len(x) >= 4; x = x[4:] {
			a, b, c, d = a+x[0], b+x[1], c+x[2], d+x[3]
		}
	case "ReduceProd":
		for a, b, c, d = 1, 1, 1, 1; len(x) >= 4; x = x[4:] {
			a, b, c, d = a*x[0], b*x[1], c*x[2], d*x[3]
		}
	case "ReduceMax":
		for ; len(x) >= 4; x = x[4:] {
			a, b, c, d = max(a, x[0]), max(b, x[1]), max(c, x[2]), max(d, x[3])
		}
	case "ReduceMin":
		for ; len(x) >= 4; x = x[4:] {
			a, b, c, d = min(a, x[0]), min(b, x[1]), min(c, x[2]), min(d, x[3])
		}
	}
	four := [4]T{a, b, c, d}
	wholePairs(kind, four[:len(x)], x)
	wholePairs(kind, four[:2], four[2:])
	wholePairs(kind, four[:1], four[1:2])
	return four[0]
}

// reduceMeans adds up in numbers of type S: int64, which hold all sums of int32, or float64.
func reduceMeans[T int32 | int64, S int64 | float64](_ string, dst, src *tensor.Tensor, s reduceStage, from, to int) {
	y, x := tensor.Of[T](dst), tensor.Of[T](src)
	var room [reduceColumns]S
	for u := from; u < to; u++ {
		if s.inner == 1 {
			y[u] = meanOf[T](meanSum[T, S](x[u*s.mid:][:s.mid]), s.mid)
			continue
		}
		at, in := s.columns(u)
		sums := room[:s.width(u)]
		clear(sums)
		for i := range s.mid {
			for j, v := range x[in+i*s.inner:][:len(sums)] {
				sums[j] += S(v)
			}
		}
		for j, sum := range sums {
			y[at+j] = meanOf[T](float64(sum), s.mid)
		}
	}
}

// meanSum is the sum of x that is added up in numbers of type S. Where whole numbers hold it as exactly as float64 does,
// its parts need not wait for each other.
func meanSum[T int32 | int64, S int64 | float64](x []T) float64 {
	var a, b int64
	var any uint64 // bits that some magnitude has
	rest := x
	for ; len(rest) >= 2; rest = rest[2:] {
		u, v := int64(rest[0]), int64(rest[1])
		a, b, any = a+u, b+v, any|uint64(u^u>>63)|uint64(v^v>>63)
	}
	for _, v := range rest {
		a, any = a+int64(v), any|uint64(int64(v)^int64(v)>>63)
	}
	if bits.Len64(any)+bits.Len(uint(len(x))) <= 53 {
		return float64(a + b)
	}
	var sum S
	for _, v := range x {
		sum += S(v)
	}
	return float64(sum)
}

// meanOf is the sum of n numbers divided by n, cut off to a whole number.
func meanOf[T int32 | int64](sum float64, n int) T {
	m := sum / float64(n)
	if most := int64(math.MaxInt64); m >= math.MaxInt64 { // of int64 alone
		return T(most)
	}
	return T(m)
}
