package quantize

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"lowbit/internal/calib"
	"lowbit/internal/engine"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/plan"
	"lowbit/internal/repair"
)

// A Fix tells what one repair did.
type Fix struct {
	Name    string
	Made    bool
	Note    string          // why it was not made, or made nothing
	Changes []repair.Change // that were kept
	Undone  []repair.Change
	Before  float64 // SQNR in dB on the samples that judge, without it and with it; 0 where that was not measured
	After   float64
	Aside   bool          // both were measured with the mean errors of the weights taken out, as the repair of biases will
	Trials  []Trial       // that decided which changes are kept
	Work    time.Duration // estimated; 0 where the repair was asked for
	Skipped bool          // it was not tried, for the budget
}

const (
	keptSQNR = 40  // dB: a rewrite that leaves less of the float network's answers is undone
	trialEps = 0.3 // dB: two trials that differ by less are alike
)

// A wish is a repair to make.
type wish struct {
	*repair.Repair
	prove  bool          // it has to prove itself, or else is undone
	tries  int           // networks to tell the changes that help, by more than chance, from the others; 0: all or none
	keep   []string      // the places where a plan had it; nil: it is free
	work   time.Duration // estimated
	unless []*repair.Repair
}

// chosen returns the repairs to make, in their order.
func (q *quantization) chosen() ([]wish, error) {
	if q.wishes != nil {
		return q.wishes, nil
	}
	var err error
	switch p := q.opt.Plan; {
	case p != nil:
		q.wishes, err = asked(p.Repairs())
		for i := range q.wishes {
			for _, f := range p.Fixes {
				if f.Repair == q.wishes[i].Name {
					q.wishes[i].keep = append(q.wishes[i].keep, f.Place)
				}
			}
		}
	case q.opt.Fix != nil:
		q.wishes, err = asked(q.opt.Fix)
	case !q.judged():
	case q.drawn():
		for _, r := range dataFree(q.norms) {
			w := wish{Repair: r, prove: true}
			if r.Stage == repair.Before { // drawn samples tell little: a rewrite has to help by more than chance
				w.tries = siftMost
			}
			q.wishes = append(q.wishes, w)
		}
	default:
		if err = q.hold(); err == nil {
			q.wishes, err = q.affordable()
		}
	}
	if q.wishes == nil {
		q.wishes = []wish{}
	}
	return q.wishes, err
}

// asked returns the repairs of some names.
func asked(names []string) (list []wish, err error) {
	found := map[*repair.Repair][]*repair.Repair{} // by the row in the table
	for _, n := range names {
		if n == repair.None {
			continue
		}
		r, err := repair.Pick(n)
		if err != nil {
			return nil, err
		}
		name, _, _ := strings.Cut(n, "=")
		for _, row := range repair.All {
			switch {
			case row.Name == n: // two steps of one have one name
				found[row] = append(found[row], row)
			case row.Name == name:
				found[row] = append(found[row], r)
			}
		}
	}
	for _, row := range repair.All {
		for _, r := range slices.Compact(found[row]) {
			list = append(list, wish{Repair: r})
		}
	}
	return list, nil
}

// mend makes the repairs of one stage.
func (q *quantization) mend(stage repair.Stage, do func(w *wish) (Fix, error)) error {
	list, err := q.chosen()
	if err != nil {
		return err
	}
	start := time.Now()
	defer func() { q.effort.Took += time.Since(start) }()
	made := map[*repair.Repair]bool{}
	for i := range list {
		w := &list[i]
		if w.Stage != stage || slices.ContainsFunc(w.unless, func(r *repair.Repair) bool { return made[r] }) {
			continue
		}
		q.align()
		if err := q.hold(); err != nil {
			return err
		}
		if w.Data && !q.judged() {
			q.fixes = append(q.fixes, Fix{Name: w.Name, Note: "it needs samples"})
			continue
		}
		if q.effort.Spent+w.work > q.opt.Budget && len(w.unless) > 0 {
			q.fixes = append(q.fixes, Fix{Name: w.Name, Skipped: true, Work: w.work, Note: "the budget is used up"})
			continue
		}
		q.effort.Spent += w.work
		was := q.state()
		fix, err := do(w)
		if err != nil || !fix.Made {
			q.restore(was)
		}
		if err != nil && (!w.prove || q.ctx.Err() != nil) {
			return fault.At(w.Name, err)
		}
		if err != nil {
			fix = Fix{Name: w.Name, Note: err.Error()}
			q.warnings = append(q.warnings, fmt.Sprintf("repair %s is left out: %v", w.Name, err))
		}
		if !fix.Made {
			fix.Undone, fix.Changes = append(fix.Undone, fix.Changes...), nil
		}
		fix.Work = w.work
		made[w.Repair] = fix.Made
		q.fixes = append(q.fixes, fix)
	}
	return nil
}

// before makes the repairs of the float network.
func (q *quantization) before() error { return q.mend(repair.Before, q.rework) }

// after makes the repairs of a fitted plan.
func (q *quantization) after() error {
	q.origin = q.float
	return q.mend(repair.After, q.amend)
}

// judged says whether there are samples to judge by.
func (q *quantization) judged() bool { return q.judge != nil && len(q.judge.kept) > 0 }

// undone tells why a repair was.
func undone(before, after *Gate) string {
	if after.SQNR > before.SQNR {
		mean, err := after.gain(before)
		return fmt.Sprintf("undone: %.1f → %.1f dB on samples held back, but %.2f ± %.2f dB on the single ones is no more than chance", before.SQNR, after.SQNR, mean, err)
	}
	return fmt.Sprintf("undone: %.1f dB on samples held back, %.1f without it", after.SQNR, before.SQNR)
}

// places lists where changes were made.
func places(changes []repair.Change) []string {
	var list []string
	for _, c := range changes {
		list = append(list, c.Place)
	}
	return list
}

// compile prepares a network of this quantization to show values, as matrices of pixels and channels where they lie so if
// that is allowed.
func (q *quantization) compile(m *graph.Model, watch []string, matrices bool) (*engine.Session, error) {
	return engine.Compile(m, engine.Options{Threads: 1, Watch: watch, AnyOrder: matrices, Reference: q.nested(watch), Release: q.opt.Release})
}

// hold reads the samples that repairs work on, unless it did so before.
func (q *quantization) hold() (err error) {
	if q.fitted != nil || len(q.fittedOf) == 0 {
		return nil
	}
	q.fitted, err = fewSamples(q.ctx, q.opt.Data, q.fittedOf, fitBytes, q.opt.Threads)
	q.fittedOf = q.fittedOf[:len(q.fitted)]
	return err
}

// job is what a repair works on now.
func (q *quantization) job(r *repair.Repair) *repair.Job {
	level, _ := kernel.Best() // an error showed when the first network was compiled
	j := &repair.Job{Net: q.float, Facts: q.facts, Norms: maps.Clone(q.norms), Settings: q.opt.Settings, Plan: q.plan, Fit: q.fitted, Level: level, Threads: q.opt.Threads,
		Compile:  func(m *graph.Model, watch []string) (calib.Runner, error) { return q.compile(m, watch, false) },
		Matrices: func(m *graph.Model, watch []string) (calib.Runner, error) { return q.compile(m, watch, true) },
		Progress: func(done, total int) { q.opt.Progress(r.Name, done, total) }}
	if q.judge != nil {
		j.Held = q.judge.inputs()
		if n := len(j.Held); n < 4*heldLeast { // the first half of them is fitted to
			j.Held = j.Held[(n+1)/2:]
		}
	}
	return j
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
	switch {
	case f.Skipped:
		fmt.Fprintf(&b, ": not tried: %s", f.Note)
		return b.String()
	case !f.Made:
		fmt.Fprintf(&b, ": changed nothing: %s", f.Note)
		return b.String()
	}
	fmt.Fprintf(&b, ": %d changes", len(f.Changes))
	if n := len(f.Undone); n > 0 {
		fmt.Fprintf(&b, " kept and %d undone", n)
	}
	if f.After != 0 {
		fmt.Fprintf(&b, ", %.1f → %.1f dB on samples held back", f.Before, f.After)
		if f.Aside {
			b.WriteString(", mean errors aside, which the repair of biases takes out")
		}
	}
	return b.String()
}
