package engine

import (
	"math"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A wholeRunner computes a function of whole numbers; dst is other memory than x.
type wholeRunner func(l kernel.Level, dst, x *tensor.Tensor, from, to int)

// wholeFunctions lists functions of one whole number by their types.
var wholeFunctions = map[tensor.DType]map[string]wholeRunner{
	tensor.Uint8: unsignedFunctions[uint8](), tensor.Uint16: unsignedFunctions[uint16](), tensor.Uint32: unsignedFunctions[uint32](), tensor.Uint64: unsignedFunctions[uint64](),
	tensor.Int8: signedFunctions[int8](), tensor.Int16: signedFunctions[int16](), tensor.Int32: signedFunctions[int32](), tensor.Int64: signedFunctions[int64](),
}

func unsignedFunctions[T uint8 | uint16 | uint32 | uint64]() map[string]wholeRunner {
	return map[string]wholeRunner{"Sign": withNumber(kernel.WholeMin, T(1)), "BitwiseNot": withNumber(kernel.WholeXor, ^T(0))}
}

func signedFunctions[T int8 | int16 | int32 | int64]() map[string]wholeRunner {
	below, one, zero := []T{-1}, []T{1}, []T{0}
	return map[string]wholeRunner{
		"BitwiseNot": withNumber(kernel.WholeXor, ^T(0)),
		"Neg": pieces(func(l kernel.Level, y, x []T) {
			kernel.Whole(l, kernel.WholeSub, y, zero, x)
		}),
		"Abs": pieces(func(l kernel.Level, y, x []T) {
			kernel.Whole(l, kernel.WholeSub, y, zero, x)
			kernel.Whole(l, kernel.WholeMax, y, y, x)
		}),
		"Sign": pieces(func(l kernel.Level, y, x []T) {
			kernel.Whole(l, kernel.WholeMax, y, x, below)
			kernel.Whole(l, kernel.WholeMin, y, y, one)
		}),
	}
}

// withNumber pairs every element with one number.
func withNumber[T kernel.WholeNumber](op kernel.WholeOp, v T) wholeRunner {
	with := []T{v}
	return pieces(func(l kernel.Level, y, x []T) { kernel.Whole(l, op, y, x, with) })
}

// piece is how many elements a function of several steps takes at a time, so that they stay in the cache.
const piece = 2048

func pieces[T kernel.WholeNumber](run func(l kernel.Level, y, x []T)) wholeRunner {
	return func(l kernel.Level, dst, x *tensor.Tensor, from, to int) {
		y, v := tensor.Of[T](dst), tensor.Of[T](x)
		for ; from < to; from += piece {
			end := min(to, from+piece)
			run(l, y[from:end], v[from:end])
		}
	}
}

// lowerWholeUnary emits a function of whole numbers.
func lowerWholeUnary(lw *lowerer, n *node) bool {
	x, y := n.in[0], n.out[0]
	run := wholeFunctions[x.dtype][n.kind]
	if run == nil || y.dtype != x.dtype || y.elems() == 0 {
		return false
	}
	level := lw.level
	st := lw.elementwise(n, x.dtype.String()+" "+n.kind, func(f *frame, dst, x *slot, from, to int) {
		run(level, f.vals[dst.id], f.vals[x.id], from, to)
	})
	st.over = nil
	return true
}

// lowerNot emits what is false as true.
func lowerNot(lw *lowerer, n *node) bool {
	if !n.in[0].is(tensor.Bool) || n.out[0].elems() == 0 {
		return false
	}
	level, zero := lw.level, []uint8{0}
	lw.elementwise(n, "Not", func(f *frame, dst, x *slot, from, to int) {
		kernel.Compare(level, kernel.Equal, f.vals[dst.id].Raw[from:to], f.vals[x.id].Raw[from:to], zero)
	})
	return true
}

// lowerIsNaN emits the test for what is no number.
func lowerIsNaN(lw *lowerer, n *node) bool {
	if !n.in[0].is(tensor.Float32) || n.out[0].elems() == 0 {
		return false
	}
	level := lw.level
	lw.elementwise(n, "f32 IsNaN", func(f *frame, dst, x *slot, from, to int) {
		v := f.f32(x)[from:to]
		kernel.Compare(level, kernel.Unequal, f.vals[dst.id].Raw[from:to], v, v)
	})
	return true
}

// lowerIsInf emits the test for what lies beyond all numbers, on one side or either.
func lowerIsInf(lw *lowerer, n *node) bool {
	below, above := n.onnx.Bool("detect_negative", true), n.onnx.Bool("detect_positive", true)
	if !n.in[0].is(tensor.Float32) || n.out[0].elems() == 0 || !below && !above {
		return false
	}
	l, least, most := lw.level, []float32{-math.MaxFloat32}, []float32{math.MaxFloat32}
	lw.elementwise(n, "f32 IsInf", func(f *frame, dst, x *slot, from, to int) {
		y, v := f.vals[dst.id].Raw, f.f32(x)
		room := make([]uint8, piece)
		for ; from < to; from += piece {
			end := min(to, from+piece)
			is, low := y[from:end], room[:end-from]
			switch {
			case above:
				kernel.Compare(l, kernel.Greater, is, v[from:end], most)
			default:
				clear(is)
			}
			if below {
				kernel.Compare(l, kernel.Greater, low, least, v[from:end])
				kernel.Whole(l, kernel.Either, is, is, low)
			}
		}
	})
	return true
}

// lowerWholeClip emits limits of whole numbers; where they cross, the upper one wins.
func lowerWholeClip(lw *lowerer, n *node) bool {
	x, y, lo, hi := n.in[0], n.out[0], n.input(1), n.input(2)
	clip := map[tensor.DType]func(l kernel.Level, dst, x, lo, hi *tensor.Tensor, from, to int){
		tensor.Uint8: clipWhole[uint8], tensor.Int8: clipWhole[int8], tensor.Uint16: clipWhole[uint16], tensor.Int16: clipWhole[int16],
		tensor.Uint32: clipWhole[uint32], tensor.Int32: clipWhole[int32], tensor.Uint64: clipWhole[uint64], tensor.Int64: clipWhole[int64],
	}[x.dtype]
	if clip == nil || y.dtype != x.dtype || y.elems() == 0 || lo == nil && hi == nil {
		return false
	}
	level := lw.level
	var bounds [2]*slot
	var more []*slot
	for i, v := range []*value{lo, hi} {
		if v == nil {
			continue
		}
		if v.dtype != x.dtype || v.elems() != 1 {
			return false
		}
		bounds[i] = lw.use(v, rowMajor)
		more = append(more, bounds[i])
	}
	st := lw.elementwise(n, x.dtype.String()+" Clip", func(f *frame, dst, x *slot, from, to int) {
		var of [2]*tensor.Tensor
		for i, s := range bounds {
			if s != nil {
				of[i] = f.vals[s.id]
			}
		}
		clip(level, f.vals[dst.id], f.vals[x.id], of[0], of[1], from, to)
	})
	st.in = append(st.in, more...)
	return true
}

// clipWhole limits x; a bound may be nil.
func clipWhole[T kernel.WholeNumber](l kernel.Level, dst, x, lo, hi *tensor.Tensor, from, to int) {
	y, v := tensor.Of[T](dst), tensor.Of[T](x)
	for ; from < to; from += piece {
		end := min(to, from+piece)
		is := v[from:end]
		if lo != nil {
			kernel.Whole(l, kernel.WholeMax, y[from:end], is, tensor.Of[T](lo)[:1])
			is = y[from:end]
		}
		if hi != nil {
			kernel.Whole(l, kernel.WholeMin, y[from:end], is, tensor.Of[T](hi)[:1])
		}
	}
}
