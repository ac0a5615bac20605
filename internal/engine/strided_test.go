package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"lowbit/internal/tensor"
)

// TestCopyPlan copies random boxes of every element size between random strides, in random parts, and holds
// each element against the definition. What lies outside of the box must stay as it is.
func TestCopyPlan(t *testing.T) {
	rng := rand.New(rand.NewPCG(41, 42))
	for round := range 600 {
		size := 1 << rng.IntN(4)
		rank := 1 + rng.IntN(4)
		dims, ds, ss := make([]int, rank), make([]int, rank), make([]int, rank)
		dn, sn := 1, 1
		for i := rank - 1; i >= 0; i-- {
			dims[i] = []int{1, 2, 3, 8, 16, 40}[rng.IntN(6)]
			ds[i], ss[i] = dn*(1+rng.IntN(2)*rng.IntN(2)), sn*(1+rng.IntN(2)*rng.IntN(3))
			if rng.IntN(5) == 0 {
				ss[i] = 0
			}
			dn, sn = ds[i]*dims[i], max(sn, ss[i]*dims[i])
		}
		to, from := 8*rng.IntN(3)+rng.IntN(2), 8*rng.IntN(3)+rng.IntN(2)
		dst, src := wordsOf(size, to+dn), wordsOf(size, from+sn)
		for i := range src.Raw {
			src.Raw[i] = byte(rng.Uint32())
		}
		want := append([]byte(nil), dst.Raw...)
		for i := range tensor.Elements(dims) {
			d, s, r := to, from, i
			for j := rank - 1; j >= 0; j-- {
				d, s, r = d+r%dims[j]*ds[j], s+r%dims[j]*ss[j], r/dims[j]
			}
			copy(want[d*size:d*size+size], src.Raw[s*size:])
		}
		c, parts := newCopy(dims, ds, ss, to, from), 1+rng.IntN(4)
		c.words = c.inWords(wordBytes / size)
		for p := range parts {
			c.run(dst, src, p, parts)
		}
		if string(dst.Raw) != string(want) {
			t.Fatalf("round %d: %s of %d bytes from strides %v to %v in %d parts", round, fmt.Sprint(dims), size, ss, ds, parts)
		}
	}
}

// wordsOf returns n elements of some bytes.
func wordsOf(size, n int) *tensor.Tensor {
	d := map[int]tensor.DType{1: tensor.Uint8, 2: tensor.Uint16, 4: tensor.Uint32, 8: tensor.Uint64}[size]
	return tensor.New(d, n)
}
