package quantize

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/bits"
	"slices"
	"time"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/repair"
)

const (
	wantSQNR  = 20  // dB that outputs have to reach before layers are left in float
	spareSQNR = 1   // dB more that they have to reach then: on other samples than these layers are chosen by they come out worse
	probeMost = 8   // samples that each probe runs
	probes    = 200 // networks that are tried at most
	runs      = 16  // of neighbouring layers that are tried together at first
	searches  = 4   // for fewer layers to leave in float, at most
)

// A sensitivity is how much noise at the outputs each layer makes when it alone is quantized.
type sensitivity struct {
	q     *quantization
	stats map[string]*calib.Stats
	judge *judge
	names []string // quantized layers with weights, in the order of the graph
	noise map[string]float64
	coded map[string]float64 // that of their weights alone, as far as it was looked at
	tried int
	most  int           // networks to try with few layers quantized
	cost  time.Duration // of one of them, estimated
	check time.Duration // of one on all samples that judge
	round time.Duration // of leaving some layers out and repairing the others, estimated
}

// improve makes the repairs of a fitted plan. Where none was asked for, and the outputs still do not
// reach wantSQNR, the layers that cost most go back to float and the others are repaired again.
func (q *quantization) improve(stats map[string]*calib.Stats) error {
	was, fixes := q.state(), len(q.fixes)
	if err := q.after(); err != nil || q.opt.Fix != nil || !q.judged() || q.exotic() {
		return err
	}
	before, err := q.compared()
	if err != nil || before.low() >= wantSQNR {
		return err
	}
	repaired, start := *q, time.Now()
	q.restore(was)
	q.fixes = q.fixes[:fixes:fixes]
	relieved, err := q.relieve(stats, before)
	spent, warnings := q.effort.Spent, q.warnings
	if err == nil && !relieved {
		*q = repaired
		q.warnings = warnings
	}
	q.effort.Spent, q.effort.Took = spent, repaired.effort.Took+time.Since(start)
	return err
}

// exotic says whether other formats were asked for than integers of eight bits or more: who chooses
// such wants the layers in them.
func (q *quantization) exotic() bool {
	for _, f := range []*format.Format{q.opt.Settings.Weights.Format, q.opt.Settings.Acts.Format} {
		if f != nil && (f.Bits < 8 || f.Kind != format.Linear) {
			return true
		}
	}
	return false
}

// relieve leaves the layers in float whose quantization costs most, until the outputs reach
// wantSQNR on the samples held back. It says whether it changed the plan.
func (q *quantization) relieve(stats map[string]*calib.Stats, before *Gate) (bool, error) {
	s := &sensitivity{q: q, stats: stats, judge: q.judge.first(probeMost), noise: map[string]float64{}, coded: map[string]float64{}}
	for _, row := range q.plan.Nodes {
		if row.Quantized && isLayer(row) {
			s.names = append(s.names, row.Name)
		}
	}
	if len(s.names) < 2 {
		return false, nil
	}
	if ok, err := s.affordable(before); !ok {
		return false, err
	}
	if err := q.lookAround(stats); err != nil {
		return false, err
	}
	if err := s.probe(); err != nil {
		return false, err
	}
	return s.leave(before)
}

// affordable finds out how many probes the budget has time for, and says whether they are enough to begin with.
func (s *sensitivity) affordable(before *Gate) (bool, error) {
	q := s.q
	w, err := q.count()
	if err != nil {
		return false, err
	}
	s.cost = seconds(float64(len(s.judge.numbers))*w.macs + makeWork*w.weights())
	s.check = seconds(2 * w.measure())
	s.round = s.check
	for _, r := range q.wishes {
		if r.Stage == repair.After {
			s.round += r.work
		}
	}
	left := q.opt.Budget - q.effort.Spent - s.search(len(s.names))
	s.most = min(probes, int(left/max(1, s.cost)))
	if s.most >= runs {
		return true, nil
	}
	q.warnings = append(q.warnings, fmt.Sprintf("the outputs reach %v only; to find which layers to leave in float takes about %s more than the budget has left", before, shortSeconds(runs*s.cost-left)))
	return false, nil
}

// search is how long it takes at most to find the fewest of n layers that have to be left out.
func (s *sensitivity) search(n int) time.Duration { return time.Duration(bits.Len(uint(n))) * s.round }

// isLayer says whether a plan's node multiplies by weights.
func isLayer(n *plan.Node) bool {
	o := op.Lookup("", n.Op)
	return o != nil && slices.Contains(o.Quant.In, op.Weight)
}

// probe measures runs of neighbouring layers, and the single layers of those that make more than
// their share of the noise allowed.
func (s *sensitivity) probe() error {
	share := math.Pow(10, -wantSQNR/10.0) / float64(len(s.names)) // of one layer in the noise allowed
	size := (len(s.names) + runs - 1) / runs
	for from := 0; from < len(s.names); from += size {
		run := s.names[from:min(len(s.names), from+size)]
		noise, err := s.alone(run, false)
		if err != nil {
			return err
		}
		for _, name := range run {
			s.noise[name] = noise / float64(len(run))
			if s.noise[name] < share || s.tried+2 > s.most {
				continue
			}
			if err := s.single(name, len(run) == 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// single measures one layer, unless its noise is known, and its weights.
func (s *sensitivity) single(name string, known bool) (err error) {
	if !known {
		if s.noise[name], err = s.alone([]string{name}, false); err != nil {
			return err
		}
	}
	s.coded[name], err = s.alone([]string{name}, true)
	return err
}

// alone returns the noise at the outputs, as a share of the signal's power, where only the named
// layers are quantized, or only their weights.
func (s *sensitivity) alone(names []string, weights bool) (float64, error) {
	q := s.q
	set := q.opt.Settings
	set.Leave, set.Light = s.left(), map[string]bool{}
	for _, n := range s.names {
		if weights || !slices.Contains(names, n) {
			set.Leave[n] = "not probed"
		}
		set.Light[n] = weights && slices.Contains(names, n)
	}
	s.tried++
	q.effort.Spent += s.cost
	q.opt.Progress("sensitivity", s.tried, max(s.tried, len(s.names)+runs))
	kept, warnings := q.plan, q.warnings
	defer func() { q.plan, q.warnings = kept, warnings }()
	if err := q.fit(set, s.stats); err != nil {
		return 0, err
	}
	m := pass.Clone(q.float)
	if err := pass.Quantize(m, q.plan, q.opt.Style); err != nil {
		return 0, err
	}
	g, err := s.judge.compare(m)
	if err != nil {
		return 0, err
	}
	return math.Pow(10, -g.SQNR/10), nil
}

// left returns the nodes that stay in float for other reasons.
func (s *sensitivity) left() map[string]string {
	all := map[string]string{}
	maps.Copy(all, s.q.opt.Settings.Leave)
	return all
}

// heavy says whether the weights of a layer make most of its noise.
func (s *sensitivity) heavy(name string) bool { return s.coded[name] > s.noise[name]/2 }

// A relief is a plan in which some layers are left in float, and how near to the float network it comes.
type relief struct {
	left   int // layers, and weights besides
	q      quantization
	gate   *Gate
	enough bool
}

// leave takes the fewest of the noisiest layers out with which the outputs, repaired again, reach
// wantSQNR. Where all of them do not suffice, the weights that make most noise are not stored in codes either; where that does
// not, they are.
func (s *sensitivity) leave(before *Gate) (bool, error) {
	q := s.q
	was, base, warnings := q.state(), q.opt.Settings, q.warnings
	fixes := q.fixes
	layers := noisiest(s.names, s.noise)
	coded := noisiest(slices.DeleteFunc(slices.Clone(layers), func(name string) bool { return s.heavy(name) || s.coded[name] == 0 }), s.coded)
	var all, best *relief
	try := func(k int) (r *relief, err error) {
		q.restore(was)
		q.fixes, q.warnings, q.opt.Settings = slices.Clone(fixes), slices.Clone(warnings), base
		r = &relief{left: k}
		if r.gate, err = s.without(layers[:min(k, len(layers))], coded[:max(0, k-len(layers))]); err != nil {
			return nil, err
		}
		r.enough, err = s.enough(r.gate)
		r.q = *q
		if k == len(layers) {
			all = r
		}
		return r, err
	}
	best, err := fewest(1, len(layers), try)
	for range searches {
		if err != nil || best == nil || best.left == 1 || q.effort.Spent+s.search(best.left) > q.opt.Budget {
			break
		}
		// the last of them had to be: with it in front, fewer may be enough
		last := best.left - 1
		layers = slices.Concat(layers[last:][:1], layers[:last], layers[last+1:])
		fewer, failed := fewest(1, last, try)
		if err = failed; fewer == nil {
			break
		}
		best = fewer
	}
	if err == nil && best == nil {
		best, err = fewest(len(layers)+1, len(layers)+len(coded), try)
	}
	if best == nil && all != nil && all.gate.SQNR > before.SQNR {
		best = all
	}
	spent := q.effort.Spent
	if err != nil || best == nil {
		q.restore(was)
		q.fixes, q.warnings, q.opt.Settings = fixes, warnings, base
		return false, err
	}
	*q = best.q
	q.effort.Spent = spent
	s.tell(before, best.gate)
	return true, nil
}

// noisiest sorts layers by their noise, the greatest first.
func noisiest(names []string, noise map[string]float64) []string {
	list := slices.Clone(names)
	slices.SortStableFunc(list, func(a, b string) int { return cmp.Compare(noise[b], noise[a]) })
	return list
}

// fewest returns the relief of the least number that is enough, nil where none is: the more are left the more enough it is.
func fewest(few, many int, try func(k int) (*relief, error)) (best *relief, err error) {
	for few <= many {
		k := (few + many) / 2
		r, err := try(k)
		if err != nil {
			return nil, err
		}
		if r.enough {
			best, many = r, k-1
		} else {
			few = k + 1
		}
	}
	return best, nil
}

// enough says whether outputs reach wantSQNR, with something to spare, on the samples that judge, by more than their standard
// error, and also together with those of the second judge: rare samples may make most of the noise.
func (s *sensitivity) enough(g *Gate) (bool, error) {
	if g.low() < wantSQNR+spareSQNR {
		return false, nil
	}
	wide, err := s.q.widened(g)
	return err == nil && wide.SQNR >= wantSQNR+spareSQNR, err
}

// without leaves layers in float, and their weights too where these make most of the noise or are among bare, repairs the others
// and compares.
func (s *sensitivity) without(layers, bare []string) (*Gate, error) {
	q := s.q
	q.opt.Settings.Leave, q.opt.Settings.Light = s.left(), map[string]bool{}
	for _, n := range layers {
		q.opt.Settings.Light[n] = !s.heavy(n) && !slices.Contains(bare, n)
		q.opt.Settings.Leave[n] = fmt.Sprintf("left in float: quantized alone, it brings the outputs to %.1f dB", -10*math.Log10(s.noise[n]))
	}
	if err := q.fit(q.opt.Settings, s.stats); err != nil {
		return nil, err
	}
	if err := q.after(); err != nil {
		return nil, err
	}
	q.effort.Spent += s.check
	return q.compared()
}

// tell warns of the layers that were left in float.
func (s *sensitivity) tell(before, after *Gate) {
	s.q.relieved = true
	ops := map[string]int{}
	for _, row := range s.q.plan.Nodes {
		if _, ok := s.q.opt.Settings.Leave[row.Name]; ok {
			ops[row.Op]++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(ops)) {
		s.q.warnings = append(s.q.warnings, fmt.Sprintf("%d of %d layers (%s) compute in float, for quantized the outputs reach %v only; so they reach %v on the samples that this was chosen by", ops[name], len(s.names), name, before, after))
	}
}
