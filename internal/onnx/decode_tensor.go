package onnx

import (
	"math/bits"

	"google.golang.org/protobuf/encoding/protowire"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A tensorProto is what a TensorProto says before its elements are looked at.
type tensorProto struct {
	info     graph.TensorInfo
	dtype    int64
	dims     []int64
	raw      []byte
	strs     []string
	body     []byte           // the whole message, to read the typed field from
	typedNum protowire.Number // the typed field in use; 0 if none is
	typed    uint64           // how many values it holds
	external []graph.Prop
	location int64
}

// The typed data fields of TensorProto.
const (
	floatData  protowire.Number = 4
	int32Data  protowire.Number = 5
	stringData protowire.Number = 6
	int64Data  protowire.Number = 7
	doubleData protowire.Number = 10
	uint64Data protowire.Number = 11
)

// tensor parses a TensorProto. After a fault the tensor is nil.
func (d *decoder) tensor(b []byte) (*tensor.Tensor, graph.TensorInfo) {
	p := tensorProto{body: b}
	before := d.faults.Len()
	r := d.read(b)
	for r.next() {
		d.tensorField(&p, &r)
	}
	d.called(p.info.Name)
	if d.faults.Len() > before {
		return nil, p.info
	}
	return d.finishTensor(&p), p.info
}

func (d *decoder) tensorField(p *tensorProto, r *reader) {
	switch r.num {
	case 1:
		if len(p.dims) <= d.lim.Rank {
			p.dims = r.ints(p.dims)
		}
	case 2:
		p.dtype = r.int()
	case 3:
		d.unsupported("a tensor in segments")
	case floatData, int32Data, int64Data, doubleData, uint64Data:
		d.countTyped(p, r)
	case stringData:
		p.strs = append(p.strs, string(r.bytes()))
	case 8:
		p.info.Name = r.name()
	case 9:
		p.raw = r.bytes()
	case 12:
		p.info.Doc = r.doc()
	case 13:
		d.push("external_data", len(p.external))
		p.external = append(p.external, d.pair(r.bytes()))
		d.pop()
	case 14:
		p.location = r.int()
	case 16:
		p.info.Meta = d.prop(p.info.Meta, r)
	default:
		p.info.Unknown = append(p.info.Unknown, r.raw...)
	}
}

// finishTensor checks the shape and takes the elements from where they are.
func (d *decoder) finishTensor(p *tensorProto) *tensor.Tensor {
	if p.dtype == 0 {
		d.invalid("a tensor without an element type")
		return nil
	}
	dtype := d.elemType(p.dtype)
	if dtype == tensor.Undefined {
		return nil
	}
	shape, ok := d.sizes(p.dims)
	if !ok || !d.oneSource(p) {
		return nil
	}
	t := &tensor.Tensor{DType: dtype, Shape: shape}
	n := tensor.Elements(shape)
	switch {
	case p.location == 1:
		ok = d.externalData(t, n, p.external)
	case dtype == tensor.String:
		ok = d.stringElements(t, n, p.strs)
	case p.typedNum != 0:
		ok = d.typedElements(t, n, p)
	default:
		t.Raw = p.raw
		ok = d.exactBytes(t, n)
	}
	if !ok || dtype == tensor.Bool && !d.truthValues(t.Raw) {
		return nil
	}
	return t
}

// sizes checks dimensions and their product.
func (d *decoder) sizes(dims []int64) ([]int, bool) {
	if len(dims) > d.lim.Rank {
		d.limit("more than %d dimensions", d.lim.Rank)
		return nil, false
	}
	shape := make([]int, len(dims))
	for i, n := range dims {
		if n < 0 {
			d.invalid("dimension %d is negative: %d", i, n)
			return nil, false
		}
		if n > d.lim.Dim {
			d.limit("dimension %d is %s, the limit is %s", i, commas(n), commas(d.lim.Dim))
			return nil, false
		}
		shape[i] = int(n)
	}
	if !within(dims, uint64(d.lim.Elements)) {
		d.limit("shape %v has more than %s elements", dims, commas(d.lim.Elements))
		return nil, false
	}
	if _, err := tensor.CheckedElements(shape); err != nil {
		d.limit("%v", err)
		return nil, false
	}
	return shape, true
}

// within says whether the product of the dimensions other than zero is at most limit, so that no
// product of some of them overflows either.
func within(dims []int64, limit uint64) bool {
	n := uint64(1)
	for _, v := range dims {
		hi, lo := bits.Mul64(n, uint64(max(v, 1)))
		if hi != 0 || lo > limit {
			return false
		}
		n = lo
	}
	return true
}

// oneSource checks that the elements are in one place only.
func (d *decoder) oneSource(p *tensorProto) bool {
	sources := 0
	for _, used := range []bool{len(p.raw) > 0, p.typedNum != 0, len(p.strs) > 0, p.location == 1} {
		if used {
			sources++
		}
	}
	switch {
	case p.location < 0 || p.location > 1:
		d.invalid("data_location %d does not exist", p.location)
	case sources > 1:
		d.invalid("its data stand in more than one field")
	case len(p.external) > 0 && p.location != 1:
		d.invalid("external_data without data_location EXTERNAL")
	default:
		return true
	}
	return false
}

// exactBytes checks that t.Raw has what n elements need, no more and no less.
func (d *decoder) exactBytes(t *tensor.Tensor, n int) bool {
	if want := t.DType.ByteLen(n); want != len(t.Raw) {
		d.truncated("shape %v needs %s bytes, the file holds %s", t.Shape, commas(want), commas(len(t.Raw)))
		return false
	}
	if n == 0 {
		t.Raw = nil
	}
	return true
}

func (d *decoder) stringElements(t *tensor.Tensor, n int, strs []string) bool {
	if n != len(strs) {
		d.truncated("shape %v needs %s strings, the file holds %s", t.Shape, commas(n), commas(len(strs)))
		return false
	}
	t.Str = strs
	return true
}

// truthValues checks that bool elements are 0 or 1: a Go bool of another value is not defined.
func (d *decoder) truthValues(raw []byte) bool {
	for i, c := range raw {
		if c > 1 {
			d.invalid("element %d of a bool tensor is %d", i, c)
			return false
		}
	}
	return true
}
