//go:build amd64 && !purego

package kernel

import (
	"math/bits"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// amxInGo does what the kernels do with tiles.
func amxInGo(t *amxArgs) {
	first := t.second / 128
	for i := range t.rows {
		at := 0
		if i >= first {
			at = 1
		}
		for blk := range t.blocks {
			columns := 32
			if blk == t.blocks-1 {
				columns = bits.Len64(t.mask)
			}
			for j := range columns {
				sum := *amxElement[int32](t.bias, blk*t.biasStep, j)
				for tap, off := range unsafe.Slice(t.off, t.taps) {
					row := unsafe.Slice((*uint8)(unsafe.Add(t.a, int(off[at])+(i-at*first)*t.lda)), t.steps*64)
					b := unsafe.Slice((*int8)(unsafe.Add(t.b, (blk*t.taps+tap)*t.steps*2048)), t.steps*2048)
					for k, v := range row {
						sum += int32(v) * int32(b[k/64*2048+j/16*1024+k%64/4*64+j%16*4+k%4])
					}
				}
				t.finishInGo(unsafe.Add(t.c, i*t.ldc+blk*t.cStep), sum, blk, j)
			}
		}
	}
}

func amxElement[T any](p unsafe.Pointer, off, i int) *T {
	return (*T)(unsafe.Add(p, off+i*int(unsafe.Sizeof(*new(T)))))
}

func (t *amxArgs) finishInGo(c unsafe.Pointer, sum int32, blk, j int) {
	scale := *amxElement[float32](t.scale, blk*t.scaleStep, j)
	switch t.kind {
	case 0:
		q := Requantize(sum, scale, int32(int16(t.z)), int32(uint8(t.qlo)), int32(uint8(t.qhi)))
		*amxElement[uint8](c, 0, j) = uint8(q) ^ uint8(t.flip)
	case 1:
		*amxElement[int32](c, 0, j) = sum
	default:
		*amxElement[float32](c, 0, j) = float32(float32(sum)*scale) + *amxElement[float32](t.shift, blk*t.shiftStep, j)
	}
}

// withTiles runs f with AMX as the machine has it, or with Go in the place of
// the tile instructions.
func withTiles(t *testing.T, f func(t *testing.T)) {
	if !have[VNNI] {
		t.Skip("needs AVX-512 VNNI")
	}
	t.Run("go", func(t *testing.T) {
		defer func(k [2]func(*amxArgs), h bool) { amxKernels, have[AMX] = k, h }(amxKernels, have[AMX])
		amxKernels, have[AMX] = [2]func(*amxArgs){amxInGo, amxInGo}, true
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
			for _, s := range [][3]int{{1, 1, 1}, {31, 100, 4}, {1, 1, 1600}, {16, 32, 64}, {17, 33, 65}, {32, 64, 128}, {33, 130, 63}, {48, 31, 64}, {64, 600, 60}, {70, 1100, 129}, {5, 63, 200}, {100, 48, 48}, {131, 100, 6000}} {
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
