package op

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// microsofts is node for an operator of ONNX Runtime's.
func microsofts(op string, in int, attrs ...any) *graph.Node {
	n := node(op, in, 1, attrs...)
	n.Domain = microsoft
	return n
}

// randomBytes are codes of a byte.
func randomBytes(r *rand.Rand, d tensor.DType, shape ...int) *tensor.Tensor {
	t := tensor.New(d, shape...)
	for i := range t.Raw {
		t.Raw[i] = byte(r.Uint32())
	}
	return t
}

// TestChannelsLast holds operators on images whose channels are last against those on images whose channels are first.
func TestChannelsLast(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	u8 := func(v float64) *tensor.Tensor { return of(tensor.Uint8, nil, v) }
	scale := func(v float64) *tensor.Tensor { return of(tensor.Float32, nil, v) }
	weight := []*tensor.Tensor{randomBytes(r, tensor.Int8, 5, 3, 3, 2), list(tensor.Float32, .01, .02, .03, .04, .05), tensor.New(tensor.Int8, 5)}
	out := []*tensor.Tensor{scale(0.5), u8(90)}
	for _, c := range []struct {
		last, first *graph.Node
		rest        []*tensor.Tensor
	}{
		{microsofts("QLinearConv", 8, "pads", i64s(1, 0, 1, 1), "strides", i64s(2, 1)), node("QLinearConv", 8, 1, "pads", i64s(1, 0, 1, 1), "strides", i64s(2, 1)),
			slices.Concat(ins(scale(0.02), u8(110)), weight, out)},
		{microsofts("NhwcMaxPool", 1, "kernel_shape", i64s(3, 2), "ceil_mode", int64(1)), node("MaxPool", 1, 1, "kernel_shape", i64s(3, 2), "ceil_mode", int64(1)), nil},
		{microsofts("QLinearAveragePool", 5, "kernel_shape", i64s(2, 2)), microsofts("QLinearAveragePool", 5, "kernel_shape", i64s(2, 2)), slices.Concat(ins(scale(0.02), u8(110)), out)},
	} {
		x := randomBytes(r, tensor.Uint8, 2, 6, 7, 3)
		turned, err := moveAxis(x, 3, 1)
		if err != nil {
			t.Fatal(err)
		}
		if c.last.Op != "NhwcMaxPool" {
			c.last.SetAttr("channels_last", int64(1))
		}
		got := run(t, c.last, append(ins(x), c.rest...)...)[0]
		want, err := moveAxis(run(t, c.first, append(ins(turned), c.rest...)...)[0], 1, 3)
		if err != nil || got.String() != want.String() || !slices.Equal(got.Raw, want.Raw) {
			t.Errorf("%s: %s, want %s, %v", c.last.Op, got, want, err)
		}
	}
}

// TestQLinearWhere takes codes of both sides to the scale of the result.
func TestQLinearWhere(t *testing.T) {
	f := func(v float64) *tensor.Tensor { return of(tensor.Float32, nil, v) }
	z := func(v float64) *tensor.Tensor { return of(tensor.Int8, nil, v) }
	got := run(t, microsofts("QLinearWhere", 9), of(tensor.Bool, dims(2, 1), 1, 0), list(tensor.Int8, 3, -5, 127), f(0.5), z(1), z(10), f(0.25), z(2), f(0.125), z(-3))[0]
	want := of(tensor.Int8, dims(2, 3), 5, -27, 127, 13, 13, 13)
	if got.String() != want.String() || !slices.Equal(got.Raw, want.Raw) {
		t.Errorf("%s of %v, want %v", got, got.Raw, want.Raw)
	}
}

// TestGatherBlockQuantized holds it against Gather of what all codes stand for.
func TestGatherBlockQuantized(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		d            tensor.DType
		bits         int
		shape        []int // in codes
		gather, axis int
		block        int
		zero         bool
	}{
		{tensor.Uint8, 4, dims(7, 80), 0, 1, 16, true}, {tensor.Uint8, 4, dims(7, 80), 0, 1, 16, false}, {tensor.Uint8, 2, dims(5, 3, 64), 0, 2, 32, true},
		{tensor.Uint8, 8, dims(6, 40), 0, 1, 16, true}, {tensor.Uint8, 8, dims(6, 40), 0, 1, 16, false}, {tensor.Uint8, 4, dims(4, 40, 6), 0, 1, 16, true},
		{tensor.Int4, 4, dims(6, 33), 0, 1, 16, true}, {tensor.Uint4, 4, dims(35, 3, 2), 0, 0, 16, true}, {tensor.Uint4, 4, dims(35, 3, 5), 2, 0, 16, false},
		{tensor.Float8E4M3FN, 8, dims(6, 40), 0, 1, 16, false}, {tensor.Float8E4M3FN, 8, dims(6, 40), 0, 1, 0, false}, {tensor.Float4E2M1, 4, dims(6, 40), 1, 1, 32, false},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			codes := func(shape []int, bytes bool) (stored, real *tensor.Tensor) {
				list := make([]byte, tensor.Elements(shape))
				for i := range list {
					list[i] = byte(r.IntN(1 << c.bits))
					if c.d == tensor.Float8E4M3FN && list[i]&127 == 127 {
						list[i] = 0
					}
				}
				d := map[int]tensor.DType{2: tensor.Uint2, 4: tensor.Uint4, 8: tensor.Uint8}[c.bits]
				if !bytes {
					d = c.d
				}
				real = tensor.Pack(d, list, shape...)
				if stored = real; bytes {
					stored = packedRows(d, list, shape)
				}
				return stored, real
			}
			bytes := c.d == tensor.Uint8
			data, realData := codes(c.shape, bytes)
			blocks, block := slices.Clone(c.shape), c.block
			if block == 0 {
				block = c.shape[c.axis]
			}
			blocks[c.axis] = (c.shape[c.axis] + block - 1) / block
			scales := tensor.New(tensor.Float32, blocks...)
			for i := range tensor.Of[float32](scales) {
				tensor.Of[float32](scales)[i] = 0.5 + r.Float32()
			}
			zero, realZero := codes(blocks, bytes)
			n := c.shape[c.gather]
			at := of(tensor.Int64, dims(2, 3), 0, float64(n-1), -1, float64(-n), float64(n), float64(-n-1))
			in := ins(data, at, scales)
			if c.zero {
				in = append(in, zero)
			}
			got := run(t, microsofts("GatherBlockQuantized", len(in), "bits", int64(c.bits), "gather_axis", int64(c.gather), "quantize_axis", int64(c.axis), "block_size", int64(c.block)), in...)[0]

			x, _ := floats(realData)
			z, _ := floats(realZero)
			y := slices.Clone(x)
			eachIndex(c.shape, [][]int{strides(c.shape)}, func(i int, _ []int) {
				p := unravel(i, c.shape)
				p[c.axis] /= block
				b := 0
				for k, s := range strides(blocks) {
					b += p[k] * s
				}
				switch {
				case c.zero:
					y[i] -= z[b]
				case bytes:
					y[i] -= float64(int(1) << (c.bits - 1))
				}
				y[i] *= float64(tensor.Of[float32](scales)[b])
			})
			inside := of(tensor.Int64, dims(2, 3), 0, float64(n-1), -1, float64(-n), 0, 0)
			want := run(t, node("Gather", 2, 1, "axis", int64(c.gather)), of(tensor.Float32, c.shape, y...), inside)[0]
			inner := tensor.Elements(c.shape[c.gather+1:])
			for i := range tensor.Of[float32](want) {
				if i/inner%6 >= 4 {
					tensor.Of[float32](want)[i] = 0
				}
			}
			if got.String() != want.String() || !slices.Equal(tensor.Of[float32](got), tensor.Of[float32](want)) {
				t.Errorf("%s is not %s", got, want)
			}
		})
	}
}

// packedRows are codes as bytes, of which each row takes whole ones.
func packedRows(d tensor.DType, list []byte, shape []int) *tensor.Tensor {
	last, per := len(shape)-1, 8/d.Bits()
	row := shape[last]
	to := slices.Clone(shape)
	to[last] = (row + per - 1) / per
	var raw []byte
	for ; len(list) > 0; list = list[row:] {
		raw = append(raw, tensor.Pack(d, list[:row], row).Raw...)
	}
	return tensor.Wrap(tensor.Uint8, raw, to...)
}

// TestNBitsGroups gives each row of a weight the block that it has anyway, which changes nothing.
func TestNBitsGroups(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, bits := range []int{2, 4, 8} {
		const k, n, block = 80, 3, 16
		a, b, s := of(tensor.Float32, dims(1, k), make([]float64, k)...), randomBytes(r, tensor.Uint8, n, k/block, block*bits/8), tensor.New(tensor.Float32, n, k/block)
		for _, x := range ins(a, s) {
			for i := range tensor.Of[float32](x) {
				tensor.Of[float32](x)[i] = r.Float32()
			}
		}
		zero := randomBytes(r, tensor.Uint8, n, (k/block*bits+7)/8)
		groups := tensor.New(tensor.Int32, k)
		for i := range tensor.Of[int32](groups) {
			tensor.Of[int32](groups)[i] = int32(i / block)
		}
		attrs := []any{"K", int64(k), "N", int64(n), "bits", int64(bits), "block_size", int64(block)}
		with := run(t, microsofts("MatMulNBits", 5, attrs...), a, b, s, zero, groups)[0]
		without := run(t, microsofts("MatMulNBits", 4, attrs...), a, b, s, zero)[0]
		if !slices.Equal(with.Raw, without.Raw) {
			t.Errorf("%d bits: %v, not %v", bits, with.Raw, without.Raw)
		}
	}
}
