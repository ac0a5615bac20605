package tensor

// DType is an element type. The numbers are those of ONNX's TensorProto.DataType.
type DType uint8

// The element types of ONNX 1.23 (onnx.proto, TensorProto.DataType).
const (
	Undefined      DType = 0
	Float32        DType = 1
	Uint8          DType = 2
	Int8           DType = 3
	Uint16         DType = 4
	Int16          DType = 5
	Int32          DType = 6
	Int64          DType = 7
	String         DType = 8
	Bool           DType = 9
	Float16        DType = 10
	Float64        DType = 11
	Uint32         DType = 12
	Uint64         DType = 13
	Complex64      DType = 14
	Complex128     DType = 15
	BFloat16       DType = 16
	Float8E4M3FN   DType = 17
	Float8E4M3FNUZ DType = 18
	Float8E5M2     DType = 19
	Float8E5M2FNUZ DType = 20
	Uint4          DType = 21
	Int4           DType = 22
	Float4E2M1     DType = 23
	Float8E8M0     DType = 24
	Uint2          DType = 25
	Int2           DType = 26
	Float6E2M3     DType = 27
	Float6E3M2     DType = 28
)

// Class groups element types by what arithmetic they allow.
type Class uint8

// The classes of element types.
const (
	ClassNone Class = iota
	ClassFloat
	ClassInt
	ClassUint
	ClassBool
	ClassString
	ClassComplex
)

// A dtypeRow is what is known of one element type.
type dtypeRow struct {
	name  string // as ONNX's text form writes it
	bits  int    // bits of one element; 0 where there is no fixed size
	class Class
}

var dtypes = [...]dtypeRow{
	Undefined:      {"undefined", 0, ClassNone},
	Float32:        {"float", 32, ClassFloat},
	Uint8:          {"uint8", 8, ClassUint},
	Int8:           {"int8", 8, ClassInt},
	Uint16:         {"uint16", 16, ClassUint},
	Int16:          {"int16", 16, ClassInt},
	Int32:          {"int32", 32, ClassInt},
	Int64:          {"int64", 64, ClassInt},
	String:         {"string", 0, ClassString},
	Bool:           {"bool", 8, ClassBool},
	Float16:        {"float16", 16, ClassFloat},
	Float64:        {"double", 64, ClassFloat},
	Uint32:         {"uint32", 32, ClassUint},
	Uint64:         {"uint64", 64, ClassUint},
	Complex64:      {"complex64", 64, ClassComplex},
	Complex128:     {"complex128", 128, ClassComplex},
	BFloat16:       {"bfloat16", 16, ClassFloat},
	Float8E4M3FN:   {"float8e4m3fn", 8, ClassFloat},
	Float8E4M3FNUZ: {"float8e4m3fnuz", 8, ClassFloat},
	Float8E5M2:     {"float8e5m2", 8, ClassFloat},
	Float8E5M2FNUZ: {"float8e5m2fnuz", 8, ClassFloat},
	Uint4:          {"uint4", 4, ClassUint},
	Int4:           {"int4", 4, ClassInt},
	Float4E2M1:     {"float4e2m1", 4, ClassFloat},
	Float8E8M0:     {"float8e8m0", 8, ClassFloat},
	Uint2:          {"uint2", 2, ClassUint},
	Int2:           {"int2", 2, ClassInt},
	Float6E2M3:     {"float6e2m3", 6, ClassFloat},
	Float6E3M2:     {"float6e3m2", 6, ClassFloat},
}

// Valid says whether d is an element type that a tensor may have.
func (d DType) Valid() bool { return d != Undefined && int(d) < len(dtypes) }

func (d DType) row() dtypeRow {
	if int(d) >= len(dtypes) {
		return dtypes[Undefined]
	}
	return dtypes[d]
}

// String returns the name that ONNX's text form uses, such as "float" or "uint8".
func (d DType) String() string { return d.row().name }

// Bits returns the size of one element in bits; 0 for strings.
func (d DType) Bits() int { return d.row().bits }

// Class returns the arithmetic class of d.
func (d DType) Class() Class { return d.row().class }

// IsInt says whether d is a signed or unsigned integer type.
func (d DType) IsInt() bool { c := d.Class(); return c == ClassInt || c == ClassUint }

// IsFloat says whether d is a real floating-point type of any width.
func (d DType) IsFloat() bool { return d.Class() == ClassFloat }

// ParseDType returns the element type of that name.
func ParseDType(name string) (DType, bool) {
	for i, r := range dtypes {
		if i > 0 && r.name == name {
			return DType(i), true
		}
	}
	return Undefined, false
}

// ByteLen returns the number of bytes that n packed elements of d take: elements
// smaller than a byte share it, the first in the low bits (ONNX IR, TensorProto).
func (d DType) ByteLen(n int) int { return (n*d.Bits() + 7) / 8 }
