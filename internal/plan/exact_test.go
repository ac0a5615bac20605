package plan

import (
	"math"
	"math/rand/v2"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/tensor"
)

func TestShortened(t *testing.T) {
	for _, c := range []struct{ scale, want float32 }{
		{1, 1}, {1.0 / 255, 1.0 / 256}, {1.0 / 254, 9.0 / 2048}, {0.1, 0.1015625}, {100, 104}, {0x1p-126, 0x1p-126}, {0x1.ffp127, 0x1.ffp127},
	} {
		if got := shortened(format.Params{Scale: c.scale, Zero: 7}, 8); got.Scale != c.want || got.Zero != 7 {
			t.Errorf("%v becomes %v, want %v", c.scale, got, c.want)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 15000 {
		s, width := float32(math.Exp(r.Float64()*40-20)), 2+i%3*3
		n, got := significand(width), shortened(format.Params{Scale: s}, width).Scale
		if odd, _ := whole(got); odd >= 1<<n {
			t.Fatalf("%v becomes %v, which has more than %d bits", s, got, n)
		}
		if cut := (math.Ldexp(1, width) - 2) * (float64(s) - float64(got)); cut > float64(got) || float64(got) > 1.126*float64(s) {
			t.Fatalf("%v becomes %v", s, got)
		}
	}
}

// TestAbove climbs over a whole power of two in each width.
func TestAbove(t *testing.T) {
	for width := 2; width <= 8; width++ {
		for q, steps := (format.Params{Scale: 1.5}), 0; q.Scale < 3; steps++ {
			next := above(q, width)
			if odd, _ := whole(next.Scale); next.Scale <= q.Scale || odd >= 1<<significand(width) || steps > 100 {
				t.Fatalf("%d bits: %v is followed by %v", width, q.Scale, next.Scale)
			}
			q = next
		}
	}
}

// TestTiesKept holds the answer against products of whole numbers.
func TestTiesKept(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	kept := 0
	for range 5000 {
		a, b, c, e := 8+r.Int64N(8), 8+r.Int64N(8), 8+r.Int64N(8), 2+r.IntN(8)
		in, w, out := float32(a)/64, float32(b), float32(c<<e)/64 // acc·in·w/out is acc·a·b/(c·2^e)
		m, want := float32(float64(in)*float64(w)/float64(out)), true
		for acc := int64(1); acc*a*b <= 256*c<<e; acc++ {
			if twice := 2 * acc * a * b; twice%(c<<e) == 0 && twice/(c<<e)%2 == 1 {
				want = want && float32(acc)*m == float32(twice/(c<<e))/2
			}
		}
		got := tiesKept(in, w, out)
		if got != want {
			t.Fatalf("%v·%v/%v: %v, want %v", in, w, out, got, want)
		}
		if got {
			kept++
		}
	}
	if kept == 0 || kept == 5000 {
		t.Errorf("%d of 5000 keep their ties: the test shows nothing", kept)
	}
}

// TestExact sums random products in float32, in random order, as a runtime does that takes Q/DQ
// literally: with exact scales the codes are those of integer sums, without them they are not.
func TestExact(t *testing.T) {
	for _, weights := range []*format.Format{format.Int8, format.Int4, format.Lookup("int2"), format.Lookup("ternary")} {
		if n := partings(t, weights, true); n != 0 {
			t.Errorf("%s: %d codes differ with exact scales", weights.Name, n)
		}
		if weights.Bits >= 4 && partings(t, weights, false) == 0 { // fewer bits hardly ever part
			t.Errorf("%s: no code differs with fitted scales: the test shows nothing", weights.Name)
		}
	}
}

// partings counts the codes in which float and integer sums of random layers part.
func partings(t *testing.T, weights *format.Format, exact bool) (n int) {
	t.Helper()
	const channels, terms = 8, 120
	r := rand.New(rand.NewPCG(3, 3))
	for range 60 {
		m := parse(t, `g (float[1,120] x) => (float[1,1] z) <float[8,120] w, float[8] b, float[8,1] v = {1, 1, 1, 1, 1, 1, 1, 1}> {
			[a] s = Gemm <transB = 1> (x, w, b)
			[c] y = Relu (s)
			[d] z = MatMul (y, v)
		}`)
		w, b := make([]float32, channels*terms), make([]float32, channels)
		for i := range w {
			w[i] = float32(r.NormFloat64() * math.Exp(float64(i/terms)/4))
		}
		for i := range b {
			b[i] = float32(r.NormFloat64())
		}
		m.Graph.SetConst("w", tensor.Float32s(w, channels, terms))
		m.Graph.SetConst("b", tensor.Float32s(b, channels))
		set := settings(t, "W8A8")
		set.Exact, set.Weights.Format = exact, weights
		p := decide(t, m, set)
		if err := p.Fit(m, map[string]*calib.Stats{"x": seen(-float32(r.Float64()), 1), "y": seen(0, 5+float32(r.Float64())), "z": seen(-9, 9)}, set, 1); err != nil {
			t.Fatal(err)
		}
		n += layerPartings(r, p, b, channels, terms)
	}
	return n
}

func layerPartings(r *rand.Rand, p *Plan, b []float32, channels, terms int) (n int) {
	in, out, f := p.Value("x").Params[0], p.Value("y").Params[0], format.Lookup(p.Value("w").Format)
	least := max(f.Lo, -f.Hi)
	for range 100 {
		for c := range channels {
			sw, sb := p.Value("w").Params[c].Scale, p.Value("b").Params[c].Scale
			bias := math.RoundToEven(float64(b[c]) / float64(sb))
			acc, sum := int32(bias), float32(bias)*sb
			for range terms {
				x, w := int32(r.IntN(256))-in.Zero, int32(least+r.IntN(f.Hi-least+1))
				acc += x * w
				sum += float32(float32(float32(x)*in.Scale) * float32(float32(w)*sw))
			}
			mult := float32(float64(in.Scale) * float64(sw) / float64(out.Scale))
			if code(sum/out.Scale, out) != code(float32(acc)*mult, out) {
				n++
			}
		}
	}
	return n
}

func code(v float32, p format.Params) int32 {
	return max(0, min(255, int32(math.RoundToEven(float64(v)))+p.Zero))
}

// TestSumsHaveNoTies looks at every pair of codes that an Add may meet.
func TestSumsHaveNoTies(t *testing.T) {
	if n := sumTies(t); n != 0 {
		t.Errorf("%d of the sums are ties with exact scales", n)
	}
	if n := sumTies(t, "y"); n == 0 {
		t.Error("no sum is a tie where one scale is left to chance: the test shows nothing")
	}
}

// sumTies counts ties with exact scales, but for the values named in round, whose scales are powers of two.
func sumTies(t *testing.T, round ...string) (n int) {
	t.Helper()
	r := rand.New(rand.NewPCG(4, 4))
	m := parse(t, `g (float[1,2] x) => (float[1,2] z) <float[2,2] w = {1, 2, 3, 4}, float[2] b = {1, 2}, float[2,2] v = {5, 6, 7, 8}> {
		[a] s = Gemm (x, w, b)
		[b] u = Gemm (x, v, b)
		[c] y = Add (s, u)
		[d] z = MatMul (y, w)
	}`)
	for range 30 {
		set := settings(t, "W8A8")
		set.Exact = true
		p := decide(t, m, set)
		wide := func(least float32) *calib.Stats { return seen(-r.Float32(), least+r.Float32()/2) }
		if err := p.Fit(m, map[string]*calib.Stats{"x": wide(1), "s": wide(1), "u": wide(1), "y": wide(2), "z": wide(9)}, set, 1); err != nil {
			t.Fatal(err)
		}
		for _, name := range round {
			p.Value(name).Params[0].Scale = 0x1p-6
		}
		s, u, y := p.Value("s").Params[0], p.Value("u").Params[0], p.Value("y").Params[0]
		for a := range int32(256) {
			for b := range int32(256) {
				sum := float64(a-s.Zero)*float64(s.Scale) + float64(b-u.Zero)*float64(u.Scale)
				if q := sum / float64(y.Scale); q-math.Floor(q) == 0.5 {
					n++
				}
			}
		}
	}
	return n
}

// TestChainedSumsHaveNoTies looks at sums whose results are operands of other sums, as in networks of residual blocks.
func TestChainedSumsHaveNoTies(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	m := parse(t, `g (float[1,2] x) => (float[1,2] z) <float[2,2] w = {1, 2, 3, 4}, float[2] b = {1, 2}> {
		[a] s = Gemm (x, w, b)
		[c] u = Add (x, s)
		[d] y = Gemm (u, w, b)
		[e] v = Add (u, y)
		[f] z = MatMul (v, w)
	}`)
	ties := 0
	for range 200 {
		set := settings(t, "W8A8")
		set.Exact = true
		p := decide(t, m, set)
		wide := func() *calib.Stats { return seen(-r.Float32(), 1+r.Float32()/2) }
		if err := p.Fit(m, map[string]*calib.Stats{"x": wide(), "s": wide(), "u": wide(), "y": wide(), "v": wide(), "z": wide()}, set, 1); err != nil {
			t.Fatal(err)
		}
		for _, sum := range [][3]string{{"x", "s", "u"}, {"u", "y", "v"}} {
			a, b, c := p.Value(sum[0]).Params[0].Scale, p.Value(sum[1]).Params[0].Scale, p.Value(sum[2]).Params[0].Scale
			if _, exp := whole(c); math.Mod(float64(a), math.Ldexp(1, exp)) != 0 || math.Mod(float64(b), math.Ldexp(1, exp)) != 0 {
				ties++
			}
		}
	}
	if ties > 0 {
		t.Errorf("%d of 400 sums have ties", ties)
	}
}

// TestProductsRoundAlike looks at every pair of codes that a Mul may meet: whether the zero point is added before or after
// rounding makes no difference, though many quotients are ties.
func TestProductsRoundAlike(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 5))
	m := parse(t, `g (float[1,2] x) => (float[1,2] z) <float[2,2] w = {1, 2, 3, 4}, float[2] b = {1, 2}, float[2,2] v = {5, 6, 7, 8}> {
		[a] s = Gemm (x, w, b)
		[b] u = Gemm (x, v, b)
		[c] y = Mul (s, u)
		[d] z = MatMul (y, w)
	}`)
	ties, odd := 0, 0
	for range 30 {
		set := settings(t, "W8A8")
		set.Exact = true
		p := decide(t, m, set)
		wide := func(least float32) *calib.Stats { return seen(-r.Float32(), least+r.Float32()/2) }
		if err := p.Fit(m, map[string]*calib.Stats{"x": wide(1), "s": wide(1), "u": wide(1), "y": wide(2), "z": wide(9)}, set, 1); err != nil {
			t.Fatal(err)
		}
		s, u, y := p.Value("s").Params[0], p.Value("u").Params[0], p.Value("y").Params[0]
		odd += int(s.Zero & 1)
		for a := range int32(256) {
			for b := range int32(256) {
				q := float64(a-s.Zero) * float64(s.Scale) * float64(b-u.Zero) * float64(u.Scale) / float64(y.Scale)
				if q-math.Floor(q) == 0.5 {
					ties++
				}
				if z := float64(y.Zero); math.RoundToEven(q)+z != math.RoundToEven(q+z) {
					t.Fatalf("%v · %v in %v: code %v or %v", s, u, y, math.RoundToEven(q)+z, math.RoundToEven(q+z))
				}
			}
		}
	}
	if ties == 0 || odd == 0 {
		t.Errorf("%d ties, %d odd zero points of operands: the test shows nothing", ties, odd)
	}
}

// TestExactWhereItHelps leaves the scales of weights alone where their products are not exact anyway.
func TestExactWhereItHelps(t *testing.T) {
	for _, c := range []struct {
		scheme string
		mode   Mode
		short  bool
	}{{"W8A8", Static, true}, {"W8A16", Static, false}, {"W8A8", Dynamic, false}, {"W8A8", Weights, false}} {
		m, set := parse(t, chain), settings(t, c.scheme)
		set.Mode, set.Exact = c.mode, true
		p := decide(t, m, set)
		if err := p.Fit(m, map[string]*calib.Stats{"x": seen(-1, 1), "t": seen(0, 2), "y": seen(-4, 4)}, set, 1); err != nil {
			t.Fatal(err)
		}
		odd, _ := whole(p.Value("w").Params[0].Scale)
		if short := odd < 1<<shortBits; short != c.short {
			t.Errorf("%s, %s: scale %v", c.scheme, c.mode, p.Value("w").Params[0].Scale)
		}
	}
}
