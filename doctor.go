package lowbit

import (
	"cmp"
	"context"
	"runtime"

	"lowbit/internal/calib"
	"lowbit/internal/doctor"
	"lowbit/internal/engine"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/quantize"
)

// DiagnoseOptions say how a quantized model is examined.
type DiagnoseOptions struct {
	Data *Data // samples for the inputs of both models, other ones than those calibrated on where there are
	// Score measures a model by the caller's metric; nil ranks causes by the SQNR of the outputs.
	Score    func(ctx context.Context, m *Model) (float64, error)
	Low      bool                                // small scores are good
	Threads  int                                 // 0 means one for each processor
	Progress func(stage string, done, total int) // called with the stage at work and how much of it is done
}

// A Diagnosis is what [Diagnose] found.
type Diagnosis struct {
	Healthy  bool
	SQNR     float64     // of the outputs, dB
	Samples  int         // that SQNR, Causes and Layers are of; scores are of all samples
	Score    *[2]float64 // of the float model and of the quantized one; nil without DiagnoseOptions.Score
	Causes   []Cause     // the worst first
	Layers   []Layer     // in the order of the network
	Warnings []string
	Fixed    *Fixed // nil where nothing was to be mended, or nothing helped
}

// A Cause is one thing that is wrong.
//
//	Name     string      // of the node
//	Op       string      // its operator
//	Value    string      // that is quantized there
//	Cause    string      // one of a closed list, such as "rounding below bits"
//	Evidence string      // what was measured, for people
//	Fix      string      // what helps, for people, in the words of the command line
//	Alone    float64     // SQNR of the outputs in dB where nothing else is quantized
//	Without  float64     // and where only this is not
//	Scores   *[2]float64 // DiagnoseOptions.Score likewise; nil without it
type Cause = doctor.Cause

// A Layer tells what a layer with weights loses by itself. An SQNR of 999 dB tells that nothing differs, as
// where nothing is quantized.
//
//	Name    string
//	Op      string   // its operator
//	Result  string   // the value that it makes in the quantized network
//	Weights float64  // SQNR of its result in dB, with its weights quantized
//	Acts    float64  // with its input quantized
//	Alone   *float64 // SQNR of the outputs in dB where nothing else is quantized; nil where that was not measured
type Layer = doctor.Layer

// Fixed is the mended model.
type Fixed struct {
	Model *Model
	SQNR  float64  // of its outputs, dB
	Score float64  // 0 without DiagnoseOptions.Score
	Made  []string // what was changed, for people
}

// swapSamples is how many samples every piece that is taken out is measured on, at most.
const swapSamples = 16

// Diagnose finds out why a quantized model differs from the float one that it was made from, by
// whatever tool, and mends it in a copy. Samples that are missing or do not fit are errors of kind [ErrInvalid], a model
// that holds nothing quantized that can be taken out is one of kind [ErrUnsupported].
func Diagnose(ctx context.Context, float, quantized *Model, o DiagnoseOptions) (*Diagnosis, error) {
	j, err := o.job(ctx, float, quantized)
	if err != nil {
		return nil, err
	}
	d, err := doctor.Examine(ctx, j)
	if err != nil {
		return nil, fault.At(quantized.path, err)
	}
	out := &Diagnosis{Healthy: d.Healthy, SQNR: d.SQNR, Samples: len(j.Samples), Score: d.Score, Causes: d.Causes, Layers: d.Layers, Warnings: d.Warnings}
	if f := d.Fixed; f != nil {
		out.Fixed = &Fixed{Model: madeFrom(f.Model, quantized.path, float, quantized), SQNR: f.SQNR, Score: f.Score, Made: f.Made}
	}
	return out, nil
}

// Losses measures what each layer of a quantized model costs by itself: none where it holds nothing quantized that
// can be taken out. Errors are as of [Diagnose].
func Losses(ctx context.Context, float, quantized *Model, o DiagnoseOptions) ([]Layer, error) {
	j, err := o.job(ctx, float, quantized)
	if err != nil {
		return nil, err
	}
	list, err := doctor.Losses(ctx, j)
	return list, fault.At(quantized.path, err)
}

// Factors tells by what repairs multiplied the channels of a quantized model's values, by name. A model that is not made
// from the other is an error.
func Factors(float, quantized *Model) (map[string][]float64, error) {
	if err := cmp.Or(float.check(), quantized.check()); err != nil {
		return nil, err
	}
	return doctor.Factors(float.graph, quantized.graph)
}

// job gathers what an examination needs.
func (o *DiagnoseOptions) job(ctx context.Context, float, quantized *Model) (*doctor.Job, error) {
	if ctx == nil {
		return nil, fault.Invalidf("context", "is missing")
	}
	if err := cmp.Or(float.check(), quantized.check()); err != nil {
		return nil, err
	}
	if o.Data == nil {
		return nil, fault.Invalidf("data", "samples are needed to compare the models on")
	}
	if o.Threads <= 0 {
		o.Threads = runtime.GOMAXPROCS(0)
	}
	if o.Progress == nil {
		o.Progress = func(string, int, int) {}
	}
	level, err := kernel.Best()
	if err != nil {
		return nil, fault.Invalidf("", "%v", err)
	}
	n := min(o.Data.Len(), swapSamples)
	numbers := make([]int, n)
	for i := range numbers {
		numbers[i] = i * o.Data.Len() / n // of all classes, where these stand one after the other
	}
	few, err := quantize.FewSamples(ctx, o.Data, numbers, o.Threads)
	if err != nil {
		return nil, err
	}
	j := &doctor.Job{Float: float.graph, Quantized: quantized.graph, Samples: few, Low: o.Low, Graded: o.Data.Len(), Level: level, Threads: o.Threads, Progress: o.Progress,
		Compile: func(m *graph.Model, watch []string) (calib.Runner, error) {
			return engine.Compile(m, engine.Options{Threads: 1, Watch: watch})
		}}
	if o.Score != nil {
		score := o.Score
		j.Score = func(ctx context.Context, m *graph.Model) (float64, error) {
			return score(ctx, madeFrom(m, quantized.path, float, quantized))
		}
	}
	return j, nil
}
