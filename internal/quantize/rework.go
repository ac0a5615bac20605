package quantize

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"lowbit/internal/calib"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/repair"
)

// rework makes one repair of the float network, and undoes it where the network then computes
// something else or, if it has to prove itself, quantizes worse.
func (q *quantization) rework(w *wish) (fix Fix, err error) {
	prove := w.prove || w.Data
	measured := prove || q.judged() && w.keep == nil
	fix.Name = w.Name
	was := q.state()
	var base *Gate
	var channels map[string]*calib.Channels
	if measured {
		channels = q.toSee(w.Repair)
		if base, err = q.trial(false, channels); err != nil {
			return fix, err
		}
		fix.Before, fix.Aside = base.SQNR, q.aside()
	}
	q.float = pass.Clone(was.float)
	job := q.job(w.Repair)
	job.Channels = channels
	if job.Journal, err = q.journal(w.Repair, job); err != nil {
		return fix, err
	}
	out, err := w.Run(q.ctx, job)
	if err != nil {
		return fix, err
	}
	job.Channels, channels = nil, nil // they take room
	if w.keep != nil && out.Redo != nil {
		out, job = q.redo(w, was, out, func(p string) bool { return slices.Contains(w.keep, p) })
	}
	fix.Note, fix.Changes, fix.Made = out.Note, out.Changes, len(out.Changes) > 0
	if !fix.Made {
		return fix, nil
	}
	if err = q.same(&fix); err != nil || !fix.Made || !measured {
		q.norms = job.Norms
		return fix, err
	}
	q.norms = job.Norms
	after, err := q.trial(true, nil)
	if err != nil {
		return fix, err
	}
	if fix.After = after.SQNR; !prove { // who asks for it by name gets it, and is told
		return fix, nil
	}
	fix.Made = after.SQNR >= base.SQNR-trialEps
	if w.tries > 0 {
		if fix.Made, err = q.improves(base, after, w.Many); err != nil {
			return fix, err
		}
		if !fix.Made && out.Redo != nil && w.tries > 1 {
			return q.siftBefore(w, fix, was, base, after, out)
		}
		fix.Trials = []Trial{newTrial(places(fix.Changes), base, after, fix.Made, true)}
	}
	if !fix.Made {
		fix.Note = undone(base, after)
	}
	return fix, nil
}

// toSee returns what the channels that a repair starts from are to be written to, nil where it starts from none.
func (q *quantization) toSee(r *repair.Repair) map[string]*calib.Channels {
	if r.Channels == nil || len(q.fitted) == 0 {
		return nil
	}
	channels := map[string]*calib.Channels{}
	for name, axis := range r.Channels(q.job(r)) {
		channels[name] = calib.NewChannels(axis, len(q.fitted))
	}
	return channels
}

// redo makes the changes of a rewrite at some places only.
func (q *quantization) redo(w *wish, was state, out *repair.Outcome, keep func(string) bool) (*repair.Outcome, *repair.Job) {
	q.restore(was)
	q.float = pass.Clone(was.float)
	job := q.job(w.Repair)
	return out.Redo(job, keep), job
}

// siftBefore looks for the changes of a rewrite that help, where all together do not.
func (q *quantization) siftBefore(w *wish, fix Fix, was state, base, after *Gate, out *repair.Outcome) (Fix, error) {
	all := places(out.Changes)
	changes := map[*graph.Model][]repair.Change{}
	s := &sifter{keep: map[string]bool{}, best: was, score: base, left: w.tries - 1}
	s.better = func(before, after *Gate) (bool, error) { return q.improves(before, after, w.Many) }
	s.trials = []Trial{newTrial(all, base, after, false, true)}
	s.try = func(keep map[string]bool) (state, *Gate, error) {
		some, job := q.redo(w, was, out, func(p string) bool { return keep[p] })
		var err error
		if q.facts, err = op.Infer(q.float, nil); err != nil {
			return was, nil, err
		}
		q.norms = job.Norms
		changes[q.float] = some.Changes
		st := q.state()
		g, err := q.trial(false, nil)
		return st, g, err
	}
	var err error
	for _, half := range [][]string{all[:len(all)/2], all[len(all)/2:]} {
		if err = s.add(half); err != nil {
			return fix, err
		}
	}
	q.restore(s.best)
	q.seen = seen{}
	fix.Trials, fix.Made = s.trials, len(s.keep) > 0
	fix.Undone = out.Changes
	if fix.After = s.score.SQNR; !fix.Made {
		fix.Changes, fix.After = nil, fix.Trials[0].With
		fix.Note = fmt.Sprintf("undone: %.1f dB on samples held back, %.1f without it, and no half of it helps", fix.After, fix.Before)
		return fix, nil
	}
	fix.Changes = changes[q.float]
	fix.Undone = slices.DeleteFunc(slices.Clone(out.Changes), func(c repair.Change) bool { return s.keep[c.Place] })
	return fix, nil
}

// same says whether a rewritten float network still gives the same answers; if not, the fix is not made.
func (q *quantization) same(fix *Fix) error {
	var err error
	if q.facts, err = op.Infer(q.float, nil); err != nil || !q.judged() {
		return err
	}
	g, err := q.judge.compare(q.float)
	if err == nil && g.SQNR < keptSQNR {
		fix.Made, fix.Note = false, fmt.Sprintf("undone: the float network would change by %.1f dB", g.SQNR)
	}
	return err
}

// trial quantizes the float network with the ranges of a few samples and compares it on those
// that judge; where the observer is left open, with the one of two that does better at first. Where the network is likely the one to be calibrated, it looks at them as calibration does.
// It fills channels, unless these are nil.
func (q *quantization) trial(likely bool, channels map[string]*calib.Channels) (*Gate, error) {
	set := q.opt.Settings
	free := set.Observer == nil || set.Observer.Hist
	if free {
		set.Observer = cmp.Or(q.proxy, calib.Average)
	}
	kept, warnings := q.plan, q.warnings
	defer func() { q.plan, q.warnings = kept, warnings }()
	q.plan = plan.Decide(q.float, q.facts, set, nil)
	var stats map[string]*calib.Stats
	if names := q.plan.Observed(); len(names) > 0 {
		hist := needHist(set)
		for _, name := range slices.Sorted(maps.Keys(channels)) {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		if likely {
			names, hist = q.watched(), q.histograms()
		}
		var err error
		if stats, err = q.observe(names, q.fittedOf, calib.FeedOf(q.fitted), looks{hist, channels}, func(int) {}); err != nil {
			return nil, err
		}
		if likely {
			q.seen = seen{q.float, names, stats}
		}
	}
	g, err := q.fitTrial(set, stats)
	if err != nil || !free || q.proxy != nil {
		return g, err
	}
	// What clips more than the observer to come hides what a rewrite does.
	q.proxy, set.Observer = set.Observer, calib.MinMax
	q.plan = plan.Decide(q.float, q.facts, set, nil)
	all, err := q.fitTrial(set, stats)
	if err != nil || all.SQNR <= g.SQNR {
		return g, err
	}
	q.proxy = set.Observer
	return all, nil
}

// fitTrial fits the plan of a trial, and compares what it makes.
func (q *quantization) fitTrial(set plan.Settings, stats map[string]*calib.Stats) (*Gate, error) {
	if err := q.fit(set, stats); err != nil {
		return nil, err
	}
	return q.unbiased()
}

// meansOf is how many samples tell the mean errors that a trial takes out of biases.
const meansOf = 12

// aside says whether trials set mean errors aside: the repair of biases is to follow.
func (q *quantization) aside() bool {
	return slices.ContainsFunc(q.wishes, func(w wish) bool { return w.Repair == repair.Bias })
}

// unbiased compares the network with biases that take up the mean error of each layer's weights, where the
// repair of biases is to follow: what that mends does not count.
func (q *quantization) unbiased() (*Gate, error) {
	if !q.aside() {
		return q.compared()
	}
	was := q.state()
	defer q.restore(was)
	once, err := repair.Pick("bias=once")
	if err != nil {
		return nil, err
	}
	q.float, q.plan = pass.Clone(was.float), was.plan.Clone()
	j := q.job(once)
	j.Fit = j.Fit[:min(len(j.Fit), meansOf)]
	if _, err := once.Run(q.ctx, j); err != nil {
		return nil, err
	}
	return q.compared()
}
