package quantize

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/repair"
)

// A candidate is a repair that is tried where none is asked for.
type candidate struct {
	repair *repair.Repair
	when   func(q *quantization) bool // whether it may help this network in these formats
	cost   func(w *work) float64      // multiply-adds of the repair itself, at most
	covers []*repair.Repair           // what it does and more: these are tried only where it cannot be, or does not help
}

// candidates lists the repairs to choose from. Which changes of each are kept is found out by trial.
var candidates = []candidate{
	{repair.Equalize, always, func(w *work) float64 { return w.fit * w.macs }, nil},
	{repair.Smooth, mixesRows, func(w *work) float64 { return (w.fit+w.judge)*w.macs + alphas*siteRows*w.weights() }, nil},
	{repair.KQuant, fewBits, func(w *work) float64 { return kquantWork * w.weights() }, nil},
	{repair.GPTQ, fewBits, func(w *work) float64 { return w.rounding() }, []*repair.Repair{repair.KQuant}},
	{repair.AdaRound, fewBits, func(w *work) float64 { return 2 * w.rounding() }, []*repair.Repair{repair.KQuant, repair.GPTQ}},
	{repair.BRECQ, fewBits, func(w *work) float64 { return brecqSamples * w.macs }, nil},
	{repair.Bias, always, func(w *work) float64 { return biasRuns * w.fit * w.macs }, nil},
}

// What repairs do for each weight or sample, as far as the estimate of their time is concerned.
const (
	alphas       = 17             // that Smooth tries
	siteRows     = 2048           // that it tries them on
	kquantWork   = 2000           // of a K search for one weight
	brecqSamples = 3*400*32 + 256 // runs of each section
	biasRuns     = 4              // of each sample to fit to and to judge by
	roundingRows = 256            // that roundings look at of each sample
	factorWork   = 30             // of Σxxᵀ with each caution, for the cube of its rows: in 64 bits, on one core, from memory
	solveWork    = 40             // of rounding one weight after the other, and of solving for those wanted, in 64 bits
)

func always(*quantization) bool { return true }

// fewBits says whether weights have four bits or fewer, on whole-number marks or others.
func fewBits(q *quantization) bool {
	f := q.opt.Settings.Weights.Format
	return f != nil && f.Bits <= 4 && f.Bits > 1
}

// mixesRows says whether the network multiplies values by one another besides by weights, as
// transformers do, and its activations have few bits.
func mixesRows(q *quantization) bool {
	if m := q.opt.Settings.Mode; m != plan.Static && m != plan.Dynamic || q.opt.Settings.Acts.Format == nil {
		return false
	}
	values, weights := false, false
	for _, n := range q.float.Graph.AllNodes() {
		o := op.Lookup(n.Domain, n.Op)
		for i := range n.In {
			if o == nil || o.Quant.Role(i) != op.Weight || o.Quant.Axis != -1 {
				continue
			}
			if q.float.Graph.ConstTensor(n.In[i]) == nil {
				values = true
			} else {
				weights = true
			}
		}
	}
	return values && weights
}

// rounding is the work of GPTQ: of each layer Σxxᵀ, its factors, and each output channel after the other.
func (w *work) rounding() float64 {
	sum := 3 * (w.many + w.judge) * w.macs
	for _, l := range w.layers {
		if l.k > repair.Widest {
			continue
		}
		rows := (w.many + w.judge) * min(l.at, roundingRows)
		sum += l.groups * (rows*l.k*(l.k+l.rows) + factorWork*l.k*l.k*l.k + solveWork*l.rows*l.k*l.k)
	}
	return sum
}

// dataFree lists the repairs that are tried where the samples are drawn, for want of data: biases by what
// BatchNormalizations tell, or else by the samples.
func dataFree(norms map[string]pass.Norm) []*repair.Repair {
	list := []*repair.Repair{repair.Equalize, repair.Absorb}
	if len(norms) > 0 {
		list = append(list, repair.Analytic)
	}
	return append(list, repair.Bias)
}

// An offer is a candidate for a network.
type offer struct {
	*candidate
	work  time.Duration // of it and of finding out whether it helps
	trial time.Duration // of trying some of its changes
	tries int           // for which there is time
}

// offers lists the candidates for this network, the cheapest first.
func (q *quantization) offers(w *work) []*offer {
	var list []*offer
	for i := range candidates {
		c := &candidates[i]
		if !c.when(q) {
			continue
		}
		trial := w.measure()
		if c.repair.Stage == repair.Before {
			trial = w.trial()
		}
		list = append(list, &offer{c, seconds(c.cost(w) + 2*trial), seconds(trial), 1})
	}
	slices.SortStableFunc(list, func(a, b *offer) int { return cmp.Compare(a.work, b.work) })
	return list
}

// affordable returns the candidates that fit the budget, the cheapest being let in first, and tells of
// them and of those that do not fit. What time is left goes to trying parts of their changes.
func (q *quantization) affordable() ([]wish, error) {
	w, err := q.count()
	if err != nil {
		return nil, err
	}
	q.effort.Budget = q.opt.Budget
	left := q.opt.Budget
	var in []*offer
	for _, o := range q.offers(w) {
		free := left // and what is not made, for o covers it
		for _, p := range in {
			if slices.Contains(o.covers, p.repair) && p.work > 0 {
				free += p.work
			}
		}
		if o.work > free {
			q.fixes = append(q.fixes, Fix{Name: o.repair.Name, Skipped: true, Work: o.work,
				Note: fmt.Sprintf("it would take about %s, and %s of the budget are left", shortSeconds(o.work), shortSeconds(free))})
			continue
		}
		left = free - o.work
		in = append(in, o)
	}
	for _, o := range in {
		covered := slices.ContainsFunc(in, func(p *offer) bool { return slices.Contains(p.covers, o.repair) })
		if n := min(siftMost-1, int(left/max(1, o.trial))); n > 0 && !covered {
			o.tries += n
			o.work += time.Duration(n) * o.trial
			left -= time.Duration(n) * o.trial
		}
	}
	q.effort.Planned = q.opt.Budget - left
	return q.queue(in), nil
}

// queue puts offers in the order in which repairs are made, each behind those that cover it.
func (q *quantization) queue(in []*offer) []wish {
	var list []wish
	var told []string
	var put func(o *offer)
	put = func(o *offer) {
		if slices.ContainsFunc(list, func(w wish) bool { return w.Repair == o.repair }) {
			return
		}
		w := wish{Repair: o.repair, prove: true, tries: o.tries, work: o.work}
		for _, p := range in {
			if slices.Contains(p.covers, o.repair) {
				put(p)
				w.unless = append(w.unless, p.repair)
			}
		}
		if len(w.unless) == 0 {
			told = append(told, fmt.Sprintf("%s %s", w.Name, shortSeconds(w.work)))
		}
		list = append(list, w)
	}
	for _, r := range repair.All {
		for _, o := range in {
			if o.repair == r {
				put(o)
			}
		}
	}
	if len(told) > 0 {
		q.opt.Tell(fmt.Sprintf("repairs to try, with the time each takes at most: %s; the budget is %s", strings.Join(told, ", "), shortSeconds(q.opt.Budget)))
	}
	return list
}
