package lowbit

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"lowbit/internal/calib/dataset"
	"lowbit/internal/plan"
	"lowbit/internal/quantize"
	"lowbit/internal/testdata"
)

// TestTargetThis quantizes small networks for this machine: each node that stays in float says why, and what
// is left still answers alike.
func TestTargetThis(t *testing.T) {
	for _, mode := range []plan.Mode{plan.Static, plan.Dynamic} {
		for _, name := range []string{"dtln-1/model_1.onnx", "mnist-cntk/mnist.onnx"} {
			t.Run(string(mode)+" "+filepath.Dir(name), func(t *testing.T) {
				m, err := Open(testdata.Dir(t, "models", name))
				if err != nil {
					t.Fatal(err)
				}
				defer m.Close()
				data, err := dataset.Open(testdata.Dir(t, "models", filepath.Dir(name), "input.npz"), dataset.Options{Inputs: m.Graph().Graph.Required()})
				if err != nil {
					t.Fatal(err)
				}
				defer data.Close()
				r, err := QuantizeBy(context.Background(), m, quantize.Options{Settings: settingsFor(t, mode), Data: data, Threads: 1})
				if err != nil {
					t.Fatal(err)
				}
				checkReasons(t, r)
				if r.Plan.Quantized() > 0 && r.Gate.SQNR < 15 {
					t.Errorf("%.1f dB to the float network", r.Gate.SQNR)
				}
			})
		}
	}
}

// TestSluggish says that ONNX Runtime is slow at convolutions that quantize their input in each run, and nothing where there are none.
func TestSluggish(t *testing.T) {
	m, err := Open(testdata.Dir(t, "models", "mnist-cntk/mnist.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for scheme, want := range map[plan.Mode]bool{plan.Dynamic: true, plan.Weights: false} {
		set := settingsFor(t, scheme)
		set.Target = plan.Targets[0]
		r, err := QuantizeBy(context.Background(), m, quantize.Options{Settings: set, Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(strings.Join(r.Warnings, "\n"), "2 nodes of Conv"); got != want {
			t.Errorf("%s: %q", scheme, r.Warnings)
		}
	}
}

func settingsFor(t *testing.T, mode plan.Mode) plan.Settings {
	t.Helper()
	set, err := plan.Default("W8A8")
	if err != nil {
		t.Fatal(err)
	}
	set.Mode, set.Target = mode, plan.LookupTarget("this")
	return set
}

func checkReasons(t *testing.T, r *Result) {
	t.Helper()
	for _, n := range r.Plan.Nodes {
		if n.Reason == "" {
			t.Errorf("node %s has no reason", n.Name)
		}
	}
	if r.Plan.Quantized() == 0 && !strings.Contains(strings.Join(r.Warnings, "\n"), "do not pay") {
		t.Errorf("nothing is quantized, and nobody says why: %q", r.Warnings)
	}
}
