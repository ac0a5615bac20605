package format

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"lowbit/internal/tensor"
)

// gaussian returns a deterministic sample of the normal distribution.
func gaussian(n int) []float32 {
	r := rand.New(rand.NewPCG(3, 4))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

// TestContract holds every row to what the rest of the program takes for granted.
func TestContract(t *testing.T) {
	seen := map[string]bool{}
	for _, f := range All {
		t.Run(f.Name, func(t *testing.T) {
			if seen[f.Name] || Lookup(f.Name) != f {
				t.Error("the name is not unique")
			}
			seen[f.Name] = true
			for i, p := range f.Partners() {
				if p == nil && len(f.Acts) > 0 {
					t.Errorf("unknown partner %q", f.Acts[i])
				}
			}
			if f.Kind == "" || f.Via == "" || f.Opset < 10 || f.Opset > 25 || !f.Elem.Valid() {
				t.Errorf("kind %q, via %q, opset %d, elements %s", f.Kind, f.Via, f.Opset, f.Elem)
			}
			if f.Codes() > 1<<f.Bits || f.Elem.Bits() < f.Bits {
				t.Errorf("%d codes of %s in %d bits", f.Codes(), f.Elem, f.Bits)
			}
			if f.Via == Pick {
				for c, m := range f.Marks {
					if m != float32(math.Trunc(float64(m))) && m == m {
						t.Errorf("mark %d is %v, no whole number", c, m)
					}
				}
			}
			if b := f.BitsPerWeight(); b < float64(f.Bits) || b > float64(f.Bits)+1.5 {
				t.Errorf("%v bits for a weight", b)
			}
			lo, hi := f.ends()
			if !(lo <= 0 && hi > 0) || f.Zero != (lo == 0) {
				t.Errorf("marks from %v to %v", lo, hi)
			}
		})
	}
}

// TestRoundTrip quantizes in every format and block: decoded values are fixed points, no value
// is further from its mark than from any other, and zero stays zero where there is a mark for it.
func TestRoundTrip(t *testing.T) {
	x := tensor.Float32s(gaussian(6*40), 6, 40)
	tensor.Of[float32](x)[7] = 0
	for _, f := range All {
		for _, b := range []Block{{}, {Kind: Channel, Axis: 0}, {Kind: Channel, Axis: 1}, {Kind: Group, Axis: 1, Size: 16}, {Kind: Group, Axis: 0, Size: 4}} {
			p, err := f.FitTensor(tensor.Of[float32](x), x.Shape, b)
			if err != nil {
				t.Fatal(f.Name, b, err)
			}
			codes, err := f.QuantizeTensor(x, b, p)
			if err != nil {
				t.Fatal(f.Name, b, err)
			}
			if codes.DType != f.Elem || !slices.Equal(codes.Shape, x.Shape) {
				t.Fatalf("%s by %s: codes are %s", f.Name, b, codes)
			}
			y, err := f.DequantizeTensor(codes, b, p)
			if err != nil {
				t.Fatal(f.Name, b, err)
			}
			again, err := f.QuantizeTensor(y, b, p)
			if err != nil {
				t.Fatal(f.Name, b, err)
			}
			z, _ := f.DequantizeTensor(again, b, p)
			if !slices.Equal(tensor.Of[float32](y), tensor.Of[float32](z)) {
				t.Errorf("%s by %s: decoded values are no fixed points", f.Name, b)
			}
			if db := SQNR(tensor.Of[float32](x), tensor.Of[float32](y)); db < 2 {
				t.Errorf("%s by %s: %.1f dB", f.Name, b, db)
			}
			if v := tensor.Of[float32](y)[7]; v != 0 && f != Binary {
				t.Errorf("%s by %s: zero became %v", f.Name, b, v)
			}
		}
	}
}

// TestNearest compares Encode with a search over all marks, and with Nearest.
func TestNearest(t *testing.T) {
	for _, f := range All {
		if f.Bits > 8 || f.Mid != nil {
			continue
		}
		p := Params{Scale: 0.25}
		if f.Zero {
			p.Zero = int32(f.Hi / 3)
		}
		codes := make([]int32, 1)
		y := make([]float32, 1)
		for _, v := range gaussian(500) {
			v *= 0.5 * float32(math.Exp2(float64(f.Bits)/2))
			f.Encode(codes, []float32{v}, p)
			f.Decode(y, codes, p)
			best := math.Inf(1)
			for c := range 1 << f.Bits {
				if f.grid() {
					c += f.Lo
					if c > f.Hi {
						break
					}
				}
				m := float64(f.Mark(int32(c))-float32(p.Zero)) * float64(p.Scale)
				if d := math.Abs(m - float64(v)); d < best {
					best = d
				}
			}
			if d := math.Abs(float64(y[0]) - float64(v)); d > best+1e-6 {
				t.Fatalf("%s: %v became %v, a mark is %v away", f.Name, v, y[0], best)
			}
			if n := f.Nearest(float64(v), p); math.Abs(n-float64(y[0])) > 1e-6 {
				t.Fatalf("%s: Nearest(%v) is %v, Encode gives %v", f.Name, v, n, y[0])
			}
		}
	}
}

// TestExtremes writes what no mark is near: infinities, NaN, numbers beyond the range.
func TestExtremes(t *testing.T) {
	x := []float32{float32(math.Inf(1)), float32(math.Inf(-1)), 3e38, -3e38, float32(math.NaN())}
	for _, f := range All {
		p := Params{Scale: 1}
		codes, y := make([]int32, len(x)), make([]float32, len(x))
		f.Encode(codes, x, p)
		f.Decode(y, codes, p)
		lo, hi := f.Range(p)
		if y[0] != hi || y[1] != lo || f != BF16 && (y[2] != hi || y[3] != lo) {
			t.Errorf("%s: %v became %v, the range is [%v, %v]", f.Name, x, y, lo, hi)
		}
		switch {
		case f.mini() != nil:
			if y[4] == y[4] {
				t.Errorf("%s: NaN became %v", f.Name, y[4])
			}
		case y[4] != 0 && f != Binary:
			t.Errorf("%s: NaN became %v", f.Name, y[4])
		}
	}
}

// TestTies checks the order ONNX prescribes for whole numbers, and the even code for others.
func TestTies(t *testing.T) {
	x := []float32{-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 1e9, -1e9}
	for _, z := range []int32{0, 3, 128} {
		c := make([]int32, len(x))
		Uint8.Encode(c, x, Params{Scale: 1, Zero: z})
		for i, v := range x {
			want := max(0, min(255, math.RoundToEven(float64(v))+float64(z)))
			if float64(c[i]) != want {
				t.Errorf("zero %d: %v became %d, want %v", z, v, c[i], want)
			}
		}
	}
	e2m1 := map[float32]float32{.25: 0, .75: 1, 1.25: 1, 1.75: 2, 2.5: 2, 3.5: 4, 5: 4, -5: -4, 7: 6}
	for v, want := range e2m1 {
		c, y := make([]int32, 1), make([]float32, 1)
		FP4E2M1.Encode(c, []float32{v}, Params{Scale: 1})
		if FP4E2M1.Decode(y, c, Params{Scale: 1}); y[0] != want {
			t.Errorf("e2m1: %v became %v, want %v", v, y[0], want)
		}
	}
}

// TestBlocks cuts tensors in ways that leave short blocks, and folds the axes of convolutions.
func TestBlocks(t *testing.T) {
	x := make([]float32, 2*3*3)
	for i := range x {
		x[i] = float32(i)
	}
	flat := Block{Kind: Group, Axis: 1, Size: 4, Flat: true}
	if got := flat.ParamShape([]int{2, 3, 3}); !slices.Equal(got, []int{2, 3}) {
		t.Errorf("flat groups have shape %v", got)
	}
	blocks := flat.Blocks(x, []int{2, 3, 3})
	if want := []float32{8}; len(blocks) != 6 || !slices.Equal(blocks[2], want) || !slices.Equal(blocks[3], []float32{9, 10, 11, 12}) {
		t.Errorf("flat blocks %v", blocks)
	}
	rows := Block{Kind: Group, Axis: 0, Size: 2}.Blocks([]float32{1, 2, 3, 4, 5, 6}, []int{3, 2})
	if want := [][]float32{{1, 3}, {2, 4}, {5}, {6}}; !slices.EqualFunc(rows, want, slices.Equal) {
		t.Errorf("groups along the rows %v", rows)
	}
}

// TestFitTensor refuses what has no scale, and gives empty blocks a scale that costs nothing.
func TestFitTensor(t *testing.T) {
	if _, err := Int4.FitTensor([]float32{1, float32(math.Inf(1))}, []int{2}, Block{}); err == nil {
		t.Error("an infinite weight is taken")
	}
	x := append(make([]float32, 16), gaussian(16)...)
	for i := range x {
		x[i] *= 1e-3
	}
	p, err := NVFP4.FitTensor(x, []int{32}, Block{Kind: Group, Size: 16})
	if err != nil || p[0] != p[1] {
		t.Errorf("an empty block has scale %v beside %v: %v", p[0], p[1], err)
	}
}

// TestEmptyBlocks gives a block of zeros and one of numbers below the least normal one, beside another, scales with
// which they stay next to nothing, in formats without a zero and in those that round nothing to it too, and leave the other as it is.
func TestEmptyBlocks(t *testing.T) {
	x := append(make([]float32, 64), gaussian(32)...)
	for i := range x[32:64] {
		x[32+i] = 1e-41
	}
	b := Block{Kind: Channel}
	for _, f := range All {
		p, err := f.FitTensor(x, []int{3, 32}, b)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		alone, _ := f.FitTensor(x[64:], []int{1, 32}, b)
		if f.Scale == nil && p[2] != alone[0] {
			t.Errorf("%s: scale %v, alone %v", f.Name, p[2].Scale, alone[0].Scale)
		}
		codes, err := f.QuantizeTensor(tensor.Float32s(x, 3, 32), b, p)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		back, err := f.DequantizeTensor(codes, b, p)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		for i, v := range tensor.Of[float32](back)[:64] {
			if math.Abs(float64(v)) > 1e-18 {
				t.Errorf("%s: %v became %v", f.Name, x[i], v)
				break
			}
		}
	}
}

// TestEncodeBytes holds the kernels against the plain loop.
func TestEncodeBytes(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	x := make([]float32, 2100)
	for i := range x {
		x[i] = float32(r.IntN(1200)-600) / 4 // ties among them
	}
	inf := float32(math.Inf(1))
	copy(x[1020:], []float32{float32(math.NaN()), inf, -inf, math.MaxFloat32, -math.MaxFloat32, 1e-40})
	for _, f := range All {
		if !f.grid() || f.Bits > 8 {
			continue
		}
		for _, p := range []Params{{Scale: 1}, {Scale: 0.37, Zero: int32(f.Hi)}, {Scale: 1e-3, Zero: int32(f.Lo)}} {
			if !f.Zero {
				p.Zero = 0
			}
			got, want := make([]int32, len(x)), make([]int32, len(x))
			f.Encode(got, x, p)
			f.encodeGrid(want, x, p)
			for i := range x {
				if got[i] != want[i] {
					t.Fatalf("%s with %+v: %v becomes %d, want %d", f.Name, p, x[i], got[i], want[i])
				}
			}
		}
	}
}

// TestErrors holds the errors that a search adds up to what codes mean, to the last bit.
func TestErrors(t *testing.T) {
	x := append(gaussian(200), 0, -0.5, 0.5, 1.5, 1e30, -1e30, 1e-40)
	codes, back := make([]int32, len(x)), make([]float32, len(x))
	for _, f := range All {
		for _, p := range []Params{{Scale: 0.5}, {Scale: 0.01, Zero: 3}, {Scale: 3e-30}} {
			if !f.Zero {
				p.Zero = 0
			}
			f.Encode(codes, x, p)
			f.Decode(back, codes, p)
			want := 2.5
			for i, v := range x {
				e := float64(v) - float64(back[i])
				want += float64(e * e)
			}
			if got := f.errors(2.5, x, p, codes, back); math.Float64bits(got) != math.Float64bits(want) {
				t.Errorf("%s with %+v: %v, not %v", f.Name, p, got, want)
			}
		}
	}
}

// TestHalves holds the kernels that store 16-bit floats to the definition, at every sign, exponent and mantissa about the last digit.
func TestHalves(t *testing.T) {
	var x []float32
	for high := range uint32(1 << 16) {
		for _, low := range []uint32{0, 1, 0x7fff, 0x8000, 0x8001, 0xffff, 0x1000, 0x0fff, 0x1001} {
			x = append(x, math.Float32frombits(high<<16|low))
		}
	}
	for _, f := range []*Format{FP16, BF16} {
		m := miniFloats[f.Elem]
		codes := make([]int32, len(x))
		f.Encode(codes, x, Params{Scale: 1})
		stored := Halves(f.Elem, x, len(x))
		back := tensor.Of[float32](FromHalves(stored))
		for i, v := range x {
			want := m.encode(float64(v), true)
			if codes[i] != int32(want) || tensor.Of[uint16](stored)[i] != want {
				t.Fatalf("%s: %v becomes %x and %x, want %x", f.Name, v, codes[i], tensor.Of[uint16](stored)[i], want)
			}
			if value := float32(m.decode(want)); math.Float32bits(back[i]) != math.Float32bits(value) && value == value {
				t.Fatalf("%s: %x means %v, not %v", f.Name, want, back[i], value)
			}
		}
	}
}

// TestParts adds the whole numbers that marks are made of up to the marks, exactly.
func TestParts(t *testing.T) {
	n := 0
	for _, f := range All {
		if len(f.Parts) == 0 {
			continue
		}
		n++
		for c, m := range f.Marks {
			sum := 0.0
			for _, p := range f.Parts {
				if len(p.Marks) != len(f.Marks) {
					t.Fatalf("%s: %d numbers for %d marks", f.Name, len(p.Marks), len(f.Marks))
				}
				sum += float64(p.Unit) * float64(p.Marks[c])
			}
			if m == m && sum != float64(m) || m != m && sum != 0 {
				t.Errorf("%s: code %d is %v, its parts %v", f.Name, c, m, sum)
			}
		}
	}
	if n == 0 {
		t.Error("no format has parts")
	}
}

// TestNarrowCodes holds codes that are made as bytes, and what they mean, against those of a number each.
func TestNarrowCodes(t *testing.T) {
	x := tensor.Float32s(gaussian(3*70*40), 3, 70, 40)
	for i, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1), 1e30, -1e30, 0, math.Copysign(0, -1)} {
		tensor.Of[float32](x)[i*1000+3] = float32(v)
	}
	for _, f := range All {
		for _, b := range []Block{{}, {Kind: Channel, Axis: 0}, {Kind: Channel, Axis: 2}, {Kind: Group, Axis: 2, Size: 32}, {Kind: Group, Axis: 1, Size: 16}} {
			p := make([]Params, tensor.Elements(b.ParamShape(x.Shape)))
			for i := range p {
				if p[i].Scale = 0.01 * float32(1+i%7); f.Zero {
					p[i].Zero = int32(f.Hi) / int32(1+i%3)
				}
			}
			list, err := f.QuantizeCodes(x, b, p)
			if err != nil {
				t.Fatal(f.Name, b, err)
			}
			want, err := f.CodeTensor(list, x.Shape)
			if err != nil {
				t.Fatal(f.Name, b, err)
			}
			got, err := f.QuantizeTensor(x, b, p)
			if err != nil || !slices.Equal(got.Raw, want.Raw) || got.DType != want.DType {
				t.Errorf("%s by %s: other codes, %v", f.Name, b, err)
				continue
			}
			y := make([]float32, x.Len())
			f.DecodeBlocks(y, x.Shape, list, b, f.Settle(p))
			back, err := f.DequantizeTensor(got, b, p)
			if err != nil {
				t.Fatal(f.Name, b, err)
			}
			for i, v := range tensor.Of[float32](back) {
				if math.Float32bits(v) != math.Float32bits(y[i]) {
					t.Fatalf("%s by %s: element %d is %v, not %v", f.Name, b, i, v, y[i])
				}
			}
		}
	}
}
