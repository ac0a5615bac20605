package onnx

import (
	"encoding/binary"
	"math"

	"google.golang.org/protobuf/encoding/protowire"

	"lowbit/internal/tensor"
)

// A typedRow says in which typed field of TensorProto an element type's values stand.
type typedRow struct {
	field    protowire.Number
	min, max int64 // of one value of a varint field; wider bit patterns are cut
	per      int   // values for one element
}

// Bit patterns come with and without sign extension, and sub-byte types as whole packed bytes.
var typedRows = map[tensor.DType]typedRow{
	tensor.Float32:        {floatData, 0, 0, 1},
	tensor.Complex64:      {floatData, 0, 0, 2},
	tensor.Float64:        {doubleData, 0, 0, 1},
	tensor.Complex128:     {doubleData, 0, 0, 2},
	tensor.Int64:          {int64Data, math.MinInt64, math.MaxInt64, 1},
	tensor.Uint64:         {uint64Data, math.MinInt64, math.MaxInt64, 1},
	tensor.Uint32:         {uint64Data, 0, math.MaxUint32, 1},
	tensor.Int32:          {int32Data, math.MinInt32, math.MaxInt32, 1},
	tensor.Int16:          {int32Data, math.MinInt16, math.MaxInt16, 1},
	tensor.Uint16:         {int32Data, 0, math.MaxUint16, 1},
	tensor.Int8:           {int32Data, math.MinInt8, math.MaxInt8, 1},
	tensor.Uint8:          {int32Data, 0, math.MaxUint8, 1},
	tensor.Bool:           {int32Data, 0, 1, 1},
	tensor.Float16:        {int32Data, math.MinInt16, math.MaxUint16, 1},
	tensor.BFloat16:       {int32Data, math.MinInt16, math.MaxUint16, 1},
	tensor.Float8E4M3FN:   {int32Data, math.MinInt8, math.MaxUint8, 1},
	tensor.Float8E4M3FNUZ: {int32Data, math.MinInt8, math.MaxUint8, 1},
	tensor.Float8E5M2:     {int32Data, math.MinInt8, math.MaxUint8, 1},
	tensor.Float8E5M2FNUZ: {int32Data, math.MinInt8, math.MaxUint8, 1},
	tensor.Float8E8M0:     {int32Data, math.MinInt8, math.MaxUint8, 1},
	tensor.Float4E2M1:     {int32Data, math.MinInt8, math.MaxUint8, 1},
	tensor.Int4:           {int32Data, math.MinInt8, math.MaxUint8, 1},
	tensor.Uint4:          {int32Data, math.MinInt8, math.MaxUint8, 1},
	tensor.Int2:           {int32Data, math.MinInt8, math.MaxUint8, 1},
	tensor.Uint2:          {int32Data, math.MinInt8, math.MaxUint8, 1},
	tensor.Float6E2M3:     {int32Data, 0, 63, 1}, // one element in each value, unlike the others
	tensor.Float6E3M2:     {int32Data, 0, 63, 1},
}

// fixedWidth is the size of a value in the fields that do not hold varints.
var fixedWidth = map[protowire.Number]int{floatData: 4, doubleData: 8}

// countTyped counts the values of a typed data field, packed or not.
func (d *decoder) countTyped(p *tensorProto, r *reader) {
	if p.typedNum != 0 && p.typedNum != r.num {
		d.invalid("its data stand in more than one field")
		return
	}
	n := 1
	width := fixedWidth[r.num]
	if r.typ == protowire.BytesType {
		n = varints(r.b)
		if width > 0 {
			n = len(r.b) / width
		}
		if width > 0 && len(r.b)%width != 0 || width == 0 && len(r.b) > 0 && r.b[len(r.b)-1] >= 0x80 {
			d.truncated("field %d ends within a value", r.num)
			return
		}
	} else if r.typ != typedWire(width) {
		r.is(typedWire(width))
		return
	}
	if n > 0 {
		p.typedNum = r.num
		p.typed += uint64(n)
	}
}

func typedWire(width int) protowire.Type {
	switch width {
	case 4:
		return protowire.Fixed32Type
	case 8:
		return protowire.Fixed64Type
	}
	return protowire.VarintType
}

// typedElements fills t from a typed data field.
func (d *decoder) typedElements(t *tensor.Tensor, n int, p *tensorProto) bool {
	row := typedRows[t.DType]
	if row.field != p.typedNum {
		d.invalid("field %d cannot hold elements of type %s", p.typedNum, t.DType)
		return false
	}
	want := n * row.per
	if bits := t.DType.Bits(); 8%bits == 0 {
		want = t.DType.ByteLen(n)
	}
	if p.typed != uint64(want) {
		d.truncated("shape %v needs %s values, the file holds %s", t.Shape, commas(want), commas(p.typed))
		return false
	}
	if width := fixedWidth[p.typedNum]; width > 0 {
		return d.fixedElements(t, want*width, p)
	}
	if !d.spend(int64(t.DType.ByteLen(n))) {
		return false
	}
	if 8%t.DType.Bits() == 0 || t.DType.Bits() > 8 {
		t.Raw = tensor.New(t.DType, t.Shape...).Raw
		return d.varintElements(t, p, row)
	}
	codes := tensor.New(tensor.Uint8, t.Shape...)
	ok := d.varintElements(codes, p, row)
	t.Raw = tensor.Pack(t.DType, codes.Raw, t.Shape...).Raw
	return ok
}

// fixedElements takes float or double values, without a copy where they stand in one piece.
func (d *decoder) fixedElements(t *tensor.Tensor, size int, p *tensorProto) bool {
	at := 0
	r := d.read(p.body)
	for r.next() {
		if r.num != p.typedNum {
			continue
		}
		v := r.b
		if r.typ != protowire.BytesType {
			v = r.raw[len(r.raw)-fixedWidth[r.num]:]
		}
		if len(v) == size {
			t.Raw = v
			return true
		}
		if t.Raw == nil {
			if !d.spend(int64(size)) {
				return false
			}
			t.Raw = tensor.New(t.DType, t.Shape...).Raw
		}
		at += copy(t.Raw[at:], v)
	}
	return true
}

// varintElements converts the values of a varint field to t's element type.
func (d *decoder) varintElements(t *tensor.Tensor, p *tensorProto, row typedRow) bool {
	width := max(t.DType.Bits()/8, 1)
	at := 0
	put := func(v uint64) bool {
		n := int64(v)
		if n < row.min || n > row.max {
			d.invalid("value %d at %d does not fit in %s", n, at/width, t.DType)
			return false
		}
		putUint(t.Raw[at:at+width], v)
		at += width
		return true
	}
	r := d.read(p.body)
	for r.next() {
		if r.num != p.typedNum {
			continue
		}
		if r.typ != protowire.BytesType && !put(r.n) {
			return false
		}
		for b := r.b; r.typ == protowire.BytesType && len(b) > 0; {
			v, n := protowire.ConsumeVarint(b)
			if n < 0 {
				d.invalid("field %d holds a damaged varint", r.num)
				return false
			}
			if !put(v) {
				return false
			}
			b = b[n:]
		}
	}
	return true
}

// putUint writes the low bytes of v in little-endian order.
func putUint(dst []byte, v uint64) {
	switch len(dst) {
	case 1:
		dst[0] = byte(v)
	case 2:
		binary.LittleEndian.PutUint16(dst, uint16(v))
	case 4:
		binary.LittleEndian.PutUint32(dst, uint32(v))
	case 8:
		binary.LittleEndian.PutUint64(dst, v)
	}
}
