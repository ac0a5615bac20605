package tensor

import (
	"fmt"
	"runtime"
	"slices"
	"unsafe"
)

// Element is a Go type that some DType stores as it is.
type Element interface {
	~float32 | ~float64 | ~int8 | ~int16 | ~int32 | ~int64 |
		~uint8 | ~uint16 | ~uint32 | ~uint64 | ~bool | ~complex64 | ~complex128
}

// anywhere says whether the processor reads numbers at any address, as compiled code and assembly then do.
const anywhere = runtime.GOARCH == "amd64" || runtime.GOARCH == "arm64"

// Of returns t's elements as a slice of T, sharing memory with t where the processor can read numbers there,
// and copied where it cannot (bytes inside a mapped file may lie anywhere).
// T must have the size of t's element type; a tensor made by New is always aligned.
func Of[T Element](t *Tensor) []T {
	var z T
	size := int(unsafe.Sizeof(z))
	if size*8 != t.DType.Bits() {
		panic(fmt.Sprintf("tensor: view of %s as %T", t.DType, z))
	}
	n := len(t.Raw) / size
	if n == 0 {
		return nil
	}
	if !anywhere && uintptr(unsafe.Pointer(&t.Raw[0]))%unsafe.Alignof(z) != 0 {
		raw := alignedBytes(len(t.Raw))
		copy(raw, t.Raw)
		return unsafe.Slice((*T)(unsafe.Pointer(&raw[0])), n)
	}
	return unsafe.Slice((*T)(unsafe.Pointer(&t.Raw[0])), n)
}

// Align returns t, or a copy where its bytes do not lie on an address that suits every element type.
func (t *Tensor) Align() *Tensor {
	if len(t.Raw) == 0 || uintptr(unsafe.Pointer(&t.Raw[0]))%8 == 0 {
		return t
	}
	return t.Clone()
}

// Wrap returns a tensor of element type d that shares memory with data. It does not copy.
func Wrap[T Element](d DType, data []T, shape ...int) *Tensor {
	var z T
	size := int(unsafe.Sizeof(z))
	if size*8 != d.Bits() {
		panic(fmt.Sprintf("tensor: %T as %s", z, d))
	}
	if len(data) != Elements(shape) {
		panic(fmt.Sprintf("tensor: %d elements as %v", len(data), shape))
	}
	t := &Tensor{DType: d, Shape: slices.Clone(shape)}
	if len(data) > 0 {
		t.Raw = unsafe.Slice((*byte)(unsafe.Pointer(&data[0])), len(data)*size)
	}
	return t
}

// Aligned returns n zeroed elements on a 64-byte boundary.
func Aligned[T Element](n int) []T {
	var z T
	if n == 0 {
		return nil
	}
	b := alignedBytes(n * int(unsafe.Sizeof(z)))
	return unsafe.Slice((*T)(unsafe.Pointer(&b[0])), n)
}

// alignedBytes returns n zeroed bytes on a 64-byte boundary (8 bytes where n is small).
func alignedBytes(n int) []byte {
	if n == 0 {
		return nil
	}
	if n < 64 {
		w := make([]uint64, (n+7)/8)
		return unsafe.Slice((*byte)(unsafe.Pointer(&w[0])), n)
	}
	b := make([]byte, n+63)
	off := int(-uintptr(unsafe.Pointer(&b[0])) & 63)
	return b[off : off+n : off+n]
}

// Float32s wraps values as a float tensor of the given shape.
func Float32s(v []float32, shape ...int) *Tensor { return Wrap(Float32, v, shape...) }

// Int64s wraps values as an int64 tensor of the given shape.
func Int64s(v []int64, shape ...int) *Tensor { return Wrap(Int64, v, shape...) }

// Vector wraps values as a one-dimensional int64 tensor.
func Vector(v ...int64) *Tensor { return Wrap(Int64, v, len(v)) }

// Scalar returns a float tensor of rank zero.
func Scalar(v float32) *Tensor { return Wrap(Float32, []float32{v}) }

// Strings returns a string tensor.
func Strings(v []string, shape ...int) *Tensor {
	return &Tensor{DType: String, Shape: slices.Clone(shape), Str: v}
}
