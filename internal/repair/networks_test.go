package repair

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/engine"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
)

// parse reads a network in ONNX's textual syntax and prepares it.
func parse(t *testing.T, text string) *graph.Model {
	t.Helper()
	m, err := graph.ParseText(text)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// normals returns n numbers from a normal distribution.
func normals(r *rand.Rand, n int, scale float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(scale * r.NormFloat64())
	}
	return x
}

// fill sets a constant to normal numbers, channel c along axis 0 being multiplied by gain(c).
func fill(m *graph.Model, r *rand.Rand, name string, gain func(c int) float64, shape ...int) {
	x := normals(r, tensor.Elements(shape), 1)
	inner := tensor.Elements(shape[1:])
	for i := range x {
		x[i] = float32(float64(x[i]) * gain(i/inner))
	}
	m.Graph.SetConst(name, tensor.Float32s(x, shape...))
}

// images makes samples of the one input of a network.
func images(r *rand.Rand, m *graph.Model, n int) []calib.Inputs {
	in := m.Graph.Required()[0]
	var shape []int
	for _, d := range in.Type.Shape {
		shape = append(shape, max(1, d.Size))
	}
	var list []calib.Inputs
	for range n {
		list = append(list, given(in.Name, tensor.Float32s(normals(r, tensor.Elements(shape), 1), shape...)))
	}
	return list
}

// given is a sample of one input.
func given(name string, t *tensor.Tensor) calib.Inputs {
	return func() map[string]*tensor.Tensor { return map[string]*tensor.Tensor{name: t} }
}

// jobFor returns a job on m with a plan of the settings, fitted to samples.
func jobFor(t *testing.T, m *graph.Model, set plan.Settings, fit, held []calib.Inputs) *Job {
	t.Helper()
	level, err := kernel.Best()
	if err != nil {
		t.Fatal(err)
	}
	facts, err := op.Infer(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	j := &Job{Net: m, Facts: facts, Settings: set, Fit: fit, Held: held, Level: level, Threads: 2,
		Compile: func(m *graph.Model, watch []string) (calib.Runner, error) {
			return engine.Compile(m, engine.Options{Threads: 1, Watch: watch})
		}}
	j.Plan = plan.Decide(m, facts, set, nil)
	return j
}

// calibrate fits the job's plan to its samples.
func (j *Job) calibrate(t *testing.T) {
	t.Helper()
	j.Plan = plan.Decide(j.Net, j.Facts, j.Settings, nil)
	s, err := j.Compile(j.Net, j.Plan.Observed())
	if err != nil {
		t.Fatal(err)
	}
	stats, err := calib.Collect(context.Background(), s, calib.FeedOf(j.Fit), calib.Options{Workers: 2, Level: j.Level})
	if err != nil {
		t.Fatal(err)
	}
	set := j.Settings
	set.Observer = calib.MinMax
	if err := j.Plan.Fit(j.Net, stats, set, 2); err != nil {
		t.Fatal(err)
	}
}

// quantized writes the job's plan into its network.
func (j *Job) quantized(t *testing.T) *graph.Model {
	t.Helper()
	m := pass.Clone(j.Net)
	if err := pass.Quantize(m, j.Plan, "qdq"); err != nil {
		t.Fatal(err)
	}
	return m
}

// sqnr compares the outputs of two networks over samples, in dB.
func sqnr(t *testing.T, a, b *graph.Model, samples []calib.Inputs) float64 {
	t.Helper()
	sa, err := engine.Compile(a, engine.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	sb, err := engine.Compile(b, engine.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	var d report.Diffs
	for _, s := range samples {
		x, err := sa.Run(context.Background(), s())
		if err != nil {
			t.Fatal(err)
		}
		y, err := sb.Run(context.Background(), s())
		if err != nil {
			t.Fatal(err)
		}
		d.Add(a.Graph.Out, x, y)
	}
	return d.SQNR()
}

// w8a8 are the default settings.
func w8a8(t *testing.T) plan.Settings {
	t.Helper()
	set, err := plan.Default("W8A8")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func place(list []Change, name string) string {
	for _, c := range list {
		if c.Place == name {
			return c.What
		}
	}
	return fmt.Sprintf("no change at %s among %d", name, len(list))
}

// outputsOf runs a network on one sample.
func outputsOf(t *testing.T, m *graph.Model, in map[string]*tensor.Tensor) map[string]*tensor.Tensor {
	t.Helper()
	s, err := engine.Compile(m, engine.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.Run(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
