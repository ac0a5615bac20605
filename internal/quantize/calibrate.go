package quantize

import (
	"fmt"
	"hash"
	"maps"
	"math"
	"slices"

	"lowbit/internal/calib"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/engine"
	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/plan"
	"lowbit/internal/repair"
	"lowbit/internal/tensor"
)

// static calibrates on the samples of those numbers and fits the plan to what it saw.
func (q *quantization) static(samples []int) error {
	set := q.opt.Settings
	q.plan = plan.Decide(q.float, q.facts, set, nil)
	if len(q.plan.Observed()) == 0 {
		q.align()
		return q.fit(set, nil)
	}
	if q.opt.Data == nil {
		return fault.Invalidf("calibration", "static quantization needs samples").
			WithHint("give `data`, or choose `mode dynamic` or `mode weights`")
	}
	plain := q.float
	q.sampled = samples
	if err := q.before(); err != nil {
		return err
	}
	q.plan = plan.Decide(q.float, q.facts, set, nil)
	stats, err := q.calibrate(q.watched(), samples)
	if err != nil {
		return err
	}
	q.align()
	q.alike(stats)
	if q.timed() {
		if err := q.payoff(stats); err != nil {
			return err
		}
		set = q.opt.Settings
	}
	if set.Observer != nil {
		if err := q.fit(set, stats); err != nil {
			return err
		}
	} else if err := q.choose(stats); err != nil {
		return err
	}
	if err := q.improve(stats); err != nil || !q.timed() {
		return err
	}
	return q.settle(plain, stats)
}

// convert plans to compute in a 16-bit float. The samples, where there are any, tell which values
// leave its range, or stay so near to zero that it loses them.
func (q *quantization) convert(samples []int) error {
	set := &q.opt.Settings
	if set.Weights.Format == nil || set.Weights.Format.Via != format.Cast {
		return fault.Invalidf("mode", "%s is for 16-bit floats", plan.Convert).WithHint("choose `weights fp16` or `weights bf16`")
	}
	var stats map[string]*calib.Stats
	if q.opt.Data != nil {
		set.Observer = calib.MinMax
		var err error
		if stats, err = q.calibrate(plan.Floats(q.float, q.facts), samples); err != nil {
			return err
		}
	} else if _, top := set.Weights.Format.Range(format.Params{Scale: 1}); top < math.MaxInt32 {
		q.warnings = append(q.warnings, fmt.Sprintf("without samples (`data`) nobody knows which values go beyond %g or stay below %.2g, where they lose digits", top, set.Weights.Format.Normal()))
	}
	q.plan = plan.Halve(q.float, q.facts, *set, stats)
	if q.plan.Quantized() == 0 {
		return fault.Unsupportedf("model", "no node can be converted: %s", q.plan.Obstacles())
	}
	return nil
}

// choose tries the observers that are worth it and keeps the plan whose network comes nearest to
// the float one on the samples held back.
func (q *quantization) choose(stats map[string]*calib.Stats) error {
	var best known
	var winner *calib.Observer
	least := math.Inf(-1)
	if err := q.judge.hold(); err != nil {
		return err
	}
	for i, o := range calib.Tried {
		set := q.opt.Settings
		set.Observer = o
		if err := q.fit(set, stats); err != nil {
			return err
		}
		g, err := q.compared()
		if err != nil {
			return err
		}
		if g.SQNR > least {
			best, winner, least = q.last, o, g.SQNR
		}
		q.opt.Progress("observers", i+1, len(calib.Tried))
	}
	q.plan, q.last, q.opt.Settings.Observer = best.plan, best, winner
	return nil
}

// withoutUnseen decides again where calibration met values that never held a finite number.
func (q *quantization) withoutUnseen(set plan.Settings, stats map[string]*calib.Stats) *plan.Plan {
	unseen := map[string]bool{}
	p := q.plan
	for {
		more := false
		for _, name := range p.Observed() {
			if s := stats[name]; s == nil || !s.Seen() {
				unseen[name], more = true, true
			} else if s.NaNs+s.Infs > 0 {
				q.warnings = append(q.warnings, fmt.Sprintf("value %q was NaN or infinite %d times during calibration", name, s.NaNs+s.Infs))
			}
		}
		if !more {
			return p
		}
		p = plan.Decide(q.float, q.facts, set, unseen)
	}
}

// calibrate runs the data through the float network and observes the named values. What a trial saw of
// some samples is not looked at again.
func (q *quantization) calibrate(values []string, samples []int) (map[string]*calib.Stats, error) {
	all := map[string]*calib.Stats{}
	rest := samples
	if s := q.seen; s.float == q.float && slices.Equal(s.values, values) {
		all, q.seen = s.stats, seen{}
		rest = slices.DeleteFunc(slices.Clone(samples), func(n int) bool { return slices.Contains(q.fittedOf, n) })
	}
	done := len(samples) - len(rest)
	if len(rest) == 0 {
		q.opt.Progress("calibrate", done, done)
		return all, nil
	}
	more, err := q.observe(values, rest, feedOf(q.opt.Data, rest), looks{hist: q.histograms()}, func(n int) { q.opt.Progress("calibrate", done+n, len(samples)) })
	merge(all, more)
	return all, err
}

// merge adds statistics to others.
func merge(all, more map[string]*calib.Stats) {
	for name, s := range more {
		if all[name] == nil {
			all[name] = s
		} else {
			all[name].Merge(s)
		}
	}
}

// lookAround observes the values that only plans with fewer nodes read.
func (q *quantization) lookAround(stats map[string]*calib.Stats) error {
	missing := slices.DeleteFunc(q.around(), func(name string) bool { return stats[name] != nil })
	if len(missing) == 0 {
		return nil
	}
	more, err := q.observe(missing, q.sampled, feedOf(q.opt.Data, q.sampled), looks{hist: q.histograms()}, func(n int) { q.opt.Progress("calibrate", n, len(q.sampled)) })
	for _, name := range missing {
		if more[name] != nil {
			stats[name] = more[name]
		}
	}
	return err
}

// seen is what a trial saw of the fitted samples: all that calibration looks at.
type seen struct {
	float  *graph.Model
	values []string
	stats  map[string]*calib.Stats
}

// histograms says whether calibration needs them.
func (q *quantization) histograms() bool {
	return q.opt.Settings.Observer == nil || needHist(q.opt.Settings)
}

// observeStep is how many samples are observed between two records in the journal.
const observeStep = 64

// looks is what is looked at besides the extremes of values.
type looks struct {
	hist     bool
	channels map[string]*calib.Channels // filled; the journal does not keep them, so nothing is taken from it then
}

// observe runs samples through the float network and returns what is seen of the named values and of its inputs. feed
// gives the samples of those numbers.
func (q *quantization) observe(values []string, numbers []int, feed calib.Feed, look looks, done func(int)) (map[string]*calib.Stats, error) {
	level, err := kernel.Best()
	if err != nil {
		return nil, fault.Invalidf("", "%v", err)
	}
	kept, err := q.book.chapter("observe", func(h hash.Hash) error {
		q.book.hashModel(h, q.float)
		_, err := fmt.Fprintf(h, "%q %v %v", values, numbers, look.hist)
		return err
	})
	if err != nil {
		return nil, err
	}
	step := observeStep
	if look.channels != nil {
		kept = nil
	}
	if kept == nil {
		step = max(1, feed.N)
	}
	matrices := !slices.ContainsFunc(slices.Collect(maps.Values(look.channels)), func(c *calib.Channels) bool { return c.Axis != 1 })
	var s *engine.Session // once it is needed
	defer func() { s.Close() }()
	all := map[string]*calib.Stats{}
	for from := 0; from == 0 || from < feed.N; from += step {
		part := calib.Feed{N: min(step, feed.N-from), Sample: func(i int) (map[string]*tensor.Tensor, string, error) { return feed.Sample(from + i) }}
		stats, err := repair.Once(kept, fmt.Sprint(from), func() (map[string]*calib.Stats, error) {
			if s == nil {
				var err error
				if s, err = q.compile(q.float, values, matrices); err != nil {
					return nil, err
				}
			}
			return calib.Collect(q.ctx, s, part, calib.Options{Hist: look.hist, Workers: q.opt.Threads, Level: level, Done: func(n int) { done(from + n) }, Channels: look.channels})
		})
		if err != nil {
			return nil, err
		}
		merge(all, stats)
	}
	return all, nil
}

// needHist says whether some observer that is asked for reads histograms, or some format, whose own rule they feed.
func needHist(set plan.Settings) bool {
	acts := []*plan.Scheme{&set.Acts}
	for _, o := range set.Overrides {
		acts = append(acts, o.Acts)
	}
	return slices.ContainsFunc(set.Observers(), func(o *calib.Observer) bool { return o.Hist }) ||
		slices.ContainsFunc(acts, func(s *plan.Scheme) bool { return s != nil && s.Format != nil && s.Format.Fit != nil })
}

// nested says whether some of the values flow inside subgraphs, which only the reference shows.
func (q *quantization) nested(values []string) bool {
	top := map[string]bool{}
	for _, v := range q.float.Graph.In {
		top[v.Name] = true
	}
	for _, n := range q.float.Graph.Nodes {
		for _, o := range n.Out {
			top[o] = true
		}
	}
	return slices.ContainsFunc(values, func(v string) bool { return !top[v] })
}

// feedOf lets calibration read the samples of those numbers.
func feedOf(d *dataset.Source, samples []int) calib.Feed {
	return calib.Feed{N: len(samples), Sample: func(i int) (map[string]*tensor.Tensor, string, error) {
		s, err := d.Sample(samples[i])
		if err != nil {
			return nil, "", err
		}
		return s.Inputs, s.Name, nil
	}}
}
