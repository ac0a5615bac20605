package tensor

// Unpack returns the elements of a 2- or 4-bit tensor as one byte each, in order. The bytes of a
// signed type are sign-extended (two's complement); those of other types are the bare codes.
func Unpack(t *Tensor) []byte {
	bits := t.DType.Bits()
	n := t.Len()
	per, mask := 8/bits, byte(1<<bits-1)
	signed := t.DType.Class() == ClassInt
	out := make([]byte, n)
	for i := range out {
		c := t.Raw[i/per] >> (i % per * bits) & mask
		if signed && c > mask/2 {
			c |= ^mask
		}
		out[i] = c
	}
	return out
}

// Pack makes a tensor of a 2- or 4-bit type from one byte for each element; high bits are dropped.
func Pack(d DType, codes []byte, shape ...int) *Tensor {
	t := New(d, shape...)
	bits := d.Bits()
	per, mask := 8/bits, byte(1<<bits-1)
	for i, c := range codes {
		t.Raw[i/per] |= c & mask << (i % per * bits)
	}
	return t
}
