package lowbit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"time"

	"lowbit/internal/fault"
	"lowbit/internal/onnx"
	"lowbit/internal/plan"
	"lowbit/internal/quantize"
	"lowbit/internal/recipe"
	"lowbit/internal/repair"
)

// QuantizeOptions say how a model is quantized. The zero value is what `lowbit quantize` does by default: W8A8 with
// parameters from calibration, and the repairs that help. That takes Data.
type QuantizeOptions struct {
	Recipe          *Recipe // scheme, formats, nodes to keep, repairs and all else that is asked for; nil: the default
	Plan            *Plan   // a finished plan, such as that of a Result: nothing is calibrated
	Data            *Data   // samples; nil opens what Recipe.Data.Calib names, if anything
	AllowRequantize bool    // take a model that is quantized already
	Threads         int     // 0 means one for each processor; results do not depend on it

	// Progress, if set, is called with the stage at work and how much of it is done, from one goroutine at a time.
	Progress func(stage string, done, total int)
	// Tell, if set, is called with what people may want to know before long work begins.
	Tell func(text string)
	// Journal, if set, opens what keeps the steps of the work that is named, so that a later call takes them up. It is
	// asked for once, when the first such step begins.
	Journal func(work string) (Journal, error)
}

// A Recipe is everything that a quantization is asked to do, in the words of the command line; an empty field takes its
// default. [ReadRecipe] reads one from a file.
type Recipe = recipe.Recipe

// A Keep picks nodes of a [Recipe] that stay in float: by a glob, "re:" and a regular expression, or "op:" and an operator.
type Keep = recipe.Keep

// An Override changes the formats of the nodes of a [Recipe] that match.
type Override = recipe.Override

// ReadRecipe reads a recipe from a YAML or JSON file. Unknown keys and words are errors of kind [ErrInvalid].
func ReadRecipe(path string) (*Recipe, error) { return recipe.Read(path) }

// A Plan says of each value which format it has, and why. It reads and writes as JSON, which people may edit.
type Plan = plan.Plan

// A Journal keeps the steps of long work by key, as JSON.
type Journal = repair.Journal

// A Gate is the comparison of the quantized network with the float one on samples: the SQNR of the outputs in dB with its
// standard Error, their Cosine, and the share of samples that Agree in the largest element of the first output.
type Gate = quantize.Gate

// A Fix tells what one repair did, and the SQNR in dB Before and After it on samples held back.
type Fix = quantize.Fix

// An Effort tells what repairs that are chosen by trial may cost.
type Effort = quantize.Effort

// Drawn tells of inputs that were drawn, for want of data.
type Drawn = quantize.Drawn

// A Result is a quantized model with what is known of it.
type Result struct {
	Model    *Model
	Plan     *Plan
	Gate     *Gate // nil where there was no data to compare on
	Fixes    []Fix // the repairs that were tried, in order
	Effort   Effort
	Drawn    *Drawn // nil where there was data
	Warnings []string
	Elapsed  time.Duration
}

// Quantize returns a quantized copy of m, which it does not change. The copy shares m's tensors, so that m is to be
// closed after it was last used.
//
// Words that are unknown, and samples that are missing or do not fit the model, are errors of kind [ErrInvalid], operators
// that are missing are of kind [ErrUnsupported]. Once ctx is done, Quantize soon returns its cause.
func Quantize(ctx context.Context, m *Model, o QuantizeOptions) (*Result, error) {
	r := &Recipe{}
	if o.Recipe != nil {
		r = o.Recipe
	}
	q := quantize.Options{Plan: o.Plan, Data: o.Data, AllowRequantize: o.AllowRequantize, Threads: o.Threads, Progress: o.Progress, Tell: o.Tell, Journal: o.Journal}
	said, err := follow(r, &q)
	if err != nil {
		return nil, err
	}
	if c := r.Data.Calib; q.Data == nil && c.Path != "" {
		q.Data, err = OpenData(c.Path, DataOptions{Preprocess: c.Preprocess, Labels: c.Labels, Split: c.Split, Samples: *r.Filled().Calibration.Samples, Seed: r.Calibration.Seed}, m)
		if err != nil {
			return nil, err
		}
		defer q.Data.Close()
	}
	res, err := QuantizeBy(ctx, m, q)
	if err != nil {
		return nil, err
	}
	res.Plan.Recipe, err = said.JSON()
	return res, err
}

// follow does in o what a recipe says, and returns what the recipe says of the outcome.
func follow(r *Recipe, o *quantize.Options) (said *Recipe, err error) {
	if o.Settings, err = r.Filled().Settings(); err != nil {
		return nil, err
	}
	if r, err = r.Resolved(); err != nil {
		return nil, err
	}
	said = r.Essence()
	text, err := said.Encode()
	if err != nil {
		return nil, err
	}
	o.Recipe, o.Style = string(text), r.Style
	if !slices.Contains(r.Fix, recipe.Auto) {
		o.Fix = r.Fix
	}
	o.Budget, err = r.Time()
	return said, err
}

// QuantizeBy is [Quantize] by settings instead of a recipe, for packages of this module.
func QuantizeBy(ctx context.Context, m *Model, o quantize.Options) (*Result, error) {
	if ctx == nil {
		return nil, fault.Invalidf("context", "is missing")
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	start := time.Now()
	if open := o.Journal; open != nil {
		o.Journal = func(work string) (repair.Journal, error) {
			sum, err := m.workSum(work)
			if err != nil {
				return nil, err
			}
			return open(sum)
		}
	}
	if m.file != nil && o.Release == nil {
		o.Release = m.file.Forget
	}
	r, err := quantize.Run(ctx, m.graph, o)
	if err != nil {
		return nil, fault.At(m.path, err)
	}
	if m.file != nil {
		sum, err := fileSum(m.path)
		if err != nil {
			return nil, fault.At(m.path, err)
		}
		r.Graph.SetMeta("lowbit.source_sha256", sum)
	}
	return &Result{Model: madeFrom(r.Graph, m.path, m), Plan: r.Plan, Gate: r.Gate, Fixes: r.Fixes, Effort: r.Effort, Drawn: r.Drawn, Warnings: r.Warnings, Elapsed: time.Since(start)}, nil
}

// workSum names a piece of work on the model by this program.
func (m *Model) workSum(work string) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, work)
	var paths []string
	if m.file != nil {
		paths = m.file.Paths()
	} else if b, err := onnx.Encode(m.graph); err != nil {
		return "", err
	} else {
		h.Write(b)
	}
	if program, err := os.Executable(); err == nil {
		paths = append(paths, program)
	}
	for _, p := range paths {
		sum, err := fileSum(p)
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, sum)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
