// Package doctor finds out why a quantized network differs from the float one: it takes quantizers out
// one by one, names what is wrong with those that cost most, and mends them.
package doctor

import (
	"cmp"
	"context"
	"math"
	"slices"

	"lowbit/internal/calib"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
)

// A Job says what to examine, and with what.
type Job struct {
	Float, Quantized *graph.Model
	Samples          []Inputs // that every swap runs on
	Compile          func(m *graph.Model, watch []string) (calib.Runner, error)
	// Score measures a network by the user's own metric; nil: the SQNR of the outputs ranks the causes.
	Score    func(ctx context.Context, m *graph.Model) (float64, error)
	Low      bool // small scores are good
	Graded   int  // samples that Score looks at
	Level    kernel.Level
	Threads  int
	Progress func(stage string, done, total int)
}

// Inputs are what one sample feeds to a network.
type Inputs = map[string]*tensor.Tensor

// A Diagnosis is what was found.
type Diagnosis struct {
	Healthy  bool
	SQNR     float64     // of the outputs, dB
	Score    *[2]float64 // of the float network and of the quantized one
	Causes   []Cause     // the worst first
	Layers   []Layer     // in the order of the graph
	Warnings []string
	Fixed    *Fixed // nil where nothing was to be mended, or nothing helped
}

// A Cause is one thing that is wrong.
type Cause struct {
	Name     string // of the node
	Op       string
	Value    string // whose quantizer it is
	Cause    string // one of the closed list
	Evidence string
	Effect   string
	Fix      string
	Alone    float64     // SQNR of the outputs where nothing else is quantized, dB
	Without  float64     // and where only this is not
	Scores   *[2]float64 // the metric, likewise
}

// A Layer tells what a layer with weights loses by itself: its result with quantized weights alone and
// with quantized input alone against that in float.
type Layer struct {
	Name, Op      string
	Result        string   // the value that it makes in the quantized network
	Weights, Acts float64  // SQNR, dB; report.Exact where it is not quantized
	Alone         *float64 // SQNR of the outputs where nothing else is quantized; nil where that was not measured
}

// Fixed is the mended network.
type Fixed struct {
	Model *graph.Model
	SQNR  float64
	Score float64
	Made  []string
}

// The bounds of an examination.
const (
	healthySQNR  = 20.0 // dB: outputs that reach it are healthy, unless one cause makes most of the noise
	soundSQNR    = 40.0 // dB: no single cause is looked for beyond
	materialGain = 3.0  // dB: what taking a cause out has to bring, half of the noise
	healthyDrop  = 0.01 // of the metric
	suspects     = 16   // findings whose quantizers are swapped
	scored       = 6    // causes whose effect on the metric is measured
	keptSQNR     = 30.0 // dB: how near the network with all quantizers out has to come to the float one
)

// An exam is one examination at work.
type exam struct {
	*Job
	*net
	few       []Inputs
	answers   []map[string]*tensor.Tensor
	base      changes // all quantizers out
	screening *screening
	branches  map[*unit][]string // values that a unit joins
	total     float64            // SQNR of the outputs
	d         *Diagnosis
}

// Examine compares two networks and names what is wrong with the quantized one.
func Examine(ctx context.Context, j *Job) (*Diagnosis, error) {
	n, err := newNet(j.Float, j.Quantized)
	if err != nil {
		return nil, err
	}
	e := &exam{Job: j, net: n, few: j.Samples, branches: map[*unit][]string{}, d: &Diagnosis{}}
	if len(e.few) == 0 {
		return nil, fault.Invalidf("data", "no samples")
	}
	if err := e.compareAll(ctx); err != nil {
		return nil, err
	}
	if len(n.sites) == 0 {
		return nil, fault.Unsupportedf("model", "it holds no quantizers that can be taken out")
	}
	if err := e.screen(ctx); err != nil {
		return nil, err
	}
	list, err := e.findings(ctx)
	if err != nil {
		return nil, err
	}
	e.tell(list)
	return e.d, e.mend(ctx, list)
}

// compareAll runs the float network, the quantized one and the one with all quantizers out.
func (e *exam) compareAll(ctx context.Context) error {
	if err := e.answer(ctx); err != nil {
		return err
	}
	var err error
	if e.total, err = e.measure(ctx, e.Quantized); err != nil {
		return err
	}
	e.d.SQNR = e.total
	if e.Score != nil {
		var s [2]float64
		for i, m := range []*graph.Model{e.Float, e.Quantized} {
			if s[i], err = e.Score(ctx, m); err != nil {
				return err
			}
		}
		e.d.Score = &s
	}
	return e.strip(ctx)
}

// strip finds the network with all quantizers out that comes nearest to the float one: biases may have
// been moved on purpose, and then those of the file belong to it.
func (e *exam) strip(ctx context.Context) error {
	db, err := e.variant(ctx, e.allOff())
	if err != nil {
		return err
	}
	if db < keptSQNR {
		kept := map[*site]*tensor.Tensor{}
		for _, u := range e.nodes {
			if u.bias != nil {
				kept[u.bias] = u.bias.off
				u.bias.off = tensor.Float32s(e.biasOf(u), u.bias.codes.Shape...)
			}
		}
		other, err := e.variant(ctx, e.allOff())
		if err != nil {
			return err
		}
		if other <= db {
			for s, t := range kept {
				s.off = t
			}
		}
		db = max(db, other)
	}
	if db < keptSQNR {
		e.warn("with all quantizers taken out the network still differs from the float one: %.1f dB; it may be made from another", db)
	}
	e.base = e.allOff()
	return nil
}

// answer runs the float network over the samples.
func (e *exam) answer(ctx context.Context) error {
	e.answers = make([]map[string]*tensor.Tensor, len(e.few))
	return e.run(ctx, e.Float, func(i int, out map[string]*tensor.Tensor) { e.answers[i] = out })
}

// run evaluates a network on every sample.
func (e *exam) run(ctx context.Context, m *graph.Model, each func(i int, out map[string]*tensor.Tensor)) error {
	r, err := e.Compile(m, nil)
	if err != nil {
		return err
	}
	return calib.Each(ctx, len(e.few), e.Threads, func(ctx context.Context, i int) error {
		out, err := r.RunWatch(ctx, e.few[i], func(string, *tensor.Tensor) {})
		if err == nil {
			each(i, out)
		}
		return err
	})
}

// measure returns the SQNR of a network's outputs.
func (e *exam) measure(ctx context.Context, m *graph.Model) (float64, error) {
	diffs := make([]report.Diff, len(e.few))
	err := e.run(ctx, m, func(i int, out map[string]*tensor.Tensor) {
		report.Outputs(&diffs[i], e.Float.Graph.Out, e.answers[i], out)
	})
	var d report.Diff
	for _, x := range diffs {
		d.Merge(x)
	}
	return d.SQNR(), err
}

// variant measures the network with changes.
func (e *exam) variant(ctx context.Context, c changes) (float64, error) {
	m, err := e.build(c)
	if err != nil {
		return 0, err
	}
	return e.measure(ctx, m)
}

// sick says whether the networks differ more than a healthy pair does.
func (e *exam) sick() bool {
	return e.total < healthySQNR || e.d.Score != nil && e.worse(e.d.Score[0], e.d.Score[1]) > max(healthyDrop, 2/float64(max(1, e.Graded)))
}

// worse is how much a score is worse than that of the float network, as a share where it is good when small.
func (e *exam) worse(float, score float64) float64 {
	if e.Low {
		return (score - float) / max(math.Abs(float), 1e-12)
	}
	return float - score
}

// tell writes the diagnosis.
func (e *exam) tell(list []*finding) {
	e.d.Healthy = len(list) == 0 && e.total >= healthySQNR-materialGain
	if len(list) == 0 && !e.d.Healthy {
		e.warn("no quantizer by itself explains what is lost")
	}
	for _, f := range list {
		e.d.Causes = append(e.d.Causes, f.cause())
	}
	for _, u := range e.layers() {
		if l := e.screening.layers[u]; l != nil {
			e.d.Layers = append(e.d.Layers, Layer{Name: u.name, Op: u.node.Op, Result: u.node.Out[0], Weights: l.weights.SQNR(), Acts: l.acts.SQNR()})
		}
	}
}

// noise is the power of the noise at an SQNR, as a share of the signal's.
func noise(db float64) float64 { return math.Pow(10, -db/10) }

// findings looks for every cause, and swaps the quantizers of those that lose most by themselves.
func (e *exam) findings(ctx context.Context) ([]*finding, error) {
	sound := e.total >= soundSQNR && !e.sick()
	claimed := map[*site]bool{}
	var all []*finding
	for _, row := range rows {
		for _, f := range row.find(e) {
			if sound && !f.sure || slices.ContainsFunc(f.sites, func(s *site) bool { return claimed[s] }) {
				continue
			}
			f.row = row
			for _, s := range f.sites {
				claimed[s] = true
			}
			all = append(all, f)
		}
	}
	slices.SortStableFunc(all, func(a, b *finding) int { return cmp.Compare(b.local, a.local) })
	all = all[:min(len(all), suspects)]
	list, err := e.swap(ctx, all)
	if err != nil {
		return nil, err
	}
	if err := e.rank(ctx, list); err != nil || !e.sick() {
		return list, err
	}
	return e.fill(ctx, list)
}

// fill adds the quantizers that lose most by themselves to the causes of a network that would not be
// healthy without these either, until it would.
func (e *exam) fill(ctx context.Context, list []*finding) ([]*finding, error) {
	var out []*site
	for _, f := range list {
		out = append(out, f.sites...)
	}
	rest := e.leftovers()
	for i, f := range rest {
		e.Progress("swap the rest", i, len(rest))
		if db, err := e.variant(ctx, off(out...)); err != nil || db >= healthySQNR+materialGain && len(list) > 0 {
			return list, err
		}
		if slices.Contains(out, f.sites[0]) {
			continue
		}
		if err := e.swapOne(ctx, f); err != nil {
			return nil, err
		}
		if e.material(f) {
			list, out = append(list, f), append(out, f.sites...)
		}
	}
	return list, nil
}

// swap measures each finding alone and without it, and keeps those that matter.
func (e *exam) swap(ctx context.Context, all []*finding) ([]*finding, error) {
	var list []*finding
	var err error
	for i, f := range all {
		if err = e.swapOne(ctx, f); err != nil {
			return nil, err
		}
		e.Progress("swap quantizers", i+1, len(all))
		if e.material(f) {
			list = append(list, f)
		}
	}
	return list, nil
}

// swapOne measures a finding alone and without it.
func (e *exam) swapOne(ctx context.Context, f *finding) (err error) {
	if f.alone, err = e.variant(ctx, e.base.except(f.sites...)); err == nil {
		f.without, err = e.variant(ctx, off(f.sites...))
	}
	return err
}

// material says whether a finding costs what one may notice: of a doubtful network more than its share of the
// noise that a healthy one may have, of a healthy one most of the noise.
func (e *exam) material(f *finding) bool {
	gain := f.without - e.total
	if !e.sick() {
		return f.sure || gain >= materialGain
	}
	return noise(f.alone) > noise(healthySQNR)/float64(len(e.sites)) && (gain > 0 || f.alone < healthySQNR)
}

// rank orders findings by their effect on the metric, then by the noise that they make alone.
func (e *exam) rank(ctx context.Context, list []*finding) error {
	byNoise := func(a, b *finding) int {
		return cmp.Or(cmp.Compare(noise(b.alone), noise(a.alone)), cmp.Compare(b.without, a.without))
	}
	slices.SortStableFunc(list, byNoise)
	if e.Score == nil {
		return nil
	}
	for i, f := range list[:min(len(list), scored)] {
		m, err := e.build(e.base.except(f.sites...))
		if err != nil {
			return err
		}
		s := [2]float64{}
		if s[0], err = e.Score(ctx, m); err != nil {
			return err
		}
		if m, err = e.build(off(f.sites...)); err != nil {
			return err
		}
		if s[1], err = e.Score(ctx, m); err != nil {
			return err
		}
		f.scores = &s
		e.Progress("metric", i+1, min(len(list), scored))
	}
	slices.SortStableFunc(list, func(a, b *finding) int {
		return cmp.Or(cmp.Compare(e.cost(b), e.cost(a)), byNoise(a, b))
	})
	return nil
}

// cost is how much a finding alone takes off the metric, 0 where that was not measured.
func (e *exam) cost(f *finding) float64 {
	if f.scores == nil {
		return 0
	}
	return max(0, e.worse(e.d.Score[0], f.scores[0]))
}
