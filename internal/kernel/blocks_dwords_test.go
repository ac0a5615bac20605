package kernel

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestFillDwords holds codes that are packed as the file has them against those that are packed one by one.
func TestFillDwords(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	eachLevel(t, func(t *testing.T, l Level) {
		for kind, bits := range map[CodeKind]int{KindMarks4: 4, KindMarks2: 2} {
			for _, s := range [][3]int{{1, 32, 32}, {70, 64, 32}, {130, 96, 64}, {65, 160, 200}} {
				for _, flip := range []uint8{0, 1 << (bits - 1)} {
					n, k, pitch := s[0], s[1], max(s[1], s[2])
					stored := &BlockWeight{N: n, K: k, Block: 32, Kind: kind, Codes: randU8(r, n*pitch*bits/8), CodeBits: bits, Flip: flip, Pitch: pitch}
					stored.Marks, stored.Scale = randFloats(r, 16), randFloats(r, n*k/32)
					spread := *stored
					spread.Codes, spread.CodeBits, spread.Flip, spread.Pitch = nil, 0, 0, 0
					for i := range n {
						for j := range k {
							spread.Codes = append(spread.Codes, stored.code(i, j))
						}
					}
					p, q := l.PackBlocksF32(stored), l.PackBlocksF32(&spread)
					if !p.fillDwords(stored, bits) || q.fillDwords(&spread, bits) {
						t.Fatal("the wrong form is taken")
					}
					p = l.PackBlocksF32(stored)
					if !slices.Equal(p.codes, q.codes) {
						t.Errorf("%d columns of %d codes of %d bits, flipped by %d: other bytes", n, k, bits, flip)
					}
				}
			}
		}
	})
}
