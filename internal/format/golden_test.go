package format

import (
	"math"
	"slices"
	"testing"

	"lowbit/internal/tensor"
)

// TestSmallFloats walks through every code of the small floats: each decodes to what its fields
// say, encodes to itself, and numbers next to the points between neighbours fall on the right side.
func TestSmallFloats(t *testing.T) {
	for _, c := range []struct {
		d                  tensor.DType
		exp, man, bias     int
		largest, least, by float64 // least is the smallest subnormal; by is the smallest normal
	}{
		{tensor.Float8E4M3FN, 4, 3, 7, 448, 0x1p-9, 0x1p-6},
		{tensor.Float8E5M2, 5, 2, 15, 57344, 0x1p-16, 0x1p-14},
		{tensor.Float4E2M1, 2, 1, 1, 6, 0.5, 1},
		{tensor.Float16, 5, 10, 15, 65504, 0x1p-24, 0x1p-14},
		{tensor.BFloat16, 8, 7, 127, 0x1.fep127, 0x1p-133, 0x1p-126},
	} {
		f := miniFloats[c.d]
		if f.decode(uint16(f.top)) != c.largest || f.decode(1) != c.least || f.decode(1<<c.man) != c.by {
			t.Errorf("%s: largest %v, least %v, least normal %v", c.d, f.decode(uint16(f.top)), f.decode(1), f.decode(1<<c.man))
		}
		for _, g := range All {
			if g.mini() == f && float64(g.Normal()) != c.by {
				t.Errorf("%s: %g is the least number with all digits, want %g", g.Name, g.Normal(), c.by)
			}
		}
		for code := range f.top {
			v, next := f.decode(uint16(code)), f.decode(uint16(code+1))
			e, m := code>>c.man, code&(1<<c.man-1)
			want := math.Ldexp(float64(m), 1-c.bias-c.man)
			if e > 0 {
				want = math.Ldexp(1+float64(m)/float64(int(1)<<c.man), e-c.bias)
			}
			if v != want {
				t.Fatalf("%s: code %#x is %v, want %v", c.d, code, v, want)
			}
			mid := (v + next) / 2
			for x, want := range map[float64]int{v: code, math.Nextafter(mid, 0): code, mid: code + code&1, math.Nextafter(mid, math.Inf(1)): code + 1} {
				if got := f.encode(x, true); int(got) != want {
					t.Fatalf("%s: %v became %#x, want %#x", c.d, x, got, want)
				}
				if got := f.encode(-x, true); int(got) != want|1<<(c.exp+c.man) {
					t.Fatalf("%s: %v became %#x", c.d, -x, got)
				}
			}
		}
	}
}

// TestSmallFloatEdges has the values that ml_dtypes gives at the ends of the ranges.
func TestSmallFloatEdges(t *testing.T) {
	e4, e5 := miniFloats[tensor.Float8E4M3FN], miniFloats[tensor.Float8E5M2]
	if v := e4.decode(e4.encode(464, false)); v != 448 {
		t.Errorf("464 became %v", v)
	}
	if v := e4.decode(e4.encode(464.1, false)); v == v {
		t.Errorf("464.1 became %v", v)
	}
	if v := e4.decode(e4.encode(0x1p-10, false)); v != 0 {
		t.Errorf("2^-10 became %v", v)
	}
	if v := e4.decode(e4.encode(1.5*0x1p-9, false)); v != 0x1p-8 {
		t.Errorf("1.5·2^-9 became %v", v)
	}
	if v := e5.decode(e5.encode(61440, false)); !math.IsInf(v, 1) {
		t.Errorf("61440 became %v", v)
	}
	if v := e4.decode(e4.encode(math.Inf(1), true)); v != 448 {
		t.Errorf("infinity saturates to %v", v)
	}
}

// TestAPoT compares the levels with those of the paper (Li et al., 2020, figure 1).
func TestAPoT(t *testing.T) {
	three := []float32{0, .1, .2, .3, .4, .6, .8, 1}
	for i, want := range three {
		if got := APoT4.Marks[i] / 10; math.Abs(float64(got-want)) > 1e-6 {
			t.Errorf("level %d is %v, want %v", i, got, want)
		}
	}
	four := []float32{0, .0208, .0417, .0625, .0833, .125, .1667, .1875, .25, .3333, .375, .5, .6667, .6875, .75, 1}
	got := scaled(sums([]float32{0, 0x1p-1, 0x1p-3, 0x1p-5}, []float32{0, 0x1p-2, 0x1p-4, 0x1p-6}), 1/.75)
	for i, want := range four {
		if math.Abs(float64(got[i]-want)) > 5e-5 {
			t.Errorf("level %d of four bits is %v, want %v", i, got[i], want)
		}
	}
}

// TestLog follows LogQuant(x, bw, FSR): the exponent rounded in the log domain and clipped, zero
// only for zero (Miyashita et al., 2016, section 3).
func TestLog(t *testing.T) {
	for _, c := range []struct {
		f          *Format
		least, top float64 // exponents of the smallest and the largest mark
		step       float64
	}{{Log4, 0, 6, 1}, {Log5, 0, 14, 1}, {Log4Sqrt2, 0, 3, 0.5}} {
		lo, hi := c.f.ends()
		if float64(hi) != math.Exp2(c.top) || lo != -hi {
			t.Errorf("%s: marks from %v to %v", c.f.Name, lo, hi)
		}
		x := []float32{0, 1e-6, -1e-6, 1.41, 1.42, -2.82, -2.84, 1e9}
		for k := -20.0; k < 20; k += 0.37 {
			x = append(x, float32(math.Exp2(k)), -float32(math.Exp2(k)))
		}
		codes, y := make([]int32, len(x)), make([]float32, len(x))
		c.f.Encode(codes, x, Params{Scale: 1})
		c.f.Decode(y, codes, Params{Scale: 1})
		for i, v := range x {
			want := 0.0
			if v != 0 {
				e := math.Round(math.Log2(math.Abs(float64(v)))/c.step) * c.step
				want = math.Copysign(math.Exp2(math.Max(c.least, math.Min(c.top, e))), float64(v))
			}
			if y[i] != float32(want) {
				t.Errorf("%s: %v became %v, want %v", c.f.Name, v, y[i], want)
			}
		}
	}
}

// TestRules holds the rules by which formats choose their scales.
func TestRules(t *testing.T) {
	x := []float32{-1, 0.5, 0.25, -0.125, 0, 3}
	p, q := Binary.FitBlock(x), Ternary.FitBlock(x)
	if want := float32(4.875 / 6); p.Scale != want {
		t.Errorf("binary scale %v, want the mean magnitude %v", p.Scale, want)
	}
	if want := float32(2); q.Scale != want { // 0.7 of the mean is 0.569: only 1 and 3 are above
		t.Errorf("ternary scale %v, want %v", q.Scale, want)
	}
	for amax, want := range map[float32]float32{1: 1.0 / 128, 0.9: 1.0 / 128, 1.1: 1.0 / 64, 128: 1, 129: 2} { // 2^(il−8), il = ⌈log2 max + 1⌉
		if p := Ristretto8.FitBlock([]float32{amax, -amax / 2}); p.Scale != want {
			t.Errorf("ristretto8 of %v: scale %v, want %v", amax, p.Scale, want)
		}
	}
	for amax, want := range map[float32]float32{6: 1, 7.9: 1, 8: 2, 5: 1, 3.99: .5} {
		if p := MXFP4.FitBlock([]float32{amax, -amax / 2}); p.Scale != want {
			t.Errorf("mxfp4 of %v: scale %v, want %v", amax, p.Scale, want)
		}
	}
	if p := MXFP8.FitBlock([]float32{448, 1}); p.Scale != 1 {
		t.Errorf("mxfp8 of 448: scale %v", p.Scale)
	}
}

// TestSQNR holds the search to the ratios of the best clips of the normal distribution; these
// leave the lowest code unused, which the search may not, so that it must do no worse.
func TestSQNR(t *testing.T) {
	for f, want := range map[*Format]float64{Int2: 7.21, Int4: 18.90} {
		x := Distributions[0].Sample()
		p, err := f.FitTensor(tensor.Of[float32](x), x.Shape, Block{})
		if err != nil {
			t.Fatal(err)
		}
		codes, _ := f.QuantizeTensor(x, Block{}, p)
		back, _ := f.DequantizeTensor(codes, Block{}, p)
		if got := SQNR(tensor.Of[float32](x), tensor.Of[float32](back)); got < want-0.02 || got > want+2 {
			t.Errorf("%s: %.2f dB, the best symmetric clip has %.2f", f.Name, got, want)
		}
	}
}

// TestScales writes scales in their own formats and reads them back.
func TestScales(t *testing.T) {
	list := make([]float32, 600)
	for i := range list {
		list[i] = 0.01 * (1 + float32(i%97)/31)
	}
	for s, worst := range map[*ScaleFormat]float64{E8M0: 0.42, E4M3Scale: 0.0626, Int8Scale: 0.02} {
		e := s.Encode(list)
		got := s.Decode(e)
		for i, v := range list {
			if d := math.Abs(float64(got[i]/v) - 1); d > worst {
				t.Fatalf("%s: scale %v became %v", s.Name, v, got[i])
			}
		}
		if want := map[*ScaleFormat]int{E8M0: 0, E4M3Scale: 1, Int8Scale: 3}[s]; len(e.Outer) != want {
			t.Errorf("%s: %d outer scales, want %d", s.Name, len(e.Outer), want)
		}
	}
	// One much larger than the others: they may come out too large, but not as zero or with another sign.
	for _, top := range []float32{1, 5, 10, 100, 1e6} {
		list := append(slices.Repeat([]float32{0.05, 0.04, 0.06}, 60), top)
		for _, s := range []*ScaleFormat{E8M0, E4M3Scale, Int8Scale} {
			for i, v := range s.Decode(s.Encode(list)) {
				if v < list[i]/2 {
					t.Errorf("%s: beside %v scale %v became %v", s.Name, top, list[i], v)
					break
				}
			}
		}
	}
	// NVFP4: the global scale is amax/(6·448), that of the largest block the largest E4M3 number.
	x := append(slices.Repeat([]float32{0.75}, 16), slices.Repeat([]float32{12}, 16)...)
	p, _ := NVFP4.FitTensor(x, []int{32}, Block{Kind: Group, Size: 16})
	e := E4M3Scale.Encode([]float32{p[0].Scale, p[1].Scale})
	if e.Outer[0] != float32(12.0/6/448) || FP8E4M3.Mark(e.Codes[1]) != 448 || FP8E4M3.Mark(e.Codes[0]) != 28 {
		t.Errorf("nvfp4: outer %v, codes %v", e.Outer, e.Codes)
	}
}

// TestNF4 regenerates the marks: quantiles of the normal distribution, eight above zero and seven
// below, with the outermost at probability 0.9677083 (QLoRA, appendix E).
func TestNF4(t *testing.T) {
	quantile := func(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }
	const offset = 0.9677083
	var want []float64
	for i := range 8 {
		want = append(want, quantile(offset+(0.5-offset)*float64(i)/8))
	}
	for i := range 7 {
		want = append(want, -quantile(offset+(0.5-offset)*float64(i)/7))
	}
	want = append(want, 0)
	slices.Sort(want)
	for i, v := range want {
		if got := float64(nf4Marks[i]); math.Abs(got-v/want[15]) > 1e-6 {
			t.Errorf("mark %d is %v, want %v", i, got, v/want[15])
		}
	}
}
