package kernel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// windows are geometries of poolings: with padding, strides, dilation and of one pixel.
var windows = []Window{
	{H: 5, W: 6, KH: 3, KW: 3, StrideH: 2, StrideW: 2, DilH: 1, DilW: 1, Top: 1, Left: 1, OH: 3, OW: 3},
	{H: 7, W: 7, KH: 2, KW: 3, StrideH: 1, StrideW: 2, DilH: 2, DilW: 1, OH: 5, OW: 3},
	{H: 1, W: 1, KH: 3, KW: 3, StrideH: 1, StrideW: 1, DilH: 1, DilW: 1, Top: 1, Left: 1, OH: 1, OW: 1},
	{H: 1, W: 2, KH: 1, KW: 1, StrideH: 1, StrideW: 1, DilH: 1, DilW: 1, Left: 2, OH: 1, OW: 4}, // two windows of padding alone
}

var poolChannels = []int{1, 3, 7, 8, 15, 16, 24, 31, 33, 64, 65, 100, 129, 200}

// eachPool runs f for all fast levels, windows and numbers of channels.
func eachPool(t *testing.T, f func(l Level, r *rand.Rand, p *Pool, pixels int, what string)) {
	for _, l := range fast(t) {
		r := rand.New(rand.NewPCG(15, 16))
		for i, w := range windows {
			for _, c := range poolChannels {
				w.Pitch = c + i%2
				p := &Pool{Taps: w.Indirect(), C: c, OutPitch: c + i%3}
				f(l, r, p, w.H*w.W*w.Pitch, fmt.Sprintf("%s window %d, %d channels", l, i, c))
			}
		}
	}
}

func testPool[T comparable](t *testing.T, l Level, p *Pool, x []T, mark T, what string, run func(l Level, dst []T)) ([]T, []T) {
	t.Helper()
	n := p.Taps.Rows * p.OutPitch
	got, want := newGuard[T](n, 1, mark), newGuard[T](n, 1, mark)
	run(l, got.slice())
	run(Generic, want.slice())
	got.check(t, what)
	return got.slice(), want.slice()
}

func TestPoolF32(t *testing.T) {
	eachPool(t, func(l Level, r *rand.Rand, p *Pool, n int, what string) {
		x := newFloats(r, n, 1)
		got, want := testPool(t, l, p, x, mark, what, func(l Level, dst []float32) { l.MaxPoolF32(p, dst, x, 0, p.Taps.Rows) })
		equalFloats(t, "max "+what, got, want)
		got, want = testPool(t, l, p, x, mark, what, func(l Level, dst []float32) { l.AvgPoolF32(p, dst, x, 0, p.Taps.Rows) })
		equalFloats(t, "mean "+what, got, want)
	})
}

// TestFoldF32 folds some output pixels to the beginning of a slice, as the poolings put them where they belong.
func TestFoldF32(t *testing.T) {
	eachPool(t, func(l Level, r *rand.Rand, p *Pool, n int, what string) {
		x, rows := newFloats(r, n, 1), p.Taps.Rows
		all, some := make([]float32, rows*p.OutPitch), make([]float32, rows*p.OutPitch)
		l.MaxPoolF32(p, all, x, 0, rows)
		l.FoldMaxF32(p, some, x, rows/2, rows)
		for i := rows / 2; i < rows; i++ {
			equalFloats(t, "max "+what, some[(i-rows/2)*p.OutPitch:][:p.C], all[i*p.OutPitch:][:p.C])
		}
		ones := *p
		ones.Divisors = slices.Repeat([]float32{1}, rows)
		l.AvgPoolF32(&ones, all, x, 0, rows)
		l.FoldSumF32(p, some, x, rows/2, rows)
		for i := rows / 2; i < rows; i++ {
			equalFloats(t, "sum "+what, some[(i-rows/2)*p.OutPitch:][:p.C], all[i*p.OutPitch:][:p.C])
			if seen := len(slices.DeleteFunc(slices.Clone(p.Taps.row(i)), func(o int32) bool { return o < 0 })); p.Taps.Seen(i) != seen {
				t.Fatalf("%s: pixel %d sees %d taps, not %d", what, i, p.Taps.Seen(i), seen)
			}
		}
	})
}

func TestPoolCodes(t *testing.T) {
	qu := &PoolQuant{XScale: 0.3, OutScale: 0.2, XZero: 100, OutZero: 50, Lo: 0, Hi: 255}
	eachPool(t, func(l Level, r *rand.Rand, p *Pool, n int, what string) {
		u := bytesOf[uint8](r, n, 1)
		got, want := testPool(t, l, p, u, 77, what, func(l Level, dst []uint8) { l.MaxPoolU8(p, dst, u, 0, p.Taps.Rows) })
		equal(t, "max u8 "+what, got, want)
		got, want = testPool(t, l, p, u, 77, what, func(l Level, dst []uint8) { l.AvgPoolU8(p, qu, dst, u, 0, p.Taps.Rows) })
		equal(t, "mean u8 "+what, got, want)
	})
}

// TestAveragesByDefinition holds both averages, made in two parts, against what they mean, with own divisors and without.
func TestAveragesByDefinition(t *testing.T) {
	q := &PoolQuant{XScale: 0.3, OutScale: 0.2, XZero: 100, OutZero: 50, Lo: 0, Hi: 255}
	for _, own := range []bool{false, true} {
		eachPool(t, func(l Level, r *rand.Rand, p *Pool, n int, what string) {
			rows := p.Taps.Rows
			if own {
				for i := range rows {
					p.Divisors = append(p.Divisors, float32(3+i/2))
				}
			}
			x, u := normals(n), bytesOf[uint8](r, n, 1)
			got, codes := make([]float32, rows*p.OutPitch), make([]uint8, rows*p.OutPitch)
			cut := r.IntN(rows + 1)
			for _, part := range [][2]int{{0, cut}, {cut, rows}} {
				l.AvgPoolF32(p, got, x, part[0], part[1])
				l.AvgPoolU8(p, q, codes, u, part[0], part[1])
			}
			for i := range rows {
				for c := range p.C {
					sum, whole, taps := float32(0), int32(0), 0
					for _, o := range p.Taps.row(i) {
						if o >= 0 {
							sum, whole, taps = sum+x[int(o)+c], whole+int32(u[int(o)+c])-q.XZero, taps+1
						}
					}
					div := float32(taps)
					if own {
						div = p.Divisors[i]
					}
					if y := got[i*p.OutPitch+c]; y != sum/div && !(y != y && div == 0) {
						t.Fatalf("%s: pixel %d, channel %d is %v, want %v", what, i, c, y, sum/div)
					}
					want := uint8(quantOne(float32(float32(whole)*q.XScale), float32(q.OutScale*div), q.OutZero, q.Lo, q.Hi))
					if y := codes[i*p.OutPitch+c]; y != want {
						t.Fatalf("%s: pixel %d, channel %d is code %d, want %d", what, i, c, y, want)
					}
				}
			}
		})
	}
}

func TestPoolMeaning(t *testing.T) {
	w := Window{H: 2, W: 3, Pitch: 1, KH: 2, KW: 2, StrideH: 1, StrideW: 2, DilH: 1, DilW: 1, Left: 1, OH: 1, OW: 2}
	x := []float32{1, 2, 3, -4, 5, 7}
	p := &Pool{Taps: w.Indirect(), C: 1, OutPitch: 1}
	y := make([]float32, 2)
	for _, l := range Levels() {
		l.MaxPoolF32(p, y, x, 0, 2)
		equalFloats(t, "max", y, []float32{1, 7})
		p.Divisors = nil
		l.AvgPoolF32(p, y, x, 0, 2)
		equalFloats(t, "mean of what is there", y, []float32{-1.5, 4.25})
		p.Divisors = []float32{4, 4}
		l.AvgPoolF32(p, y, x, 0, 2)
		equalFloats(t, "mean with padding", y, []float32{-0.75, 4.25})
	}
	pad := &Pool{Taps: NewIndirect([]int32{-1, -1}, 2), C: 1, OutPitch: 1}
	Generic.MaxPoolF32(pad, y, x, 0, 1)
	if !math.IsInf(float64(y[0]), -1) {
		t.Errorf("the largest of nothing is %g", y[0])
	}
}

// TestGlobalPool has more taps than are summed at once.
func TestGlobalPool(t *testing.T) {
	const pixels, c = 150, 70
	r := rand.New(rand.NewPCG(17, 18))
	x, u := make([]float32, pixels*c), bytesOf[uint8](r, pixels*c, 0)
	normal(r, x)
	p := &Pool{Taps: GlobalTaps(pixels, c), C: c, OutPitch: c}
	for _, l := range Levels() {
		y, v := make([]float32, c), make([]uint8, c)
		l.AvgPoolF32(p, y, x, 0, 1)
		l.AvgPoolU8(p, &PoolQuant{XScale: 1, OutScale: 1, Hi: 255}, v, u, 0, 1)
		for ch := range c {
			var sum float64
			var codes int
			for i := range pixels {
				sum += float64(x[i*c+ch])
				codes += int(u[i*c+ch])
			}
			if math.Abs(float64(y[ch])-sum/pixels) > 1e-6 {
				t.Errorf("%s: mean of channel %d = %g, want %g", l, ch, y[ch], sum/pixels)
			}
			if want := math.RoundToEven(float64(codes) / pixels); float64(v[ch]) != want {
				t.Errorf("%s: mean code of channel %d = %d, want %g", l, ch, v[ch], want)
			}
		}
	}
}
