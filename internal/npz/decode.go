package npz

import (
	"bytes"
	"encoding/binary"
	"slices"
	"unicode/utf8"

	"lowbit/internal/fault"
	"lowbit/internal/tensor"
)

// decode turns body, the bytes of elements of the given shape in row-major order, into a tensor.
// want names the type of bare bytes; it is Undefined where the file says the type itself.
func (l layout) decode(body []byte, shape []int, want tensor.DType) (*tensor.Tensor, error) {
	d := l.dtype
	if d == tensor.Undefined {
		d = want
		if code, ok := descrOf(d); !ok || code[1:] != "V1" {
			return nil, fault.Unsupportedf("descr", "bare bytes (V1) can be any of several types").
				WithHint("ml_dtypes names no type in the file; store the array as int8 or float32")
		}
	}
	if d == tensor.String {
		return l.strings(body, shape)
	}
	if l.big {
		swap(body, l.word)
	}
	if d.Bits() < 8 {
		return tensor.Pack(d, body, shape...), nil
	}
	t := tensor.New(d, shape...)
	copy(t.Raw, body)
	if d == tensor.Bool {
		for i, b := range t.Raw {
			if b != 0 {
				t.Raw[i] = 1
			}
		}
	}
	return t, nil
}

// swap reverses each run of word bytes.
func swap(b []byte, word int) {
	for i := 0; i+word <= len(b); i += word {
		slices.Reverse(b[i : i+word])
	}
}

// strings reads strings of fixed width, each padded at its end with zeros.
func (l layout) strings(body []byte, shape []int) (*tensor.Tensor, error) {
	t := tensor.New(tensor.String, shape...)
	for i := range t.Str {
		cell := body[i*l.item : (i+1)*l.item]
		if !l.utf32 {
			t.Str[i] = string(bytes.TrimRight(cell, "\x00"))
			continue
		}
		s, ok := utf32String(cell, l.big)
		if !ok {
			return nil, fault.Invalidf("", "string %d holds a number that is no Unicode character", i)
		}
		t.Str[i] = s
	}
	return t, nil
}

func utf32String(cell []byte, big bool) (string, bool) {
	var order binary.ByteOrder = binary.LittleEndian
	if big {
		order = binary.BigEndian
	}
	out := make([]byte, 0, len(cell)/4)
	zeros := 0
	for ; len(cell) >= 4; cell = cell[4:] {
		r := order.Uint32(cell)
		if r == 0 {
			zeros++
			continue
		}
		if r > utf8.MaxRune || !utf8.ValidRune(rune(r)) {
			return "", false
		}
		for ; zeros > 0; zeros-- {
			out = append(out, 0)
		}
		out = utf8.AppendRune(out, rune(r))
	}
	return string(out), true
}

// rowMajor returns the elements of a column-major array, each of item bytes, in row-major order.
func rowMajor(body []byte, shape []int, item int) []byte {
	out := make([]byte, len(body))
	step := make([]int, len(shape)) // bytes between neighbours along each axis, in body
	n := item
	for i, d := range shape {
		step[i] = n
		n *= d
	}
	index := make([]int, len(shape))
	src := 0
	for dst := 0; dst < len(out); dst += item {
		copy(out[dst:dst+item], body[src:src+item])
		for a := len(shape) - 1; a >= 0; a-- {
			index[a]++
			src += step[a]
			if index[a] < shape[a] {
				break
			}
			src -= step[a] * shape[a]
			index[a] = 0
		}
	}
	return out
}
