package lowbit

import (
	"fmt"
	"reflect"

	"lowbit/internal/fault"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// A Tensor is a dense row-major array of one element type. [NewTensor] makes one, [Values] reads it, [Convert] changes its
// type. A tensor of rank zero holds one element.
//
//	DType DType
//	Shape []int      // such as 1, 3, 224, 224 for (N,C,H,W)
//	Raw   []byte     // the elements, little-endian; types of less than a byte packed, the first in the low bits
//	Str   []string   // the elements of type String, instead of Raw
//	Items []*Tensor  // of a sequence ([NewSequence]), which has no shape: the tensors of DType that it holds
//	Kind  uint8 type // 0 of a dense tensor
//
//	Len() int                     // elements
//	Rank() int                    // dimensions
//	Bytes() int                   // that the elements take
//	Clone() *Tensor               // a deep copy
//	Reshape(shape ...int) *Tensor // the same elements, in shared memory
//	Check() error                 // whether the fields fit together
//
// Fields may be set by hand; what does not fit together is refused where the tensor is used.
type Tensor = tensor.Tensor

// A DType is an element type, by its number in ONNX. Its String is ONNX's word for it, such as "float" or "int64", and Bits
// is the size of an element.
type DType = tensor.DType

// The element types.
const (
	Float32        = tensor.Float32
	Uint8          = tensor.Uint8
	Int8           = tensor.Int8
	Uint16         = tensor.Uint16
	Int16          = tensor.Int16
	Int32          = tensor.Int32
	Int64          = tensor.Int64
	String         = tensor.String
	Bool           = tensor.Bool
	Float16        = tensor.Float16
	Float64        = tensor.Float64
	Uint32         = tensor.Uint32
	Uint64         = tensor.Uint64
	Complex64      = tensor.Complex64
	Complex128     = tensor.Complex128
	BFloat16       = tensor.BFloat16
	Float8E4M3FN   = tensor.Float8E4M3FN
	Float8E4M3FNUZ = tensor.Float8E4M3FNUZ
	Float8E5M2     = tensor.Float8E5M2
	Float8E5M2FNUZ = tensor.Float8E5M2FNUZ
	Uint4          = tensor.Uint4
	Int4           = tensor.Int4
	Float4E2M1     = tensor.Float4E2M1
	Float8E8M0     = tensor.Float8E8M0
	Uint2          = tensor.Uint2
	Int2           = tensor.Int2
	Float6E2M3     = tensor.Float6E2M3
	Float6E3M2     = tensor.Float6E3M2
)

// An Element is a Go type that stores an element type as it is: real and complex numbers, integers of a fixed size and bool.
type Element = tensor.Element

// natives are the element types that Go has too, by the kind of the Go type.
var natives = map[reflect.Kind]DType{
	reflect.Float32: Float32, reflect.Float64: Float64, reflect.Complex64: Complex64, reflect.Complex128: Complex128, reflect.Bool: Bool,
	reflect.Int8: Int8, reflect.Int16: Int16, reflect.Int32: Int32, reflect.Int64: Int64,
	reflect.Uint8: Uint8, reflect.Uint16: Uint16, reflect.Uint32: Uint32, reflect.Uint64: Uint64,
}

// stores says whether elements of type d lie in memory as T does: T is the type of that name, or the unsigned integer
// that holds the bits of a 16-bit or 8-bit float, which Go lacks.
func stores[T Element](d DType) bool {
	n := natives[reflect.TypeFor[T]().Kind()]
	return d == n || d.IsFloat() && (n == Uint16 || n == Uint8) && d.Bits() == n.Bits()
}

// NewTensor returns a tensor of the element type that T is, and of the given shape, such as 1, 3, 224, 224 for
// (N,C,H,W); without dimensions it is a scalar. It shares memory with data. That the product of the dimensions is not
// the length of data is an error of kind [ErrInvalid].
func NewTensor[T Element](data []T, shape ...int) (*Tensor, error) {
	return NewTensorOf(natives[reflect.TypeFor[T]().Kind()], data, shape...)
}

// NewTensorOf is [NewTensor] for an element type that Go lacks: the bits of Float16 and BFloat16 are uint16, those of
// the 8-bit floats uint8. Elements of less than a byte are made by [Convert].
func NewTensorOf[T Element](d DType, data []T, shape ...int) (*Tensor, error) {
	if !stores[T](d) {
		return nil, fault.Invalidf("tensor", "elements of type %s are no %s", d, reflect.TypeFor[T]()).WithHint("make a tensor of numbers that Go has, and convert it")
	}
	if err := checkCount(len(data), shape); err != nil {
		return nil, err
	}
	return tensor.Wrap(d, data, shape...), nil
}

// NewStrings returns a tensor of strings, which shares memory with data; errors are as of [NewTensor].
func NewStrings(data []string, shape ...int) (*Tensor, error) {
	if err := checkCount(len(data), shape); err != nil {
		return nil, err
	}
	return tensor.Strings(data, shape...), nil
}

func checkCount(n int, shape []int) error {
	want, err := tensor.CheckedElements(shape)
	if err != nil {
		return fault.Invalidf("tensor", "%v", err)
	}
	if n != want {
		return fault.Invalidf("tensor", "%d elements are given for shape %s, which has %d", n, tensor.FormatShape(shape), want)
	}
	return nil
}

// NewSequence returns ONNX's sequence of tensors of element type d, for models that take one.
func NewSequence(d DType, items ...*Tensor) (*Tensor, error) {
	t := tensor.NewSequence(d, items...)
	if err := t.Check(); err != nil {
		return nil, fault.Invalidf("sequence", "%v", err)
	}
	return t, nil
}

// Values returns the elements of a dense tensor in row-major order: as the Go type of the same name, or as the bits of
// a 16-bit float in uint16 and of an 8-bit one in uint8. The slice shares memory with the tensor, unless its bytes are
// not aligned for T. Another T, and no tensor (an output that the model does not have), are errors of kind
// [ErrInvalid]. Strings are in t.Str; [Convert] comes first where numbers of another type are wanted.
func Values[T Element](t *Tensor) ([]T, error) {
	if err := checkDense(t); err != nil {
		return nil, err
	}
	if !stores[T](t.DType) {
		return nil, fault.Invalidf("tensor", "elements of type %s are no %s", t.DType, reflect.TypeFor[T]()).WithHint("convert it first")
	}
	return tensor.Of[T](t), nil
}

// Convert returns the numbers of a dense tensor as elements of another type, as ONNX's Cast does: reals are rounded to
// the nearest, ties to even, and become integers toward zero; integers keep their low bits; beyond an 8-bit float is its
// largest; text is parsed. To its own type it is the tensor itself. What cannot be converted is an error of kind
// [ErrInvalid].
func Convert(t *Tensor, to DType) (*Tensor, error) {
	if err := checkDense(t); err != nil {
		return nil, err
	}
	c, err := op.Cast(t, to)
	return c, fault.At(fmt.Sprintf("%s to %s", t, to), fault.AsInvalid(err))
}

func checkDense(t *Tensor) error {
	err := t.Check()
	if err == nil && t.Kind != tensor.Dense {
		err = fmt.Errorf("%s is not dense", t)
	}
	if err != nil {
		return fault.Invalidf("tensor", "%v", err)
	}
	return nil
}
