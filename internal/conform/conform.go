// Package conform runs models against stored answers: ONNX's own cases, a folder with
// model.onnx and test_data_set_N/{input,output}_K.pb, and NAME.onnx beside NAME.npz, whose
// arrays are named in:NAME and out:NAME.
//
// Known failures are lines of a text file with their reason; one that passes is a failure.
package conform

import (
	"context"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// A Runner evaluates a model on inputs by name and returns its outputs by name.
type Runner func(ctx context.Context, m *graph.Model, in map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error)

// Reference is the Runner that judges all others: the operators' plain definitions.
func Reference(ctx context.Context, m *graph.Model, in map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	return op.Run(m, in, op.Options{Context: ctx})
}

// An Outcome is how a case ended.
type Outcome string

// The outcomes of a case.
const (
	Passed  Outcome = "passed"
	Failed  Outcome = "failed"
	Skipped Outcome = "skipped"
)

// A Result is the outcome of one case, and what there is to say about it.
type Result struct {
	Name    string   `json:"name"`
	Outcome Outcome  `json:"result"`
	Message string   `json:"message"`
	Ops     []string `json:"-"` // operators of the main graph, each once, in order
}

// A Report counts the results of many cases.
type Report struct {
	Passed  int      `json:"passed"`
	Failed  int      `json:"failed"`
	Skipped int      `json:"skipped"`
	Cases   []Result `json:"cases"`
}

// Options change a run. The zero value is that of ONNX's own runner, on the reference.
type Options struct {
	Runner    Runner            // nil is Reference
	Tolerance Tolerance         // zero is rtol 1e-3, atol 1e-7
	Known     map[string]string // reasons of known failures by case name; nil is the built-in list
	Each      func(Result)      // sees every result as soon as it is there; may be nil
}

// Run runs all cases. The error is that of a cancelled context.
func Run(ctx context.Context, cases []Case, opt Options) (*Report, error) {
	if opt.Runner == nil {
		opt.Runner = Reference
	}
	if opt.Tolerance == (Tolerance{}) {
		opt.Tolerance = Tolerance{Rel: 1e-3, Abs: 1e-7}
	}
	if opt.Known == nil {
		opt.Known = Known()
	}
	rep := &Report{}
	for _, c := range cases {
		if ctx.Err() != nil {
			return rep, context.Cause(ctx)
		}
		r := judge(ctx, c, &opt)
		switch r.Outcome {
		case Passed:
			rep.Passed++
		case Failed:
			rep.Failed++
		default:
			rep.Skipped++
		}
		rep.Cases = append(rep.Cases, r)
		if opt.Each != nil {
			opt.Each(r)
		}
	}
	return rep, nil
}

// judge runs one case and weighs the result against the known failures.
func judge(ctx context.Context, c Case, opt *Options) Result {
	r := Result{Name: c.Name}
	err := runCase(ctx, c, opt, &r)
	reason, known := opt.Known[c.Name]
	switch {
	case len(c.Sets) == 0:
		r.Outcome, r.Message = Skipped, "there is no test data beside the model"
	case err == nil && known:
		r.Outcome, r.Message = Failed, "passes, but is listed as a known failure: "+reason
	case err == nil:
		r.Outcome = Passed
	case known:
		r.Outcome, r.Message = Skipped, reason
	default:
		r.Outcome, r.Message = Failed, err.Error()
	}
	return r
}

// runCase runs every data set of a case. A panic is an error like any other.
func runCase(ctx context.Context, c Case, opt *Options, r *Result) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v at %s", p, panicPlace(string(debug.Stack())))
		}
	}()
	f, err := onnx.Open(c.Model, onnx.Limits{AllowHardlinks: true})
	if err != nil {
		return err
	}
	defer f.Close()
	r.Ops = opsOf(f.Model)
	for _, set := range c.Sets {
		in, want, err := set.load(f.Model.Graph)
		if err != nil {
			return err
		}
		got, err := opt.Runner(ctx, f.Model, in)
		if err != nil {
			return err
		}
		if err := compareAll(f.Model, in, got, want, opt.Tolerance); err != nil {
			return err
		}
	}
	return nil
}

// panicPlace finds the frame that panicked in a stack trace: "slice.go:12".
func panicPlace(stack string) string {
	_, after, _ := strings.Cut(stack, "panic(")
	for _, line := range strings.Split(after, "\n")[min(1, strings.Count(after, "\n")):] {
		if file, ok := strings.CutPrefix(strings.TrimSpace(line), "/"); ok && strings.Contains(file, "internal/") {
			return file[strings.LastIndexByte(file, '/')+1:]
		}
	}
	return "?"
}

func opsOf(m *graph.Model) []string {
	var list []string
	seen := map[string]bool{}
	for _, n := range m.Graph.Nodes {
		if name := op.QualifiedName(n); !seen[name] {
			seen[name] = true
			list = append(list, name)
		}
	}
	return list
}

// compareAll holds every wanted output against the one that was computed. Where the model
// draws random numbers, only types and shapes count.
func compareAll(m *graph.Model, in, got, want map[string]*tensor.Tensor, tol Tolerance) error {
	for _, v := range m.Graph.Out {
		w, ok := want[v.Name]
		if !ok {
			continue
		}
		g := got[v.Name]
		if g == nil {
			return fault.Invalidf(fmt.Sprintf("output %q", v.Name), "is missing")
		}
		err := Compare(g, w, tol)
		if err != nil && !(sameType(g, w) && varies(m, in, v.Name)) {
			return fmt.Errorf("output %q: %w", v.Name, err)
		}
	}
	return nil
}

// varies says whether an output depends on the seed, that of the run or of a node.
func varies(m *graph.Model, in map[string]*tensor.Tensor, name string) bool {
	free, random := unseeded(m)
	if !random {
		return false
	}
	var out [2]*tensor.Tensor
	for i := range out {
		res, err := op.Run(free, in, op.Options{Seed: uint64(i), Outputs: []string{name}})
		if err != nil {
			return false
		}
		out[i] = res[name]
	}
	return Compare(out[0], out[1], Tolerance{}) != nil
}

// unseeded returns m without the seeds that its random operators carry, and whether there are
// random operators.
func unseeded(m *graph.Model) (free *graph.Model, random bool) {
	model, g := *m, *m.Graph
	g.Nodes = slices.Clone(g.Nodes)
	for i, n := range g.Nodes {
		if o := op.Lookup(n.Domain, n.Op); o == nil || !o.Random {
			continue
		}
		random = true
		c := *n
		c.Attrs = slices.DeleteFunc(slices.Clone(n.Attrs), func(a *graph.Attr) bool { return a.Name == "seed" })
		g.Nodes[i] = &c
	}
	model.Graph = &g
	return &model, random
}
