package lowbit

import (
	"context"
	"strings"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/plan"
	"lowbit/internal/quantize"
)

// TestSignsAlike quantizes a network of Relus to signs, which says why that cannot work; with activations of
// eight bits there is nothing to say.
func TestSignsAlike(t *testing.T) {
	for scheme, warned := range map[string]bool{"BIN": true, "W8A8": false} {
		set, err := plan.Default(scheme)
		if err != nil {
			t.Fatal(err)
		}
		m := glyphNet(t)
		r, err := QuantizeBy(context.Background(), m, quantize.Options{Settings: set, Data: letters(5, 16, 1, 0), Threads: 1, Fix: []string{"none"}})
		if err != nil {
			t.Fatal(scheme, err)
		}
		if got := strings.Contains(strings.Join(r.Warnings, "\n"), "all their signs are alike"); got != warned {
			t.Errorf("%s: %q", scheme, r.Warnings)
		}
	}
}

// TestSignsByName fits the scales of signs, whose rule reads histograms, beside observers that read none, and in the
// trials of repairs.
func TestSignsByName(t *testing.T) {
	for _, o := range []*calib.Observer{calib.MinMax, nil} {
		set, err := plan.Default("BIN")
		if err != nil {
			t.Fatal(err)
		}
		set.Observer = o
		r, err := QuantizeBy(context.Background(), glyphNet(t), quantize.Options{Settings: set, Data: letters(5, 40, 1, 0), Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range r.Warnings {
			if strings.Contains(w, "is left out") {
				t.Error(w)
			}
		}
	}
}
