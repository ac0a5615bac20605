package doctor

import (
	"cmp"
	"context"
	"math"
	"slices"
)

// findings looks for every cause, and swaps the sites of those that lose most by themselves.
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
	if !e.sick() {
		if len(list) == 0 && !sound {
			list, err = e.single(ctx)
		}
		return list, cmp.Or(err, e.rank(ctx, list))
	}
	if err := e.rank(ctx, list); err != nil {
		return list, err
	}
	if list, err = e.fill(ctx, list); err != nil {
		return list, err
	}
	return list, e.rank(ctx, list)
}

// single looks among the sites that lose most by themselves for one that makes nearly all the noise of a network that is
// not sick, and too much for its eight bits, though it crosses no bound.
func (e *exam) single(ctx context.Context) ([]*finding, error) {
	rest := e.leftovers()
	for _, f := range rest[:min(len(rest), singles)] {
		if f.local < noise(plainSQNR) {
			break
		}
		if err := e.swapOne(ctx, f); err != nil {
			return nil, err
		}
		if f.without-e.total >= plainGain {
			return []*finding{f}, nil
		}
	}
	return nil, nil
}

// fill adds the sites that lose most by themselves to the causes of a network that would not be
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
		f.sites = slices.DeleteFunc(f.sites, func(s *site) bool { return slices.Contains(out, s) }) // a bias that is a cause of its own
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
		e.Progress("swap what is quantized", i+1, len(all))
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

// material says whether a finding costs what one may notice: of a healthy network most of the noise, of a doubtful one,
// which no metric tells more of, a good part of it, and of a sick one more than its share of what a healthy one may have.
func (e *exam) material(f *finding) bool {
	gain := f.without - e.total
	switch {
	case !e.sick():
		return f.sure || gain >= materialGain
	case e.d.Score == nil && e.total >= healthySQNR-materialGain:
		return f.sure || gain >= doubtfulGain || f.alone < healthySQNR
	}
	return noise(f.alone) > noise(healthySQNR)/float64(len(e.sites)) && (gain > 0 || f.alone < healthySQNR)
}

// rank orders findings by their effect on the metric, then by the noise that they make alone. Samples that were prepared
// otherwise come first where that alone makes a network sick: what else they did to it follows from them.
func (e *exam) rank(ctx context.Context, list []*finding) error {
	first := func(f *finding) int {
		if f.row == rows[0] && f.alone < healthySQNR {
			return 0
		}
		return 1
	}
	byNoise := func(a, b *finding) int {
		return cmp.Or(cmp.Compare(first(a), first(b)), cmp.Compare(noise(b.alone), noise(a.alone)), cmp.Compare(b.without, a.without))
	}
	slices.SortStableFunc(list, byNoise)
	if e.Score == nil {
		return nil
	}
	for i, f := range list[:min(len(list), scored)] {
		if f.scores != nil {
			continue
		}
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
		return cmp.Or(cmp.Compare(first(a), first(b)), cmp.Compare(e.cost(b), e.cost(a)), byNoise(a, b))
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

// noise is the power of the noise at an SQNR, as a share of the signal's.
func noise(db float64) float64 { return math.Pow(10, -db/10) }
