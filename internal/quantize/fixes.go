package quantize

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"lowbit/internal/calib"
	"lowbit/internal/engine"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/repair"
	"lowbit/internal/tensor"
)

// A Fix tells what one repair did.
type Fix struct {
	Name    string
	Made    bool
	Note    string // why it was not made, or made nothing
	Changes []repair.Change
	Before  float64 // SQNR in dB on the samples held back, without it and with it; 0 where that was not measured
	After   float64
}

// auto lists the repairs that are tried where none is asked for.
var auto = []*repair.Repair{repair.Equalize, repair.Bias}

// dataFree lists those that are tried where the samples are drawn, for want of data: biases by what
// BatchNormalizations tell, or else by the samples.
func dataFree(norms map[string]pass.Norm) []*repair.Repair {
	list := []*repair.Repair{repair.Equalize, repair.Absorb}
	if len(norms) > 0 {
		list = append(list, repair.Analytic)
	}
	return append(list, repair.Bias)
}

const (
	keptSQNR = 40  // dB: a rewrite that leaves less of the float network's answers is undone
	trialEps = 0.3 // dB: two trials that differ by less are alike
)

// chosen returns the repairs to make, in their order, and whether each has to prove itself first.
func (q *quantization) chosen() (list []*repair.Repair, prove bool, err error) {
	names := q.opt.Fix
	if p := q.opt.Plan; p != nil {
		names = p.Repairs()
	}
	if names == nil {
		if q.drawn() {
			return dataFree(q.norms), true, nil
		}
		return auto, true, nil
	}
	asked := map[*repair.Repair][]*repair.Repair{} // by the row in the table
	for _, n := range names {
		if n == repair.None {
			continue
		}
		r, err := repair.Pick(n)
		if err != nil {
			return nil, false, err
		}
		name, _, _ := strings.Cut(n, "=")
		for _, row := range repair.All {
			switch {
			case row.Name == n: // two steps of one have one name
				asked[row] = append(asked[row], row)
			case row.Name == name:
				asked[row] = append(asked[row], r)
			}
		}
	}
	for _, row := range repair.All {
		list = append(list, slices.Compact(asked[row])...)
	}
	return list, false, nil
}

// before makes the repairs of the float network.
func (q *quantization) before() error {
	list, prove, err := q.chosen()
	if err != nil {
		return err
	}
	for _, r := range list {
		if r.Stage != repair.Before || prove && !q.judged() {
			continue
		}
		if err := q.rework(r, prove); err != nil {
			if err = q.without(r, prove, err); err != nil {
				return err
			}
		}
	}
	return nil
}

// without goes on without a repair that failed, unless it was asked for.
func (q *quantization) without(r *repair.Repair, prove bool, err error) error {
	if !prove || q.ctx.Err() != nil {
		return fault.At(r.Name, err)
	}
	q.fixes = append(q.fixes, Fix{Name: r.Name, Note: err.Error()})
	q.warnings = append(q.warnings, fmt.Sprintf("repair %s is left out: %v", r.Name, err))
	return nil
}

// judged says whether there are samples to judge by.
func (q *quantization) judged() bool { return q.judge != nil && len(q.judge.samples) > 0 }

// rework makes one repair of the float network, and undoes it where the network then computes
// something else or, if it has to prove itself, quantizes worse.
func (q *quantization) rework(r *repair.Repair, prove bool) error {
	if r.Data && !q.judged() {
		q.fixes = append(q.fixes, Fix{Name: r.Name, Note: "it needs samples"})
		return nil
	}
	prove = prove || r.Data
	was, facts := q.float, q.facts
	fix := Fix{Name: r.Name}
	var err error
	defer func() {
		if err != nil || !fix.Made {
			q.float, q.facts = was, facts
		}
	}()
	if prove {
		if fix.Before, err = q.trial(false); err != nil {
			return err
		}
	}
	q.float = pass.Clone(was)
	job := q.job(r)
	out, err := r.Run(q.ctx, job)
	if err != nil {
		return err
	}
	fix.Note, fix.Changes, fix.Made = out.Note, out.Changes, len(out.Changes) > 0
	if fix.Made {
		if q.facts, err = op.Infer(q.float, nil); err == nil {
			fix.Made, fix.Note, err = q.proven(&fix, prove)
		}
		if err != nil {
			return err
		}
	}
	if fix.Made {
		q.norms = job.Norms
	} else {
		fix.Changes = nil
	}
	q.fixes = append(q.fixes, fix)
	return nil
}

// proven says whether a rewritten float network still gives the same answers and, where that is
// asked for, quantizes no worse than before.
func (q *quantization) proven(fix *Fix, prove bool) (ok bool, why string, err error) {
	if !q.judged() {
		return true, "", nil
	}
	g, err := q.judge.compare(q.float)
	if err != nil {
		return false, "", err
	}
	if g.SQNR < keptSQNR {
		return false, fmt.Sprintf("undone: the float network would change by %.1f dB", g.SQNR), nil
	}
	if !prove {
		return true, "", nil
	}
	if fix.After, err = q.trial(true); err != nil {
		return false, "", err
	}
	if fix.After < fix.Before-trialEps {
		return false, fmt.Sprintf("undone: %.1f dB on samples held back, %.1f without it", fix.After, fix.Before), nil
	}
	return true, "", nil
}

// trial quantizes the float network with the ranges of a few samples and returns the SQNR on those held
// back. Where the network is likely the one to be calibrated, it looks at them as calibration does.
func (q *quantization) trial(likely bool) (float64, error) {
	set := q.opt.Settings
	if set.Observer == nil || set.Observer.Hist {
		set.Observer = calib.Average
	}
	kept, warnings := q.plan, q.warnings
	defer func() { q.plan, q.warnings = kept, warnings }()
	q.plan = plan.Decide(q.float, q.facts, set, nil)
	var stats map[string]*calib.Stats
	if names := q.plan.Observed(); len(names) > 0 {
		hist := needHist(set)
		if likely {
			names, hist = q.watched(), q.histograms()
		}
		var err error
		if stats, err = q.observe(names, q.fitFeed(), hist, nil); err != nil {
			return 0, err
		}
		if likely {
			q.seen = seen{q.float, names, stats}
		}
	}
	if err := q.fit(set, stats); err != nil {
		return 0, err
	}
	return q.measure()
}

// compile prepares a network of this quantization to show values.
func (q *quantization) compile(m *graph.Model, watch []string) (calib.Runner, error) {
	return engine.Compile(m, engine.Options{Threads: 1, Watch: watch, Reference: q.nested(watch)})
}

// fitFeed gives the samples that repairs work on.
func (q *quantization) fitFeed() calib.Feed {
	return calib.Feed{N: len(q.fitted), Sample: func(i int) (map[string]*tensor.Tensor, string, error) { return q.fitted[i], "", nil }}
}

// job is what a repair works on now.
func (q *quantization) job(r *repair.Repair) *repair.Job {
	level, _ := kernel.Best() // an error showed when the first network was compiled
	j := &repair.Job{Net: q.float, Facts: q.facts, Norms: maps.Clone(q.norms), Settings: q.opt.Settings, Plan: q.plan, Fit: q.fitted, Level: level, Threads: q.opt.Threads,
		Compile:  func(m *graph.Model, watch []string) (calib.Runner, error) { return q.compile(m, watch) },
		Progress: func(done, total int) { q.opt.Progress(r.Name, done, total) }}
	if q.judge != nil {
		j.Held = q.judge.samples
		if n := len(j.Held); n < 4*heldLeast { // the first half of them is fitted to
			j.Held = j.Held[(n+1)/2:]
		}
	}
	return j
}

// after makes the repairs of a fitted plan. Each is kept where the outputs come nearer to those of
// the float network on the samples held back.
func (q *quantization) after() error {
	list, prove, err := q.chosen()
	if err != nil {
		return err
	}
	q.origin = q.float
	for _, r := range list {
		if r.Stage != repair.After || prove && !q.judged() {
			continue
		}
		if err := q.amend(r, prove); err != nil {
			if err = q.without(r, prove, err); err != nil {
				return err
			}
		}
	}
	return nil
}

func (q *quantization) amend(r *repair.Repair, prove bool) error {
	fix := Fix{Name: r.Name}
	if r.Data && !q.judged() {
		fix.Note = "it needs samples"
		q.fixes = append(q.fixes, fix)
		return nil
	}
	var err error
	if fix.Before, err = q.measure(); err != nil {
		return err
	}
	was, fitted := q.float, q.plan
	defer func() {
		if err != nil || !fix.Made {
			q.float, q.plan = was, fitted
		}
	}()
	q.float, q.plan = pass.Clone(was), fitted.Clone()
	j := q.job(r)
	j.Origin = q.origin
	if r.Many {
		if j.Fit, err = fewSamples(q.ctx, q.opt.Data, q.many, manyBytes, q.opt.Threads); err != nil {
			return err
		}
	}
	out, err := r.Run(q.ctx, j)
	if err != nil {
		return err
	}
	fix.Note, fix.Changes, fix.Made = out.Note, out.Changes, len(out.Changes) > 0
	if fix.Made {
		if fix.After, err = q.measure(); err != nil {
			return err
		}
		if q.judged() && fix.After <= fix.Before {
			fix.Made, fix.Note = false, fmt.Sprintf("undone: %.1f dB on samples held back, %.1f without it", fix.After, fix.Before)
		}
	}
	if !fix.Made {
		fix.Changes = nil
	}
	q.fixes = append(q.fixes, fix)
	return nil
}

// A known gate is that of a plan, which is not changed afterwards, for a float network.
type known struct {
	plan  *plan.Plan
	float *graph.Model
	out   *graph.Model
	gate  *Gate
}

// compared makes the quantized network from the plan as it is now, and compares it with the float
// one on the samples held back, unless it did so last.
func (q *quantization) compared() (*Gate, error) {
	if k := q.last; k.plan == q.plan && k.float == q.float && k.gate != nil {
		q.out = k.out
		return k.gate, nil
	}
	if err := q.rewrite(); err != nil {
		return nil, err
	}
	g, err := q.judge.compare(q.out)
	q.last = known{q.plan, q.float, q.out, g}
	return g, err
}

// measure returns the SQNR of the plan as it is now on the samples held back; 0 without samples.
func (q *quantization) measure() (float64, error) {
	if !q.judged() {
		return 0, nil
	}
	g, err := q.compared()
	if err != nil {
		return 0, err
	}
	return g.SQNR, nil
}

// note writes into the plan what the repairs changed.
func (q *quantization) note() {
	q.plan.Fixes = nil
	for _, f := range q.fixes {
		for _, c := range f.Changes {
			q.plan.Fixes = append(q.plan.Fixes, plan.Fix{Repair: f.Name, Place: c.Place, What: c.What})
		}
	}
}

// String sums a repair up in one line.
func (f Fix) String() string {
	var b strings.Builder
	b.WriteString(f.Name)
	if !f.Made {
		fmt.Fprintf(&b, ": changed nothing: %s", f.Note)
		return b.String()
	}
	fmt.Fprintf(&b, ": %d changes", len(f.Changes))
	if f.After != 0 {
		fmt.Fprintf(&b, ", %.1f → %.1f dB on samples held back", f.Before, f.After)
	}
	return b.String()
}
