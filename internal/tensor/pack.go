package tensor

// Unpack returns the elements of a 2-, 4- or 6-bit tensor as one byte each, in order. The bytes of a
// signed type are sign-extended (two's complement); those of other types are the bare codes.
func Unpack(t *Tensor) []byte {
	bits := t.DType.Bits()
	mask := byte(1<<bits - 1)
	var worth [64]byte // of each code: a table has no branch that signs decide at random
	for c := range worth[:1<<bits] {
		worth[c] = byte(c)
		if t.DType.Class() == ClassInt && byte(c) > mask/2 {
			worth[c] |= ^mask
		}
	}
	out := make([]byte, t.Len())
	if bits == 4 {
		for i := range out[:len(out)/2] {
			v := t.Raw[i]
			out[2*i], out[2*i+1] = worth[v&15], worth[v>>4]
		}
		if last := len(out) - 1; last&1 == 0 {
			out[last] = worth[t.Raw[last/2]&15]
		}
		return out
	}
	for i := range out {
		at, shift := i*bits/8, i*bits%8
		v := uint16(t.Raw[at])
		if shift+bits > 8 {
			v |= uint16(t.Raw[at+1]) << 8
		}
		out[i] = worth[byte(v>>shift)&mask]
	}
	return out
}

// CodeBytes returns the elements of a tensor of whole numbers of eight bits or fewer, each in a byte of its own,
// and whether they are signed; 8-bit ones are not copied. ok is false for other types.
func CodeBytes(t *Tensor) (codes []byte, signed, ok bool) {
	signed = t.DType.Class() == ClassInt
	switch {
	case t.DType == Int8 || t.DType == Uint8:
		return t.Raw[:t.Len()], signed, true
	case t.DType.IsInt() && t.DType.Bits() < 8:
		return Unpack(t), signed, true
	}
	return nil, false, false
}

// Pack makes a tensor of a 2-, 4- or 6-bit type from one byte for each element, the first in the low
// bits; high bits are dropped.
func Pack(d DType, codes []byte, shape ...int) *Tensor {
	t := New(d, shape...)
	bits := d.Bits()
	mask := byte(1<<bits - 1)
	for i, c := range codes {
		at, shift := i*bits/8, i*bits%8
		v := uint16(c&mask) << shift
		t.Raw[at] |= byte(v)
		if shift+bits > 8 {
			t.Raw[at+1] |= byte(v >> 8)
		}
	}
	return t
}
