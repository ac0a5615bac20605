package lowbit

import (
	"context"
	"strings"
	"testing"

	"lowbit/internal/fault"
	"lowbit/internal/plan"
)

// TestTrim trims the bits of a network part by part: with no margin four bits are too few for some of
// them, with a wide one they do for all; both ways every scale is a power of two.
func TestTrim(t *testing.T) {
	formats := func(margin float64, mode plan.Mode) map[string]string {
		set, err := plan.Default("W8A8")
		if err != nil {
			t.Fatal(err)
		}
		set.Trim, set.Mode = margin, mode
		r, err := Quantize(context.Background(), glyphNet(t), QuantizeOptions{Settings: set, Data: letters(5, 400, 1, 0), Threads: 1, Fix: []string{"none"}})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(strings.Join(r.Warnings, "\n"), "trim: weights of convolutions") {
			t.Errorf("nothing is said: %q", r.Warnings)
		}
		found := map[string]string{}
		for _, v := range r.Plan.Values {
			if v.Role == plan.RoleBias {
				continue
			}
			found[v.Role] += v.Format + " "
			for _, p := range v.Params {
				if f := float64(p.Scale); powerBelow(f) != f || p.Zero != 0 {
					t.Errorf("%s: scale %v, zero %d", v.Name, p.Scale, p.Zero)
				}
			}
		}
		if r.Gate.Agree < 0.9 && margin < 0.1 {
			t.Errorf("margin %g: %.2f of the answers stay", margin, r.Gate.Agree)
		}
		return found
	}
	strict, wide := formats(0.001, plan.Static), formats(0.9, plan.Static)
	if !strings.Contains(strict[plan.RoleWeight]+strict[plan.RoleActivation], "ristretto8") {
		t.Errorf("without margin: %v", strict)
	}
	if all := wide[plan.RoleWeight] + wide[plan.RoleActivation]; strings.Contains(all, "ristretto8") || !strings.Contains(all, "ristretto4") {
		t.Errorf("with any margin: %v", wide)
	}
	if only := formats(0.9, plan.Weights); only[plan.RoleActivation] != "" {
		t.Errorf("weights alone: %v", only)
	}
}

func powerBelow(v float64) float64 {
	p := 1.0
	for ; p > v; p /= 2 {
	}
	for ; p*2 <= v; p *= 2 {
	}
	return p
}

// TestTrimBlind says that samples are missing.
func TestTrimBlind(t *testing.T) {
	set, err := plan.Default("W8A8")
	if err != nil {
		t.Fatal(err)
	}
	set.Trim = 0.01
	if _, err := Quantize(context.Background(), glyphNet(t), QuantizeOptions{Settings: set}); fault.KindOf(err) != fault.Invalid {
		t.Error(err)
	}
}
