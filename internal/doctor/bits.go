package doctor

import (
	"cmp"
	"fmt"
	"slices"
)

// rounding tells of weights with too few bits.
func (e *exam) rounding() (list []*finding) {
	e.eachLayer(func(u *unit, l *loss) {
		if db := l.weights.SQNR(); db < lowSQNR {
			list = append(list, e.ofLayer(u, noise(db), "weights of %s in %s: alone they leave %.1f dB of its results", u, u.weights.coded, db))
		}
	})
	return list
}

// coarse tells of activations with too few bits, for themselves or for what a layer makes of them.
func (e *exam) coarse() (list []*finding) {
	e.eachAct(func(s *site, r *reading) {
		if db, what := e.left(s, r); db < lowSQNR {
			list = append(list, e.at(s, noise(db), "%s in %s: %.1f dB of %s are left", s, s.format.Name, db, what))
		}
	})
	return list
}

// left is the least SQNR that an activation's codes alone leave: of itself, or of the results of a layer that reads it,
// which may count most what is small in it.
func (e *exam) left(s *site, r *reading) (db float64, of string) {
	db, of = r.SQNR(), "it"
	for _, u := range s.reads {
		if l := e.screening.layers[u.unit]; l != nil && l.acts.Len() > 0 && l.acts.SQNR() < db {
			db, of = l.acts.SQNR(), fmt.Sprintf("the results of %s", u.unit)
		}
	}
	return db, of
}

// leftovers are the sites that lose most by themselves, for networks in which nothing is over a bound.
func (e *exam) leftovers() []*finding {
	var list []*finding
	e.eachLayer(func(u *unit, l *loss) {
		db := l.weights.SQNR()
		f := e.ofLayer(u, noise(db), "no bound is crossed; weights of %s in %s alone leave %.1f dB of its results", u, u.weights.coded, db)
		f.row = rowOf("rounding below bits")
		list = append(list, f)
	})
	e.eachAct(func(s *site, r *reading) {
		db, what := e.left(s, r)
		f := e.at(s, noise(db), "no bound is crossed; %s in %s keeps %.1f dB of %s", s, s.format.Name, db, what)
		f.row = rowOf("activation bits")
		list = append(list, f)
	})
	slices.SortStableFunc(list, func(a, b *finding) int { return cmp.Compare(b.local, a.local) })
	return list[:min(len(list), suspects)]
}
