package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lowbit"
	"lowbit/internal/engine"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/pass"
)

// peaks measures the instruction behind the products of each number format; kernels begin with its name.
var peaks = map[string]func(kernel.Level) kernel.Peak{
	"f32": kernel.Level.PeakF32, "u8s8": kernel.Level.PeakU8S8, "bf16": kernel.Level.PeakBF16, "b1b1": kernel.Level.PeakBits,
}

type kernelJSON struct {
	Node   string  `json:"node"`
	Op     string  `json:"op"`
	Kernel string  `json:"kernel"`
	Out    string  `json:"out"`
	MACs   int64   `json:"macs"`
	Micros float64 `json:"us"`
	GOPS   float64 `json:"gops"`
	Limit  float64 `json:"limit"` // part of what the instruction reaches on all threads
}

// limitJSON is what one core reaches with an instruction alone.
type limitJSON struct {
	Instruction string  `json:"instruction"`
	GOPS        float64 `json:"gops"`
	Random      float64 `json:"gops_random"` // on random numbers instead of zeros
}

// slowerJSON is a node that the quantized network computes slower than its float form.
type slowerJSON struct {
	Node   string  `json:"node"`
	Micros float64 `json:"us"`
	Float  float64 `json:"float_us"`
}

// maxSlower is how many such nodes are shown.
const maxSlower = 10

// profile fills in the time of each operator, what limits it, and where the float form is faster.
func (r *benchJSON) profile(ctx context.Context, a *app, m *lowbit.Model, s *lowbit.Session, b *benchFlags, in feed) error {
	level, err := kernel.Best()
	if err != nil {
		return fault.Invalidf("", "%v", err)
	}
	runs := b.profileRuns(r.Latency.Median)
	steps, err := s.Profile(ctx, in, runs)
	if err != nil {
		return err
	}
	for name, measure := range peaks {
		p := measure(level)
		r.Limits[name] = limitJSON{p.Instruction, p.GOPS, p.Random}
	}
	for _, t := range steps {
		r.Kernels = append(r.Kernels, r.kernelOf(t))
	}
	float, err := a.floatForm(m, b.against)
	if float == nil || err != nil {
		return err
	}
	defer float.Close()
	fs, err := a.compile(float, "engine", load{workers: 1, inputs: typesOf(in), copies: 1})
	if err != nil {
		return err
	}
	defer fs.Close()
	other, err := fs.Profile(ctx, in, runs)
	r.Float, r.Slower = totalMicros(other), slowerNodes(steps, other)
	return err
}

// profileRuns is how often to run a model of some milliseconds for its profile.
func (b *benchFlags) profileRuns(ms float64) int {
	each := time.Duration(ms * float64(time.Millisecond))
	return max(3, min(100, int(time.Duration(b.duration)/4/max(each, 1))))
}

func (r *benchJSON) kernelOf(t engine.StepTime) kernelJSON {
	k := kernelJSON{Node: t.Node, Op: t.Op, Kernel: t.Kernel, Out: t.Out, MACs: t.MACs, Micros: micros(t.Time)}
	if t.MACs > 0 && t.Time > 0 {
		k.GOPS = 2 * float64(t.MACs) / float64(t.Time.Nanoseconds())
	}
	word, _, _ := strings.Cut(t.Kernel, " ")
	if l := r.Limits[word]; l.GOPS > 0 {
		k.Limit = k.GOPS / (l.GOPS * float64(r.Threads))
	}
	return k
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }

func totalMicros(steps []engine.StepTime) (us float64) {
	for _, t := range steps {
		us += micros(t.Time)
	}
	return us
}

// floatForm opens the file that a quantized model is held against, or takes the quantization out of the model;
// it returns nil where there is none.
func (a *app) floatForm(m *lowbit.Model, against string) (*lowbit.Model, error) {
	if against != "" {
		return a.openToRun(against)
	}
	if !slices.ContainsFunc(m.Graph().Graph.Nodes, func(n *graph.Node) bool { return n.Op == "QuantizeLinear" }) {
		return nil, nil
	}
	g := pass.Clone(m.Graph())
	pairs, err := pass.Unquantize(g)
	if pairs == 0 || err != nil {
		return nil, err
	}
	return lowbit.FromGraph(g, m.Path()), nil
}

// slowerNodes lists the nodes that take longer in steps than in float, the largest loss first.
func slowerNodes(steps, float []engine.StepTime) []slowerJSON {
	list := []slowerJSON{}
	for _, n := range engine.CompareSteps(steps, float) {
		if n.Loss() > 0 && len(list) < maxSlower {
			list = append(list, slowerJSON{n.Node, micros(n.Time), micros(n.Before)})
		}
	}
	return list
}

// printProfile shows the profile as tables.
func (r *benchJSON) printProfile(a *app) error {
	t := a.table("node", "kernel", "out", "us", "%", "GOP/s", "of limit")
	total := 0.0
	for _, k := range r.Kernels {
		total += k.Micros
	}
	for _, k := range r.Kernels {
		gops, limit := "", ""
		if k.GOPS > 0 {
			gops = fmt.Sprintf("%.1f", k.GOPS)
		}
		if k.Limit > 0 {
			limit = fmt.Sprintf("%.0f %%", 100*k.Limit)
		}
		t.row(k.Node, k.Kernel, k.Out, fmt.Sprintf("%.1f", k.Micros), fmt.Sprintf("%.1f", 100*k.Micros/max(total, 1e-9)), gops, limit)
	}
	if err := t.print(); err != nil {
		return err
	}
	for _, name := range r.limited() {
		if l := r.Limits[name]; l.GOPS > 0 {
			if err := a.printf("limit of %s on one core: %.0f GOP/s (%s on zeros; on random numbers %.0f)\n", name, l.GOPS, l.Instruction, l.Random); err != nil {
				return err
			}
		}
	}
	if slices.ContainsFunc(r.Kernels, func(k kernelJSON) bool { return k.Limit > 0 && strings.Contains(k.Kernel, "Winograd") }) {
		if err := a.printf("%s\n", winogradPasses); err != nil {
			return err
		}
	}
	return r.printSlower(a, total)
}

// winogradPasses says why a kernel may seem faster than its instruction.
const winogradPasses = "Winograd's form multiplies less than GOP/s counts, and may pass the limit"

// limited lists the limits that some kernel is held against.
func (r *benchJSON) limited() []string {
	names := map[string]bool{"f32": true, "u8s8": true}
	for _, k := range r.Kernels {
		if word, _, _ := strings.Cut(k.Kernel, " "); k.Limit > 0 {
			names[word] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func (r *benchJSON) printSlower(a *app, total float64) error {
	if r.Float == 0 {
		return nil
	}
	if err := a.printf("all steps together: %.0f us, in float %.0f us\n", total, r.Float); err != nil || len(r.Slower) == 0 {
		return err
	}
	t := a.table("slower than in float", "us", "float us")
	for _, s := range r.Slower {
		t.row(s.Node, fmt.Sprintf("%.1f", s.Micros), fmt.Sprintf("%.1f", s.Float))
	}
	return t.print()
}
