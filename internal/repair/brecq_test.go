package repair

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/plan"
)

// TestBRECQProducts learns three products in a chain, in each mode: fresh samples have to gain, and the
// section has to err less on those held back.
func TestBRECQProducts(t *testing.T) {
	for _, mode := range []plan.Mode{plan.Weights, plan.Static, plan.Dynamic} {
		t.Run(string(mode), func(t *testing.T) {
			m, r := parse(t, products), rand.New(rand.NewPCG(41, 42))
			one := func(int) float64 { return 1 }
			fill(m, r, "w", one, 16, 32)
			fill(m, r, "b", one, 32)
			fill(m, r, "u", one, 32, 24)
			fill(m, r, "v", one, 6, 24)
			fill(m, r, "c", one, 6)
			samples := blended(r, 96)
			set := w8a8(t)
			set.Mode, set.Weights.Format = mode, format.Int4
			j := jobFor(t, m, set, samples[:64], samples[64:80])
			j.calibrate(t)
			before := sqnr(t, j.origin(), j.quantized(t), samples[80:])
			out, err := BRECQ.Run(context.Background(), j)
			if err != nil {
				t.Fatal(err)
			}
			after := sqnr(t, j.origin(), j.quantized(t), samples[80:])
			t.Logf("%.1f → %.1f dB: %v", before, after, out.Changes)
			if after < before+3 {
				t.Errorf("%.1f dB before, %.1f after", before, after)
			}
			betterHeld(t, out)
		})
	}
}

// betterHeld holds that every section that was learnt errs less on the samples held back.
func betterHeld(t *testing.T, out *Outcome) {
	t.Helper()
	if len(out.Changes) == 0 {
		t.Errorf("nothing was learnt: %s", out.Note)
	}
	for _, c := range out.Changes {
		_, figures, _ := strings.Cut(c.What, "together: ")
		var from, to float64
		if n, _ := fmt.Sscanf(figures, "%f → %f dB", &from, &to); n != 2 || to < from {
			t.Errorf("%s: %s", c.Place, c.What)
		}
	}
}

// TestBRECQBehindAdaRound has a float network to aim at that the weights at hand are not: what AdaRound
// leaves is where it begins, and it may only come nearer.
func TestBRECQBehindAdaRound(t *testing.T) {
	j, float, fresh := coarse(t)
	j.Origin = float
	if _, err := AdaRound.Run(context.Background(), j); err != nil {
		t.Fatal(err)
	}
	before := sqnr(t, float, j.quantized(t), fresh)
	out, err := BRECQ.Run(context.Background(), j)
	if err != nil {
		t.Fatal(err)
	}
	after := sqnr(t, float, j.quantized(t), fresh)
	t.Logf("%.2f → %.2f dB: %v %s", before, after, out.Changes, out.Note)
	if len(out.Changes) == 0 && (after != before || out.Note == "") {
		t.Errorf("nothing learnt, but %.2f dB became %.2f: %q", before, after, out.Note)
	}
	if after < before-0.3 {
		t.Errorf("%.2f dB before, %.2f after: %v", before, after, out.Changes)
	}
}

// TestSections cuts networks: between residual sections, behind clamps, and around what has no gradient.
func TestSections(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`g (float[1,4,8,8] x) => (float[1,4,8,8] y) <float[4,4,1,1] w, float[4,4,1,1] u, float[4,4,1,1] v, float[4,4,1,1] z> {
  [a] a = Conv (x, w)
  r = Relu (a)
  [b] b = Conv (r, u)
  s = Add (b, r)
  [c] c = Conv (s, v)
  q = Relu (c)
  [d] d = Conv (q, z)
  y = Add (d, s)
}`, "x>a,b>s s>c,d>y"},
		{`g (float[1,4,8,8] x) => (float[1,4,8,8] y) <float[4,4,1,1] w, float[4,4,1,1] u> {
  [a] a = Conv (x, w)
  r = Relu (a)
  l = LeakyRelu (r)
  [b] y = Conv (l, u)
}`, "x>a>r l>b>y"},
		{`g (float[1,4,8,8] x, float[1,4,8,8] z) => (float[1,4,8,8] y) <float[4,4,1,1] w, float[4,4,1,1] u> {
  [a] a = Conv (x, w)
  s = Add (a, z)
  [b] y = Conv (s, u)
}`, "x>a>a s>b>y"},
	} {
		m := parse(t, header+c.text)
		layers := map[*graph.Node]*layer{}
		for _, n := range m.Graph.Nodes {
			if n.Op == "Conv" {
				layers[n] = &layer{node: n, name: n.Name}
			}
		}
		var got []string
		for _, s := range (&cutter{g: m.Graph, x: m.Graph.Index(), layers: layers}).sections() {
			var names []string
			for _, l := range s.layers {
				names = append(names, l.name)
			}
			got = append(got, s.in+">"+strings.Join(names, ",")+">"+s.out)
		}
		if s := strings.Join(got, " "); s != c.want {
			t.Errorf("sections %q, want %q", s, c.want)
		}
	}
}

// TestNeighbour walks over all marks of formats, up and down.
func TestNeighbour(t *testing.T) {
	for _, f := range []*format.Format{format.Int4, format.Uint4, format.NF4} {
		p := format.Params{Scale: 0.125}
		if f.Zero {
			p.Zero = 5
		}
		lo, hi := f.Range(p)
		n := 1
		for at := lo; at != hi && n <= 16; n++ {
			next := neighbour(f, at, p, true)
			if back := neighbour(f, next, p, false); !(next > at) || back != at {
				t.Fatalf("%s: above %g is %g, below that %g", f.Name, at, next, back)
			}
			at = next
		}
		if n != 16 && n != 15 || neighbour(f, hi, p, true) != hi || neighbour(f, lo, p, false) != lo {
			t.Errorf("%s: %d marks from %g to %g", f.Name, n, lo, hi)
		}
	}
}
