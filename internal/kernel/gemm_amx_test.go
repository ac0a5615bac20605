//go:build amd64 && !purego

package kernel

import (
	"math/rand/v2"
	"testing"
	"unsafe"
)

// amxInGo does what the tile instructions do, for mt*16 rows.
func amxInGo(mt int) func(*amxArgs) {
	return func(t *amxArgs) {
		for blk := range t.blocks {
			for i := range mt * 16 {
				for j := range 32 {
					a := unsafe.Slice((*uint8)(unsafe.Add(t.a, i*t.lda)), t.kb*64)
					b := unsafe.Slice((*int8)(unsafe.Add(t.b, blk*t.kb*2048)), t.kb*2048)
					sum := int32(0)
					for k, v := range a {
						sum += int32(v) * int32(b[k/64*2048+j/16*1024+k%64/4*64+j%16*4+k%4])
					}
					*(*int32)(unsafe.Add(t.c, i*t.ldc+(blk*32+j)*4)) = sum
				}
			}
		}
	}
}

// withTiles runs f with AMX as the machine has it, or with Go in the place of
// the tile instructions.
func withTiles(t *testing.T, f func(t *testing.T)) {
	if !have[VNNI] {
		t.Skip("needs AVX-512 VNNI")
	}
	t.Run("go", func(t *testing.T) {
		defer func(a, b func(*amxArgs), h bool) { amx32, amx16, have[AMX] = a, b, h }(amx32, amx16, have[AMX])
		amx32, amx16, have[AMX] = amxInGo(2), amxInGo(1), true
		f(t)
	})
	t.Run("tiles", func(t *testing.T) {
		if !have[AMX] {
			t.Skip("needs AMX")
		}
		f(t)
	})
}

func TestGemmAMX(t *testing.T) {
	withTiles(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(17, 18))
		for kind := range intKinds {
			for _, s := range [][3]int{{1, 1, 1}, {16, 32, 64}, {17, 33, 65}, {32, 64, 128}, {33, 130, 63}, {31, 100, 4}, {64, 600, 60}, {70, 1100, 129}, {5, 63, 200}} {
				checkGemmU8S8(t, AMX, r, kind, s[0], s[1], s[2])
			}
		}
	})
}

func TestConvAMX(t *testing.T) {
	withTiles(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(19, 20))
		for range 60 {
			checkConvU8S8(t, AMX, r, 1+r.IntN(150), 1+r.IntN(80), "u8")
		}
	})
}
