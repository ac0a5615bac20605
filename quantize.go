package lowbit

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"time"

	"lowbit/internal/calib"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/engine"
	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/weight"
)

// QuantizeOptions say how a model is quantized. The zero value of a field means its default.
type QuantizeOptions struct {
	Settings plan.Settings // from plan.Default and changes to it
	Plan     *plan.Plan    // a finished plan: nothing is calibrated
	Style    string        // "qdq" or "qoperator"
	Data     *dataset.Source
	Fix      []string // names of repairs to make; nil chooses by trial, "none" makes none
	Recipe   string   // the resolved recipe, kept in the model's metadata
	Threads  int
	// AllowRequantize takes a model that is quantized already.
	AllowRequantize bool
	// Progress is called with the stage at work and how much of it is done.
	Progress func(stage string, done, total int)
}

// A Result is a quantized model with what is known of it.
type Result struct {
	Model    *Model
	Plan     *plan.Plan
	Gate     *Gate // nil where there was no data to compare on
	Fixes    []Fix
	Warnings []string
	Elapsed  time.Duration
}

// Quantize returns a quantized copy of m. It does not change m, whose tensors the copy shares.
func Quantize(ctx context.Context, m *Model, o QuantizeOptions) (*Result, error) {
	start := time.Now()
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	q := &quantization{ctx: ctx, in: m, opt: o, observed: o.Settings.Observer != nil}
	if err := q.prepare(); err != nil {
		return nil, fault.At(m.path, err)
	}
	if err := q.decide(); err != nil {
		return nil, fault.At(m.path, err)
	}
	if err := q.finish(); err != nil {
		return nil, fault.At(m.path, err)
	}
	return &Result{Model: FromGraph(q.out, m.path), Plan: q.plan, Gate: q.gate, Fixes: q.fixes, Warnings: q.warnings, Elapsed: time.Since(start)}, nil
}

// quantization is one run of Quantize.
type quantization struct {
	ctx      context.Context
	in       *Model
	opt      QuantizeOptions
	float    *graph.Model // prepared, not quantized
	observed bool         // an observer of activations was asked for
	facts    op.Facts
	norms    map[string]pass.Norm // what BatchNormalizations of the float network told before they were folded
	plan     *plan.Plan
	judge    *judge // nil where there is no data
	out      *graph.Model
	gate     *Gate
	last     known // what was compared last
	warnings []string
	fitted   []map[string]*Tensor // samples that repairs work on
	fittedOf []int                // their numbers
	seen     seen
	many     []int // numbers of those for repairs that gain by many
	fixes    []Fix
}

// prepare makes the float network that the plan is about.
func (q *quantization) prepare() error {
	if n := firstQuantized(q.in.graph); n != nil && !q.opt.AllowRequantize {
		return fault.Invalidf(n.Label(), "the model is quantized already").
			WithHint("quantize the float model it came from, or pass --allow-requantize")
	}
	q.float = pass.Clone(q.in.graph)
	prepare := func(m *graph.Model) (err error) {
		q.norms, err = pass.PrepareNorms(m)
		return err
	}
	steps := []func(*graph.Model) error{prepare}
	if q.opt.AllowRequantize { // folding would take constants of few bits to pieces, inlining may show more of them
		steps = []func(*graph.Model) error{pass.Dequantize, prepare, pass.Dequantize}
	}
	for _, step := range steps {
		if err := step(q.float); err != nil {
			return err
		}
	}
	if err := pass.Upgrade(q.float, q.opset()); err != nil {
		return err
	}
	align(q.float)
	q.tellDrawn()
	var err error
	q.facts, err = op.Infer(q.float, nil)
	return err
}

// alignMost is how many bytes of constants are copied to where they can be read in place.
const alignMost = 256 << 20

// align copies the constants that lie at odd places of a file, as far as that takes little memory:
// they are read many times, and each time would copy them.
func align(m *graph.Model) {
	left := alignMost
	for g := range m.Graph.Graphs() {
		for _, c := range g.Consts() {
			if c.Tensor != nil && c.Tensor.Bytes() <= left {
				was := c.Tensor
				if c.Tensor = was.Align(); c.Tensor != was {
					left -= was.Bytes()
				}
			}
		}
	}
}

// opset is the lowest opset that can write what the settings may ask for.
func (q *quantization) opset() int {
	need := 13 // scales along an axis
	s := q.opt.Settings
	weights, acts := []plan.Scheme{s.Weights}, []plan.Scheme{s.Acts}
	for _, o := range s.Overrides {
		if o.Weights != nil {
			weights = append(weights, *o.Weights)
		}
		if o.Acts != nil {
			acts = append(acts, *o.Acts)
		}
	}
	for _, c := range weights {
		need = max(need, c.Opset())
	}
	if s.Mode == plan.Static {
		for _, c := range acts {
			need = max(need, c.FlowOpset())
		}
	}
	if q.opt.Plan != nil {
		need = max(need, q.opt.Plan.Opset())
	}
	return need
}

// firstQuantized returns a node of m that computes on quantized values, or nil.
func firstQuantized(m *graph.Model) *graph.Node {
	for _, n := range m.Graph.AllNodes() {
		if pass.IsQuantized(n) {
			return n
		}
	}
	for _, w := range weight.Find(m) {
		if w.Format.Bits < 16 {
			return w.Node
		}
	}
	return nil
}

// decide finds the plan: a given one, or one made from the settings and the data.
func (q *quantization) decide() error {
	var calibrate []int
	if q.opt.Settings.Outliers > 0 && q.opt.Data == nil {
		return fault.Invalidf("outliers", "are found on samples").WithHint("give --data")
	}
	if d := q.opt.Data; d != nil {
		var held []int
		var err error
		if calibrate, held, err = holdBack(q.ctx, d); err != nil {
			return err
		}
		if q.judge, err = newJudge(q.ctx, q.float, d, held, q.opt.Threads); err != nil {
			return err
		}
		q.fittedOf = forRepairs(calibrate, held, fitMost)
		if q.fitted, err = fewSamples(q.ctx, d, q.fittedOf, fitBytes, q.opt.Threads); err != nil {
			return err
		}
		q.fittedOf = q.fittedOf[:len(q.fitted)]
		if err = q.splitOutliers(); err != nil {
			return err
		}
		q.many = forRepairs(calibrate, held, manyMost)
		calibrate = slices.Sorted(slices.Values(calibrate)) // neighbours on the disk are read one after the other
	}
	switch {
	case q.opt.Plan != nil:
		return q.given()
	case q.opt.Settings.Float():
		q.plan = plan.Decide(q.float, q.facts, q.opt.Settings, nil)
		return nil
	case q.opt.Settings.Mode == plan.Static:
		return q.static(calibrate)
	case q.opt.Settings.Mode == plan.Convert:
		return q.convert(calibrate)
	}
	return q.unobserved()
}

// unobserved plans without ranges of activations: they are found while running, or not needed.
func (q *quantization) unobserved() error {
	q.plan = plan.Decide(q.float, q.facts, q.opt.Settings, nil)
	plain := q.float
	if err := q.before(); err != nil {
		return err
	}
	if q.timed() {
		if err := q.payoff(nil); err != nil {
			return err
		}
	}
	if err := q.fit(q.opt.Settings, nil); err != nil {
		return err
	}
	if err := q.after(); err != nil || !q.timed() {
		return err
	}
	return q.settle(plain, nil)
}

// given takes a finished plan, and makes the repairs that it was made with.
func (q *quantization) given() error {
	if names := q.opt.Plan.Repairs(); len(names) > 0 && !q.judged() {
		return fault.Invalidf("plan", "was made with the repairs %s, which need the samples", strings.Join(names, ", ")).WithHint("give the same --data")
	}
	q.plan = q.opt.Plan
	if err := q.before(); err != nil {
		return err
	}
	if err := q.plan.Check(q.float); err != nil {
		return err
	}
	return q.after()
}

// static calibrates on the samples of those numbers and fits the plan to what it saw.
func (q *quantization) static(samples []int) error {
	set := q.opt.Settings
	q.plan = plan.Decide(q.float, q.facts, set, nil)
	if len(q.plan.Observed()) == 0 {
		return q.fit(set, nil)
	}
	if q.opt.Data == nil {
		return fault.Invalidf("calibration", "static quantization needs samples").
			WithHint("give --data, or choose --mode dynamic or --mode weights")
	}
	plain := q.float
	if err := q.before(); err != nil {
		return err
	}
	q.plan = plan.Decide(q.float, q.facts, set, nil)
	stats, err := q.calibrate(q.watched(), samples)
	if err != nil {
		return err
	}
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
// leave its range.
func (q *quantization) convert(samples []int) error {
	set := &q.opt.Settings
	if set.Weights.Format == nil || set.Weights.Format.Via != format.Cast {
		return fault.Invalidf("mode", "%s is for 16-bit floats", plan.Convert).WithHint("choose --weights fp16 or bf16")
	}
	var stats map[string]*calib.Stats
	if q.opt.Data != nil {
		set.Observer = calib.MinMax
		var err error
		if stats, err = q.calibrate(plan.Floats(q.float, q.facts), samples); err != nil {
			return err
		}
	} else if _, top := set.Weights.Format.Range(format.Params{Scale: 1}); top < math.MaxInt32 {
		q.warnings = append(q.warnings, fmt.Sprintf("without samples (--data) nobody knows which values go beyond %g", top))
	}
	q.plan = plan.Halve(q.float, q.facts, *set, stats)
	if q.plan.Quantized() == 0 {
		return fault.Unsupportedf("model", "no node can be converted: %s", q.plan.Obstacles())
	}
	return nil
}

// fit makes the plan of the settings.
func (q *quantization) fit(set plan.Settings, stats map[string]*calib.Stats) error {
	q.plan = plan.Decide(q.float, q.facts, set, nil)
	if set.Mode == plan.Static {
		q.plan = q.withoutUnseen(stats)
	}
	if err := q.plan.Fit(q.float, stats, set, q.opt.Threads); err != nil {
		return err
	}
	if q.plan.Quantized() == 0 && len(set.Leave) == 0 {
		return fault.Unsupportedf("model", "no node can be quantized: %s", q.plan.Obstacles())
	}
	return nil
}

// choose tries the observers that are worth it and keeps the plan whose network comes nearest to
// the float one on the samples held back.
func (q *quantization) choose(stats map[string]*calib.Stats) error {
	var best known
	var winner *calib.Observer
	least := math.Inf(-1)
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
func (q *quantization) withoutUnseen(stats map[string]*calib.Stats) *plan.Plan {
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
		p = plan.Decide(q.float, q.facts, q.opt.Settings, unseen)
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
	more, err := q.observe(values, feedOf(q.opt.Data, rest), q.histograms(), func(n int) { q.opt.Progress("calibrate", done+n, len(samples)) })
	for name, s := range more {
		if all[name] == nil {
			all[name] = s
		} else {
			all[name].Merge(s)
		}
	}
	return all, err
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

// observe runs samples through the float network and returns what is seen of the named values and of its inputs.
func (q *quantization) observe(values []string, feed calib.Feed, hist bool, done func(int)) (map[string]*calib.Stats, error) {
	level, err := kernel.Best()
	if err != nil {
		return nil, fault.Invalidf("", "%v", err)
	}
	s, err := engine.Compile(q.float, engine.Options{Threads: 1, Watch: values, AnyOrder: true, Reference: q.nested(values)})
	if err != nil {
		return nil, err
	}
	return calib.Collect(q.ctx, s, feed, calib.Options{Hist: hist, Workers: q.opt.Threads, Level: level, Done: done})
}

// needHist says whether some observer that is asked for reads histograms.
func needHist(set plan.Settings) bool {
	return slices.ContainsFunc(set.Observers(), func(o *calib.Observer) bool { return o.Hist })
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
	return calib.Feed{N: len(samples), Sample: func(i int) (map[string]*Tensor, string, error) {
		s, err := d.Sample(samples[i])
		if err != nil {
			return nil, "", err
		}
		return s.Inputs, s.Name, nil
	}}
}

// finish makes the quantized network, compares it with the float one and says where it came from.
func (q *quantization) finish() error {
	q.warnings = append(q.warnings, q.plan.Idle(q.observed)...)
	if q.judge == nil {
		if err := q.rewrite(); err != nil {
			return err
		}
	} else {
		var err error
		if q.gate, err = q.compared(); err != nil {
			return err
		}
		q.note()
		if w := q.gate.warning(); w != "" {
			q.warnings = append(q.warnings, w)
		}
	}
	return q.describe()
}

// rewrite makes the quantized network from the plan.
func (q *quantization) rewrite() error {
	q.out = pass.Clone(q.float)
	return pass.Quantize(q.out, q.plan, q.opt.Style)
}

// describe stores in the metadata where the network came from.
func (q *quantization) describe() error {
	if q.opt.Recipe != "" {
		q.out.SetMeta("lowbit.recipe", q.opt.Recipe)
	}
	if q.in.file != nil {
		sum, err := fileSum(q.in.path)
		if err != nil {
			return err
		}
		q.out.SetMeta("lowbit.source_sha256", sum)
	}
	if d := q.opt.Data; d != nil && d.Info().Preprocess != nil {
		text, err := json.Marshal(d.Info().Preprocess)
		if err != nil {
			return err
		}
		q.out.SetMeta("lowbit.preprocess", string(text))
	}
	return nil
}
