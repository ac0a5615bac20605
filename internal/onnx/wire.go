package onnx

import (
	"bytes"
	"math"
	"slices"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"
)

// A reader steps through the fields of one protobuf message.
type reader struct {
	d    *decoder
	rest []byte
	num  protowire.Number
	typ  protowire.Type
	n    uint64 // value of a varint or fixed field
	b    []byte // value of a length-delimited field
	raw  []byte // the whole field, tag included
}

// next moves to the next field. It returns false at the end, and records a fault where the bytes
// are not a field.
func (r *reader) next() bool {
	if len(r.rest) == 0 {
		return false
	}
	num, typ, n := protowire.ConsumeTag(r.rest)
	if n < 0 || num > protowire.MaxValidNumber {
		return r.broken("the tag of a field is damaged")
	}
	r.num, r.typ = num, typ
	m := r.value(r.rest[n:])
	if m < 0 {
		return false
	}
	r.raw = r.rest[: n+m : n+m]
	r.rest = r.rest[n+m:]
	return true
}

// value takes the current field's value from the front of b and returns its length, or a
// negative number after it recorded a fault.
func (r *reader) value(b []byte) int {
	var n int
	switch r.typ {
	case protowire.VarintType:
		r.n, n = protowire.ConsumeVarint(b)
	case protowire.Fixed32Type:
		var v uint32
		v, n = protowire.ConsumeFixed32(b)
		r.n = uint64(v)
	case protowire.Fixed64Type:
		r.n, n = protowire.ConsumeFixed64(b)
	case protowire.BytesType:
		return r.bytesValue(b)
	default:
		r.broken("field %d has wire type %d, which ONNX does not use", r.num, r.typ)
		return -1
	}
	if n < 0 {
		r.broken("the value of field %d is damaged", r.num)
	}
	return n
}

func (r *reader) bytesValue(b []byte) int {
	size, n := protowire.ConsumeVarint(b)
	if n < 0 {
		r.broken("the length of field %d is damaged", r.num)
		return -1
	}
	if have := uint64(len(b) - n); size > have {
		r.d.truncated("field %d needs %s bytes, there are %s", r.num, commas(size), commas(have))
		r.rest = nil
		return -1
	}
	end := n + int(size)
	r.b = b[n:end:end]
	return end
}

// broken records a fault and ends the message.
func (r *reader) broken(format string, a ...any) bool {
	r.rest = nil
	r.d.truncated(format, a...)
	return false
}

var wireNames = [...]string{"varint", "fixed64", "bytes", "group", "group end", "fixed32"}

// is records a fault if the current field has another wire type than t.
func (r *reader) is(t protowire.Type) bool {
	if r.typ == t {
		return true
	}
	r.d.invalid("field %d is a %s where a %s is wanted", r.num, wireNames[r.typ], wireNames[t])
	return false
}

// int returns the field as an int64 or int32 (which protobuf writes alike).
func (r *reader) int() int64 {
	if !r.is(protowire.VarintType) {
		return 0
	}
	return int64(r.n)
}

func (r *reader) float() float32 {
	if !r.is(protowire.Fixed32Type) {
		return 0
	}
	return math.Float32frombits(uint32(r.n))
}

// bytes returns the field's bytes; they share memory with the file.
func (r *reader) bytes() []byte {
	if !r.is(protowire.BytesType) {
		return nil
	}
	return r.b
}

// bounded returns the field's bytes if they are at most limit.
func (r *reader) bounded(limit int) []byte {
	b := r.bytes()
	if len(b) > limit {
		r.d.limit("a text of %s bytes, the limit is %s", commas(len(b)), commas(limit))
		return nil
	}
	return b
}

// utf8 returns the field's bytes if they can be a name: UTF-8 of bounded length, without the
// control characters that would let a file write to a terminal through our messages.
func (r *reader) utf8() []byte {
	b := r.bounded(r.d.lim.NameBytes)
	switch {
	case !utf8.Valid(b):
		r.d.invalid("the name %q is not UTF-8", shorten(string(b)))
	case bytes.ContainsFunc(b, unicode.IsControl):
		r.d.invalid("the name %q holds control characters", shorten(string(b)))
	default:
		return b
	}
	return nil
}

// name returns the field as a name that stands in the file more than once, as that of a value or
// an operator does.
func (r *reader) name() string { return r.d.intern(r.utf8()) }

// ownName returns the field as a name that nothing refers to.
func (r *reader) ownName() string { return string(r.utf8()) }

// meta returns the field as a key or value of metadata.
func (r *reader) meta() string { return string(r.bounded(r.d.lim.MetaBytes)) }

// doc returns the field as documentation, in which any bytes are kept.
func (r *reader) doc() string { return string(r.bounded(r.d.lim.DocBytes)) }

// floats appends the values of a packed or single field of floats.
func (r *reader) floats(list []float32) []float32 {
	if r.typ == protowire.Fixed32Type {
		if !r.room(len(list), 1) {
			return list
		}
		return append(list, r.float())
	}
	b := r.bytes()
	if !r.room(len(list), len(b)/4) {
		return list
	}
	list = slices.Grow(list, len(b)/4)
	if len(b)%4 != 0 {
		r.d.invalid("field %d holds %d bytes, which are not whole floats", r.num, len(b))
		return list
	}
	for ; len(b) > 0; b = b[4:] {
		v, _ := protowire.ConsumeFixed32(b)
		list = append(list, math.Float32frombits(v))
	}
	return list
}

// ints appends the values of a packed or single field of varints.
func (r *reader) ints(list []int64) []int64 {
	if r.typ == protowire.VarintType {
		if !r.room(len(list), 1) {
			return list
		}
		return append(list, r.int())
	}
	b := r.bytes()
	count := varints(b)
	if !r.room(len(list), count) {
		return list
	}
	list = slices.Grow(list, count)
	for len(b) > 0 {
		v, n := protowire.ConsumeVarint(b)
		if n < 0 {
			r.d.invalid("field %d holds a damaged varint", r.num)
			return list
		}
		list, b = append(list, int64(v)), b[n:]
	}
	return list
}

// room records a fault if have+more values are above the limit for lists.
func (r *reader) room(have, more int) bool {
	if have+more <= r.d.lim.List {
		return true
	}
	r.d.limit("a list of %s values, the limit is %s", commas(have+more), commas(r.d.lim.List))
	return false
}

// varints returns how many varints end in b.
func varints(b []byte) int {
	n := 0
	for _, c := range b {
		if c < 0x80 {
			n++
		}
	}
	return n
}
