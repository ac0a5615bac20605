package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"lowbit"
	"lowbit/internal/calib"
	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/quantize"
	"lowbit/internal/recipe"
	"lowbit/internal/repair"
)

type quantizeFlags struct {
	out, scheme, mode, target, style        string
	observer, weightObserver, weights, acts string
	scales                                  string
	keep, fix                               []string
	recipe, saveRecipe, plan, savePlan      string
	outliers                                float64
	trim                                    share
	budget                                  string
	dry, again, resume                      bool
	data                                    dataFlags
}

func quantizeCmd(a *app) *cobra.Command {
	q := &quantizeFlags{}
	cmd := &cobra.Command{
		Use: "quantize MODEL -o OUT", Short: "Quantize a model", Args: positional("MODEL"),
		Long: "quantize writes a quantized copy of a model, and beside it OUT" + reportSuffix + " with the figures that --json prints.\n" +
			"Static quantization, the default, calibrates on samples (--data); --mode dynamic and --mode weights need none.",
		Example: "  lowbit quantize model.onnx -o model.int8.onnx --data calib/ --preprocess imagenet\n  lowbit quantize model.onnx -o model.w8.onnx --mode weights",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.quantize(cmd, args[0], q) },
	}
	f := cmd.Flags()
	f.StringVarP(&q.out, "output", "o", "", "file to write")
	f.StringVar(&q.scheme, "scheme", "", plan.SchemeNames()+" (default W8A8)")
	f.StringVar(&q.mode, "mode", "", "static, dynamic, weights or convert (default: the scheme's)")
	f.StringVar(&q.observer, "observer", "", recipe.Auto+", "+calib.Names()+" (default "+recipe.Auto+": the best of several on samples held back)")
	f.StringVar(&q.weightObserver, "weight-observer", "", calib.Names()+" (default: the rule of the format)")
	f.StringVar(&q.scales, "scales", "", recipe.Exact+" (every runtime gets the same codes, simulated in floats or computed in integers) or "+recipe.Fitted+" (default: "+recipe.Exact+", or "+recipe.Fitted+" where --observer names one)")
	f.StringVar(&q.weights, "weights", "", "format of weights and its block, such as int8:channel; see lowbit formats")
	f.StringVar(&q.acts, "acts", "", "format of activations, such as uint8; uint8:row in mode dynamic")
	f.StringVar(&q.target, "target", "", "runtime to make the file for; see lowbit targets")
	f.StringVar(&q.style, "style", "", "qdq, qoperator or contrib (default qdq)")
	f.StringArrayVar(&q.keep, "keep", nil, "leave nodes whose name is like this `pattern` in float (glob, re:EXPR or op:NAME); may be repeated")
	f.StringSliceVar(&q.fix, "fix", nil, "repairs to make: "+repair.Names()+"; "+repair.None+", or "+recipe.Auto+", which tries some on samples held back (default "+recipe.Auto+")")
	f.StringVar(&q.budget, "budget", "", "time that repairs tried unasked may take, estimated from operations so that the file does not depend on the clock, such as 90s or 1h (default "+quantize.DefaultBudget.String()+")")
	f.Float64Var(&q.outliers, "outliers", 0, "multiply columns of activations that exceed this over the samples in float, such as 6.0 (LLM.int8()); 0: none")
	f.Var(&q.trim, "trim", "take the fewest bits of dynamic fixed point (ristretto4, ristretto8) with which weights of convolutions, of matrices, and activations each change no more than this share of the answers, such as 2%; 0: none")
	f.StringVar(&q.recipe, "recipe", "", "recipe to start from; flags change it")
	f.StringVar(&q.saveRecipe, "save-recipe", "", "write the recipe, with all that flags changed and defaults filled in, to this file")
	f.StringVar(&q.plan, "plan", "", "take the plan in this file instead of making one; on the samples that it was made with, and with no other flags, the model is the same")
	f.StringVar(&q.savePlan, "save-plan", "", "write the plan to this file")
	f.BoolVar(&q.dry, "dry-run", false, "make the plan and print it; write no model")
	f.BoolVar(&q.resume, "resume", true, "take up a run that was interrupted where it was: what is done is kept in OUT"+journalSuffix+" until the model is written; =false starts over")
	f.BoolVar(&q.again, "allow-requantize", false, "take a model that is quantized already")
	q.data.add(cmd, *recipe.Default().Calibration.Samples)
	return cmd
}

// resolve lays the flags over the recipe and the defaults.
func (q *quantizeFlags) resolve(cmd *cobra.Command, seed uint64, p *plan.Plan) (*recipe.Recipe, error) {
	r, err := q.base(p)
	if err != nil {
		return nil, err
	}
	lay := func(p *string, v string) {
		if v != "" {
			*p = v
		}
	}
	if s := plan.LookupScheme(q.scheme); s != nil && s != plan.LookupScheme(r.Filled().Scheme) { // of which mode, formats and blocks follow
		r.Mode = ""
		for _, c := range []*recipe.Scheme{&r.Weights, &r.Activations} {
			c.Format, c.Block = "", ""
		}
	}
	lay(&r.Scheme, q.scheme)
	lay(&r.Mode, q.mode)
	lay(&r.Target, q.target)
	lay(&r.Style, q.style)
	lay(&r.Calibration.Observer, q.observer)
	lay(&r.Calibration.Scales, q.scales)
	lay(&r.Data.Calib.Path, q.data.path)
	lay(&r.Data.Calib.Preprocess, q.data.preprocess)
	lay(&r.Data.Calib.Labels, q.data.labels)
	lay(&r.Data.Calib.Split, q.data.split)
	lay(&r.Budget, q.budget)
	layScheme(&r.Weights, q.weights)
	lay(&r.Weights.Observer, q.weightObserver)
	layScheme(&r.Activations, q.acts)
	if cmd.Flags().Changed("samples") {
		r.Calibration.Samples = &q.data.samples
	}
	if cmd.Flags().Changed("seed") {
		r.Calibration.Seed = seed
	}
	for _, pattern := range q.keep {
		r.Keep = withNew(r.Keep, recipe.Keep{Pattern: pattern})
	}
	if len(q.fix) > 0 { // what is asked for here, and not what the recipe asks for besides
		r.Fix = nil
	}
	for _, name := range q.fix {
		r.Fix = withNew(r.Fix, name)
	}
	if cmd.Flags().Changed("outliers") {
		r.Outliers = q.outliers
	}
	if cmd.Flags().Changed("trim") {
		r.Trim = recipe.Share(q.trim)
	}
	return r.Filled(), nil
}

// base is the recipe that flags change: the one that is named, or the one that a plan was made from.
func (q *quantizeFlags) base(p *plan.Plan) (*recipe.Recipe, error) {
	switch {
	case q.recipe != "":
		return recipe.Read(q.recipe)
	case p != nil && p.Recipe != nil:
		r, err := recipe.Parse(p.Recipe)
		return r, fault.At(q.plan+": recipe", err)
	}
	return &recipe.Recipe{Schema: recipe.Schema}, nil
}

// withNew adds v to a list that lacks it.
func withNew[T comparable](list []T, v T) []T {
	if slices.Contains(list, v) {
		return list
	}
	return append(list, v)
}

// layScheme lays FORMAT[:BLOCK] over a scheme.
func layScheme(s *recipe.Scheme, text string) {
	name, block, _ := strings.Cut(text, ":")
	if name != "" {
		s.Format = name
	}
	if block != "" {
		s.Block = block
	}
}

// A quantizing is one run of quantize: flags, files and the model.
type quantizing struct {
	*app
	flags  *quantizeFlags
	recipe *recipe.Recipe
	set    plan.Settings // that the recipe stands for
	model  *lowbit.Model
	opt    lowbit.QuantizeOptions
	gate   *lowbit.Gate
	diary  *diary // nil until something is kept
}

func (a *app) quantize(cmd *cobra.Command, path string, flags *quantizeFlags) error {
	q := &quantizing{app: a, flags: flags}
	var err error
	if flags.plan != "" {
		if q.opt.Plan, err = readPlan(flags.plan); err != nil {
			return err
		}
	}
	if q.recipe, err = flags.resolve(cmd, a.seed, q.opt.Plan); err != nil {
		return err
	}
	if q.set, err = q.recipe.Settings(); err != nil {
		return fault.At(flags.recipe, err)
	}
	if q.recipe, err = q.recipe.Resolved(); err != nil {
		return err
	}
	if err := q.checkOutputs(path); err != nil {
		return err
	}
	if q.model, err = a.openToRun(path); err != nil {
		return err
	}
	defer q.model.Close()
	if err := q.checkOutputs(q.model.Files()...); err != nil { // now its external data are known
		return err
	}
	if err := q.options(); err != nil {
		return err
	}
	if q.opt.Data != nil {
		defer q.opt.Data.Close()
	}
	if err := q.admit(); err != nil {
		return err
	}
	slack := repairSlack
	if q.plainly() {
		slack = calibrateSlack
	}
	thrift(slack)
	r, err := lowbit.Quantize(cmd.Context(), q.model, q.opt)
	if err == nil {
		err = q.finish(r)
	}
	if err != nil {
		q.closeJournal()
	}
	return err
}

// options gathers what Quantize is told.
func (q *quantizing) options() error {
	q.warnUnmatched()
	q.opt.Recipe, q.opt.Threads = q.recipe, q.threads
	q.opt.Tell = func(text string) { q.say("%s", text) }
	if !q.flags.dry {
		q.opt.Journal, q.opt.Scratch = q.openJournal, filepath.Dir(q.flags.out)
	}
	q.opt.AllowRequantize, q.opt.Progress = q.flags.again, q.newProgress().update
	c := q.recipe.Calibration
	if d := q.recipe.Data.Calib; d.Path != "" {
		data := dataFlags{path: d.Path, labels: d.Labels, preprocess: d.Preprocess, split: d.Split, samples: *c.Samples, seed: c.Seed}
		var err error
		if q.opt.Data, err = q.openData(&data, q.model); err != nil {
			return err
		}
	}
	return nil
}

// warnUnmatched tells of patterns that keep nothing.
func (q *quantizing) warnUnmatched() {
	for _, k := range q.set.Keep {
		matched := false
		for n := range everyNode(q.model.Graph()) {
			matched = matched || k.Match(n)
		}
		if !matched {
			q.warn("keep: no node is called %q", k)
		}
	}
}

// What static quantization keeps besides the model.
const (
	statsBytes  = 80 << 10 // of one value on one thread: histograms and exact sums
	keptSamples = 80       // with their answers: some to judge by, some that repairs are fitted to
	keptBytes   = 96 << 20 // of such samples at most
)

// admit refuses work that --max-memory has no room for.
func (q *quantizing) admit() error {
	l := load{workers: 1, copies: 2}
	d := q.opt.Data
	if d == nil && runtime.GOOS == "linux" && !(q.set.Target != nil && q.set.Target.Timed) { // nothing is run, and large constants wait in a file
		return q.need(q.model.Path(), times(3, largestConstant(q.model)))
	}
	if d == nil {
		return q.app.admit(q.model, l)
	}
	var err error
	if l.inputs, err = sampleTypes(d); err != nil {
		return err
	}
	if q.set.Mode == plan.Static {
		l.workers, l.copies = q.threads, 4 // float and quantized, each as it is and packed
		if q.plainly() {
			l.copies = 3 // the float one as it is stays in the file
		}
		var sample int64
		for _, t := range l.inputs {
			sample = sum(sample, valueBytes(t))
		}
		l.watched = sum(times(statsBytes, int64(q.threads+1)*int64(floatValues(q.model))),
			min(keptBytes, times(2*sample, int64(min(keptSamples, d.Len())))))
	}
	return q.app.admit(q.model, l)
}

// largestConstant is what the largest constant of a model takes in float32.
func largestConstant(m *lowbit.Model) (most int64) {
	for g := range m.Graph().Graph.Graphs() {
		for _, c := range g.Consts() {
			if c.Tensor != nil {
				most = max(most, times(4, int64(c.Tensor.Len())))
			}
		}
	}
	return most
}

// plainly says whether nothing is repaired.
func (q *quantizing) plainly() bool { return slices.Equal(q.recipe.Fix, []string{repair.None}) }

// floatValues is the number of values that calibration may have to observe.
func floatValues(m *lowbit.Model) int {
	n := 0
	for _, node := range m.Graph().Graph.AllNodes() {
		if o := op.Lookup(node.Domain, node.Op); o != nil && len(o.Quant.In) > 0 {
			n += len(node.Out)
		}
	}
	return n
}

// maxPlan bounds the plan files that are read.
const maxPlan = 256 << 20

func readPlan(path string) (*plan.Plan, error) {
	b, err := readLimited(path, maxPlan)
	if err != nil {
		return nil, err
	}
	p := &plan.Plan{}
	if err := p.UnmarshalJSON(b); err != nil {
		return nil, fault.At(path, fault.AsInvalid(err))
	}
	return p, nil
}

// readLimited reads a file of at most that many bytes.
func readLimited(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.IOf(path, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fault.IOf(path, err)
	}
	if int64(len(b)) > most {
		return nil, fault.Limitf(path, "has more than %d bytes", most)
	}
	return b, nil
}

// wideActs says whether activations have codes of more than eight bits.
func wideActs(p *plan.Plan) bool {
	return slices.ContainsFunc(p.Values, func(v *plan.Value) bool {
		f := format.Lookup(v.Format)
		return v.Role == plan.RoleActivation && f != nil && f.Bits > 8
	})
}

// finish writes what Quantize made, and tells of it.
func (q *quantizing) finish(r *lowbit.Result) error {
	q.gate = r.Gate
	if n := len(pass.Narrowed(r.Model.Graph())); n > 0 && wideActs(r.Plan) {
		r.Warnings = append(r.Warnings, fmt.Sprintf("ONNX Runtime multiplies activations of eight bits in %d nodes of this file; "+narrowHint, n))
	}
	for i, w := range r.Warnings {
		r.Warnings[i] = flagged(w)
		q.warn("%s", r.Warnings[i])
	}
	if err := q.writeExtras(r); err != nil {
		return err
	}
	if q.flags.dry {
		b, err := r.Plan.Encode()
		if err == nil {
			err = q.printf("%s", b)
		}
		q.next("quantize", q.model.Path(), "-o", "out.onnx", "…")
		return err
	}
	for _, f := range r.Fixes {
		q.say("repair %s", f)
	}
	if e := r.Effort; e.Planned > 0 {
		q.say("repairs took %.1f s of a budget of %v", e.Took.Seconds(), e.Budget)
	}
	rep, err := q.save(r)
	if err != nil {
		return err
	}
	if err := q.removeJournal(); err != nil { // all is done, whether it can be told or not
		return err
	}
	if q.json {
		err = q.printJSON(rep)
	} else {
		err = q.print(rep)
	}
	if path := q.recipe.Data.Calib.Path; path != "" {
		q.next("compare", q.model.Path(), q.flags.out, "--data", path)
	} else {
		q.next("bench", q.flags.out)
	}
	return err
}

// print tells of the result in one line, and with -v of every layer before.
func (q *quantizing) print(rep *quantizeJSON) error {
	t := q.table("node", "operator", "weights", "activations", "SQNR dB", "reason")
	for _, l := range rep.Layers {
		t.row(l.Name, l.Op, l.Weights, l.Acts, l.ratio(), l.Reason)
	}
	if q.verbose {
		if err := t.print(); err != nil {
			return err
		}
	}
	line := fmt.Sprintf("%s: %d of %d nodes quantized, %d bytes of %d (%.1f %%)", q.flags.out, rep.Quantized, len(rep.Layers), rep.BytesAfter, rep.BytesBefore, 100*float64(rep.BytesAfter)/float64(rep.BytesBefore))
	if g := q.gate; g != nil {
		line += fmt.Sprintf(", %v", g)
		if g.Fresh {
			kind := "samples"
			if rep.Drawn != nil { // which tell little of real ones
				kind = "drawn samples"
			}
			line += fmt.Sprintf(" on %d %s that nothing was chosen by", g.Samples, kind)
		}
	}
	return q.printf("%s, %.1f s\n", line, *rep.Seconds)
}
