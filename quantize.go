package lowbit

import (
	"context"
	"time"

	"lowbit/internal/fault"
	"lowbit/internal/plan"
	"lowbit/internal/quantize"
)

// QuantizeOptions say how a model is quantized. The zero value of a field means its default.
type QuantizeOptions = quantize.Options

// A Gate is the comparison of the quantized network with the float one on samples.
type Gate = quantize.Gate

// A Fix tells what one repair did.
type Fix = quantize.Fix

// An Effort tells what repairs that are chosen by trial may cost.
type Effort = quantize.Effort

// A Result is a quantized model with what is known of it.
type Result struct {
	Model    *Model
	Plan     *plan.Plan
	Gate     *Gate // nil where there was no data to compare on
	Fixes    []Fix
	Effort   Effort // of the repairs
	Warnings []string
	Elapsed  time.Duration
}

// Quantize returns a quantized copy of m. It does not change m, whose tensors the copy shares.
func Quantize(ctx context.Context, m *Model, o QuantizeOptions) (*Result, error) {
	start := time.Now()
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
	return &Result{Model: FromGraph(r.Graph, m.path), Plan: r.Plan, Gate: r.Gate, Fixes: r.Fixes, Effort: r.Effort, Warnings: r.Warnings, Elapsed: time.Since(start)}, nil
}
