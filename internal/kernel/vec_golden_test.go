package kernel

import (
	"hash"
	"hash/fnv"
	"math"
	"testing"
)

// goldenUnary are hashes of the results of each operation: they hold on every architecture, and would
// change if a compiler contracted a product and a sum.
var goldenUnary = [numUnary]uint32{
	Relu:        0xce0a696e,
	Neg:         0x6aa52cfe,
	Abs:         0x76053bfe,
	Square:      0x6e4c5fd5,
	Sqrt:        0x75be126e,
	Reciprocal:  0xe0ae7b6c,
	Floor:       0x55d09fc9,
	Ceil:        0x8fdad434,
	Round:       0xf0b35283,
	Exp:         0x1e83bf67,
	Log:         0xf7de64e4,
	Tanh:        0xbef51af7,
	Erf:         0x46d231ba,
	Sigmoid:     0x5963d15c,
	Gelu:        0x80a65ee8,
	GeluTanh:    0x4b364be7,
	Silu:        0xc12c2fae,
	HardSwish:   0xfa4d08f6,
	Softplus:    0x8c3498b1,
	Softsign:    0x3f52e890,
	Mish:        0x7c0b6159,
	Sin:         0x1b8f781d,
	Cos:         0xb4d9ad82,
	Tan:         0x3f7b4493,
	Asin:        0xe7215dc4,
	Acos:        0x064d84b5,
	Atan:        0xaff7f4cb,
	Sinh:        0x9f7bd6c5,
	Cosh:        0xd277c8d3,
	Asinh:       0x6398b350,
	Acosh:       0xd2be498e,
	Atanh:       0xfe80dbdf,
	Clamp:       0x64a2dd14,
	Elu:         0x173af054,
	Celu:        0x2a55100c,
	Threshold:   0xb5a1eb1b,
	Shrink:      0x6023ceea,
	HardSigmoid: 0x8377692d,
	SubTwo:      0x6f98cea5,
	ScaleShift:  0x89064edb,
}

func TestGoldenUnary(t *testing.T) {
	var x, y [4096]float32
	for op := range numUnary {
		h := fnv.New32a()
		for b := uint64(0); b < 1<<32; {
			for i := range x {
				x[i] = math.Float32frombits(uint32(b))
				b += 100003
			}
			Generic.UnaryWith(op, y[:], x[:], -0.5, 2.25)
			hashFloats(h, y[:])
		}
		if got := h.Sum32(); got != goldenUnary[op] {
			t.Errorf("%s: hash %#08x, want %#08x", op, got, goldenUnary[op])
		}
	}
}

func hashFloats(h hash.Hash32, x []float32) {
	for _, v := range x {
		u := math.Float32bits(v)
		if v != v {
			u = 0x7fc00000
		}
		h.Write([]byte{byte(u), byte(u >> 8), byte(u >> 16), byte(u >> 24)})
	}
}

// TestGoldenRows does the same for reductions and what is made of them, on rows of 203 numbers.
func TestGoldenRows(t *testing.T) {
	const rows, cols = 7, 203
	x, seed := make([]float32, rows*cols), uint32(1)
	for i := range x {
		seed = seed*1664525 + 1013904223
		x[i] = float32(int32(seed)>>8) * (1.0 / (1 << 20))
	}
	y, sums := make([]float32, len(x)), make([]float32, rows)
	gamma, beta := x[cols:2*cols], x[2*cols:3*cols]
	for _, c := range []struct {
		name string
		want uint32
		run  func() []float32
	}{
		{"sum", 0x139a64dc, func() []float32 { Generic.ReduceRows(ReduceSum, sums, x); return sums }},
		{"sum of squares", 0x1df052ad, func() []float32 { Generic.ReduceRows(ReduceSumSquare, sums, x); return sums }},
		{"deviation", 0x8b444965, func() []float32 { sums[0] = Generic.Reduce(ReduceDeviation, x, 0.3); return sums[:1] }},
		{"softmax", 0x6d6c2557, func() []float32 { Generic.SoftmaxRows(y, x, cols); return y }},
		{"log softmax", 0x33e592e2, func() []float32 { Generic.LogSoftmaxRows(y, x, cols); return y }},
		{"layer norm", 0xc08d26d9, func() []float32 { Generic.LayerNormRows(y, x, gamma, beta, 1e-5); return y }},
		{"rms norm", 0x04e25007, func() []float32 { Generic.RMSNormRows(y, x, gamma, 1e-5); return y }},
		{"affine", 0xf9b5bb5b, func() []float32 { Generic.AffineRows(y, x, gamma, beta, -5, 5); return y }},
	} {
		h := fnv.New32a()
		if hashFloats(h, c.run()); h.Sum32() != c.want {
			t.Errorf("%s: hash %#08x, want %#08x", c.name, h.Sum32(), c.want)
		}
	}
}
