package doctor

import (
	"cmp"
	"slices"
)

// rounding tells of weights with too few bits.
func (e *exam) rounding() (list []*finding) {
	e.eachLayer(func(u *unit, l *loss) {
		if db := l.weights.SQNR(); db < lowSQNR {
			list = append(list, e.at(u.weights, noise(db), "weights of %s in %s: alone they leave %.1f dB of its results", u, u.weights.coded, db))
		}
	})
	return list
}

// coarse tells of activations with too few bits.
func (e *exam) coarse() (list []*finding) {
	e.eachAct(func(s *site, r *reading) {
		if db := r.SQNR(); db < lowSQNR {
			list = append(list, e.at(s, noise(db), "%s in %s: %.1f dB of it are left", s, s.format.Name, db))
		}
	})
	return list
}

// leftovers are the sites that lose most by themselves, for networks in which nothing is over a bound.
func (e *exam) leftovers() []*finding {
	var list []*finding
	e.eachLayer(func(u *unit, l *loss) {
		db := l.weights.SQNR()
		f := e.at(u.weights, noise(db), "no bound is crossed; weights of %s in %s alone leave %.1f dB of its results", u, u.weights.coded, db)
		f.row = rowOf("rounding below bits")
		list = append(list, f)
	})
	e.eachAct(func(s *site, r *reading) {
		f := e.at(s, noise(r.SQNR()), "no bound is crossed; %s in %s keeps %.1f dB", s, s.format.Name, r.SQNR())
		f.row = rowOf("activation bits")
		list = append(list, f)
	})
	slices.SortStableFunc(list, func(a, b *finding) int { return cmp.Compare(b.local, a.local) })
	return list[:min(len(list), suspects)]
}
