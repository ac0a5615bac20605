package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// anyNumbers are n numbers of any bits, many of which are equal, small or at an end of their type.
func anyNumbers[T Number](r *rand.Rand, n, off int) []T {
	s := newGuard[T](n, off, 0).slice()
	raw := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(s))), n*int(unsafe.Sizeof(*new(T))))
	size := int(unsafe.Sizeof(*new(T)))
	for i := range raw {
		switch kind := i / size % 5; {
		case kind < 2:
			raw[i] = byte(r.Uint32())
		case kind == 2:
			raw[i] = byte(-(r.Uint32() & 1))
		case kind == 3 && i%size == 0, kind == 4 && i%size == size-1:
			raw[i] = byte(r.Uint32())
		}
	}
	for i := range s {
		if i%7 == 3 {
			s[i] = T(r.IntN(100))
		}
		if f, ok := any(&s[i]).(*float64); ok && i%7 == 4 {
			*f = 100 * r.NormFloat64()
		} else if f, ok := any(&s[i]).(*float32); ok && i%7 == 4 {
			*f = 100 * float32(r.NormFloat64())
		}
	}
	return s
}

// operands pairs rows, and rows with one element on either side.
func operands[T Number](x, y []T) [][2][]T {
	if len(x) == 0 {
		return [][2][]T{{x, y}}
	}
	return [][2][]T{{x, y}, {x[:1], y}, {x, y[len(y)-1:]}}
}

func testWhole[T WholeNumber](t *testing.T) {
	eachCase(t, func(l Level, r *rand.Rand, n, off int) {
		x, y := anyNumbers[T](r, n, off), anyNumbers[T](r, n, 1)
		for op := range numWhole {
			if op >= WholeDiv && op <= WholeMod {
				for i := range y {
					if y[i] == 0 {
						y[i]--
					}
				}
			}
			for form, o := range operands(x, y) {
				got, want := newGuard[T](n, off+1, 77), make([]T, n)
				Whole(l, op, got.slice(), o[0], o[1])
				Whole(Generic, op, want, o[0], o[1])
				what := fmt.Sprintf("%s %T %d form %d", l, *new(T), op, form)
				equal(t, what, got.slice(), want)
				got.check(t, what)
				if len(o[0]) == n && n > 1 {
					copy(got.slice(), x)
					Whole(l, op, got.slice(), got.slice(), o[1])
					equal(t, what+" in place", got.slice(), want)
				}
			}
		}
	})
}

func testCompare[T Number](t *testing.T) {
	eachCase(t, func(l Level, r *rand.Rand, n, off int) {
		x, y := anyNumbers[T](r, n, off), anyNumbers[T](r, n, 1)
		for i := range y {
			if r.IntN(3) == 0 {
				y[i] = x[i]
			}
		}
		for rel := range numRelations {
			for form, o := range operands(x, y) {
				got, want := newGuard[uint8](n, off, 77), make([]uint8, n)
				Compare(l, rel, got.slice(), o[0], o[1])
				Compare(Generic, rel, want, o[0], o[1])
				what := fmt.Sprintf("%s %T %d form %d", l, *new(T), rel, form)
				equal(t, what, got.slice(), want)
				got.check(t, what)
			}
		}
	})
}

// end64 stands in for what numbers beyond int32 become.
func end64(v float64) int64 { return int64(math.Float64bits(v)) }

func testConvert[S, D Number](t *testing.T) {
	eachCase(t, func(l Level, r *rand.Rand, n, off int) {
		x := anyNumbers[S](r, n, off)
		if r.IntN(2) == 0 {
			for i := range x { // fits in all types
				x[i] = S(r.IntN(100))
			}
		}
		got, want := newGuard[D](n, off+1, 77), make([]D, n)
		Convert(l, got.slice(), x, end64)
		Convert(Generic, want, x, end64)
		what := fmt.Sprintf("%s %T to %T", l, *new(S), *new(D))
		for i, w := range want {
			if w == w || got.slice()[i] == got.slice()[i] {
				equal(t, what, got.slice()[i:i+1], want[i:i+1])
			}
		}
		got.check(t, what)
	})
}

func testConverts[S Number](t *testing.T) {
	testConvert[S, uint8](t)
	testConvert[S, int8](t)
	testConvert[S, uint16](t)
	testConvert[S, int16](t)
	testConvert[S, uint32](t)
	testConvert[S, int32](t)
	testConvert[S, uint64](t)
	testConvert[S, int64](t)
	testConvert[S, float32](t)
	testConvert[S, float64](t)
}

func testOnes[D Number](t *testing.T) {
	eachCase(t, func(l Level, r *rand.Rand, n, off int) {
		x := anyNumbers[uint8](r, n, off)
		got, want := newGuard[D](n, off+1, 77), make([]D, n)
		Ones(l, got.slice(), x)
		Ones(Generic, want, x)
		what := fmt.Sprintf("%s ones %T", l, *new(D))
		equal(t, what, got.slice(), want)
		got.check(t, what)
	})
}

func TestWhole(t *testing.T) {
	testWhole[uint8](t)
	testWhole[int8](t)
	testWhole[uint16](t)
	testWhole[int16](t)
	testWhole[uint32](t)
	testWhole[int32](t)
	testWhole[uint64](t)
	testWhole[int64](t)
}

func TestCompare(t *testing.T) {
	testCompare[uint8](t)
	testCompare[int8](t)
	testCompare[uint16](t)
	testCompare[int16](t)
	testCompare[uint32](t)
	testCompare[int32](t)
	testCompare[uint64](t)
	testCompare[int64](t)
	testCompare[float32](t)
	testCompare[float64](t)
}

func TestConvert(t *testing.T) {
	testConverts[uint8](t)
	testConverts[int8](t)
	testConverts[uint16](t)
	testConverts[int16](t)
	testConverts[uint32](t)
	testConverts[int32](t)
	testConverts[uint64](t)
	testConverts[int64](t)
	testConverts[float32](t)
	testConverts[float64](t)
	testOnes[uint8](t)
	testOnes[int16](t)
	testOnes[uint32](t)
	testOnes[int64](t)
	testOnes[float32](t)
	testOnes[float64](t)
}

// TestWholeMeaning holds the ends against what ONNX asks for.
func TestWholeMeaning(t *testing.T) {
	for _, l := range Levels() {
		for _, c := range []struct {
			op         WholeOp
			x, y, want int32
		}{
			{WholeDiv, math.MinInt32, -1, math.MinInt32}, {WholeRem, math.MinInt32, -1, 0}, {WholeMod, math.MinInt32, -1, 0},
			{WholeDiv, -7, 2, -3}, {WholeRem, -7, 2, -1}, {WholeMod, -7, 2, 1}, {WholeMod, 7, -2, -1},
			{WholeDiv, math.MaxInt32, math.MaxInt32, 1}, {WholeDiv, math.MaxInt32 - 1, math.MaxInt32, 0}, {WholeDiv, math.MinInt32, math.MaxInt32, -1},
			{WholeLeft, 1, 32, 0}, {WholeLeft, 1, -1, 0}, {WholeRight, -8, 40, -1}, {WholeMul, 1 << 20, 1 << 12, 0},
		} {
			x, y, got := make([]int32, 8), make([]int32, 8), make([]int32, 8)
			for i := range x {
				x[i], y[i] = c.x, c.y
			}
			Whole(l, c.op, got, x, y)
			for _, v := range got {
				if v != c.want {
					t.Errorf("%s: operation %d of %d and %d is %d, not %d", l, c.op, c.x, c.y, v, c.want)
				}
			}
		}
	}
}
