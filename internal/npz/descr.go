package npz

import (
	"strconv"
	"strings"

	"lowbit/internal/fault"
	"lowbit/internal/tensor"
)

// A descrRow pairs one of NumPy's type strings, without its byte order, with an element type.
type descrRow struct {
	code  string
	dtype tensor.DType
	word  int // bytes that a change of byte order reverses
}

// descrs lists the types that NumPy and ml_dtypes store. An ml_dtypes type without a code of its
// own is saved as bare bytes: V2 can only be bfloat16, V1 is one of several.
var descrs = []descrRow{
	{"f4", tensor.Float32, 4}, {"f8", tensor.Float64, 8}, {"f2", tensor.Float16, 2},
	{"i1", tensor.Int8, 1}, {"i2", tensor.Int16, 2}, {"i4", tensor.Int32, 4}, {"i8", tensor.Int64, 8},
	{"u1", tensor.Uint8, 1}, {"u2", tensor.Uint16, 2}, {"u4", tensor.Uint32, 4}, {"u8", tensor.Uint64, 8},
	{"b1", tensor.Bool, 1}, {"c8", tensor.Complex64, 4}, {"c16", tensor.Complex128, 8},
	{"V2", tensor.BFloat16, 2},
	{"V1", tensor.Undefined, 1},
	{"V1", tensor.Float8E4M3FN, 1}, {"V1", tensor.Float8E4M3FNUZ, 1}, {"V1", tensor.Float8E5M2FNUZ, 1},
	{"V1", tensor.Float8E5M2, 1}, {"f1", tensor.Float8E5M2, 1}, // NumPy cannot load f1, which ml_dtypes saves
	{"V1", tensor.Float8E8M0, 1}, {"V1", tensor.Float4E2M1, 1}, {"V1", tensor.Int4, 1},
	{"V1", tensor.Uint4, 1}, {"V1", tensor.Int2, 1}, {"V1", tensor.Uint2, 1},
}

// layout is how the elements of one array lie in the file.
type layout struct {
	dtype tensor.DType // Undefined for bare bytes, whose type the reader of the file must know
	item  int          // bytes of one element
	word  int          // bytes that a change of byte order reverses
	big   bool         // big-endian
	utf32 bool         // strings of four bytes a character; else, for strings, of bytes
}

// parseDescr reads a type string such as "<f4", "|b1" or ">U12".
func parseDescr(s string) (layout, error) {
	l := layout{}
	code := s
	if s != "" && strings.ContainsRune("<>|=", rune(s[0])) {
		l.big = s[0] == '>'
		code = s[1:]
	}
	for _, r := range descrs {
		if r.code == code {
			l.dtype, l.word, l.item = r.dtype, r.word, codeSize(code)
			return l, nil
		}
	}
	if len(code) > 1 && (code[0] == 'U' || code[0] == 'S') {
		n, err := strconv.ParseUint(code[1:], 10, 28)
		if err != nil {
			return l, fault.Invalidf("descr", "%q is not a type", s)
		}
		l.dtype, l.word, l.item = tensor.String, 1, int(n)
		if code[0] == 'U' {
			l.utf32, l.word, l.item = true, 4, 4*int(n)
		}
		return l, nil
	}
	if code == "O" {
		return l, fault.Unsupportedf("descr", "an array of pickled Python objects is never read").
			WithHint("save strings as an array of type str, numbers as a numeric array")
	}
	return l, fault.Unsupportedf("descr", "type %q has no ONNX counterpart", s)
}

// codeSize returns the number at the end of a type code.
func codeSize(code string) int {
	n, _ := strconv.Atoi(code[1:])
	return n
}

// descrOf returns the type string under which NumPy or ml_dtypes would save elements of type d.
func descrOf(d tensor.DType) (string, bool) {
	for _, r := range descrs {
		if r.dtype == d && d != tensor.Undefined {
			order := "<"
			if codeSize(r.code) == 1 && r.code[0] != 'V' && r.code[0] != 'f' {
				order = "|"
			}
			return order + r.code, true
		}
	}
	return "", false
}
