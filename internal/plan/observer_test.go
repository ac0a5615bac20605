package plan

import (
	"math"
	"strings"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// tails is a product whose weights and activations have one value far out.
func tails(t *testing.T) (set Settings, fit func(set Settings) *Plan) {
	m := parse(t, `g (float[2,8] x) => (float[2,4] y) <float[8,4] w> { y = MatMul (x, w) }`)
	w := make([]float32, 32)
	for i := range w {
		w[i] = float32(math.Sin(float64(i)))
	}
	w[5] = 30
	m.Graph.SetConst("w", tensor.Float32s(w, 8, 4))
	stats := map[string]*calib.Stats{}
	for _, name := range []string{"x", "y"} {
		s := calib.NewStats(true)
		s.Add(kernel.Generic, w)
		stats[name] = s
	}
	return settings(t, "W8A8"), func(set Settings) *Plan {
		p := decide(t, m, set)
		if err := p.Fit(m, stats, set, 1); err != nil {
			t.Fatal(err)
		}
		return p
	}
}

// TestWeightObserver scales weights by an observer: nothing but them changes.
func TestWeightObserver(t *testing.T) {
	set, fit := tails(t)
	set.Weights = Scheme{Format: format.Uint4}
	plain := fit(set)
	for _, o := range calib.All {
		set.Weights.Observer = o
		p := fit(set)
		w, was := p.Value("w"), plain.Value("w")
		if p.Value("x").Params[0] != plain.Value("x").Params[0] {
			t.Errorf("%s: activations changed", o.Name)
		}
		if !strings.HasSuffix(w.Reason, "scaled by "+o.Name) {
			t.Errorf("%s: reason %q", o.Name, w.Reason)
		}
		idle := strings.Contains(strings.Join(p.Idle(false), " "), o.Name)
		if same := w.Params[0] == was.Params[0]; idle != same {
			t.Errorf("%s: it is told that nothing changed: %v, and it is so: %v", o.Name, idle, same)
		}
		if s := w.Params[0].Scale; o == calib.LSQ && s > 0.5*was.Params[0].Scale {
			t.Errorf("%s: a scale of %g beside %g", o.Name, s, was.Params[0].Scale)
		}
	}
}

// TestIdleObserver holds one sample against the mean over samples, which is the same, and against a share of the values; at eight bits LSQ begins wider than them.
func TestIdleObserver(t *testing.T) {
	set, fit := tails(t)
	for _, c := range []struct {
		o    *calib.Observer
		idle bool
	}{{calib.MinMax, false}, {calib.Average, true}, {calib.LSQ, true}, {calib.Percentile, false}} {
		set.Observer = c.o
		notes := fit(set).Idle(true)
		if got := len(notes) > 0; got != c.idle {
			t.Errorf("%s: %v", c.o.Name, notes)
		}
		if len(fit(set).Idle(false)) > 0 {
			t.Errorf("%s: told of although it was nobody's choice", c.o.Name)
		}
	}
	set.Acts.Observer = calib.LSQ
	if p := fit(set); !strings.Contains(p.Value("x").Reason, "lsq over") {
		t.Errorf("an observer of activations alone: %s", p.Value("x").Reason)
	}
}
