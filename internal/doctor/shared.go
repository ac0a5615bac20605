package doctor

import (
	"fmt"
	"math"
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/tensor"
)

// unlike tells of branches of unlike range that share one scale where they are joined.
func (e *exam) unlike() (list []*finding) {
	for _, u := range e.nodes {
		if !joins(u) {
			continue
		}
		sites := e.sharing(u)
		if len(sites) == 0 {
			continue
		}
		least, most := math.Inf(1), 0.0
		for _, name := range e.branches[u] {
			s := e.screening.inputs[name]
			if s == nil || !s.Seen() {
				continue
			}
			if a := float64(max(-s.Min, s.Max)); a > 0 {
				least, most = min(least, a), max(most, a)
			}
		}
		if most <= branchRatio*least {
			continue
		}
		f := &finding{unit: u, sites: sites, evidence: fmt.Sprintf("%s joins branches that reach %.4g and %.4g, %.1f times as far, on one scale", u, least, most, most/least)}
		for _, s := range sites {
			if r := e.screening.acts[s]; r != nil {
				f.local = max(f.local, noise(r.SQNR())*most*most/(least*least)) // of the smaller branch
			}
		}
		list = append(list, f)
	}
	return list
}

// sharing lists the sites by which the branches of a unit get one scale: that of the result of a
// Concat, and those of operands with equal scales.
func (e *exam) sharing(u *unit) []*site {
	var list []*site
	for i, s := range u.in {
		if s == nil || s.kind != acts {
			continue
		}
		for k, t := range u.in {
			if k != i && t != nil && t.kind == acts && t != s && !t.dynamic && t.params == s.params && !slices.Contains(list, s) {
				list = append(list, s)
			}
		}
	}
	if u.node.Op == "Concat" && u.out != nil && !slices.Contains(list, u.out) {
		list = append([]*site{u.out}, list...)
	}
	return list
}

// spread tells of weights whose channels are too unlike for one scale.
func (e *exam) spread() (list []*finding) {
	e.eachLayer(func(u *unit, l *loss) {
		w := u.weights
		if w.coded.Block.Kind != format.Whole {
			return
		}
		v := newView(u, w.off)
		ranges, alive := make([]float64, v.outs), make([]bool, v.outs)
		for i, x := range tensor.Of[float32](w.off) {
			ranges[v.out(i)] = max(ranges[v.out(i)], math.Abs(float64(x)))
			alive[v.out(i)] = alive[v.out(i)] || w.coded.Codes[i] != w.coded.Params[0].Zero
		}
		least, most, dead := math.Inf(1), 0.0, 0
		for c, a := range ranges {
			if a > 0 {
				least, most = min(least, a), max(most, a)
				if !alive[c] {
					dead++
				}
			}
		}
		if most > spreadRatio*least {
			f := e.ofLayer(u, noise(l.weights.SQNR()), "weights of %s: channels reach from %.3g to %.3g, %.0f times as far, on one scale; %d of %d channels are all zero codes", u, least, most, most/least, dead, v.outs)
			e.spreadOn(f)
			list = append(list, f)
		}
	})
	return list
}

// spreadOn adds to a finding what the layer writes, where its channels lie as far apart and one scale loses them.
func (e *exam) spreadOn(f *finding) {
	e.eachAct(func(s *site, r *reading) {
		if db, what := e.left(s, r); db < lowSQNR && e.origin(s.from) == f.unit.last() {
			f.sites = append(f.sites, s)
			f.local = max(f.local, noise(db))
			f.evidence += fmt.Sprintf("; on the one scale of %s %.1f dB of %s are left", s, db, what)
		}
	})
}
