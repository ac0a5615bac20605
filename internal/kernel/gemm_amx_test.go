//go:build amd64 && !purego

package kernel

import (
	"fmt"
	"math/bits"
	"math/rand/v2"
	"testing"
	"unsafe"
)

// tilesInGo does what the kernels do with tiles: each sum starts at the bias,
// add goes through the bytes of a row and the tiles of a column, and finish
// stores the sum.
func tilesInGo[S any](t *amxArgs, tiles, width int, add func(sum S, row, b unsafe.Pointer, j int) S, finish func(c unsafe.Pointer, sum S, i, blk, j int)) {
	for g, from := range unsafe.Slice(t.groupA, t.groups) {
		at := 0
		for i := range t.rows {
			if at+1 < tiles && i*64 == t.part[at+1] {
				at++
			}
			for blk := range t.blocks * width {
				columns := 16
				if blk == t.blocks*width-1 {
					columns = bits.Len64(t.mask)
				}
				for j := range columns {
					sum := *amxElement[S](t.bias, blk*t.biasStep, j)
					for tap, off := range unsafe.Slice(t.off, t.taps) {
						for step := range t.steps {
							row := unsafe.Add(t.a, from+int(off)+t.tile[at]+(i-t.part[at]/64)*t.lda+step*64)
							sum = add(sum, row, unsafe.Add(t.b, ((blk*t.taps+tap)*t.steps+step)*tileBytes), j)
						}
					}
					finish(unsafe.Add(t.c, g*t.groupC+i*t.ldc+blk*t.cStep), sum, g*t.rows+i, blk, j)
				}
			}
		}
	}
}

func amxInGo(t *amxArgs, tiles, width int) {
	tilesInGo(t, tiles, width, func(sum int32, row, b unsafe.Pointer, j int) int32 {
		for k, v := range (*[64]uint8)(row) {
			sum += int32(v) * int32((*[1024]int8)(b)[k/4*64+j*4+k%4])
		}
		return sum
	}, func(c unsafe.Pointer, sum int32, _, blk, j int) { t.finishInGo(c, sum, blk, j) })
}

func amxInGoBF16(t *amxArgs, tiles, width int) {
	tilesInGo(t, tiles, width, func(sum float32, row, b unsafe.Pointer, j int) float32 {
		for k, v := range (*[32]uint16)(row) {
			sum += float32(decodeBF16(v) * decodeBF16((*[512]uint16)(b)[k/2*32+j*2+k%2]))
		}
		return sum
	}, func(c unsafe.Pointer, sum float32, i, blk, j int) {
		if t.add != nil {
			sum += *amxElement[float32](t.add, i*t.ldAdd+blk*t.cStep, j)
		}
		if sum == sum {
			sum = min(max(sum, t.lo), t.hi)
		}
		*amxElement[float32](c, 0, j) = sum
	})
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

// bodiesInGo makes kernels of body.
func bodiesInGo(body func(t *amxArgs, tiles, width int)) amxSet {
	var b amxBodies
	for w, most := range []int{mostTiles, pairTiles} {
		for i := range most {
			b[w] = append(b[w], func(t *amxArgs) { body(t, i+1, w+1) })
		}
	}
	return amxSet{held: b, near: b, far: b}
}

// withTiles runs f with AMX as the machine has it, or with Go in the place of
// the tile instructions.
func withTiles(t *testing.T, f func(t *testing.T)) {
	if !have[VNNI] {
		t.Skip("needs AVX-512 VNNI")
	}
	t.Run("go", func(t *testing.T) {
		defer func(k, b amxSet, h, w bool) {
			amxKernels, amxKernelsBF16, have[AMX], tilesBF16 = k, b, h, w
		}(amxKernels, amxKernelsBF16, have[AMX], tilesBF16)
		amxKernels, amxKernelsBF16 = bodiesInGo(amxInGo), bodiesInGo(amxInGoBF16)
		have[AMX], tilesBF16 = true, true
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
			for _, s := range [][3]int{{1, 1, 1}, {31, 100, 4}, {1, 1, 1600}, {16, 32, 64}, {17, 33, 65}, {32, 64, 128}, {33, 130, 63}, {48, 31, 64}, {64, 600, 60}, {70, 1100, 129}, {5, 63, 200}, {100, 48, 48}, {131, 100, 6000}, {500, 70, 70}, {334, 20, 96}} {
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
		for i := range 80 {
			checkRowsU8S8(t, AMX, r, 1+r.IntN(100), 1+r.IntN(80), []string{"u8", "s8", "i32", "f32"}[i%4])
		}
		// Pixels of 64 channels need no rows: each tap begins a step.
		for range 20 {
			checkInsideU8S8(t, AMX, r, 64*(1+r.IntN(2)), 1+r.IntN(80))
		}
	})
}

// checkInsideU8S8 convolves an image without padding whose rows fill tiles.
func checkInsideU8S8(t *testing.T, l Level, r *rand.Rand, c, n int) {
	t.Helper()
	w := randWindow(r, c+64*r.IntN(2))
	w.Top, w.Left = 0, 0
	w.OH, w.OW = 1+r.IntN(12), 12+r.IntN(21)
	w.H = (w.OH-1)*w.StrideH + (w.KH-1)*w.DilH + 1 + r.IntN(2)
	w.W = (w.OW-1)*w.StrideW + (w.KW-1)*w.DilW + 1 + r.IntN(2)
	taps, m := w.KH*w.KW, w.OH*w.OW
	x, wt := randU8(r, w.H*w.W*w.Pitch), randS8(r, n*taps*c)
	p := l.PackU8S8(wt, n, c, taps, Order{N: taps * c, Tap: c, K: 1})
	ix := w.Indirect()
	if !ix.inside || !p.apart() {
		t.Fatalf("%+v is not read in place", w)
	}
	out := newIntOut(r, "u8", m, n, c*taps)
	p.Conv(x, 1, ix, out, p.All(m))
	in := seen(w, x, 1, c)
	checkInt(t, out, m, n, func(i, j int) (v int32) {
		for tap := range taps {
			for q := range c {
				v += int32(in[(i*taps+tap)*c+q]) * int32(wt[(j*taps+tap)*c+q])
			}
		}
		return v
	}, fmt.Sprintf("%+v", w))
}

// TestByRowsAMX: what begins where images are cut comes in groups as long as at the start.
func TestByRowsAMX(t *testing.T) {
	withTiles(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(35, 36))
		for _, ow := range []int{14, 28, 31, 56} {
			w := Window{H: 58, W: ow + 2, Pitch: 64, KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilH: 1, DilW: 1, OH: 56, OW: ow}
			p, ix := AMX.PackU8S8(randS8(r, 64*9*64), 64, 64, 9, Order{N: 9 * 64, Tap: 64, K: 1}), w.Indirect()
			x := randU8(r, w.H*w.W*w.Pitch+4096)
			from := func(m int) int {
				s := new(scratch)
				l := newLeft(s, &p.shape, &rows[uint8]{x: x, ix: ix, k: 64, taps: 9})
				l.most = pairTiles
				l.take(m, w.OH*w.OW, 4)
				return s.amx.groups
			}
			want := from(0)
			if want < 4 {
				t.Fatalf("rows of %d come in groups of %d", ow, want)
			}
			for parts := 2; parts < 5; parts++ {
				for _, part := range p.ByRows(ix, w.OH*w.OW, parts) {
					if got := from(part.M0); got != want {
						t.Errorf("rows of %d from %d on come in groups of %d, not %d", ow, part.M0, got, want)
					}
				}
			}
		}
	})
}

func TestBF16AMX(t *testing.T) {
	withTiles(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(33, 34))
		for _, s := range [][3]int{{1, 1, 1}, {16, 32, 32}, {17, 33, 64}, {32, 64, 33}, {33, 130, 96}, {48, 31, 31}, {64, 600, 60}, {70, 100, 129}, {5, 63, 200}, {131, 100, 320}, {301, 40, 64}} {
			checkGemmBF16(t, AMX, r, s[0], s[1], s[2])
		}
		for range 60 {
			checkConvBF16(t, AMX, r, 1+r.IntN(90), 1+r.IntN(80))
		}
	})
}
