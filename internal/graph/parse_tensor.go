package graph

import (
	"encoding/binary"
	"math"
	"strconv"

	"lowbit/internal/tensor"
)

// elements gathers the elements of a tensor as they are read.
type elements struct {
	d     tensor.DType
	n     int
	raw   []byte // of types of whole bytes
	codes []byte // of smaller types, one byte each
	strs  []string
}

// read reads one element; of a complex number, one of its two parts.
func (e *elements) read(l *lexer) {
	e.n++
	le := binary.LittleEndian
	switch e.d {
	case tensor.String:
		e.strs = append(e.strs, l.quoted())
	case tensor.Float32, tensor.Complex64:
		e.raw = le.AppendUint32(e.raw, math.Float32bits(float32(l.real(32))))
	case tensor.Float64, tensor.Complex128:
		e.raw = le.AppendUint64(e.raw, math.Float64bits(l.real(64)))
	case tensor.Uint64:
		s := l.number()
		v, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			l.fail("%q is not a whole number of %s", s, e.d)
		}
		e.raw = le.AppendUint64(e.raw, v)
	default:
		e.integer(l)
	}
}

// integer reads an integer, or the code of a small float.
func (e *elements) integer(l *lexer) {
	v := l.integer()
	bits := e.d.Bits()
	lo, hi := int64(0), int64(1)<<min(bits, 62)-1
	if e.d.Class() == tensor.ClassInt {
		lo, hi = -1<<(bits-1), 1<<(bits-1)-1
	} else if e.d == tensor.Bool {
		hi = 1
	}
	if v < lo || v > hi {
		l.fail("%d is not in the range of %s", v, e.d)
	}
	switch bits {
	case 8:
		e.raw = append(e.raw, byte(v))
	case 16:
		e.raw = binary.LittleEndian.AppendUint16(e.raw, uint16(v))
	case 32:
		e.raw = binary.LittleEndian.AppendUint32(e.raw, uint32(v))
	case 64:
		e.raw = binary.LittleEndian.AppendUint64(e.raw, uint64(v))
	default:
		e.codes = append(e.codes, byte(v))
	}
}

// tensor returns what was read, whose number of elements is that of the shape.
func (e *elements) tensor(shape []int) *tensor.Tensor {
	switch {
	case e.d == tensor.String:
		return tensor.Strings(e.strs, shape...)
	case e.d.Bits() < 8:
		return tensor.Pack(e.d, e.codes, shape...)
	}
	t := tensor.New(e.d, shape...)
	copy(t.Raw, e.raw)
	return t
}
