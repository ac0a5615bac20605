// Package doctor finds out why a quantized network differs from the float one: it takes what is
// quantized out piece by piece, names what is wrong where that costs most, and mends it.
package doctor

import (
	"context"

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
	Samples          []calib.Inputs // that every swap runs on
	Compile          func(m *graph.Model, watch []string) (calib.Runner, error)
	// Score measures a network by the user's own metric; nil: the SQNR of the outputs ranks the causes.
	Score    func(ctx context.Context, m *graph.Model) (float64, error)
	Low      bool // small scores are good
	Graded   int  // samples that Score looks at
	Level    kernel.Level
	Threads  int
	Progress func(stage string, done, total int)
}

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
	Value    string // that is quantized there
	Cause    string // one of the closed list
	Evidence string
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
	doubtfulGain = 0.5  // dB: the same where the outputs nearly reach healthySQNR
	healthyDrop  = 0.01 // of the metric
	suspects     = 16   // findings whose sites are swapped
	scored       = 6    // causes whose effect on the metric is measured
	rescaledMost = 64   // units whose factors are tried
	keptSQNR     = 30.0 // dB: how near the network with all sites out has to come to the float one
	strippedGain = 10.0 // dB: and how much nearer than the quantized one, unless no factors are at fault
	plainGain    = 6.0  // dB: what taking one site out has to bring in a network that is not sick, where it crosses no bound
	plainSQNR    = 30.0 // dB: and what that site leaves at most of its values, or of the results of a layer
	singles      = 4    // sites that are tried for that
)

// An exam is one examination at work.
type exam struct {
	*Job
	*net
	few       []calib.Inputs
	answers   []map[string]*tensor.Tensor
	base      changes // all sites out
	screening *screening
	branches  map[*unit][]string // values that a unit joins
	total     float64            // SQNR of the outputs
	known     map[string]float64 // SQNR of the outputs without some sites, by which
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
	if err := e.lookedAt(); err != nil {
		return nil, err
	}
	if err := e.screen(ctx); err != nil {
		return nil, err
	}
	list, err := e.findings(ctx)
	if err != nil {
		return nil, err
	}
	e.tell(list)
	if err := e.mend(ctx, list); err != nil {
		return nil, err
	}
	return e.d, e.tellOfRest(ctx)
}

// lookedAt says what of the network is not examined, and fails where that is all that is quantized.
func (e *exam) lookedAt() error {
	body := e.within()
	switch {
	case body != "" && len(e.sites) == 0:
		return fault.Unsupportedf("model", "all that it holds quantized is in the bodies of operators such as %s, which are not examined", body)
	case len(e.sites) == 0:
		return fault.Unsupportedf("model", "it holds nothing quantized that can be taken out")
	case body != "":
		e.warn("what is quantized in the bodies of operators such as %s is not examined", body)
	}
	return nil
}

// compareAll runs the float network, the quantized one and the one with all sites out.
func (e *exam) compareAll(ctx context.Context) error {
	if err := e.answer(ctx); err != nil {
		return err
	}
	d, err := e.compare(ctx, e.Quantized)
	if err != nil {
		return err
	}
	if d.Apart() > 0 {
		e.warn("%d outputs over %d samples have other sizes than in the float network, which follow from its values, and are not compared", d.Apart(), len(e.few))
	}
	e.total = d.SQNR()
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

// strip finds the network with all sites out that comes nearest to the float one: factors of channels may be
// a fault and no repair's, and biases may have been moved on purpose, and then those of the file belong to it.
func (e *exam) strip(ctx context.Context) error {
	db, err := e.variant(ctx, e.allOff())
	if kept := max(keptSQNR, e.total+strippedGain); err == nil && db < kept {
		db, err = e.disbelieve(ctx, db, kept)
	}
	if err != nil {
		return err
	}
	if db < keptSQNR {
		if db, err = e.keepBiases(ctx, db); err != nil {
			return err
		}
	}
	if db < keptSQNR {
		e.warn("with nothing quantized the network still differs from the float one: %.1f dB; it may be made from another", db)
	}
	e.base, e.known = e.allOff(), map[string]float64{}
	return nil
}

// keepBiases lets the biases of the file stand for those of the float network where that one comes nearer so.
func (e *exam) keepBiases(ctx context.Context, db float64) (float64, error) {
	kept, unmoved := map[*site]*tensor.Tensor{}, map[*unit]*tensor.Tensor{}
	for _, u := range e.nodes {
		if u.bias != nil {
			kept[u.bias] = u.bias.off
			u.bias.off = tensor.Float32s(e.biasOf(u), u.bias.codes.Shape...)
		}
		unmoved[u], u.unmoved = u.unmoved, nil
	}
	other, err := e.variant(ctx, e.allOff())
	if err != nil || other > db {
		return other, err
	}
	for s, t := range kept {
		s.off = t
	}
	for u, t := range unmoved {
		u.unmoved = t
	}
	return db, nil
}

// disbelieve looks for units whose factors are a fault of theirs and no repair's: without them the network with all
// sites out comes nearer to the float one than db, until it comes as near as kept. What a unit makes of a fault before it
// follows from that one, so they are tried in order.
func (e *exam) disbelieve(ctx context.Context, db, kept float64) (float64, error) {
	list := e.rescaled()
	e.disbelieved = map[*unit]bool{}
	for i, u := range list[:min(len(list), rescaledMost)] {
		e.Progress("factors of channels", i, min(len(list), rescaledMost))
		e.disbelieved[u] = true
		e.align()
		other, err := e.variant(ctx, e.allOff())
		if err != nil {
			return db, err
		}
		if other < db+materialGain {
			delete(e.disbelieved, u)
			continue
		}
		if db = other; db >= kept {
			e.align()
			return db, nil
		}
	}
	return e.disbelieveAll(ctx, list, db)
}

// disbelieveAll takes the factors of all units for faults where that brings the network with all sites out nearer to the
// float one than db: repairs that were judged on samples unlike these may each do little harm.
func (e *exam) disbelieveAll(ctx context.Context, list []*unit, db float64) (float64, error) {
	some := e.disbelieved
	e.disbelieved = map[*unit]bool{}
	for _, u := range list {
		e.disbelieved[u] = true
	}
	e.align()
	all, err := e.variant(ctx, e.allOff())
	if err != nil || all >= db+materialGain {
		return max(all, db), err
	}
	e.disbelieved = some
	e.align()
	return db, nil
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
	defer r.Close()
	return calib.Each(ctx, len(e.few), e.Threads, func(ctx context.Context, i int) error {
		out, err := r.RunWatch(ctx, e.few[i](), func(string, *tensor.Tensor) {})
		if err == nil {
			each(i, out)
		}
		return err
	})
}

// measure returns the SQNR of a network's outputs.
func (e *exam) measure(ctx context.Context, m *graph.Model) (float64, error) {
	d, err := e.compare(ctx, m)
	return d.SQNR(), err
}

// compare returns how a network's outputs differ from those in float.
func (e *exam) compare(ctx context.Context, m *graph.Model) (report.Diffs, error) {
	diffs := make([]report.Diffs, len(e.few))
	err := e.run(ctx, m, func(i int, out map[string]*tensor.Tensor) {
		diffs[i].Add(e.Float.Graph.Out, e.answers[i], out)
	})
	var d report.Diffs
	for _, x := range diffs {
		d.Merge(x)
	}
	return d, err
}

// variant measures the network with changes. Where they only take sites out, it does so once.
func (e *exam) variant(ctx context.Context, c changes) (float64, error) {
	key, plain := e.sitesOff(c)
	if db, ok := e.known[key]; ok && plain {
		return db, nil
	}
	m, err := e.build(c)
	if err != nil {
		return 0, err
	}
	db, err := e.measure(ctx, m)
	if err == nil && plain && e.known != nil { // before, what stands for sites may still change
		e.known[key] = db
	}
	return db, err
}

// tell writes the diagnosis.
func (e *exam) tell(list []*finding) {
	e.d.Healthy = len(list) == 0 && e.total >= healthySQNR-materialGain
	if len(list) == 0 && !e.d.Healthy {
		e.warn("nothing that is quantized explains by itself what is lost")
	}
	for _, f := range list {
		e.d.Causes = append(e.d.Causes, f.cause())
	}
	for _, u := range e.layers() {
		if l := e.screening.layers[u]; l != nil {
			e.d.Layers = append(e.d.Layers, Layer{Name: u.name, Op: u.node.Op, Result: u.last().Out[0], Weights: l.weights.SQNR(), Acts: l.acts.SQNR()})
		}
	}
}
