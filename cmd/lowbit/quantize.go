package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"lowbit"
	"lowbit/internal/atomicfile"
	"lowbit/internal/calib"
	"lowbit/internal/fault"
	"lowbit/internal/plan"
	"lowbit/internal/recipe"
)

type quantizeFlags struct {
	out, scheme, mode, observer, weights, acts, target, style string
	keep, fix                                                 []string
	recipe, plan, savePlan                                    string
	dry, again                                                bool
	data                                                      dataFlags
}

func quantizeCmd(a *app) *cobra.Command {
	q := &quantizeFlags{}
	cmd := &cobra.Command{
		Use:   "quantize MODEL -o OUT",
		Short: "Quantize a model",
		Example: `  lowbit quantize model.onnx -o model.int8.onnx --data calib/ --preprocess imagenet
  lowbit quantize model.onnx -o model.w8.onnx --mode weights`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.quantize(cmd, args[0], q) },
	}
	f := cmd.Flags()
	f.StringVarP(&q.out, "output", "o", "", "file to write")
	f.StringVar(&q.scheme, "scheme", "", "W8A8, W8A16 or float (default W8A8)")
	f.StringVar(&q.mode, "mode", "", "static, dynamic or weights (default static)")
	f.StringVar(&q.observer, "observer", "", recipe.Auto+", "+calib.Names()+" (default "+recipe.Auto+": the best of several on samples held back)")
	f.StringVar(&q.weights, "weights", "", "format of weights and its block, such as int8:channel")
	f.StringVar(&q.acts, "acts", "", "format of activations, such as uint8")
	f.StringVar(&q.target, "target", "", "runtime to make the file for; see lowbit targets")
	f.StringVar(&q.style, "style", "", "qdq or qoperator (default qdq)")
	f.StringArrayVar(&q.keep, "keep", nil, "leave nodes of that name in float (glob, re:EXPR or op:NAME); may be repeated")
	f.StringSliceVar(&q.fix, "fix", nil, "repairs to make")
	f.StringVar(&q.recipe, "recipe", "", "recipe to start from; flags change it")
	f.StringVar(&q.plan, "plan", "", "take the plan in this file instead of making one")
	f.StringVar(&q.savePlan, "save-plan", "", "write the plan to this file")
	f.BoolVar(&q.dry, "dry-run", false, "make the plan and print it; write nothing")
	f.BoolVar(&q.again, "allow-requantize", false, "take a model that is quantized already")
	q.data.add(cmd, 300)
	return cmd
}

// resolve lays the flags over the recipe and the defaults.
func (q *quantizeFlags) resolve(cmd *cobra.Command, seed uint64) (*recipe.Recipe, error) {
	r := &recipe.Recipe{Schema: recipe.Schema}
	if q.recipe != "" {
		var err error
		if r, err = recipe.Read(q.recipe); err != nil {
			return nil, err
		}
	}
	lay := func(p *string, v string) {
		if v != "" {
			*p = v
		}
	}
	lay(&r.Scheme, q.scheme)
	lay(&r.Mode, q.mode)
	lay(&r.Target, q.target)
	lay(&r.Style, q.style)
	lay(&r.Calibration.Observer, q.observer)
	lay(&r.Data.Calib.Path, q.data.path)
	lay(&r.Data.Calib.Preprocess, q.data.preprocess)
	lay(&r.Data.Calib.Labels, q.data.labels)
	lay(&r.Data.Calib.Split, q.data.split)
	layScheme(&r.Weights, q.weights)
	layScheme(&r.Activations, q.acts)
	if r.Calibration.Samples == 0 || cmd.Flags().Changed("samples") {
		r.Calibration.Samples = q.data.samples
	}
	if cmd.Flags().Changed("seed") {
		r.Calibration.Seed = seed
	}
	for _, k := range q.keep {
		r.Keep = append(r.Keep, recipe.Keep{Pattern: k})
	}
	r.Fix = append(r.Fix, q.fix...)
	return r.Filled(), nil
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

func (a *app) quantize(cmd *cobra.Command, path string, q *quantizeFlags) error {
	if q.out == "" && !q.dry {
		return fault.Invalidf("-o", "is missing")
	}
	if !q.dry {
		if err := atomicfile.Check(q.out, atomicfile.Options{Force: a.force, Sources: []string{path}}); err != nil {
			return err
		}
	}
	rec, err := q.resolve(cmd, a.seed)
	if err != nil {
		return err
	}
	set, err := rec.Settings()
	if err != nil {
		return err
	}
	m, err := lowbit.Open(path)
	if err != nil {
		return err
	}
	defer m.Close()
	text, err := rec.Encode()
	if err != nil {
		return err
	}
	o := lowbit.QuantizeOptions{Settings: set, Style: rec.Style, Threads: a.threads, AllowRequantize: q.again, Recipe: string(text)}
	if q.plan != "" {
		if o.Plan, err = readPlan(q.plan); err != nil {
			return err
		}
	}
	if d := rec.Data.Calib; d.Path != "" {
		flags := dataFlags{d.Path, d.Labels, d.Preprocess, d.Split, rec.Calibration.Samples}
		if o.Data, err = a.openData(&flags, m); err != nil {
			return err
		}
		defer o.Data.Close()
	}
	o.Progress = a.newProgress().update
	r, err := lowbit.Quantize(cmd.Context(), m, o)
	if err != nil {
		return err
	}
	return a.quantized(m, r, q)
}

func readPlan(path string) (*plan.Plan, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fault.IOf(path, err)
	}
	p := &plan.Plan{}
	if err := p.UnmarshalJSON(b); err != nil {
		return nil, fault.At(path, err)
	}
	return p, nil
}

// quantized writes what Quantize made, and tells of it.
func (a *app) quantized(m *lowbit.Model, r *lowbit.Result, q *quantizeFlags) error {
	for _, w := range r.Warnings {
		a.warn("%s", w)
	}
	if q.savePlan != "" {
		if err := a.writePlan(r.Plan, q.savePlan); err != nil {
			return err
		}
	}
	if q.dry {
		b, err := r.Plan.Encode()
		if err == nil {
			_, err = a.out.Write(b)
		}
		return err
	}
	if err := r.Model.Save(q.out, lowbit.SaveOptions{Force: a.force, Sources: []string{m.Path()}}); err != nil {
		return err
	}
	rep, err := quantizeReport(m, r, q.out)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(rep)
	}
	fmt.Fprintf(a.out, "%s: %d of %d nodes quantized, %d bytes of %d (%.1f %%)", q.out, r.Plan.Quantized(), len(r.Plan.Nodes), rep.BytesAfter, rep.BytesBefore, 100*float64(rep.BytesAfter)/float64(rep.BytesBefore))
	if r.Gate != nil {
		fmt.Fprintf(a.out, ", %.1f dB", r.Gate.SQNR)
	}
	fmt.Fprintf(a.out, ", %.1f s\n", r.Elapsed.Seconds())
	if q.data.path != "" {
		a.say("next: lowbit compare %s %s --data %s", m.Path(), q.out, q.data.path)
	} else {
		a.say("next: lowbit bench %s", q.out)
	}
	return nil
}
