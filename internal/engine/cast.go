package engine

import "lowbit/internal/tensor"

// toFloats lists how elements of a type become float32.
var toFloats = map[tensor.DType]func(dst []float32, x *tensor.Tensor, from, to int){
	tensor.Bool: boolToFloat, tensor.Uint8: wholeToFloat[uint8], tensor.Int8: wholeToFloat[int8], tensor.Uint16: wholeToFloat[uint16],
	tensor.Int16: wholeToFloat[int16], tensor.Int32: wholeToFloat[int32], tensor.Int64: wholeToFloat[int64],
}

func wholeToFloat[T uint8 | int8 | uint16 | int16 | int32 | int64](dst []float32, x *tensor.Tensor, from, to int) {
	for i, v := range tensor.Of[T](x)[from:to] {
		dst[i] = float32(v)
	}
}

func boolToFloat(dst []float32, x *tensor.Tensor, from, to int) {
	for i, v := range tensor.Of[bool](x)[from:to] {
		dst[i] = 0
		if v {
			dst[i] = 1
		}
	}
}

// lowerCast emits a conversion of whole numbers to float32.
func lowerCast(lw *lowerer, n *node) bool {
	convert := toFloats[n.in[0].dtype]
	if convert == nil || !n.out[0].is(tensor.Float32) || n.out[0].elems() == 0 {
		return false
	}
	lw.elementwise(n, n.in[0].dtype.String()+" to f32", func(f *frame, dst, x *slot, from, to int) {
		convert(f.f32(dst)[from:to], f.vals[x.id], from, to)
	})
	return true
}
