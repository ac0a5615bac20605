package tensor

import (
	"slices"
	"testing"
)

func TestPack(t *testing.T) {
	for _, c := range []struct {
		d     DType
		codes []byte
		raw   []byte
	}{
		{Uint4, []byte{1, 2, 15}, []byte{0x21, 0x0f}},
		{Int4, []byte{0x0f, 0xf8, 7}, []byte{0x8f, 0x07}},
		{Uint2, []byte{0, 1, 2, 3, 3}, []byte{0xe4, 0x03}},
		{Int2, []byte{0xff, 1, 0xfe, 0}, []byte{0x27}},
		// Four elements in three bytes, as onnx.proto spells it out.
		{Float6E2M3, []byte{0x3f, 0, 0x3f, 0}, []byte{0x3f, 0xf0, 0x03}},
		{Float6E3M2, []byte{1, 2, 3, 4, 5}, []byte{0x81, 0x30, 0x10, 0x05}},
		{Uint4, nil, nil},
	} {
		x := Pack(c.d, c.codes, len(c.codes))
		if !slices.Equal(x.Raw, c.raw) {
			t.Errorf("%s: packed %x, want %x", c.d, x.Raw, c.raw)
		}
		signed := c.d.Class() == ClassInt
		for i, got := range Unpack(x) {
			want := c.codes[i]
			if bits := c.d.Bits(); signed {
				want = byte(int8(want<<(8-bits)) >> (8 - bits))
			}
			if got != want {
				t.Errorf("%s: element %d is %x, want %x", c.d, i, got, want)
			}
		}
	}
}
