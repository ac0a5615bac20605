package repair

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/kernel"
)

// scarce makes a group of a layer whose inputs are spoilt by noise, as layers before them spoil them, with n
// rows to fit to and m to judge by, and what other rows say.
func scarce(t *testing.T, n, m int) (g *group, fresh *gram) {
	t.Helper()
	const k, rows, all, noise = 256, 24, 2600, 0.2
	w, x, y := correlated(all)
	w, y = w[:rows*k], y[:rows*all]
	r := rand.New(rand.NewPCG(91, 92))
	power := 0.0
	for _, v := range x {
		power += float64(v) * float64(v) / float64(len(x))
	}
	for i := range x {
		x[i] += float32(noise * math.Sqrt(power) * r.NormFloat64())
	}
	level, err := kernel.Best()
	if err != nil {
		t.Fatal(err)
	}
	part := func(from, to int) *gram {
		a, ones := newGram(k, rows), make([]float64, to-from)
		var own []float32
		for o := range rows {
			own = append(own, y[o*all+from:o*all+to]...)
		}
		for i := range ones {
			ones[i] = 1
		}
		a.add(context.Background(), level, 2, x[from*k:to*k], own, ones)
		a.finish(false)
		return a
	}
	g = &group{fit: part(0, n), held: part(n, n+m), format: format.Int4, w: w, free: true, scalable: true, owner: func(o, _ int) int { return o }}
	for o := range rows {
		most := 0.0
		for _, v := range w[o*k:][:k] {
			most = max(most, math.Abs(v))
		}
		g.params = append(g.params, format.Params{Scale: float32(most / 7)})
	}
	return g, part(n+m, all)
}

// tell is the ratio of signal to error of weights q on some rows, in dB.
func (m *gram) tell(q []float64) float64 {
	e, s := 0.0, 0.0
	for o := range m.rows {
		e, s = e+m.loss(o, q[o*m.k:][:m.k]), s+m.yy[o]
	}
	return ratio(s, e)
}

// TestFewRows rounds a layer of which fewer rows are seen than it has weights for each channel, or hardly more:
// on other rows it may not come out worse than rounded to nearest, and must gain as soon as rows suffice.
func TestFewRows(t *testing.T) {
	for _, c := range []struct {
		fit, held int
		gain      float64
	}{{64, 12, 0}, {128, 25, 0.25}, {400, 25, 0.9}} {
		t.Run(fmt.Sprint(c.fit, " rows"), func(t *testing.T) {
			g, fresh := scarce(t, c.fit, c.held)
			plain := fresh.tell(g.rounded())
			q := solveAdaRound(context.Background(), g, 2)
			if q == nil {
				t.Fatal(g.note)
			}
			got := fresh.tell(q)
			t.Logf("nearest %.2f dB, AdaRound %.2f, and %.2f on the rows that it was fitted to", plain, got, g.fit.tell(q))
			if got < plain+c.gain {
				t.Errorf("nearest %.2f dB, AdaRound %.2f", plain, got)
			}
			for i, v := range q { // with the parameters that are kept
				if math.Abs(v-g.format.Nearest(v, g.params[i/g.fit.k])) > 1e-6 {
					t.Fatalf("weight %d is on no mark", i)
				}
			}
		})
	}
}
