package engine

import "encoding/binary"

// Short rows are copied in words of 64 bits where they begin and end at such.
const (
	wordBytes = 8
	wordBits  = 8 * wordBytes
	longRow   = 3 // words from which on a call of copy is faster
)

// inWords returns the plan with words of per elements as its elements, or nil where they do not fit.
func (c *copyPlan) inWords(per int) *copyPlan {
	k := len(c.dims) - 1
	if c.ds[k] != 1 || c.ss[k] != 1 || c.dims[k]%per != 0 || c.to%per != 0 || c.from%per != 0 {
		return nil
	}
	dims, ds, ss := make([]int, k+1), make([]int, k+1), make([]int, k+1)
	for i := range k {
		if c.ds[i]%per != 0 || c.ss[i]%per != 0 {
			return nil
		}
		dims[i], ds[i], ss[i] = c.dims[i], c.ds[i]/per, c.ss[i]/per
	}
	dims[k], ds[k], ss[k] = c.dims[k]/per, 1, 1
	return newCopy(dims, ds, ss, c.to/per, c.from/per)
}

// copyWords copies rows of words, the first from word s to word d.
func (c *copyPlan) copyWords(dst, src []byte, d, s, rows int) {
	k := len(c.dims) - 1
	n, ds, ss := c.dims[k], c.ds[k]*wordBytes, c.ss[k]*wordBytes
	dr, sr := c.step()
	d, s, dr, sr = d*wordBytes, s*wordBytes, dr*wordBytes, sr*wordBytes
	if n == 4 && ds == wordBytes && ss == wordBytes {
		for range rows {
			copyFour(dst[d:], src[s:])
			d, s = d+dr, s+sr
		}
		return
	}
	if n >= longRow && ds == wordBytes && ss == wordBytes {
		for range rows {
			copy(dst[d:d+n*wordBytes], src[s:])
			d, s = d+dr, s+sr
		}
		return
	}
	for range rows {
		at, from := d, s
		for range n {
			binary.LittleEndian.PutUint64(dst[at:at+wordBytes], binary.LittleEndian.Uint64(src[from:from+wordBytes]))
			at, from = at+ds, from+ss
		}
		d, s = d+dr, s+sr
	}
}

// copyFour copies four words.
func copyFour(dst, src []byte) {
	to, from := (*[4 * wordBytes]byte)(dst), (*[4 * wordBytes]byte)(src)
	a, b := binary.LittleEndian.Uint64(from[:8]), binary.LittleEndian.Uint64(from[8:16])
	c, d := binary.LittleEndian.Uint64(from[16:24]), binary.LittleEndian.Uint64(from[24:])
	binary.LittleEndian.PutUint64(to[:8], a)
	binary.LittleEndian.PutUint64(to[8:16], b)
	binary.LittleEndian.PutUint64(to[16:24], c)
	binary.LittleEndian.PutUint64(to[24:], d)
}
