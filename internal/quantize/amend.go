package quantize

import (
	"fmt"
	"slices"

	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/repair"
)

// amend makes one repair of a fitted plan. It is kept where the outputs come nearer to those of the
// float network on the samples that judge.
func (q *quantization) amend(w *wish) (fix Fix, err error) {
	fix.Name = w.Name
	was := q.state()
	var base *Gate
	if q.judged() {
		if base, err = q.compared(); err != nil {
			return fix, err
		}
		fix.Before = base.SQNR
	}
	q.float, q.plan = pass.Clone(was.float), was.plan.Clone()
	j := q.job(w.Repair)
	j.Origin = q.origin
	if w.Many {
		if j.Fit, err = fewSamples(q.ctx, q.opt.Data, q.many, manyBytes, q.opt.Threads); err != nil {
			return fix, err
		}
	}
	if j.Journal, err = q.journal(w.Repair, j); err != nil {
		return fix, err
	}
	out, err := w.Run(q.ctx, j)
	if err != nil {
		return fix, err
	}
	fix.Note, fix.Changes, fix.Made = out.Note, out.Changes, len(out.Changes) > 0
	if w.keep != nil {
		q.keepPlaces(w, &fix, was)
	}
	if !fix.Made || base == nil {
		return fix, nil
	}
	if w.tries > 0 {
		return q.siftAfter(w, fix, was, base)
	}
	after, err := q.compared()
	if err != nil {
		return fix, err
	}
	if fix.After = after.SQNR; fix.After <= fix.Before {
		fix.Made, fix.Note = false, undone(base, after)
	}
	return fix, nil
}

// keepPlaces takes over the changes at the places where a plan had them.
func (q *quantization) keepPlaces(w *wish, fix *Fix, was state) {
	all, keep := nodesOf(was.plan, fix.Changes), map[string]bool{}
	for _, p := range w.keep {
		for _, n := range all[p] {
			keep[n] = true
		}
	}
	q.restore(mixed(was, q.state(), keep))
	fix.Changes = slices.DeleteFunc(fix.Changes, func(c repair.Change) bool { return !slices.Contains(w.keep, c.Place) })
}

// nodesOf lists by the place of each change the nodes that it belongs to.
func nodesOf(p *plan.Plan, changes []repair.Change) map[string][]string {
	nodes := map[string][]string{}
	for _, c := range changes {
		nodes[c.Place] = append([]string{c.Place}, c.Also...)
		for _, n := range p.Nodes {
			if slices.Contains(n.Inputs, c.Place) { // the place is a value
				nodes[c.Place] = append(nodes[c.Place], n.Name)
			}
		}
	}
	return nodes
}

// siftAfter keeps the changes of a repair that help.
func (q *quantization) siftAfter(w *wish, fix Fix, was state, base *Gate) (Fix, error) {
	with, nodes := q.state(), nodesOf(was.plan, fix.Changes)
	all := changed(was, with)
	if len(all) == 0 { // as where biases hold the scales that it moved to what they need
		fix.Made, fix.Changes, fix.Note = false, nil, "the network stays as it was: nothing that it moved could stay"
		return fix, nil
	}
	s := &sifter{keep: map[string]bool{}, best: was, score: base, left: w.tries}
	s.try = func(keep map[string]bool) (state, *Gate, error) {
		st := with
		if len(keep) < len(all) {
			st = mixed(was, with, keep)
		}
		q.restore(st)
		g, err := q.compared()
		return q.state(), g, err
	}
	s.better = func(before, after *Gate) (bool, error) { return q.improves(before, after, w.Many) }
	err := s.add(all)
	if err == nil && len(s.keep) == len(all) {
		err = s.drop(all)
	}
	if err != nil {
		return fix, err
	}
	q.restore(s.best)
	fix.Trials, fix.Made, fix.After = s.trials, len(s.keep) > 0, s.score.SQNR
	if !fix.Made {
		fix.After = s.trials[0].With
		fix.Note = fmt.Sprintf("undone: %.1f dB on samples held back, %.1f without it, and in no part of the layers it helps by more than chance", fix.After, fix.Before)
		return fix, nil
	}
	var kept []repair.Change
	for _, c := range fix.Changes {
		if slices.ContainsFunc(nodes[c.Place], func(n string) bool { return s.keep[n] }) {
			kept = append(kept, c)
		} else {
			fix.Undone = append(fix.Undone, c)
		}
	}
	fix.Changes = kept
	return fix, nil
}
