// Package quantize runs a quantization from the float network to the quantized one: it calibrates, plans, repairs,
// judges what helps on samples held back, and rewrites.
package quantize

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"lowbit/internal/calib"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/repair"
	"lowbit/internal/report"
	"lowbit/internal/weight"
)

// Options say how a network is quantized. The zero value of a field means its default.
type Options struct {
	Settings plan.Settings // from plan.Default and changes to it
	Plan     *plan.Plan    // a finished plan: nothing is calibrated
	Style    string        // "qdq" or "qoperator"
	Data     *dataset.Source
	Fix      []string      // names of repairs to make; nil chooses by trial, "none" makes none
	Budget   time.Duration // what repairs chosen by trial may take, estimated
	Recipe   string        // the resolved recipe, kept in the model's metadata
	Threads  int
	picking  bool // its outcome is chosen by: the samples for the last word stay out of it
	// AllowRequantize takes a model that is quantized already.
	AllowRequantize bool
	// Release, if set, is told the bytes of each constant that was copied: they are seldom read again.
	Release func(b []byte)
	// Shelve, if set, moves the bytes of large constants that are computed out of memory, where they are seldom read: see [graph.Backing].
	Shelve func(b []byte) []byte
	// Tell is called with what people may want to know before long work begins.
	Tell func(text string)
	// Journal opens what keeps the steps of the work that is named, so that a later run takes them up; nil keeps none.
	// It is asked for once, when the first such step begins.
	Journal func(work string) (repair.Journal, error)
	// Progress is called with the stage at work and how much of it is done.
	Progress func(stage string, done, total int)
}

// A Result is a quantized network with what is known of it.
type Result struct {
	Graph    *graph.Model
	Plan     *plan.Plan
	Gate     *Gate // nil where there was no data to compare on
	Fixes    []Fix
	Effort   Effort
	Drawn    *Drawn // nil where there was data
	Warnings []string
}

// Run returns a quantized copy of m. It does not change m, whose tensors the copy shares.
func Run(ctx context.Context, m *graph.Model, o Options) (*Result, error) {
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	o.Settings.Codes = o.Style == "qoperator"
	if o.Tell == nil {
		o.Tell = func(string) {}
	}
	if o.Budget == 0 {
		o.Budget = DefaultBudget
	}
	b := &book{given: o}
	drawn, err := fitDrawn(ctx, m, &o, b)
	if err != nil {
		return nil, err
	}
	told := ""
	if o.Settings.Trim > 0 && o.Plan == nil {
		if o.Settings, told, err = trim(ctx, m, o); err != nil {
			return nil, err
		}
	}
	q := &quantization{ctx: ctx, in: m, opt: o, observed: o.Settings.Observer != nil, book: b}
	q.warnings = append(q.warnings, drawn.warnings()...)
	q.opt.Settings.Own()
	if told != "" {
		q.warnings = append(q.warnings, "trim: "+told)
	}
	if err := q.prepare(); err != nil {
		return nil, err
	}
	if err := q.decide(); err != nil {
		return nil, err
	}
	if err := q.finish(); err != nil {
		return nil, err
	}
	return &Result{Graph: q.out, Plan: q.plan, Gate: q.gate, Fixes: q.fixes, Effort: q.effort, Drawn: drawn, Warnings: q.warnings}, nil
}

// quantization is one call of Run.
type quantization struct {
	ctx      context.Context
	in       *graph.Model
	opt      Options
	float    *graph.Model // prepared, not quantized
	origin   *graph.Model // it before the repairs of its constants
	observed bool         // an observer of activations was asked for
	facts    op.Facts
	norms    map[string]pass.Norm // what BatchNormalizations of the float network told before they were folded
	plan     *plan.Plan
	plain    *graph.Model // prepared, before anything changed what it computes
	judge    *judge       // nil where there is no data
	second   secondJudge
	fresh    *judge // by samples that nothing is chosen by
	out      *graph.Model
	gate     *Gate
	last     known // what was compared last
	warnings []string
	aligned  bool
	fitted   []calib.Inputs // samples that repairs work on; held from the first repair on
	fittedOf []int          // their numbers
	seen     seen
	proxy    *calib.Observer // of activations in trials, where it is left open; nil before the first
	sampled  []int           // numbers of the samples calibrated on
	many     []int           // numbers of those for repairs that gain by many
	fixes    []Fix
	wishes   []wish // repairs to make; nil until they are chosen
	effort   Effort
	relieved bool // layers stay in float for the sake of the outputs
	book     *book
}

// prepare makes the float network that the plan is about.
func (q *quantization) prepare() error {
	if n := FirstQuantized(q.in); n != nil && !q.opt.AllowRequantize {
		return fault.Invalidf(n.Label(), "the model is quantized already").
			WithHint("quantize the float model it came from, or `allow-requantize`")
	}
	q.float = pass.Clone(q.in)
	if q.opt.Data == nil && !q.timed() { // else networks are made by trial, and run
		q.float.Backing.Shelve = q.opt.Shelve
	}
	prepare := func(m *graph.Model) (err error) {
		q.norms, err = pass.PrepareNorms(m)
		return err
	}
	steps := []func(*graph.Model) error{prepare}
	if q.opt.AllowRequantize { // folding would take constants of few bits to pieces, inlining may show more of them
		steps = []func(*graph.Model) error{pass.Dequantize, prepare, pass.Dequantize}
	}
	if q.opt.Settings.Mode != plan.Convert && !q.opt.Settings.Float() {
		steps = slices.Insert(steps, 0, q.widen)
	}
	for _, step := range steps {
		if err := step(q.float); err != nil {
			return err
		}
	}
	if err := pass.Upgrade(q.float, q.opset()); err != nil {
		return err
	}
	if err := q.lower(); err != nil {
		return err
	}
	if q.opt.Settings.Mode == plan.Weights {
		pass.Upright(q.float)
	}
	var err error
	q.facts, err = op.Infer(q.float, nil)
	return err
}

// widen takes a network in 16-bit floats as one in float32, of which formats and repairs are made.
func (q *quantization) widen(m *graph.Model) error {
	wide, err := pass.Widen(m)
	if wide {
		q.warnings = append(q.warnings, "the model computes in 16-bit floats: what is not quantized is stored and computed in float32")
	}
	return err
}

// lower takes the opset back to one that the target can run quantized, where there is a target.
func (q *quantization) lower() error {
	if t := q.opt.Settings.Target; t != nil && q.opt.Settings.Mode != plan.Convert {
		return pass.Lower(q.float, t)
	}
	return nil
}

// alignMost is how many bytes of constants are copied to where they can be read in place.
const alignMost = 256 << 20

// align copies the constants that lie at odd places of a file, as far as that takes little memory:
// from now on they are read many times, and each time would copy them.
func (q *quantization) align() {
	if q.aligned {
		return
	}
	q.aligned = true
	left := alignMost
	for g := range q.float.Graph.Graphs() {
		for _, c := range g.Consts() {
			if c.Tensor != nil && c.Tensor.Bytes() <= left {
				was := c.Tensor
				if c.Tensor = was.Align(); c.Tensor != was {
					left -= was.Bytes()
					if q.opt.Release != nil {
						q.opt.Release(was.Raw)
					}
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

// FirstQuantized returns a node of m that computes on quantized values, or nil.
func FirstQuantized(m *graph.Model) *graph.Node {
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
		return fault.Invalidf("outliers", "are found on samples").WithHint("give `data`")
	}
	if d := q.opt.Data; d != nil {
		share, err := holdBack(q.ctx, d)
		if err != nil {
			return err
		}
		calibrate, q.plain = share.calibrate, q.float
		fresh := share.fresh
		if q.opt.picking {
			fresh = nil
		}
		js, err := q.newJudges(q.float, share.judge, fresh)
		if err != nil {
			return err
		}
		q.judge, q.fresh = js[0], js[1]
		q.fittedOf = forRepairs(calibrate, share.judge, fitMost)
		if err = q.splitOutliers(); err != nil {
			return err
		}
		q.second = second(share)
		q.many = forRepairs(calibrate, share.judge, manyMost)
		calibrate = slices.Sorted(slices.Values(calibrate)) // neighbours on the disk are read one after the other
	}
	if q.opt.Plan != nil || q.opt.Settings.Mode != plan.Static {
		q.align()
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
		return fault.Invalidf("plan", "was made with the repairs %s, which need the samples", strings.Join(names, ", ")).WithHint("give the same `data`")
	}
	q.plan = q.opt.Plan.Clone()
	if err := q.before(); err != nil {
		return err
	}
	if err := q.plan.Check(q.float); err != nil {
		return err
	}
	if len(q.plan.Fixes) > 0 {
		if err := q.plan.Rewind(q.float); err != nil {
			return err
		}
	}
	return q.after()
}

// fit makes the plan of the settings.
func (q *quantization) fit(set plan.Settings, stats map[string]*calib.Stats) error {
	q.plan = plan.Decide(q.float, q.facts, set, nil)
	if set.Mode == plan.Static {
		q.plan = q.withoutUnseen(set, stats)
	}
	if err := q.plan.FitTold(q.float, stats, set, q.opt.Threads, func(done, total int) { q.opt.Progress("weights", done, total) }); err != nil {
		return err
	}
	if q.plan.Quantized() == 0 && len(set.Leave) == 0 {
		err := fault.Unsupportedf("model", "no node can be quantized: %s", q.plan.Obstacles())
		if alone := set; set.Mode == plan.Static {
			if alone.Mode = plan.Weights; plan.Decide(q.float, q.facts, alone, nil).Quantized() > 0 {
				return err.WithHint("`mode weights` stores the weights in few bits, and computes in float")
			}
		}
		return err
	}
	return nil
}

// finish makes the quantized network, compares it with the float one and says where it came from.
func (q *quantization) finish() error {
	q.warnings = append(q.warnings, q.plan.Idle(q.observed)...)
	q.tellStays()
	q.tellSluggish()
	if q.judge == nil {
		if err := q.rewrite(); err != nil {
			return err
		}
		return q.describe()
	}
	judged, err := q.compared()
	if err != nil {
		return err
	}
	q.note()
	q.fitted, q.judge, q.second.judge = nil, nil, nil
	if q.gate, err = q.lastWord(judged); err != nil {
		return err
	}
	q.warnings = append(q.warnings, q.gate.warnings()...)
	return q.describe()
}

// staysMost is the share of a network's constants that may stay in float for the mode alone without a word.
const staysMost = 0.25

// tellStays says that much of the network is left in float by mode static alone.
func (q *quantization) tellStays() {
	all := 0
	for g := range q.float.Graph.Graphs() {
		for _, c := range g.Consts() {
			if c.Tensor != nil {
				all += c.Tensor.Bytes()
			}
		}
	}
	if ops, bytes := q.plan.Stays(); float64(bytes) > staysMost*float64(all) {
		q.warnings = append(q.warnings, fmt.Sprintf("%.0f %% of the network are weights of %s that stay in float, for which there is no static form: `mode dynamic` or `mode weights` quantizes them too",
			100*float64(bytes)/float64(all), strings.Join(ops, ", ")))
	}
}

// tellSluggish says that the target is slow at what mode dynamic makes.
func (q *quantization) tellSluggish() {
	n, slow := 0, q.opt.Settings.Target.Sluggish
	for _, row := range q.plan.Nodes {
		if q.plan.Mode == plan.Dynamic && row.Quantized && slices.Contains(slow, row.Op) {
			n++
		}
	}
	if n > 0 {
		q.warnings = append(q.warnings, fmt.Sprintf("ONNX Runtime takes several times as long for the %d nodes of %s that quantize their input in each run as for those in float; lowbit does not. `mode static` is fast in both, `keep` op:%s leaves them in float",
			n, strings.Join(slow, ", "), slow[0]))
	}
}

// lastWord compares the network on the samples that nothing was chosen by, where there are any; else
// what was found on those that judged has to do.
func (q *quantization) lastWord(judged *Gate) (*Gate, error) {
	if len(q.fresh.numbers) == 0 {
		if n := judged.Samples; !q.opt.picking && !q.drawn() {
			q.warnings = append(q.warnings, fmt.Sprintf("with %s the same ones calibrate, choose and judge, so others may come out worse than %v: give %d or more", report.Count(n, "sample"), judged, 4*heldLeast))
		}
		return judged, nil
	}
	g, err := q.fresh.compare(q.out)
	if err == nil {
		g.Fresh = true
		if n := g.Samples; n < fewSamplesTell {
			q.warnings = append(q.warnings, fmt.Sprintf("%d samples are few to tell what the network is worth: rare ones may come out far worse. Of %d samples or more, a tenth tells", n, 10*fewSamplesTell))
		}
		if q.relieved && g.SQNR < wantSQNR {
			q.warnings = append(q.warnings, fmt.Sprintf("on %d samples that nothing was chosen by the outputs reach %v only: more samples than %d would tell better which layers to leave in float", g.Samples, g, q.opt.Data.Len()))
		}
	}
	return g, err
}

// rewrite makes the quantized network from the plan.
func (q *quantization) rewrite() error {
	q.out = pass.Clone(q.float)
	return pass.Quantize(q.out, q.plan, q.opt.Style)
}

// describe stores in the metadata how the network was made.
func (q *quantization) describe() error {
	if q.opt.Recipe != "" {
		q.out.SetMeta("lowbit.recipe", q.opt.Recipe)
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
