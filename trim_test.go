package lowbit

import (
	"context"
	"strings"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/plan"
	"lowbit/internal/quantize"
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
		r, err := QuantizeBy(context.Background(), glyphNet(t), quantize.Options{Settings: set, Data: letters(5, 400, 1, 0), Threads: 1, Fix: []string{"none"}})
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
	if _, err := QuantizeBy(context.Background(), glyphNet(t), quantize.Options{Settings: set}); fault.KindOf(err) != fault.Invalid {
		t.Error(err)
	}
}

// TestIntegerLength scales activations of dynamic fixed point as Ristretto does, unless an observer is named; eight free
// bits beside them are observed as ever.
func TestIntegerLength(t *testing.T) {
	reasons := func(o *calib.Observer, first *format.Format) map[string]string {
		set, err := plan.Default("W8A8")
		if err != nil {
			t.Fatal(err)
		}
		set.Acts = plan.Scheme{Format: format.Ristretto8}
		set.Observer = o
		if first != nil {
			conv, err := plan.ParsePattern("op:Conv")
			if err != nil {
				t.Fatal(err)
			}
			set.Overrides = []plan.Override{{Match: conv, Acts: &plan.Scheme{Format: first}}}
		}
		r, err := QuantizeBy(context.Background(), glyphNet(t), quantize.Options{Settings: set, Data: letters(5, 60, 1, 0), Threads: 1, Fix: []string{"none"}})
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]string{}
		for _, v := range r.Plan.Values {
			if v.Role == plan.RoleActivation && v.Like == "" {
				all[v.Format] += v.Reason + "\n"
			}
		}
		return all
	}
	has := func(text, word string) bool { return strings.Contains(text, word+" over ") }
	if s := reasons(nil, nil)["ristretto8"]; !has(s, "integer-length") || has(s, "mse") || has(s, "minmax") {
		t.Errorf("by default: %s", s)
	}
	if s := reasons(calib.Average, nil)["ristretto8"]; !has(s, "average") || has(s, "integer-length") {
		t.Errorf("with an observer named: %s", s)
	}
	mixed := reasons(nil, format.Uint8)
	if !has(mixed["ristretto8"], "integer-length") || mixed["uint8"] == "" || has(mixed["uint8"], "integer-length") {
		t.Errorf("beside uint8: %v", mixed)
	}
}
