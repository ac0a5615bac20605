package repair

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/kernel"
	"lowbit/internal/onnx"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// correlated makes a layer of 128 outputs and 256 inputs with n rows of its input, whose columns
// are mixed from a few others and differ in size, and its results.
func correlated(n int) (w []float64, x, y []float32) {
	const rows, k, hidden = 128, 256, 64
	r := rand.New(rand.NewPCG(31, 32))
	mix := make([]float64, hidden*k)
	for i := range mix {
		mix[i] = r.NormFloat64() * math.Exp(r.NormFloat64())
	}
	w = make([]float64, rows*k)
	for i := range w {
		w[i] = r.NormFloat64()
	}
	x, y = make([]float32, n*k), make([]float32, rows*n)
	for i := range n {
		row := x[i*k:][:k]
		for j := range row {
			row[j] = float32(0.8 * r.NormFloat64())
		}
		for h := range hidden {
			v := r.NormFloat64() / 8
			for j := range row {
				row[j] += float32(v * mix[h*k+j])
			}
		}
		for o := range rows {
			s := 0.0
			for j, v := range row {
				s += float64(v) * w[o*k+j]
			}
			y[o*n+i] = float32(s)
		}
	}
	return w, x, y
}

// groupOf makes a group of weights in a format with its parameters for each run of size, with the rows that describe it.
func groupOf(t *testing.T, f *format.Format, w []float64, x, y []float32, k, size int) *group {
	t.Helper()
	level, err := kernel.Best()
	if err != nil {
		t.Fatal(err)
	}
	g := &group{fit: newGram(k, len(w)/k), format: f, w: w, owner: func(o, i int) int { return (o*k + i) / size }}
	for i := 0; i < len(w); i += size {
		most := 0.0
		for _, v := range w[i:][:size] {
			most = max(most, math.Abs(v))
		}
		g.params = append(g.params, format.Params{Scale: float32(most / 7)})
	}
	ones := make([]float64, len(x)/k)
	for i := range ones {
		ones[i] = 1
	}
	g.fit.add(context.Background(), level, 2, x, y, ones)
	g.fit.finish(false)
	g.held = g.fit
	return g
}

// relative is the error of weights q as a share of the signal.
func (g *group) relative(q []float64) float64 {
	e, s := 0.0, 0.0
	for o := range g.fit.rows {
		e += g.fit.loss(o, q[o*g.fit.k:][:g.fit.k])
		s += g.fit.yy[o]
	}
	return e / s
}

// TestRoundingOrder holds the solvers against each other on a layer with correlated inputs: rounding to
// nearest, GPTQ in the order of the columns, GPTQ in the order of their power, and AdaRound. On such a layer the
// first errs about three times as much as the second, and the second nearly twice as much as the third.
func TestRoundingOrder(t *testing.T) {
	const k = 256
	w, x, y := correlated(1024)
	for _, size := range []int{32, 128} {
		t.Run(fmt.Sprint("group=", size), func(t *testing.T) {
			g := groupOf(t, format.Int4, w, x, y, k, size)
			plain := g.relative(g.rounded())
			ordered := g.relative(inOrder(g))
			gptq := g.relative(solveGPTQ(context.Background(), g, 2))
			ada := g.relative(solveAdaRound(context.Background(), g, 2))
			t.Logf("nearest %.3g, GPTQ in order %.3g, by power %.3g, AdaRound %.3g", plain, ordered, gptq, ada)
			if ordered > plain/2 || gptq > 0.8*ordered || ada > gptq {
				t.Errorf("nearest %.3g, GPTQ in order %.3g, by power %.3g, AdaRound %.3g", plain, ordered, gptq, ada)
			}
		})
	}
}

// inOrder is GPTQ with the columns in their own order.
func inOrder(g *group) []float64 {
	k := g.fit.k
	order := make([]int, k)
	for i := range order {
		order[i] = i
	}
	u, ok := g.factor(order, g.penalty(0))
	if !ok {
		return nil
	}
	out := make([]float64, len(g.w))
	for o := range g.fit.rows {
		compensate(g, o, g.w[o*k:][:k], u, order, out[o*k:][:k])
	}
	return out
}

// TestFactor holds the factor against its definition: UᵀU times the damped matrix is the identity.
func TestFactor(t *testing.T) {
	const k = 40
	r := rand.New(rand.NewPCG(33, 34))
	x := normals(r, 3*k*k, 1)
	g := groupOf(t, format.Int4, make([]float64, 2*k), x, make([]float32, 6*k), k, k)
	order := g.byPower()
	u, ok := g.factor(order, g.penalty(0))
	if !ok {
		t.Fatal("not definite")
	}
	for i := range k {
		for j := range k {
			if i > j && u[i*k+j] != 0 {
				t.Fatalf("u[%d,%d] = %g", i, j, u[i*k+j])
			}
			sum := 0.0
			for p := range k {
				inv := 0.0
				for q := range k {
					inv += u[q*k+i] * u[q*k+p]
				}
				h := g.fit.h[order[p]*k+order[j]]
				if p == j {
					h += g.penalty(0)[order[p]]
				}
				sum += inv * h
			}
			if want := map[bool]float64{true: 1}[i == j]; math.Abs(sum-want) > 1e-9 {
				t.Fatalf("(H⁻¹·H)[%d,%d] = %g", i, j, sum)
			}
		}
	}
	for i := 1; i < k; i++ {
		if g.fit.h[order[i]*(k+1)] > g.fit.h[order[i-1]*(k+1)] {
			t.Fatal("the order is not by power")
		}
	}
}

// TestFactorFails has a matrix that no damping makes definite.
func TestFactorFails(t *testing.T) {
	g := groupOf(t, format.Int4, make([]float64, 2*3), make([]float32, 12), make([]float32, 8), 3, 3)
	g.fit.h[0] = math.NaN()
	if solveGPTQ(context.Background(), g, 1) != nil || g.note == "" {
		t.Errorf("note %q", g.note)
	}
}

// TestGramPaths holds sums by kernels against plain ones, and the loss against its definition.
func TestGramPaths(t *testing.T) {
	const k, rows, n = bulk + 3, 5, 70
	level, err := kernel.Best()
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(35, 36))
	x, y := normals(r, n*k, 1), normals(r, rows*n, 1)
	weights, w := make([]float64, n), make([]float64, k)
	for i := range weights {
		weights[i] = r.Float64()
	}
	for i := range w {
		w[i] = r.NormFloat64()
	}
	for _, centred := range []bool{false, true} {
		a, b := newGram(k, rows), newGram(k, rows)
		a.add(context.Background(), level, 2, x, y, weights)
		*b = *a
		b.h, b.c = make([]float64, k*k), make([]float64, rows*k)
		b.addPlain(x, y, weights)
		b.x, b.y, b.yy = append([]float64{}, a.x...), append([]float64{}, a.y...), append([]float64{}, a.yy...)
		a.finish(centred)
		b.finish(centred)
		for o := range rows {
			want, mean, total := 0.0, 0.0, 0.0
			errs := make([]float64, n)
			for i := range n {
				errs[i] = float64(y[o*n+i])
				for j, v := range x[i*k:][:k] {
					errs[i] -= w[j] * float64(v)
				}
				mean += weights[i] * errs[i]
				total += weights[i]
			}
			for i, e := range errs {
				if centred {
					e -= mean / total
				}
				want += weights[i] * e * e / total
			}
			for _, got := range []float64{a.loss(o, w), b.loss(o, w)} {
				if math.Abs(got-want) > 1e-5*want {
					t.Errorf("centred %v, row %d: %g, want %g", centred, o, got, want)
				}
			}
		}
	}
}

// TestReround makes each repair on a network of convolutions whose weights have four bits: fresh samples have to
// gain, every layer has to err less than before or keep its rounding, and threads must not matter.
func TestReround(t *testing.T) {
	for r, gain := range map[*Repair]float64{GPTQ: 1, AdaRound: 2, BRECQ: 2} { // the images are white noise, which leaves GPTQ little to gain
		t.Run(r.Name, func(t *testing.T) {
			var first []byte
			for _, threads := range []int{1, 3} {
				j, float, fresh := coarse(t)
				j.Threads = threads
				before := sqnr(t, float, j.quantized(t), fresh)
				out, err := r.Run(context.Background(), j)
				if err != nil {
					t.Fatal(err)
				}
				if after := sqnr(t, float, j.quantized(t), fresh); after < before+gain {
					t.Errorf("%.1f dB before, %.1f after: %v", before, after, out.Changes)
				}
				if r == BRECQ { // all layers are one section
					betterHeld(t, out)
				} else if len(out.Changes) < 2 {
					t.Errorf("changes %v", out.Changes)
				}
				for _, c := range out.Changes {
					var rows, all int
					var from, to float64
					if n, _ := fmt.Sscanf(c.What, "weights of %d of %d output channels rounded anew: %f → %f dB", &rows, &all, &from, &to); n == 4 && (to < from || rows == 0) {
						t.Errorf("%s: %s", c.Place, c.What)
					}
				}
				b, err := onnx.Encode(j.quantized(t))
				if err != nil {
					t.Fatal(err)
				}
				if first == nil {
					first = b
				}
				if !bytes.Equal(first, b) {
					t.Errorf("%d threads give another network", threads)
				}
			}
		})
	}
}

const products = header + `g (float[4,16] x) => (float[4,6] y) <float[16,32] w, float[32] b, float[32,24] u, float[6,24] v, float[6] c> {
  [first] a = MatMul (x, w)
  s = Add (a, b)
  r = Relu (s)
  [second] h = MatMul (r, u)
  q = Relu (h)
  [third] y = Gemm <transB = 1> (q, v, c)
}`

// TestReroundProducts makes each repair on matrix products whose weights have four bits in groups of 8, with and
// without quantized activations.
func TestReroundProducts(t *testing.T) {
	for _, mode := range []plan.Mode{plan.Weights, plan.Static, plan.Dynamic} {
		for _, r := range []*Repair{GPTQ, AdaRound} {
			t.Run(fmt.Sprint(mode, " ", r.Name), func(t *testing.T) {
				m := parse(t, products)
				rnd := rand.New(rand.NewPCG(41, 42))
				one := func(int) float64 { return 1 }
				fill(m, rnd, "w", one, 16, 32)
				fill(m, rnd, "b", one, 32)
				fill(m, rnd, "u", one, 32, 24)
				fill(m, rnd, "v", one, 6, 24)
				fill(m, rnd, "c", one, 6)
				samples := blended(rnd, 96)
				set := w8a8(t)
				set.Mode = mode
				set.Weights.Format = format.Int4
				if mode == plan.Weights {
					set.Weights.Block = format.Block{Kind: format.Group, Size: 8}
				}
				j := jobFor(t, m, set, samples[:64], samples[64:80])
				j.calibrate(t)
				float := parse(t, products)
				for _, name := range []string{"w", "b", "u", "v", "c"} {
					float.Graph.SetConst(name, m.Graph.ConstTensor(name))
				}
				before := sqnr(t, float, j.quantized(t), samples[80:])
				out, err := r.Run(context.Background(), j)
				if err != nil {
					t.Fatal(err)
				}
				after := sqnr(t, float, j.quantized(t), samples[80:])
				t.Logf("%.1f → %.1f dB: %v", before, after, out.Changes)
				if after < before+1 {
					t.Errorf("%.1f dB before, %.1f after", before, after)
				}
				for _, name := range []string{"first", "second", "third"} {
					if w := place(out.Changes, name); w == "" || w[:2] == "no" {
						t.Errorf("%s: %s", name, w)
					}
				}
			})
		}
	}
}

// TestRepairsOfVectors makes each repair of weights and biases on products of single vectors.
func TestRepairsOfVectors(t *testing.T) {
	const text = header + `g (float[16] x) => (float[6] y) <float[16,32] w, float[32] b, float[32,6] u, float[6] c> {
  [first] a = MatMul (x, w)
  s = Add (a, b)
  r = Relu (s)
  [second] h = MatMul (r, u)
  y = Add (c, h)
}`
	for _, r := range All {
		t.Run(r.Name, func(t *testing.T) {
			m := parse(t, text)
			rnd := rand.New(rand.NewPCG(43, 44))
			one := func(int) float64 { return 1 }
			fill(m, rnd, "w", one, 16, 32)
			fill(m, rnd, "b", one, 32)
			fill(m, rnd, "u", one, 32, 6)
			fill(m, rnd, "c", one, 6)
			float, samples := pass.Clone(m), images(rnd, m, 160)
			set := w8a8(t)
			set.Weights.Format = format.Int4
			j := jobFor(t, m, set, samples[:96], samples[96:128])
			j.calibrate(t)
			before := sqnr(t, float, j.quantized(t), samples[128:])
			if _, err := r.Run(context.Background(), j); err != nil {
				t.Fatal(err)
			}
			if r.Stage == Before {
				j.calibrate(t)
			}
			if after := sqnr(t, float, j.quantized(t), samples[128:]); after < before-0.1 {
				t.Errorf("%.1f dB before, %.1f after", before, after)
			}
		})
	}
}

// blended makes samples whose columns are mixed from six others.
func blended(r *rand.Rand, n int) []calib.Inputs {
	mix := normals(r, 6*16, 1)
	var list []calib.Inputs
	for range n {
		x := normals(r, 4*16, 0.1)
		for i := range 4 {
			for h := range 6 {
				v := float32(r.NormFloat64())
				for j := range 16 {
					x[i*16+j] += v * mix[h*16+j]
				}
			}
		}
		list = append(list, given("x", tensor.Float32s(x, 4, 16)))
	}
	return list
}

// TestWidest leaves a layer to the nearest marks whose matrices take more memory than there is, says so, and
// rounds the one behind it.
func TestWidest(t *testing.T) {
	const k = Widest + 1
	m, r := parse(t, header+fmt.Sprintf(`g (float[4,%d] x) => (float[4,8] y) <float[%d,16] w, float[16,8] v> {
  [wide] h = MatMul (x, w)
  a = Relu (h)
  [two] y = MatMul (a, v)
}`, k, k)), rand.New(rand.NewPCG(3, 9))
	fill(m, r, "w", func(int) float64 { return 0.01 }, k, 16)
	fill(m, r, "v", func(int) float64 { return 1 }, 16, 8)
	set := w8a8(t)
	set.Weights.Format = format.Int4
	samples := images(r, m, 48)
	for _, fix := range []*Repair{GPTQ, AdaRound, AWQClip} {
		j := jobFor(t, pass.Clone(m), set, samples[:32], samples[32:])
		j.calibrate(t)
		out, err := fix.Run(context.Background(), j)
		if err != nil {
			t.Fatalf("%s: %v", fix.Name, err)
		}
		if len(out.Changes) != 1 || out.Changes[0].Place != "two" {
			t.Errorf("%s: %v", fix.Name, out.Changes)
		}
		if want := fmt.Sprintf("1 layers read more than %d inputs and keep weights rounded to nearest", Widest); out.Note != want {
			t.Errorf("%s: note %q", fix.Name, out.Note)
		}
	}
}

// TestTrustTellsOwnResults holds what float weights make of their inputs against sums, over more output channels than go at a time.
func TestTrustTellsOwnResults(t *testing.T) {
	r := rand.New(rand.NewPCG(91, 92))
	const n, k, rows = 37, 19, rowBlock + 5
	x, y, w := make([]float32, n*k), make([]float32, rows*n), make([]float64, rows*k)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	for i := range w {
		w[i] = float64(float32(r.NormFloat64()))
	}
	level, err := kernel.Best()
	if err != nil {
		t.Fatal(err)
	}
	own := make([]float32, len(y))
	trust(t.Context(), level, 2, w, x, y, own, k, rows, false)
	for o := range rows {
		for i := range n {
			sum := 0.0
			for c := range k {
				sum += w[o*k+c] * float64(x[i*k+c])
			}
			if math.Abs(sum-float64(own[o*n+i])) > 1e-4 {
				t.Fatalf("channel %d of row %d is %v, not %v", o, i, own[o*n+i], sum)
			}
		}
	}
	for mode, want := range map[plan.Mode]bool{plan.Static: true, plan.Dynamic: false, plan.Weights: false} {
		for _, f := range []*format.Format{format.Int8, format.Int4} {
			b := &bench{rounder: &rounder{corrector: &corrector{&track{job: &Job{Plan: &plan.Plan{Mode: mode}}}}}, value: &plan.Value{Format: f.Name}}
			if got := b.aimsOwn(); got != (want && f == format.Int8) {
				t.Errorf("weights in %s, mode %v: %v", f.Name, mode, got)
			}
		}
	}
}
