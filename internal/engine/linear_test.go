package engine

import (
	"fmt"
	"testing"

	"lowbit/internal/tensor"
)

// TestLinearGranularities quantizes and dequantizes codes of all types with one scale, with one for each position of any axis
// and for each block of one, constant and computed, with and without zero points.
func TestLinearGranularities(t *testing.T) {
	shape := []int{3, 10, 7, 9}
	for _, d := range []tensor.DType{tensor.Uint8, tensor.Int8, tensor.Uint16, tensor.Int16, tensor.Uint4, tensor.Int4, tensor.Uint2, tensor.Int2, tensor.Float8E4M3FN, tensor.Float8E5M2} {
		for _, c := range []struct {
			name  string
			scale []int
			attrs []any
		}{
			{"one", nil, nil},
			{"first", []int{3}, []any{"axis", int64(0)}},
			{"channels", []int{10}, nil},
			{"third", []int{7}, []any{"axis", int64(-2)}},
			{"last", []int{9}, []any{"axis", int64(3)}},
			{"blocks", []int{3, 10, 7, 3}, []any{"axis", int64(-1), "block_size", int64(4)}},
			{"blocks of channels", []int{3, 2, 7, 9}, []any{"axis", int64(1), "block_size", int64(5)}},
			{"one block", []int{1, 10, 7, 9}, []any{"axis", int64(0), "block_size", int64(20)}},
		} {
			for _, computed := range []bool{false, true} {
				if computed && d.IsFloat() {
					continue
				}
				t.Run(fmt.Sprint(d, c.name, computed), func(t *testing.T) {
					k := newMaker(7)
					k.m.Opsets[0].Version = 25
					k.linear(shape, c.scale, d, computed, c.attrs)
					wantKernels(t, k.checkExact(t))
				})
			}
		}
	}
}

// linear adds Q and DQ, with zero points and without.
func (k *maker) linear(shape, scales []int, d tensor.DType, computed bool, attrs []any) {
	add := k.constant
	if computed {
		add = k.input
	}
	scale := k.floats(scales...)
	for i, v := range tensor.Of[float32](scale) {
		tensor.Of[float32](scale)[i] = (0.3 + max(v, -v)) / float32(int(1)<<(d.Bits()/2))
	}
	bytes := make([]byte, scale.Len())
	zero := tensor.New(d, scales...)
	if !d.IsFloat() {
		for i := range bytes {
			bytes[i] = byte(k.rng.Uint32())
		}
		if d.Bits() < 8 {
			zero = tensor.Pack(d, bytes, scales...)
		} else {
			copy(zero.Raw, bytes)
		}
	}
	x := k.floats(shape...)
	if v := tensor.Of[float32](x); !d.IsFloat() {
		v[3], v[4], v[5] = inf, -inf, inf-inf
	}
	s := add(scale)
	for _, in := range [][]string{{k.input(x), s, add(zero)}, {k.input(x), s}} {
		q := append([]any{"output_dtype", int64(d)}, attrs...)
		codes := k.node("QuantizeLinear", in, q...)
		k.output(codes)
		k.output(k.node("DequantizeLinear", append([]string{codes}, in[1:]...), attrs...))
	}
}

// TestLinearPrecision leaves quotients in other precisions to the definition.
func TestLinearPrecision(t *testing.T) {
	for _, d := range []tensor.DType{tensor.Uint8, tensor.Int16, tensor.Int4} {
		k := newMaker(7)
		k.m.Opsets[0].Version = 25
		q := k.node("QuantizeLinear", []string{k.input(k.floats(40, 50)), k.scalar(0.0213), k.constant(tensor.New(d))}, "precision", int64(tensor.Float16))
		k.output(q)
		k.checkExact(t)
	}
}
