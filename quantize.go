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
	Scratch         string  // folder for a file without a name that holds the constants of a large Model until m is closed; "" has them in memory

	// Progress, if set, is called with the stage at work and how much of it is done, from one goroutine at a time.
	Progress func(stage string, done, total int)
	// Tell, if set, is called with what people may want to know before long work begins.
	Tell func(text string)
	// Journal, if set, opens what keeps the steps of the work that is named, so that a later call takes them up. It is
	// asked for once, when the first such step begins.
	Journal func(work string) (Journal, error)
}

// A Recipe is everything that a quantization is asked to do, in the words of the command line (lowbit quantize -h lists
// them); an empty field takes its default. [ReadRecipe] reads one from a file, and Encode writes it as YAML.
//
//	Schema      string      // of files: "lowbit.recipe/v1"
//	Scheme      string      // W8A8, W4A16, FP16, …; default W8A8
//	Mode        string      // static, dynamic, weights or convert; default: that of Scheme
//	Target      string      // the runtime to make the model for; default ort-cpu
//	Style       string      // qdq, qoperator or contrib; default qdq
//	Calibration Calibration // how activations are observed
//	Weights     Scheme      // instead of the weights' format in the field Scheme
//	Activations Scheme      // and of the activations'
//	Keep        []Keep      // nodes that stay in float
//	Overrides   []Override  // nodes that have other formats
//	Fix         []string    // repairs by name, none, or auto, the default: those that help on samples held back
//	Budget      string      // time that auto may take, estimated from operations, such as 90s or 90; default 5m0s
//	Outliers    float64     // columns of activations beyond it are multiplied in float; 0: none
//	Trim        Share       // share of answers that dynamic fixed point of fewer bits may change, such as 0.02; 0: none
//	Data        RecipeData  // samples to calibrate on, where QuantizeOptions has none
//	Accuracy    struct      // for commands other than quantize
//	Search      struct      // likewise
//
//	Encode() ([]byte, error)
type Recipe = recipe.Recipe

// A Scheme is the part of a [Recipe] that says how weights or activations are stored.
//
//	Format   string // such as int8, uint8, int4, fp8-e4m3; lowbit formats lists them
//	Block    string // what shares a scale: tensor, channel, group=32; row, of activations in mode dynamic
//	Observer string // of weights: how scales are found, such as mse; default: the rule of the format
type Scheme = recipe.Scheme

// Calibration is the part of a [Recipe] that says how activations are observed.
//
//	Observer string // auto, minmax, average, percentile, entropy, mse, …; default auto: the best of several on samples held back
//	Scales   string // exact, fitted or auto
//	Samples  *int   // how many samples RecipeData.Calib draws; nil means 300, and 0 takes all
//	Batch    int    // how many are run at a time; no result depends on it
//	Seed     uint64 // of that draw
type Calibration = recipe.Calibration

// RecipeData is the part of a [Recipe] that names data.
//
//	Calib RecipeSamples // to calibrate on
//	Eval  RecipeSamples // for commands other than quantize
type RecipeData = recipe.Data

// RecipeSamples are one set of samples, as [OpenData] takes them.
//
//	Path       string // relative ones are of the folder that the program runs in
//	Preprocess string
//	Labels     string
//	Split      string
//	Metric     string // of Eval
type RecipeSamples = recipe.Samples

// A Keep picks nodes of a [Recipe] that stay in float.
//
//	Pattern string // a glob of names, "re:" and a regular expression, or "op:" and an operator
type Keep = recipe.Keep

// An Override changes the formats of the nodes of a [Recipe] that match.
//
//	Match       string // as the Pattern of Keep
//	Weights     Scheme
//	Activations Scheme
type Override = recipe.Override

// A Share is a part of one, from 0 to 1.
type Share = recipe.Share

// ReadRecipe reads a recipe from a YAML or JSON file. Unknown keys and words are errors of kind [ErrInvalid], which name the line.
func ReadRecipe(path string) (*Recipe, error) { return recipe.Read(path) }

// ParseRecipe reads a recipe from YAML or JSON; errors are as of [ReadRecipe].
func ParseRecipe(text []byte) (*Recipe, error) { return recipe.Parse(text) }

// A Plan says of each value which format it has, and why. encoding/json reads and writes it; its form has a line for each
// value and node, which people may edit.
//
//	Mode   string type     // static, dynamic, weights or convert
//	Target string          // the runtime that it is for
//	Recipe json.RawMessage // what it was made from; nil where that is not known
//	Values []*PlanValue    // in the order of the network
//	Nodes  []*PlanNode     // those that could compute in few bits, in the order of the network
//	Fixes  []struct        // what repairs changed in the network that it is for: Repair, Place and What
type Plan = plan.Plan

// A PlanValue is what a [Plan] says of one value.
//
//	Name   string   // in the network
//	As     string   // the name that nodes call it by: Name, or another where one constant is quantized in two ways
//	Role   string   // activation, weight, constant or bias
//	Format string   // such as uint8
//	Block  struct   // what shares a scale; its String is such as "channel"
//	Params []struct // the Scale and Zero of each block
//	Fitted []struct // those that repairs began with, where they gave a weight others
//	Like   string   // takes the parameters of the value of that name
//	Input  string   // of a bias: the activation whose scale it multiplies
//	Weight string   // of a bias: the weight whose scale it multiplies
//	SQNR   float64  // of a constant: signal to quantization noise in dB
//	Reason string
type PlanValue = plan.Value

// A PlanNode is what a [Plan] says of one node.
//
//	Name      string
//	Op        string   // its operator
//	Quantized bool     // it computes on quantized values
//	Reason    string
//	Inputs    []string // for each input the quantized value to read, by As; "" reads the input as it is
//	Rows      bool     // in mode dynamic each row of the activations finds a scale of its own
type PlanNode = plan.Node

// A Journal keeps the steps of long work by key, as JSON.
//
//	Recall(key string, v any) bool // fills v with what was kept, false where there is nothing
//	Keep(key string, v any) error  // what JSON cannot write, such as an infinity, may be left out
type Journal = repair.Journal

// A Gate is the comparison of the quantized network with the float one on samples.
//
//	Samples int
//	SQNR    float64 // of the worst output, in dB
//	Error   float64 // its standard error, by leaving out each sample in turn; 0 for a single one
//	Cosine  float64 // of the worst output
//	Agree   float64 // share of samples, from 0 to 1, with the same largest element of the first output
//	Fresh   bool    // no choice was made by these samples
type Gate = quantize.Gate

// A Fix tells what one repair did.
//
//	Name    string        // as in Recipe.Fix
//	Made    bool          // the model has it
//	Note    string        // why it was not made, or made nothing
//	Changes []struct      // that were kept: Place, What, Gain in dB, and other nodes that they change Also
//	Undone  []struct      // that were not
//	Before  float64       // SQNR of the outputs in dB on samples held back, without it; 0 where that was not measured
//	After   float64       // and with it
//	Aside   bool          // both with the mean errors of the weights taken out, as the repair of biases will
//	Trials  []struct      // that decided: Places, Samples, the SQNR Without and With them, and whether they were Kept
//	Work    time.Duration // that was estimated; 0 where the repair was asked for
//	Skipped bool          // it was not tried, for the budget
type Fix = quantize.Fix

// An Effort tells what repairs that are chosen by trial may cost.
//
//	Budget  time.Duration // what they may take
//	Planned time.Duration // what those that are tried may take, estimated from operations
//	Spent   time.Duration // what those that were tried took, likewise
//	Took    time.Duration // the same by the clock
type Effort = quantize.Effort

// Drawn tells of inputs that were drawn, for want of data.
//
//	Norms   int           // BatchNormalizations of the model
//	Reached int           // those that Input reaches
//	Input   string        // that was fitted to them; "" where nothing was
//	Inputs  int           // how many were fitted and are used
//	Steps   int           // of the fit
//	Work    time.Duration // estimated
//	Before  float64       // distance from the statistics that BatchNormalizations keep, as they were drawn
//	After   float64       // and fitted
//	Note    string        // what was not done, and why
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
	if m != nil && m.file != nil && o.Scratch != "" {
		q.Shelve = m.file.Shelf(o.Scratch)
	}
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
