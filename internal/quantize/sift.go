package quantize

import (
	"maps"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
)

// A Trial is a comparison that decided over changes at some places.
type Trial struct {
	Places        []string
	Samples       int
	Without, With float64 // SQNR in dB on the samples that judge, other changes being as they were kept so far
	Kept          bool
}

// newTrial tells of the comparison of two networks, of which the other has the changes or lacks them.
func newTrial(places []string, best, other *Gate, better, with bool) Trial {
	if best.wide != nil && other.wide != nil {
		best, other = best.wide, other.wide
	}
	if !with {
		best, other = other, best
	}
	return Trial{places, best.Samples, best.SQNR, other.SQNR, better == with}
}

// siftMost is how many networks are tried to tell the changes of one repair that help from those that do not.
const siftMost = 8

// A sifter keeps the changes of a repair that bring the outputs nearer to the float network on the
// samples that judge, by more than chance. All are tried together; those that do not help are halved
// and tried again, and of those that do, the halves are left out.
type sifter struct {
	try    func(keep map[string]bool) (state, *Gate, error)
	better func(before, after *Gate) (bool, error)
	keep   map[string]bool
	best   state
	score  *Gate
	left   int // networks that may still be tried
	trials []Trial
}

// add keeps places where that helps.
func (s *sifter) add(places []string) error {
	if s.left == 0 || len(places) == 0 {
		return nil
	}
	with := maps.Clone(s.keep)
	for _, p := range places {
		with[p] = true
	}
	helps, err := s.turn(with, places, true)
	if err != nil || helps || len(places) == 1 {
		return err
	}
	if err := s.add(places[:len(places)/2]); err != nil {
		return err
	}
	return s.add(places[len(places)/2:])
}

// drop leaves places out where that helps, but for their halves that are better kept; where it makes
// little difference, they are looked at more closely.
func (s *sifter) drop(places []string) error {
	half := len(places) / 2
	for _, part := range [][]string{places[:half], places[half:]} {
		if s.left == 0 || half == 0 {
			return nil
		}
		without := maps.Clone(s.keep)
		for _, p := range part {
			delete(without, p)
		}
		if len(without) == 0 {
			continue
		}
		score := s.score
		gone, err := s.turn(without, part, false)
		if err != nil {
			return err
		}
		last := s.trials[len(s.trials)-1]
		switch {
		case gone && len(part) > 1:
			if err = s.add(part[:len(part)/2]); err == nil {
				err = s.add(part[len(part)/2:])
			}
		case !gone && last.Without > score.SQNR-trialEps:
			err = s.drop(part)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// turn tries another choice and takes it where it is better.
func (s *sifter) turn(keep map[string]bool, places []string, with bool) (bool, error) {
	s.left--
	st, g, err := s.try(keep)
	if err != nil {
		return false, err
	}
	better, err := s.better(s.score, g)
	if err != nil {
		return false, err
	}
	s.trials = append(s.trials, newTrial(places, s.score, g, better, with))
	if better {
		s.keep, s.best, s.score = keep, st, g
	}
	return better, nil
}

// A state is a float network and the plan for it, which nobody changes any more.
type state struct {
	float *graph.Model
	facts op.Facts
	norms map[string]pass.Norm
	plan  *plan.Plan
}

func (q *quantization) state() state { return state{q.float, q.facts, q.norms, q.plan} }

func (q *quantization) restore(s state) {
	q.float, q.facts, q.norms, q.plan = s.float, s.facts, s.norms, s.plan
}

// units names for each constant, and for each value of the plan, the node that a change to it belongs
// to: the first one that reads it. A bias in codes belongs to the layer whose weights' scale is in its own, though an Add may read it.
func units(s state) (consts, values map[string]string) {
	consts, values = map[string]string{}, map[string]string{}
	for _, n := range s.float.Graph.Nodes {
		for _, name := range n.In {
			if _, known := consts[name]; !known && s.float.Graph.Const(name) != nil {
				consts[name] = plan.NodeName(n)
			}
		}
	}
	for _, n := range s.plan.Nodes {
		for _, as := range n.Inputs {
			if _, known := values[as]; !known {
				values[as] = n.Name
			}
		}
	}
	for _, v := range s.plan.Values {
		if layer := values[v.Weight]; v.Role == plan.RoleBias && layer != "" {
			consts[v.Name], values[v.As] = layer, layer
		}
	}
	return consts, values
}

// mixed takes the constants and parameters of some nodes from with, and the others from without. The
// two differ in nothing else.
func mixed(without, with state, keep map[string]bool) state {
	consts, values := units(without)
	m := without
	m.float, m.plan = pass.Clone(without.float), without.plan.Clone()
	for _, name := range slices.Sorted(maps.Keys(consts)) {
		if a, b := without.float.Graph.ConstTensor(name), with.float.Graph.ConstTensor(name); a != b && b != nil && keep[consts[name]] {
			m.float.Graph.SetConst(name, b)
		}
	}
	for i, v := range m.plan.Values {
		if keep[values[v.As]] {
			own := *with.plan.Values[i]
			own.Params = slices.Clone(own.Params)
			m.plan.Values[i] = &own
		}
	}
	return m
}

// changed lists the nodes whose constants or parameters differ, in the order of the graph.
func changed(without, with state) []string {
	consts, values := units(without)
	differ := map[string]bool{}
	for name, unit := range consts {
		if without.float.Graph.ConstTensor(name) != with.float.Graph.ConstTensor(name) {
			differ[unit] = true
		}
	}
	for i, v := range without.plan.Values {
		if !slices.Equal(v.Params, with.plan.Values[i].Params) {
			differ[values[v.As]] = true
		}
	}
	var list []string
	for _, n := range without.float.Graph.Nodes {
		if name := plan.NodeName(n); differ[name] && !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}
