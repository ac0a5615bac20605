package onnx

import (
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A span is what the external_data of one tensor says.
type span struct {
	location, checksum string
	offset, length     uint64
	hasLength          bool
}

// externalData gives t the n elements that lie where props say.
func (d *decoder) externalData(t *tensor.Tensor, n int, props []graph.Prop) bool {
	s, ok := d.span(props)
	if !ok {
		return false
	}
	if d.ext == nil {
		d.invalid("data in the file %q, but this model has no folder", shorten(s.location))
		return false
	}
	if t.DType == tensor.String {
		d.invalid("strings cannot lie in external data")
		return false
	}
	want := uint64(t.DType.ByteLen(n))
	if s.hasLength && s.length != want {
		d.invalid("shape %v needs %s bytes, external_data gives it %s", t.Shape, commas(want), commas(s.length))
		return false
	}
	f := d.ext.file(s.location)
	if f.err == nil && s.checksum != "" && !d.lim.SkipChecksums {
		f.verify(s.checksum)
	}
	if f.err != nil {
		d.failed(f.err)
		return false
	}
	end, carry := bits.Add64(s.offset, want, 0)
	if carry != 0 || end > uint64(len(f.bytes)) {
		d.truncated("needs bytes %s to %s of %q, which has %s", commas(s.offset), commas(end), shorten(s.location), commas(len(f.bytes)))
		return false
	}
	if want > 0 {
		t.Raw = f.bytes[s.offset:end:end]
	}
	return true
}

// span parses the external_data of a tensor. Only the keys that ONNX lists may stand there.
func (d *decoder) span(props []graph.Prop) (span, bool) {
	var s span
	var err error
	seen := map[string]bool{}
	for _, p := range props {
		if seen[p.Key] {
			err = fmt.Errorf("the key %q stands there twice", shorten(p.Key))
		}
		seen[p.Key] = true
		switch p.Key {
		case "location":
			s.location = p.Value
		case "offset":
			s.offset, err = number(p, err)
		case "length":
			s.length, err = number(p, err)
			s.hasLength = true
		case "checksum":
			s.checksum = strings.ToLower(p.Value)
		default:
			err = fmt.Errorf("the key %q is not one of location, offset, length and checksum", shorten(p.Key))
		}
	}
	if err == nil && s.location == "" {
		err = errors.New("it has no location")
	}
	if err != nil {
		d.invalid("external_data: %v", err)
	}
	return s, err == nil
}

func number(p graph.Prop, before error) (uint64, error) {
	n, err := strconv.ParseUint(p.Value, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("%s %q is not a number of bytes", p.Key, shorten(p.Value))
	}
	return n, before
}
