package kernel

import "unsafe"

// A Number is an element of pairs that are computed or compared.
type Number interface {
	uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64 | float32 | float64
}

// A WholeNumber is one without a fraction.
type WholeNumber interface {
	uint8 | int8 | uint16 | int16 | uint32 | int32 | uint64 | int64
}

// A WholeOp is an operation on pairs of whole numbers; high bits of results are dropped.
type WholeOp uint8

// Shifts by the width of the type and more leave 0, or the sign. Both, Either and OneOf take bytes other than 0 for true and
// write 0 and 1.
const (
	WholeAdd WholeOp = iota
	WholeSub
	WholeMul
	WholeMin
	WholeMax
	WholeAnd
	WholeOr
	WholeXor
	WholeLeft
	WholeRight
	WholeDiv // toward zero; a divisor of 0 panics
	WholeRem // of such a quotient
	WholeMod // of a quotient that is rounded down
	Both
	Either
	OneOf
	numWhole
)

// A Relation is what a comparison asks of x and y. With NaN only Unequal holds.
type Relation uint8

// The relations.
const (
	Equal Relation = iota
	Unequal
	Greater
	AtLeast
	numRelations
)

// These number the types of [Number].
const (
	atU8 = iota
	atS8
	atU16
	atS16
	atU32
	atS32
	atU64
	atS64
	atF32
	atF64
	numElems
)

// elem is the number of a type.
func elem[T Number]() int {
	var z T
	switch any(z).(type) {
	case uint8:
		return atU8
	case int8:
		return atS8
	case uint16:
		return atU16
	case int16:
		return atS16
	case uint32:
		return atU32
	case int32:
		return atS32
	case uint64:
		return atU64
	case int64:
		return atS64
	case float32:
		return atF32
	}
	return atF64
}

// pairFn is an assembly body for n pairs; an operand whose step is 0 is one element.
type pairFn func(dst, x, y unsafe.Pointer, n, sx, sy int)

// Whole computes pairs. An operand of one element stands for as many as dst has. dst may be x or y.
func Whole[T WholeNumber](l Level, op WholeOp, dst, x, y []T) {
	runPairs(l, wholeAsm[op][elem[T]()], dst, x, y, func(dst, x, y []T) { wholeRef(op, dst, x, y) })
}

// Compare writes 1 where x and y have the relation, else 0. An operand of one element stands for as many as dst has. dst may
// be x or y.
func Compare[T Number](l Level, r Relation, dst []uint8, x, y []T) {
	runPairs(l, compareAsm[r][elem[T]()], dst, x, y, func(dst []uint8, x, y []T) { compareRef(r, dst, x, y) })
}

// runPairs gives ref what the assembly leaves: the last elements, unless these can be computed again.
func runPairs[D, T Number](l Level, asm variants[pairFn], dst []D, x, y []T, ref func(dst []D, x, y []T)) {
	x, y = operand(x, 0, len(dst)), operand(y, 0, len(dst))
	f, whole := asm.part(l, len(dst))
	run := func(at, n int) {
		f(unsafe.Pointer(&dst[at]), first(x, at, n), first(y, at, n), n, vectorStep(x), vectorStep(y))
	}
	for at := 0; at < whole; at += callMax {
		run(at, min(callMax, whole-at))
	}
	rest := len(dst) - whole
	switch {
	case rest == 0:
	case whole > 0 && !sameStart(dst, x) && !sameStart(dst, y):
		unit := asm.unit(l)
		run(len(dst)-unit, unit)
	default:
		ref(dst[whole:], operand(x, whole, rest), operand(y, whole, rest))
	}
}

// operand is n elements of x from at on, or the one that stands for all.
func operand[T any](x []T, at, n int) []T {
	if len(x) == 1 {
		return x
	}
	return x[at : at+n]
}

func first[T any](x []T, at, n int) unsafe.Pointer { return unsafe.Pointer(&operand(x, at, n)[0]) }

func vectorStep[T any](x []T) int {
	if len(x) == 1 {
		return 0
	}
	return 32
}

func sameStart[D, T any](dst []D, x []T) bool {
	return unsafe.Pointer(&dst[0]) == unsafe.Pointer(&x[0])
}

// stepOf is how far apart the elements of an operand are.
func stepOf[T any](x []T) int { return min(1, len(x)-1) }

func wholeRef[T WholeNumber](op WholeOp, dst, x, y []T) {
	if (op == WholeLeft || op == WholeRight) && len(y) == 1 && len(x) == len(dst) {
		shiftRef(op, dst, x, uint64(y[0]))
		return
	}
	sx, sy := stepOf(x), stepOf(y)
	switch op {
	case WholeAdd:
		for i := range dst {
			dst[i] = x[i*sx] + y[i*sy]
		}
	case WholeSub:
		for i := range dst {
			dst[i] = x[i*sx] - y[i*sy]
		}
	case WholeMul:
		for i := range dst {
			dst[i] = x[i*sx] * y[i*sy]
		}
	case WholeMin:
		for i := range dst {
			dst[i] = min(x[i*sx], y[i*sy])
		}
	case WholeMax:
		for i := range dst {
			dst[i] = max(x[i*sx], y[i*sy])
		}
	case WholeAnd:
		for i := range dst {
			dst[i] = x[i*sx] & y[i*sy]
		}
	case WholeOr:
		for i := range dst {
			dst[i] = x[i*sx] | y[i*sy]
		}
	case WholeXor:
		for i := range dst {
			dst[i] = x[i*sx] ^ y[i*sy]
		}
	case WholeLeft:
		for i := range dst {
			dst[i] = x[i*sx] << uint64(y[i*sy])
		}
	case WholeRight:
		for i := range dst {
			dst[i] = x[i*sx] >> uint64(y[i*sy])
		}
	case WholeDiv:
		for i := range dst {
			dst[i] = x[i*sx] / y[i*sy]
		}
	case WholeRem:
		for i := range dst {
			dst[i] = x[i*sx] % y[i*sy]
		}
	case WholeMod:
		for i := range dst {
			v := y[i*sy]
			r := x[i*sx] % v
			if r != 0 && (r < 0) != (v < 0) {
				r += v
			}
			dst[i] = r
		}
	case Both:
		for i := range dst {
			dst[i] = min(x[i*sx], y[i*sy], 1)
		}
	case Either:
		for i := range dst {
			dst[i] = min(x[i*sx]|y[i*sy], 1)
		}
	case OneOf:
		for i := range dst {
			dst[i] = min(x[i*sx], 1) ^ min(y[i*sy], 1)
		}
	}
}

// shiftRef shifts all by as much.
func shiftRef[T WholeNumber](op WholeOp, dst, x []T, by uint64) {
	if op == WholeLeft {
		for i, v := range x {
			dst[i] = v << by
		}
		return
	}
	for i, v := range x {
		dst[i] = v >> by
	}
}

func compareRef[T Number](r Relation, dst []uint8, x, y []T) {
	sx, sy := stepOf(x), stepOf(y)
	switch r {
	case Equal:
		for i := range dst {
			dst[i] = truth(x[i*sx] == y[i*sy])
		}
	case Unequal:
		for i := range dst {
			dst[i] = truth(x[i*sx] != y[i*sy])
		}
	case Greater:
		for i := range dst {
			dst[i] = truth(x[i*sx] > y[i*sy])
		}
	case AtLeast:
		for i := range dst {
			dst[i] = truth(x[i*sx] >= y[i*sy])
		}
	}
}

func truth(is bool) uint8 {
	if is {
		return 1
	}
	return 0
}
