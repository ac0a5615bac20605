package lowbit

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"slices"
	"time"

	"lowbit/internal/calib"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/engine"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/report"
)

// QuantizeOptions say how a model is quantized. The zero value of a field means its default.
type QuantizeOptions struct {
	Settings plan.Settings // from plan.Default and changes to it
	Plan     *plan.Plan    // a finished plan: nothing is calibrated
	Style    string        // "qdq" or "qoperator"
	Data     *dataset.Source
	Recipe   string // the resolved recipe, kept in the model's metadata
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
	Warnings []string
	Elapsed  time.Duration
}

// A Gate is the comparison of the quantized network with the float one on calibration samples.
type Gate struct {
	Samples int
	SQNR    float64 // of the outputs together, in dB
	Cosine  float64
	Agree   float64 // share of samples with the same largest element of the first output
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
	q := &quantization{ctx: ctx, in: m, opt: o}
	if err := q.prepare(); err != nil {
		return nil, fault.At(m.path, err)
	}
	if err := q.decide(); err != nil {
		return nil, fault.At(m.path, err)
	}
	if err := q.rewrite(); err != nil {
		return nil, fault.At(m.path, err)
	}
	r := &Result{Model: FromGraph(q.out, m.path), Plan: q.plan, Warnings: q.warnings}
	if o.Data != nil {
		var err error
		if r.Gate, err = q.gate(); err != nil {
			return nil, fault.At(m.path, err)
		}
		if w := r.Gate.warning(); w != "" {
			r.Warnings = append(r.Warnings, w)
		}
	}
	r.Elapsed = time.Since(start)
	return r, nil
}

// quantization is one run of Quantize.
type quantization struct {
	ctx      context.Context
	in       *Model
	opt      QuantizeOptions
	float    *graph.Model // prepared, not quantized
	facts    op.Facts
	plan     *plan.Plan
	out      *graph.Model
	warnings []string
}

// prepare makes the float network that the plan is about.
func (q *quantization) prepare() error {
	if n := firstQuantized(q.in.graph); n != nil && !q.opt.AllowRequantize {
		return fault.Invalidf(n.Label(), "the model is quantized already").
			WithHint("quantize the float model it came from, or pass --allow-requantize")
	}
	q.float = pass.Clone(q.in.graph)
	if err := pass.Prepare(q.float); err != nil {
		return err
	}
	if err := pass.Upgrade(q.float, q.opset()); err != nil {
		return err
	}
	var err error
	q.facts, err = op.Infer(q.float, nil)
	return err
}

// opset is the lowest opset that can write what the settings may ask for.
func (q *quantization) opset() int {
	need := 13 // scales along an axis
	s := q.opt.Settings
	schemes := []plan.Scheme{s.Weights, s.Acts}
	for _, o := range s.Overrides {
		if o.Weights != nil {
			schemes = append(schemes, *o.Weights)
		}
		if o.Acts != nil {
			schemes = append(schemes, *o.Acts)
		}
	}
	for _, c := range schemes {
		need = max(need, c.Opset())
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
	return nil
}

// decide finds the plan: a given one, or one made from the settings and the data.
func (q *quantization) decide() error {
	if q.opt.Plan != nil {
		q.plan = q.opt.Plan
		return q.plan.Check(q.float)
	}
	set := q.opt.Settings
	q.plan = plan.Decide(q.float, q.facts, set, nil)
	var stats map[string]*calib.Stats
	if set.Mode == plan.Static {
		if q.opt.Data == nil {
			return fault.Invalidf("calibration", "static quantization needs samples").
				WithHint("give --data, or choose --mode dynamic or --mode weights")
		}
		var err error
		if stats, err = q.calibrate(q.plan.Observed()); err != nil {
			return err
		}
		q.plan = q.withoutUnseen(stats)
	}
	if err := q.plan.Fit(q.float, stats, set); err != nil {
		return err
	}
	if q.plan.Quantized() == 0 {
		return fault.Unsupportedf("model", "no node can be quantized: %s", q.plan.Obstacles())
	}
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

// calibrate runs the data through the float network and observes the named values.
func (q *quantization) calibrate(values []string) (map[string]*calib.Stats, error) {
	level, err := kernel.Best()
	if err != nil {
		return nil, fault.Invalidf("", "%v", err)
	}
	s, err := engine.Compile(q.float, engine.Options{Threads: 1, Watch: values, Reference: q.nested(values)})
	if err != nil {
		return nil, err
	}
	n := q.opt.Data.Len()
	return calib.Collect(q.ctx, s, feedOf(q.opt.Data), calib.Options{
		Hist: q.opt.Settings.Observer.Hist, Workers: q.opt.Threads, Level: level,
		Done: func(done int) { q.opt.Progress("calibrate", done, n) },
	})
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

// feedOf lets calibration read a dataset.
func feedOf(d *dataset.Source) calib.Feed {
	return calib.Feed{N: d.Len(), Sample: func(i int) (map[string]*Tensor, string, error) {
		s, err := d.Sample(i)
		if err != nil {
			return nil, "", err
		}
		return s.Inputs, s.Name, nil
	}}
}

// rewrite makes the quantized network from the plan.
func (q *quantization) rewrite() error {
	q.out = pass.Clone(q.float)
	if err := pass.Quantize(q.out, q.plan, q.opt.Style); err != nil {
		return err
	}
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

// gateSamples is how many samples the quantized network is compared on before it is written.
const gateSamples = 16

// gate runs samples through both networks.
func (q *quantization) gate() (*Gate, error) {
	float, err := engine.Compile(q.float, engine.Options{Threads: q.opt.Threads})
	if err != nil {
		return nil, err
	}
	quant, err := engine.Compile(q.out, engine.Options{Threads: q.opt.Threads})
	if err != nil {
		return nil, err
	}
	n := min(gateSamples, q.opt.Data.Len())
	var d report.Diff
	agree := 0
	for i := range n {
		s, err := q.opt.Data.Sample(i * q.opt.Data.Len() / n)
		if err != nil {
			return nil, err
		}
		a, err := float.Run(q.ctx, s.Inputs)
		if err != nil {
			return nil, err
		}
		b, err := quant.Run(q.ctx, s.Inputs)
		if err != nil {
			return nil, err
		}
		agree += report.Outputs(&d, q.float.Graph.Out, a, b)
		q.opt.Progress("compare", i+1, n)
	}
	return &Gate{Samples: n, SQNR: d.SQNR(), Cosine: d.Cosine(), Agree: float64(agree) / float64(n)}, nil
}

// poorSQNR is the ratio in dB below which a quantized network is called doubtful: noise with a
// tenth of the signal's power.
const poorSQNR = 10

// warning says what is wrong with the quantized network, "" where nothing is.
func (g *Gate) warning() string {
	if g.SQNR < poorSQNR {
		return fmt.Sprintf("the quantized network differs much from the float one: %.1f dB, the same top class on %.0f %% of %d samples", g.SQNR, 100*g.Agree, g.Samples)
	}
	return ""
}
