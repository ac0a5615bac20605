package kernel

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestStoredCodes packs the same weight from codes that lie several to a byte, toggled, in wider rows and turned.
func TestStoredCodes(t *testing.T) {
	eachLevel(t, func(t *testing.T, l Level) {
		r := rand.New(rand.NewPCG(61, 62))
		for _, s := range [][3]int{{1, 1, 16}, {3, 5, 16}, {70, 33, 16}, {65, 96, 32}, {16, 130, 128}, {131, 64, 64}} {
			for kind := range numKinds {
				w := randCodes(r, kind, s[0], s[1], s[2])
				want := l.PackBlocksF32(w)
				for _, turned := range []bool{false, true} {
					v := laidOut(w, min(codeRows[kind].bits, 8), turned)
					got := l.PackBlocksF32(v)
					if got == nil != (want == nil) || got != nil && (!slices.Equal(got.codes, want.codes) || !slices.Equal(got.halves, want.halves)) {
						t.Errorf("kind %d, %v, turned %v: packed otherwise", kind, s, turned)
					}
					if at := [2]int{s[0] - 1, s[1] - 1}; v.At(at[0], at[1]) != w.At(at[0], at[1]) {
						t.Errorf("kind %d, %v, turned %v: element %v is %v, not %v", kind, s, turned, at, v.At(at[0], at[1]), w.At(at[0], at[1]))
					}
				}
			}
			for _, bits := range []int{2, 4, 8} {
				w := randBlocks(r, s[0], s[1], s[2], bits)
				want := l.PackBlocksS8(w, bits)
				for _, turned := range []bool{false, true} {
					if got := l.PackBlocksS8(laidOut(w, bits, turned), bits); !slices.Equal(got.codes, want.codes) {
						t.Errorf("%d bits, %v, turned %v: packed otherwise", bits, s, turned)
					}
				}
			}
		}
	})
}

// laidOut is w with its codes of some bits, or its halves, stored in another way.
func laidOut(w *BlockWeight, bits int, turned bool) *BlockWeight {
	v := *w
	v.Turned, v.Pitch = turned, w.K+3
	rows := w.N
	if turned {
		v.Pitch, rows = w.N+1, w.K
	}
	if w.Halves != nil {
		v.Halves = make([]uint16, rows*v.Pitch)
		for n := range w.N {
			for k := range w.K {
				v.Halves[v.at(n, k)] = w.Halves[n*w.K+k]
			}
		}
		return &v
	}
	v.CodeBits, v.Flip = bits, uint8(1)<<(bits-1)
	v.Codes = make([]uint8, (rows*v.Pitch*bits+7)/8)
	for n := range w.N {
		for k := range w.K {
			i := v.at(n, k) * bits
			v.Codes[i/8] |= (w.Codes[n*w.K+k] ^ v.Flip) << (i % 8)
		}
	}
	return &v
}

// TestUnpackCodes reads codes from any one on, and any number of them.
func TestUnpackCodes(t *testing.T) {
	r := rand.New(rand.NewPCG(63, 64))
	for _, bits := range []int{2, 4, 8} {
		w := &BlockWeight{Codes: make([]uint8, 40), CodeBits: bits, Flip: 1<<(bits-1) | 1}
		for i := range w.Codes {
			w.Codes[i] = uint8(r.UintN(256))
		}
		all := make([]uint8, len(w.Codes)*8/bits)
		for i := range all {
			all[i] = w.packedCode(i, bits)
		}
		for from := range 20 {
			for to := from; to <= len(all); to++ {
				got := make([]uint8, to-from)
				if w.unpack(got, from); !slices.Equal(got, all[from:to]) {
					t.Fatalf("%d bits, %d to %d: %v, not %v", bits, from, to, got, all[from:to])
				}
			}
		}
	}
}
