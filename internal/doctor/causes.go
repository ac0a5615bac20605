package doctor

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// A row is one cause of the closed list: the measurement that names it, and what mends it.
type row struct {
	name string
	find func(e *exam) []*finding
	mend func(e *exam, f *finding) []remedy // the first that is good enough is taken
}

// rows lists the causes. Of several that hold for one quantizer the first is named: what is broken comes
// before what is badly chosen, and what has a reason before what is merely too coarse.
var rows = []*row{
	{"calibration mismatch", (*exam).allMismatched, (*exam).recalibrate},
	{"sensitive op quantised", (*exam).sensitive, (*exam).keep},
	{"constant/degenerate scale", (*exam).degenerate, (*exam).refit},
	{"bias overflow", (*exam).biasOverflow, (*exam).raiseScale},
	{"overflow", (*exam).overflow, (*exam).keep},
	{"range outlier", (*exam).outliers, (*exam).clip},
	{"shared scale over unlike branches", (*exam).unlike, (*exam).separate},
	{"calibration mismatch", (*exam).mismatched, (*exam).recalibrate},
	{"dead or collapsed channel spread", (*exam).spread, (*exam).perChannel},
	{"sensitive op quantised", (*exam).exact, (*exam).keep},
	{"unsupported or unfused placement", (*exam).unfused, (*exam).move},
	{"mean shift", (*exam).shifted, (*exam).correctBias},
	{"rounding below bits", (*exam).rounding, (*exam).finerWeights},
	{"activation bits", (*exam).coarse, (*exam).finerActs},
}

// The bounds of the list.
const (
	outlierRatio = 8.0  // of a range to the 99.99th percentile of the magnitudes
	spreadRatio  = 64.0 // of the largest channel's range to the smallest's
	shiftShare   = 0.1  // of a channel's standard deviation
	branchRatio  = 8.0  // of two branches' ranges
	lowSQNR      = 15.0 // dB, of a layer by its weights alone, or of an activation
	kolmogorov   = 0.1  // distance between two distributions
	constant     = 1e-3 // of the widest channel's standard deviation: a channel with less does not vary
	shiftMost    = 0.5  // share of a layer's squared error that its mean shift has to make
	crowded      = 0.99 // share of a value's numbers on two codes, which say nothing of it
	leastScale   = 0x1p-126
)

// A finding is a cause at one place.
type finding struct {
	row      *row
	unit     *unit
	sites    []*site
	evidence string
	local    float64 // noise at the place itself, as a share of the signal's power
	sure     bool    // wrong whatever the outputs are here: it costs time, or shows on other machines

	alone, without float64
	scores         *[2]float64
	fix            string
}

// cause is the finding as the diagnosis tells it.
func (f *finding) cause() Cause {
	c := Cause{Name: f.unit.name, Op: f.unit.node.Op, Value: f.sites[0].name, Cause: f.row.name, Evidence: f.evidence, Fix: f.fix,
		Alone: f.alone, Without: f.without, Scores: f.scores}
	return c
}

// at makes a finding of sites.
func (e *exam) at(s *site, local float64, evidence string, args ...any) *finding {
	sites := []*site{s}
	if s.kind == weights && s.unit.weights == s && s.unit.bias != nil && s.unit.bias.off != nil {
		sites = append(sites, s.unit.bias)
	}
	return &finding{unit: s.unit, sites: sites, local: local, evidence: fmt.Sprintf(evidence, args...)}
}

// eachAct calls f for every activation that the samples reached.
func (e *exam) eachAct(f func(s *site, r *reading)) {
	for _, s := range e.sites {
		if r := e.screening.acts[s]; s.kind == acts && r != nil && r.stats.Seen() {
			f(s, r)
		}
	}
}

// eachLayer calls f for every layer whose weights are known in float.
func (e *exam) eachLayer(f func(u *unit, l *loss)) {
	for _, u := range e.layers() {
		if l := e.screening.layers[u]; l != nil && u.weights.off != nil {
			f(u, l)
		}
	}
}

// amax is the largest magnitude that the codes of an activation reach.
func (s *site) amax() float64 {
	lo, hi := s.span()
	return max(-lo, hi)
}

// top returns the 99.99th percentile of the magnitudes, and the largest.
func (r *reading) top() (p9999, most float64) {
	_, p9999 = calib.Percentile.Range(r.stats, format.Uint8, true)
	return p9999, float64(max(-r.stats.Min, r.stats.Max))
}

// outlier returns by how much the range exceeds the percentile; 0 where that is zero.
func (e *exam) outlier(s *site, r *reading) float64 {
	p, _ := r.top()
	if p == 0 {
		return 0
	}
	return s.amax() / p
}

// vacant says whether a range is far wider than anything that the samples hold.
func (e *exam) vacant(s *site, r *reading) bool {
	_, most := r.top()
	return e.outlier(s, r) > outlierRatio && s.amax() > outlierRatio*most
}

// isMismatch says whether a range was made for other values. The values that made it lie within, so
// the share of those outside is a distance of Kolmogorov and Smirnov that the two distributions have at least.
func (e *exam) isMismatch(s *site, r *reading) bool { return r.share() > kolmogorov || e.vacant(s, r) }

// allMismatched tells of ranges that were found on other data: at the input of the network, which lies
// outside of what was seen there, or is far smaller together with values behind it. Where clamps bound
// what follows, the input alone tells.
func (e *exam) allMismatched() []*finding {
	var input *site
	var bad []*site
	all, local := 0, 0.0
	e.eachAct(func(s *site, r *reading) {
		all++
		if e.isMismatch(s, r) {
			bad = append(bad, s)
			local = max(local, noise(r.SQNR()))
			if input == nil && e.m.Graph.Input(s.from) != nil {
				input = s
			}
		}
	})
	if input == nil || len(bad) < 2 && e.screening.acts[input].share() <= kolmogorov {
		return nil
	}
	f := e.at(input, local, "%s; the ranges of %d of %d values do not fit the samples", e.rangeStory(input), len(bad), all)
	f.sites = bad
	slices.SortStableFunc(f.sites, func(a, b *site) int { return cmp.Compare(btoi(b == input), btoi(a == input)) })
	return []*finding{f}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// rangeStory compares a range with what the samples hold.
func (e *exam) rangeStory(s *site) string {
	r := e.screening.acts[s]
	lo, hi := s.span()
	return fmt.Sprintf("%s: codes reach [%.4g, %.4g], the samples hold [%.4g, %.4g], %.1f %% of them outside", s, lo, hi, r.stats.Min, r.stats.Max, 100*r.share())
}

// mismatched tells of single ranges that were found on other data.
func (e *exam) mismatched() (list []*finding) {
	e.eachAct(func(s *site, r *reading) {
		if r.share() > kolmogorov {
			list = append(list, e.at(s, noise(r.SQNR()), "%s", e.rangeStory(s)))
		}
	})
	return list
}

// degenerate tells of scales that leave next to no codes.
func (e *exam) degenerate() (list []*finding) {
	e.eachAct(func(s *site, r *reading) {
		bad := !(float64(s.params.Scale) >= leastScale) || math.IsInf(float64(s.params.Scale), 0)
		if bad || r.stats.Min < r.stats.Max && r.crowd() > crowded && r.SQNR() < lowSQNR {
			list = append(list, e.at(s, noise(r.SQNR()), "%s: with its scale %.4g two codes take %.2f %% of the values within [%.4g, %.4g] that are not zero", s, s.params.Scale, 100*r.crowd(), r.stats.Min, r.stats.Max))
		}
	})
	e.eachLayer(func(u *unit, l *loss) {
		c := u.weights.coded
		x := tensor.Of[float32](u.weights.off)
		bad := slices.ContainsFunc(c.Params, func(p format.Params) bool {
			return !(float64(p.Scale) >= leastScale) || math.IsInf(float64(p.Scale), 0)
		})
		if bad || slices.Min(c.Codes) == slices.Max(c.Codes) && slices.Min(x) < slices.Max(x) {
			list = append(list, e.at(u.weights, noise(l.weights.SQNR()), "weights of %s: scale %.4g, all codes between %d and %d", u, c.Params[0].Scale, slices.Min(c.Codes), slices.Max(c.Codes)))
		}
	})
	return list
}

// biasOverflow tells of biases that 32 bits cannot hold at the scale of their layer.
func (e *exam) biasOverflow() (list []*finding) {
	e.eachLayer(func(u *unit, l *loss) {
		if u.bias == nil || u.bias.off == nil {
			return
		}
		scale := tensor.Of[float32](e.m.Graph.ConstTensor(e.x.Producer(u.bias.to[0]).In[1]))
		worst, at := 0.0, 0
		for i, b := range tensor.Of[float32](u.bias.off) {
			if q := math.Abs(float64(b)) / float64(scale[min(i, len(scale)-1)]); q > worst {
				worst, at = q, i
			}
		}
		if worst > math.MaxInt32 {
			list = append(list, e.at(u.weights, noise(l.weights.SQNR()), "bias of %s: element %d needs %.4g steps of its scale %.3g, 32 bits hold %d", u, at, worst, scale[min(at, len(scale)-1)], math.MaxInt32))
		}
	})
	return list
}

// overflow tells of layers whose sums of products may leave 32 bits.
func (e *exam) overflow() (list []*finding) {
	e.eachLayer(func(u *unit, l *loss) {
		x, c := u.in[0], u.weights.coded
		if x == nil || x.kind != acts || x.format.Kind != format.Linear || c.Format.Kind != format.Linear || x.format.Bits+c.Format.Bits > 16 {
			return
		}
		most := int64(max(x.format.Hi-int(x.params.Zero), int(x.params.Zero)-x.format.Lo))
		v := newView(u, u.weights.off)
		sums := make([]int64, v.outs)
		for i, q := range c.Codes {
			sums[v.out(i)] += most * int64(max(q, -q))
		}
		if u.bias != nil {
			for i, b := range tensor.Of[int32](u.bias.codes) {
				sums[i%len(sums)] += max(int64(b), -int64(b))
			}
		}
		if worst := slices.Max(sums); worst > math.MaxInt32 {
			f := e.at(u.weights, noise(min(l.weights.SQNR(), l.acts.SQNR())), "%s: sums of products may reach %d, 32 bits hold %d", u, worst, math.MaxInt32)
			f.sites = append(f.sites, x) // either in float, nothing overflows
			list = append(list, f)
		}
	})
	return list
}

// outliers tells of ranges that a few values stretch.
func (e *exam) outliers() (list []*finding) {
	e.eachAct(func(s *site, r *reading) {
		if k := e.outlier(s, r); k > outlierRatio {
			p, most := r.top()
			list = append(list, e.at(s, noise(r.SQNR()), "%s: codes reach %.4g, %.1f times the 99.99th percentile of the samples, %.4g; the largest is %.4g", s, s.amax(), k, p, most))
		}
	})
	e.eachLayer(func(u *unit, l *loss) {
		if u.weights.coded.Block.Kind != format.Whole {
			return
		}
		x := magnitudes(tensor.Of[float32](u.weights.off))
		p := x[int(0.9999*float64(len(x)-1))]
		if most := x[len(x)-1]; p > 0 && most > outlierRatio*p {
			list = append(list, e.at(u.weights, noise(l.weights.SQNR()), "weights of %s: the largest is %.4g, %.1f times the 99.99th percentile", u, most, most/p))
		}
	})
	return list
}

// magnitudes returns the sorted absolute values.
func magnitudes(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = math.Abs(float64(v))
	}
	slices.Sort(y)
	return y
}

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

// sharing lists the quantizers by which the branches of a unit get one scale: that of the result of a
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
			list = append(list, e.at(w, noise(l.weights.SQNR()), "weights of %s: channels reach from %.3g to %.3g, %.0f times as far, on one scale; %d of %d channels are all zero codes", u, least, most, most/least, dead, v.outs))
		}
	})
	return list
}

// sensitiveOps have results whose small differences count, over ranges that eight bits do not resolve.
var sensitiveOps = []string{"Softmax", "LogSoftmax", "LayerNormalization", "RMSNormalization", "InstanceNormalization", "GroupNormalization", "Gelu", "Erf", "Exp", "Log", "Pow", "Sqrt"}

// tailOps are operators that decode boxes and scores behind the last layer.
var tailOps = []string{"Add", "Sub", "Mul", "Div", "Concat", "Exp", "Sigmoid"}

// sensitive tells of operators that eight bits do not suit.
func (e *exam) sensitive() []*finding {
	return e.roundedOps(func(u *unit) string {
		if slices.Contains(sensitiveOps, u.node.Op) {
			return "is computed on rounded values"
		}
		return ""
	})
}

// exact tells of operators that targets compute in float, and of those that decode outputs.
func (e *exam) exact() []*finding {
	before := e.beforeLayers()
	return e.roundedOps(func(u *unit) string {
		switch {
		case slices.Contains(tailOps, u.node.Op) && !before[u.node] && !e.isBias(u):
			return "decodes outputs behind the last layer on rounded values"
		case slices.Contains(plan.Targets[0].Float, u.node.Op):
			return "is computed on rounded values, which targets keep in float"
		}
		return ""
	})
}

// roundedOps tells of operators that read or write quantized values, for the reason that why gives.
func (e *exam) roundedOps(why func(u *unit) string) (list []*finding) {
	for _, u := range e.nodes {
		what := ""
		if u.weights == nil {
			what = why(u)
		}
		if what == "" {
			continue
		}
		f := &finding{unit: u}
		for _, s := range append([]*site{u.out}, u.in...) {
			if s == nil || s.kind != acts || slices.Contains(f.sites, s) {
				continue
			}
			f.sites = append(f.sites, s)
			if r := e.screening.acts[s]; r != nil {
				f.local = max(f.local, noise(r.SQNR()))
			}
		}
		if len(f.sites) > 0 {
			f.evidence = fmt.Sprintf("%s %s, the worst of them %.1f dB", u, what, -10*math.Log10(f.local))
			list = append(list, f)
		}
	}
	return list
}

// beforeLayers tells which nodes some layer with weights depends on.
func (e *exam) beforeLayers() map[*graph.Node]bool {
	before := map[*graph.Node]bool{}
	var mark func(name string)
	mark = func(name string) {
		if p := e.x.Producer(name); p != nil && !before[p] {
			before[p] = true
			for _, in := range p.In {
				mark(in)
			}
		}
	}
	for _, u := range e.layers() {
		for _, in := range u.node.In {
			mark(in)
		}
	}
	return before
}

// isBias says whether a unit only adds a constant to a layer's result.
func (e *exam) isBias(u *unit) bool {
	return u.node.Op == "Add" && slices.ContainsFunc(u.in, func(s *site) bool { return s != nil && s.kind == weights }) ||
		u.node.Op == "Add" && slices.ContainsFunc(u.node.In, func(name string) bool { return e.m.Graph.ConstTensor(name) != nil })
}

// unfused tells of quantizers between a layer and its clamp.
func (e *exam) unfused() (list []*finding) {
	for _, u := range e.nodes {
		s := u.out
		if s == nil || u.weights == nil || len(s.reads) == 0 || e.screening.acts[s] == nil {
			continue
		}
		if !slices.ContainsFunc(s.reads, func(r use) bool { return !isClamp(r.unit.node) }) {
			f := e.at(s, noise(e.screening.acts[s].SQNR()), "%s is rounded before %s, so that its codes also span what that cuts off, and runtimes cannot fuse the two", u, s.reads[0].unit)
			f.sure = true
			list = append(list, f)
		}
	}
	return list
}

// shifted tells of layers whose weights and bias move the mean of their results, unless that undoes a shift
// that arises before them.
func (e *exam) shifted() (list []*finding) {
	e.eachLayer(func(u *unit, l *loss) {
		worst, at := 0.0, 0
		for k := range l.shift.diff {
			if l.shift.deviation(k) < constant*l.shift.widest() || l.undone(k) {
				continue
			}
			if d := math.Abs(l.shift.mean(k)) / l.shift.deviation(k); d > worst {
				worst, at = d, k
			}
		}
		if worst <= shiftShare || l.shift.energy() < shiftMost*l.weights.Noise() {
			return
		}
		f := e.at(u.weights, noise(l.weights.SQNR()), "results of %s: the mean of channel %d is off by %.2f of its standard deviation; shifts of the mean make %.0f %% of the layer's error",
			u, at, worst, 100*l.shift.energy()/l.weights.Noise())
		if e.biasMoves(u, &l.shift) {
			f.sites = []*site{u.bias}
		} else if l.weights.SQNR() < lowSQNR {
			return // codes as coarse as that move the mean as well
		}
		list = append(list, f)
	})
	return list
}

// undone says whether the shift of a channel is not there in the quantized network.
func (l *loss) undone(k int) bool {
	return k < len(l.whole.diff) && math.Abs(l.whole.mean(k)) < shiftShare*l.whole.deviation(k)
}

// biasMoves says whether the bias alone makes the shift.
func (e *exam) biasMoves(u *unit, s *shift) bool {
	if u.bias == nil || u.bias.off == nil || u.bias.off.Len() != len(s.diff) {
		return false
	}
	rest, all := 0.0, 0.0
	ours := e.biasOf(u)
	for k, b := range tensor.Of[float32](u.bias.off) {
		d := s.mean(k) - (float64(ours[k]) - float64(b))
		rest += float64(d * d)
		all += s.mean(k) * s.mean(k)
	}
	return rest < all/2
}

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

// leftovers are the quantizers that lose most by themselves, for networks in which nothing is over a bound.
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

func rowOf(name string) *row {
	for _, r := range rows {
		if r.name == name {
			return r
		}
	}
	return nil
}
