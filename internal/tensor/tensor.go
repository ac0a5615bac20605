// Package tensor holds typed, shaped blocks of numbers, and nothing that computes with them.
package tensor

import (
	"fmt"
	"math"
	"slices"
)

// A Tensor is a dense row-major array of one element type.
//
// Numbers lie in Raw as little-endian bytes, packed as ONNX packs them; strings lie in Str.
// A Tensor with a Kind other than Dense is a sequence or an optional value; it has
// Items and no shape.
type Tensor struct {
	DType DType
	Shape []int
	Raw   []byte
	Str   []string

	Kind  Kind
	Items []*Tensor // of a sequence, or the one value of an optional

	scratch bool // Raw may be recycled
}

// Kind tells dense tensors from the containers of ONNX's type system.
type Kind uint8

// The kinds of value that flow along an edge.
const (
	Dense Kind = iota
	Sequence
	Optional // Items is empty or holds one value
)

// New returns a zeroed tensor. Sub-byte types are packed.
func New(d DType, shape ...int) *Tensor {
	n := Elements(shape)
	t := &Tensor{DType: d, Shape: slices.Clone(shape)}
	if d == String {
		t.Str = make([]string, n)
	} else {
		t.Raw = alignedBytes(d.ByteLen(n))
	}
	return t
}

// NewSequence returns a sequence of the given values; d is their element type.
func NewSequence(d DType, items ...*Tensor) *Tensor {
	return &Tensor{Kind: Sequence, DType: d, Items: items}
}

// NewOptional returns an optional that holds v, or nothing if v is nil.
func NewOptional(d DType, v *Tensor) *Tensor {
	t := &Tensor{Kind: Optional, DType: d}
	if v != nil {
		t.Items = []*Tensor{v}
	}
	return t
}

// Elements returns the product of the dimensions; 1 for a scalar.
func Elements(shape []int) int {
	n := 1
	for _, d := range shape {
		n *= d
	}
	return n
}

// maxEmpty is the most that the other dimensions of a tensor without elements may multiply to: no
// bytes vouch for them, and still loops run over them and tables are made for them.
const maxEmpty = 1 << 27

// CheckedElements is Elements for dimensions that come from a file: it refuses negative
// dimensions, products above the largest int, and empty tensors that are vast all the same.
func CheckedElements(shape []int) (int, error) {
	n := 1
	zero := false
	for _, d := range shape {
		if d < 0 {
			return 0, fmt.Errorf("negative dimension in shape %v", shape)
		}
		if d == 0 {
			zero = true
			continue
		}
		if n > math.MaxInt/16/d {
			return 0, fmt.Errorf("shape %v holds too many elements", shape)
		}
		n *= d
	}
	switch {
	case zero && n > maxEmpty:
		return 0, fmt.Errorf("shape %v is empty, but its other dimensions multiply to more than %d", shape, maxEmpty)
	case zero:
		return 0, nil
	}
	return n, nil
}

// Len returns the number of elements.
func (t *Tensor) Len() int { return Elements(t.Shape) }

// Rank returns the number of dimensions.
func (t *Tensor) Rank() int { return len(t.Shape) }

// Bytes returns the number of bytes that t's elements take, strings and items included.
func (t *Tensor) Bytes() int {
	n := len(t.Raw)
	for _, s := range t.Str {
		n += len(s)
	}
	for _, i := range t.Items {
		n += i.Bytes()
	}
	return n
}

// Clone returns a deep copy.
func (t *Tensor) Clone() *Tensor {
	c := *t
	c.scratch = false
	c.Shape = slices.Clone(t.Shape)
	c.Str = slices.Clone(t.Str)
	if t.Raw != nil {
		c.Raw = alignedBytes(len(t.Raw))
		copy(c.Raw, t.Raw)
	}
	c.Items = slices.Clone(t.Items)
	for i, v := range c.Items {
		c.Items[i] = v.Clone()
	}
	return &c
}

// Reshape returns a tensor with the same elements and another shape; it shares memory with t.
func (t *Tensor) Reshape(shape ...int) *Tensor {
	c := *t
	c.scratch = false
	c.Shape = slices.Clone(shape)
	return &c
}

// String describes t without its elements: "float[1,3,224,224]".
func (t *Tensor) String() string {
	switch t.Kind {
	case Sequence:
		return fmt.Sprintf("seq(%s)[%d]", t.DType, len(t.Items))
	case Optional:
		return fmt.Sprintf("optional(%s)[%d]", t.DType, len(t.Items))
	}
	return t.DType.String() + FormatShape(t.Shape)
}

// FormatShape writes a shape as "[1,3,224,224]".
func FormatShape(shape []int) string {
	b := []byte{'['}
	for i, d := range shape {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Append(b, d)
	}
	return string(append(b, ']'))
}
