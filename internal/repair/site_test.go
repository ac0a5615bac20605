package repair

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

const feedForward = header + `g (float[2,4,16] x) => (float[2,4,16] y) <float[16] n, float[16,32] up, float[16,32] gate, float[32,16] down> {
  z = LayerNormalization <axis = -1> (x, n)
  [gate] g = MatMul (z, gate)
  s = Sigmoid (g)
  w = Mul (g, s)
  [up] u = MatMul (z, up)
  m = Mul (w, u)
  [down] y = MatMul (m, down)
}`

// outlying has a few channels behind the normalization, and of the product behind it, that are 30 times as large.
func outlying(t *testing.T) *graph.Model {
	m := parse(t, feedForward)
	r := rand.New(rand.NewPCG(61, 62))
	loud := func(c int) float64 {
		if c%11 == 3 {
			return 30
		}
		return 1
	}
	fill(m, r, "n", func(int) float64 { return 1 }, 16)
	n := floats(m, "n")
	for i := range n {
		n[i] = float32(loud(i))
	}
	small := func(c int) float64 { return 0.3 / math.Sqrt(loud(c)) }
	fill(m, r, "gate", small, 16, 32)
	fill(m, r, "up", small, 16, 32)
	fill(m, r, "down", func(int) float64 { return 0.3 }, 32, 16)
	return m
}

// TestMigrate scales channels behind a normalization and through a gated product.
func TestMigrate(t *testing.T) {
	for _, c := range []struct {
		word string
		mode plan.Mode
		f    *format.Format
		gain float64 // dB on fresh samples
	}{
		{"smooth", plan.Static, format.Int8, 1}, // the product behind the gate keeps its own outliers
		{"smooth=0.5", plan.Static, format.Int8, 1},
		{"awq", plan.Weights, format.Int4, 1},
	} {
		t.Run(c.word, func(t *testing.T) {
			r, err := Pick(c.word)
			if err != nil {
				t.Fatal(err)
			}
			float := outlying(t)
			samples := images(rand.New(rand.NewPCG(63, 64)), float, 60)
			set := w8a8(t)
			set.Mode, set.Weights.Format = c.mode, c.f
			if c.mode == plan.Weights {
				set.Weights.Block = format.Block{Kind: format.Group, Size: 16}
			}
			j := jobFor(t, pass.Clone(float), set, samples[:24], samples[24:40])
			j.calibrate(t)
			before := sqnr(t, float, j.quantized(t), samples[40:])
			j.Plan = plan.Decide(j.Net, j.Facts, j.Settings, nil)
			out, err := r.Run(context.Background(), j)
			if err != nil {
				t.Fatal(err)
			}
			if db := sqnr(t, float, j.Net, samples); db < 60 {
				t.Errorf("the float network changes by %.1f dB", db)
			}
			j.calibrate(t)
			after := sqnr(t, float, j.quantized(t), samples[40:])
			t.Logf("%.1f → %.1f dB: %v", before, after, out.Changes)
			if after < before+c.gain {
				t.Errorf("%.1f dB before, %.1f after: %v", before, after, out.Changes)
			}
			if what := place(out.Changes, "gate"); !strings.Contains(what, "in front of 2 layers") {
				t.Errorf("behind the normalization: %s", what)
			}
		})
	}
}

// TestGated passes factors through the operand of a product that nothing else reads.
func TestGated(t *testing.T) {
	m := outlying(t)
	j := jobFor(t, m, w8a8(t), nil, nil)
	l := FindLanes(m, j.Facts)
	first, _, _, ok := l.known("u")
	if !ok || l.fixed[l.root(first)] {
		t.Fatal("the lanes of the plain operand are fixed")
	}
	if g, _, _, ok := l.known("g"); !ok || !l.fixed[l.root(g)] {
		t.Error("the lanes of the gate are free")
	}
	float := pass.Clone(m)
	factors := make([]float64, len(l.parent))
	for i := range factors {
		factors[i] = 1
		if l.root(i) == i && !l.fixed[i] {
			factors[i] = math.Exp2(float64(i%5 - 2))
		}
	}
	l.Scale(factors)
	if db := sqnr(t, float, m, images(rand.New(rand.NewPCG(65, 66)), m, 4)); db < 100 {
		t.Errorf("the network changes by %.1f dB", db)
	}
}

// TestClip shrinks the scales of groups with one large weight each.
func TestClip(t *testing.T) {
	const k, rows = 32, 6
	r := rand.New(rand.NewPCG(67, 68))
	w := make([]float64, rows*k)
	for i := range w {
		w[i] = r.NormFloat64()
		if i%16 == 5 {
			w[i] *= 4
		}
	}
	x := normals(r, 400*k, 1)
	for i := range x {
		if i%k%16 == 5 {
			x[i] *= 0.05
		}
	}
	y := make([]float32, rows*400)
	for o := range rows {
		for n := range 400 {
			for i := range k {
				y[o*400+n] += float32(w[o*k+i]) * x[n*k+i]
			}
		}
	}
	g := groupOf(t, format.Int4, w, x, y, k, 16)
	if solveClip(context.Background(), g, 2) != nil {
		t.Error("changed scales that are not free")
	}
	g.free = true
	before := g.relative(g.rounded())
	clipped := solveClip(context.Background(), g, 2)
	after := g.relative(clipped)
	t.Logf("%.3g → %.3g", before, after)
	if after > before/2 {
		t.Errorf("%.3g before, %.3g after", before, after)
	}
	for i, v := range clipped {
		if math.Abs(v-g.format.Nearest(v, g.params[i/16])) > 1e-9 {
			t.Fatalf("weight %d is on no mark of its group", i)
		}
	}
}

// TestWindowOutput holds the sizes of results against the engine's.
func TestWindowOutput(t *testing.T) {
	m := parse(t, header+`g (float[2,4,9,11] x) => (float[2,6,a,b] y) <float[6,2,3,2] w> {
  y = Conv <group = 2, strides = [2, 1], pads = [1, 0, 0, 2], dilations = [1, 2]> (x, w)
}`)
	fill(m, rand.New(rand.NewPCG(69, 70)), "w", func(int) float64 { return 1 }, 6, 2, 3, 2)
	j := jobFor(t, m, w8a8(t), nil, nil)
	win, ok := windowOf(m.Graph.Nodes[0], m.Graph.ConstTensor("w"))
	want := j.Facts["y"].Shape
	x := tensor.Float32s(normals(rand.New(rand.NewPCG(71, 72)), 2*4*9*11, 1), 2, 4, 9, 11)
	out := win.output(x.Shape)
	if !ok || len(out) != 2 || out[0] != want[2].Size || out[1] != want[3].Size {
		t.Fatalf("%v, want %v", out, want)
	}
	n := win.elements(x.Shape)
	rows := win.patches(x, out, picks(n, n))
	r, err := j.Compile(m, []string{"y"})
	if err != nil {
		t.Fatal(err)
	}
	y, err := r.RunWatch(context.Background(), map[string]*tensor.Tensor{"x": x}, func(string, *tensor.Tensor) {})
	if err != nil {
		t.Fatal(err)
	}
	w, got := floats(m, "w"), tensor.Of[float32](y["y"])
	for g := range win.groups {
		for at := range n {
			for o := range win.rows {
				s := 0.0
				for i := range win.k {
					s += float64(rows[(g*n+at)*win.k+i]) * float64(w[win.index(g, o, i)])
				}
				plane := n / 2
				if v := got[(at/plane*6+g*win.rows+o)*plane+at%plane]; math.Abs(float64(v)-s) > 1e-4 {
					t.Fatalf("group %d, row %d, output %d: %g, want %g", g, at, o, s, v)
				}
			}
		}
	}
}
