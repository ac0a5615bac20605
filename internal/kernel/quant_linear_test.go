package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
)

func equal[T comparable](t testing.TB, what string, got, want []T) {
	t.Helper()
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("%s: [%d] of %d = %v, want %v", what, i, len(want), got[i], want[i])
		}
	}
}

// TestQuantizeMeaning holds a few codes against the standard: half to even, then the zero point,
// then saturation; NaN as ONNX Runtime has it.
func TestQuantizeMeaning(t *testing.T) {
	x := []float32{0.5, 1.5, 2.5, -0.5, -1.5, 300, -300, float32(math.Inf(1)), float32(math.Inf(-1)), float32(math.NaN()), 1e30}
	for _, l := range Levels() {
		u, s := make([]uint8, len(x)), make([]int8, len(x))
		l.QuantizeU8(u, x, 1, 128)
		equal(t, l.String()+" u8", u, []uint8{128, 130, 130, 128, 126, 255, 0, 255, 0, 0, 255})
		l.QuantizeS8(s, x, 0.5, -3)
		equal(t, l.String()+" s8", s, []int8{-2, 0, 2, -4, -6, 127, -128, 127, -128, -128, 127})
		u16, s16 := make([]uint16, len(x)), make([]int16, len(x))
		l.QuantizeU16(u16, x, 0.001, 1000)
		equal(t, l.String()+" u16", u16, []uint16{1500, 2500, 3500, 500, 0, 65535, 0, 65535, 0, 0, 65535})
		l.QuantizeS16(s16, x, 0.001, 0)
		equal(t, l.String()+" s16", s16, []int16{500, 1500, 2500, -500, -1500, 32767, -32768, 32767, -32768, -32768, 32767})
	}
}

// testLinear compares both directions of one code type with Go, with one scale and with many.
func testLinear[T code](t *testing.T, r *rand.Rand, l Level, n, off int, quant func(l Level, dst []T, x []float32, s float32, z T), dequant func(l Level, dst []float32, x []T, s float32, z T)) {
	x := newFloats(r, n, off)
	scale, zero := float32(math.Exp2(r.Float64()*12-9)), T(r.IntN(256))
	got, want := newGuard[T](n, off, 77), make([]T, n)
	what := fmt.Sprintf("%s quantize %T n=%d scale=%g", l, zero, n, scale)
	quant(l, got.slice(), x, scale, zero)
	quant(Generic, want, x, scale, zero)
	equal(t, what, got.slice(), want)
	got.check(t, what)
	for i := range want {
		want[i] = T(r.Uint32())
	}
	back, wantBack := newGuard[float32](n, off, mark), make([]float32, n)
	dequant(l, back.slice(), want, scale, zero)
	dequant(Generic, wantBack, want, scale, zero)
	equalFloats(t, "back: "+what, back.slice(), wantBack)
	back.check(t, what)
}

func TestLinear(t *testing.T) {
	eachCase(t, func(l Level, r *rand.Rand, n, off int) {
		testLinear(t, r, l, n, off, Level.QuantizeU8, Level.DequantizeU8)
		testLinear(t, r, l, n, off, Level.QuantizeS8, Level.DequantizeS8)
		testLinear(t, r, l, n, off, Level.QuantizeU16, Level.DequantizeU16)
		testLinear(t, r, l, n, off, Level.QuantizeS16, Level.DequantizeS16)
	})
}

func TestLinearRows(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for _, l := range Levels() {
		for _, cols := range []int{1, 3, 24, 100, 256, 257, 900} {
			for _, rows := range []int{1, 4, 30} {
				testLinearRows(t, r, l, rows, cols, Level.QuantizeU8Rows, Level.DequantizeU8Rows)
				testLinearRows(t, r, l, rows, cols, Level.QuantizeS8Rows, Level.DequantizeS8Rows)
				testLinearRows(t, r, l, rows, cols, Level.QuantizeU16Rows, Level.DequantizeU16Rows)
				testLinearRows(t, r, l, rows, cols, Level.QuantizeS16Rows, Level.DequantizeS16Rows)
			}
		}
	}
}

// testLinearRows has zero points, and none.
func testLinearRows[T code](t *testing.T, r *rand.Rand, l Level, rows, cols int, quantize func(l Level, dst []T, x, scale []float32, zero []T), dequantize func(l Level, dst []float32, x []T, scale []float32, zero []T)) {
	t.Helper()
	n := rows * cols
	lo, hi := limits[T]()
	x, scale, zero := newFloats(r, n, 1), make([]float32, cols), make([]T, cols)
	for c := range scale {
		scale[c], zero[c] = (r.Float32()+0.01)*256/float32(hi-lo), T(r.Uint32())
	}
	for _, zeros := range [][]T{zero, nil} {
		what := fmt.Sprintf("%s %T %dx%d", l, zero, rows, cols)
		codes, floats := make([]T, n), make([]float32, n)
		for i := range n {
			c, z := i%cols, int32(0)
			if zeros != nil {
				z = int32(zeros[c])
			}
			codes[i] = T(quantOne(x[i], scale[c], z, lo, hi))
			floats[i] = float32(int32(codes[i])-z) * scale[c]
		}
		got, back := newGuard[T](n, 1, 7), newGuard[float32](n, 1, mark)
		quantize(l, got.slice(), x, scale, zeros)
		equal(t, what, got.slice(), codes)
		got.check(t, what)
		dequantize(l, back.slice(), codes, scale, zeros)
		equalFloats(t, what, back.slice(), floats)
		back.check(t, what)
	}
}

// TestDynamicQuantize has the example of the ONNX standard.
func TestDynamicQuantize(t *testing.T) {
	for _, c := range []struct {
		x     []float32
		scale float32
		zero  uint8
		want  []uint8
	}{
		{[]float32{0, 2, -3, -2.5, 1.34, 0.5}, 0.019607844, 153, []uint8{153, 255, 0, 26, 221, 179}},
		{[]float32{-1, -2.1, -1.3, -2.5, -3.34, -4}, 0.015686275, 255, []uint8{191, 121, 172, 96, 42, 0}},
		{[]float32{1, 2.1, 1.3, 2.5}, 2.5 / 255, 0, []uint8{102, 214, 133, 255}},
		{[]float32{0, 0}, 1, 0, []uint8{0, 0}},
	} {
		for _, l := range Levels() {
			got := make([]uint8, len(c.x))
			scale, zero := l.DynamicQuantizeU8(got, c.x)
			if scale != c.scale || zero != c.zero {
				t.Errorf("%s: %v: scale %v zero %d, want %v and %d", l, c.x, scale, zero, c.scale, c.zero)
			}
			equal(t, l.String(), got, c.want)
		}
	}
}

func TestQBinary(t *testing.T) {
	eachCase(t, func(l Level, r *rand.Rand, n, off int) {
		u := &QBinary{XScale: 0.021, YScale: 0.034, OutScale: 0.047, XZero: 120, YZero: 7, OutZero: 99, Lo: 0, Hi: 255}
		clamped := &QBinary{XScale: 0.02, YScale: 0.04, OutScale: 0.04, XZero: 124, YZero: 7, OutZero: 9, Lo: 9, Hi: 100}
		x, y := bytesOf[uint8](r, n, off), bytesOf[uint8](r, n, 1)
		testQBinary(t, l, Level.QAddU8, u, x, y, off)
		testQBinary(t, l, Level.QMulU8, u, x, y, off)
		testQBinary(t, l, Level.QAddU8, clamped, x, y, off)
		testQBinary(t, l, Level.QMulU8, clamped, x, y, off)
	})
}

func bytesOf[T uint8 | int8](r *rand.Rand, n, off int) []T {
	s := newGuard[T](n, off, 0).slice()
	for i := range s {
		s[i] = T(r.Uint32())
	}
	return s
}

func testQBinary(t *testing.T, l Level, f func(l Level, q *QBinary, dst, x, y []uint8), q *QBinary, x, y []uint8, off int) {
	t.Helper()
	got, want := newGuard[uint8](len(x), off, 77), make([]uint8, len(x))
	f(l, q, got.slice(), x, y)
	f(Generic, q, want, x, y)
	equal(t, l.String(), got.slice(), want)
	got.check(t, l.String())
}

// TestQBinaryMeaning holds QAdd and QMul against decode, float32 operation, encode.
func TestQBinaryMeaning(t *testing.T) {
	q := &QBinary{XScale: 0.5, YScale: 0.25, OutScale: 0.5, XZero: 10, YZero: 20, OutZero: 30, Lo: 0, Hi: 255}
	x, y := make([]uint8, 65536), make([]uint8, 65536)
	for i := range x {
		x[i], y[i] = uint8(i), uint8(i>>8)
	}
	fx, fy, want, got := make([]float32, len(x)), make([]float32, len(x)), make([]uint8, len(x)), make([]uint8, len(x))
	for _, l := range Levels() {
		l.DequantizeU8(fx, x, q.XScale, 10)
		l.DequantizeU8(fy, y, q.YScale, 20)
		l.Binary(Mul, fy, fx, fy)
		l.QuantizeU8(want, fy, q.OutScale, 30)
		l.QMulU8(q, got, x, y)
		equal(t, l.String()+" mul", got, want)
		l.DequantizeU8(fy, y, q.YScale, 20)
		l.Binary(Add, fx, fx, fy)
		l.QuantizeU8(want, fx, q.OutScale, 30)
		l.QAddU8(q, got, x, y)
		equal(t, l.String()+" add", got, want)
		v := y[:768]
		l.QAddRowsU8(q, got, x[:768*80], v)
		for i := range 768 * 80 {
			Generic.QAddU8(q, want[i:i+1], x[i:i+1], v[i%768:][:1])
		}
		equal(t, l.String()+" rows", got[:768*80], want[:768*80])
	}
}

// TestHalf visits all halves, and float32 values around each of them.
func TestHalf(t *testing.T) {
	all := make([]uint16, 65536)
	for i := range all {
		all[i] = uint16(i)
	}
	for _, l := range Levels() {
		f, want := make([]float32, len(all)), make([]float32, len(all))
		l.DecodeF16(f, all)
		Generic.DecodeF16(want, all)
		equalFloats(t, l.String()+" DecodeF16", f, want)
		l.DecodeBF16(f, all)
		Generic.DecodeBF16(want, all)
		equalFloats(t, l.String()+" DecodeBF16", f, want)
	}
	for h, v := range map[uint16]float32{0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 1: 5.9604645e-8, 0x3ff: 6.097555e-5, 0x400: 6.1035156e-5, 0x3555: 0.33325195} {
		if got := decodeF16(h); got != v {
			t.Errorf("decodeF16(%#x) = %g, want %g", h, got, v)
		}
	}
}

func TestEncodeHalf(t *testing.T) {
	eachCase(t, func(l Level, r *rand.Rand, n, off int) {
		x := newFloats(r, n, off)
		for i := range x {
			if r.IntN(2) == 0 { // near a half, or near the middle of two
				x[i] = math.Float32frombits(math.Float32bits(decodeF16(uint16(r.Uint32()))) + uint32(r.IntN(3)-1) + uint32(r.IntN(2))<<12)
			}
		}
		got, want := newGuard[uint16](n, off, 77), make([]uint16, n)
		l.EncodeF16(got.slice(), x)
		Generic.EncodeF16(want, x)
		equal(t, l.String()+" EncodeF16", got.slice(), want)
		l.EncodeBF16(got.slice(), x)
		Generic.EncodeBF16(want, x)
		equal(t, l.String()+" EncodeBF16", got.slice(), want)
		got.check(t, "EncodeBF16")
	})
	for _, c := range []struct {
		x       float32
		f16, bf uint16
	}{{1, 0x3c00, 0x3f80}, {65504, 0x7bff, 0x4780}, {65519.996, 0x7bff, 0x4780}, {65520, 0x7c00, 0x4780}, {-1e30, 0xfc00, 0xf14a}, {2.9802322e-8, 0, 0x3300},
		{2.9802326e-8, 1, 0x3300}, {1.00390625, 0x3c04, 0x3f80}, {1.01171875, 0x3c0c, 0x3f82}, {float32(math.Inf(1)), 0x7c00, 0x7f80}, {math.MaxFloat32, 0x7c00, 0x7f80}} {
		if got := encodeF16(c.x); got != c.f16 {
			t.Errorf("encodeF16(%g) = %#x, want %#x", c.x, got, c.f16)
		}
		if got := encodeBF16(c.x); got != c.bf {
			t.Errorf("encodeBF16(%g) = %#x, want %#x", c.x, got, c.bf)
		}
	}
}

// TestHalfRoundTrip: encoding a half's value gives the half back.
func TestHalfRoundTrip(t *testing.T) {
	for i := range 65536 {
		h := uint16(i)
		if f := decodeF16(h); f == f && encodeF16(f) != h {
			t.Fatalf("f16 %#x → %g → %#x", h, f, encodeF16(f))
		}
		if f := decodeBF16(h); f == f && encodeBF16(f) != h {
			t.Fatalf("bf16 %#x → %g → %#x", h, f, encodeBF16(f))
		}
	}
}
