package kernel

import (
	"math/rand/v2"
	"testing"
)

// TestLUT8 tests each body by itself too: one machine may have several for the same level.
func TestLUT8(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 12))
	var table [256]uint8
	for i := range table {
		table[i] = uint8(r.Uint32())
	}
	src := make([]uint8, 512)
	for i := range src {
		src[i] = uint8(i)
	}
	r.Shuffle(len(src), func(i, j int) { src[i], src[j] = src[j], src[i] })
	for _, v := range lut8Asm {
		if !have[v.level] {
			continue
		}
		got := make([]uint8, len(src))
		v.fn(&got[0], &src[0], len(src), &table)
		for i, c := range src {
			if got[i] != table[c] {
				t.Fatalf("%s unit %d: table[%d] = %d, want %d", v.level, v.unit, c, got[i], table[c])
			}
		}
	}
	eachCase(t, func(l Level, r *rand.Rand, n, off int) {
		src := bytesOf[uint8](r, n, off)
		got, want := newGuard[uint8](n, off, 77), make([]uint8, n)
		l.LUT8(got.slice(), src, &table)
		Generic.LUT8(want, src, &table)
		equal(t, l.String(), got.slice(), want)
		got.check(t, l.String())
	})
}

func TestFlipSign(t *testing.T) {
	eachCase(t, func(l Level, r *rand.Rand, n, off int) {
		src := bytesOf[uint8](r, n, off)
		got, want := newGuard[uint8](n, off, 77), make([]uint8, n)
		l.FlipSign(got.slice(), src)
		for i, v := range src {
			want[i] = v + 128
		}
		equal(t, l.String()+" FlipSign", got.slice(), want)
		got.check(t, l.String())
	})
}
