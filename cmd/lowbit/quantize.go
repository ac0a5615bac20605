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
	"lowbit/internal/format"
	"lowbit/internal/plan"
)

type quantizeFlags struct {
	out, scheme, mode, observer, weights, acts, target, style string
	keep                                                      []string
	plan, savePlan                                            string
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
	f.StringVar(&q.scheme, "scheme", "W8A8", "W8A8, W8A16, float")
	f.StringVar(&q.mode, "mode", "static", "static, dynamic or weights")
	f.StringVar(&q.observer, "observer", "average", calib.Names())
	f.StringVar(&q.weights, "weights", "", "format of weights and its block, such as int8:channel")
	f.StringVar(&q.acts, "acts", "", "format of activations, such as uint8")
	f.StringVar(&q.target, "target", "ort-cpu", "runtime to make the file for; see lowbit targets")
	f.StringVar(&q.style, "style", "qdq", "qdq or qoperator")
	f.StringArrayVar(&q.keep, "keep", nil, "leave nodes of that name in float (glob, re:EXPR or op:NAME); may be repeated")
	f.StringVar(&q.plan, "plan", "", "take the plan in this file instead of making one")
	f.StringVar(&q.savePlan, "save-plan", "", "write the plan to this file")
	f.BoolVar(&q.dry, "dry-run", false, "make the plan and print it; write nothing")
	f.BoolVar(&q.again, "allow-requantize", false, "take a model that is quantized already")
	q.data.add(cmd, 300)
	return cmd
}

// settings turns the flags into what a plan is made from.
func (q *quantizeFlags) settings() (plan.Settings, error) {
	s, err := plan.Default(q.scheme)
	if err != nil {
		return s, err
	}
	s.Mode = plan.Mode(q.mode)
	if s.Mode != plan.Static && s.Mode != plan.Dynamic && s.Mode != plan.Weights {
		return s, fault.Invalidf("--mode", "%q is not static, dynamic or weights", q.mode)
	}
	if s.Target = plan.LookupTarget(q.target); s.Target == nil {
		return s, fault.Invalidf("--target", "there is no target %q", q.target)
	}
	if s.Observer = calib.Lookup(q.observer); s.Observer == nil {
		return s, fault.Invalidf("--observer", "%q is not one of %s", q.observer, calib.Names())
	}
	if err := scheme("--weights", q.weights, &s.Weights); err != nil {
		return s, err
	}
	if err := scheme("--acts", q.acts, &s.Acts); err != nil {
		return s, err
	}
	for _, k := range q.keep {
		p, err := plan.ParsePattern(k)
		if err != nil {
			return s, err
		}
		s.Keep = append(s.Keep, p)
	}
	return s, nil
}

// scheme reads FORMAT[:BLOCK] over a default.
func scheme(flag, text string, s *plan.Scheme) error {
	if text == "" {
		return nil
	}
	name, block, ok := strings.Cut(text, ":")
	if name != "" {
		if s.Format = format.Lookup(name); s.Format == nil {
			return fault.Invalidf(flag, "there is no format %q", name).WithHint("see lowbit formats")
		}
	}
	if ok {
		b, err := format.ParseBlock(block)
		if err != nil {
			return fault.Invalidf(flag, "%v", err)
		}
		s.Block = b
	}
	return nil
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
	set, err := q.settings()
	if err != nil {
		return err
	}
	m, err := lowbit.Open(path)
	if err != nil {
		return err
	}
	defer m.Close()
	o := lowbit.QuantizeOptions{Settings: set, Style: q.style, Threads: a.threads, AllowRequantize: q.again}
	if q.plan != "" {
		if o.Plan, err = readPlan(q.plan); err != nil {
			return err
		}
	}
	if q.data.path != "" {
		if o.Data, err = a.openData(&q.data, m); err != nil {
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
	a.say("next: lowbit compare %s %s --data %s", m.Path(), q.out, q.data.path)
	return nil
}
