package lowbit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"time"

	"lowbit/internal/fault"
	"lowbit/internal/onnx"
	"lowbit/internal/plan"
	"lowbit/internal/quantize"
	"lowbit/internal/repair"
)

// QuantizeOptions say how a model is quantized. The zero value of a field means its default.
type QuantizeOptions = quantize.Options

// A Gate is the comparison of the quantized network with the float one on samples.
type Gate = quantize.Gate

// A Fix tells what one repair did.
type Fix = quantize.Fix

// An Effort tells what repairs that are chosen by trial may cost.
type Effort = quantize.Effort

// Drawn tells of inputs that were drawn, for want of data.
type Drawn = quantize.Drawn

// A Result is a quantized model with what is known of it.
type Result struct {
	Model    *Model
	Plan     *plan.Plan
	Gate     *Gate // nil where there was no data to compare on
	Fixes    []Fix
	Effort   Effort // of the repairs
	Drawn    *Drawn // nil where there was data
	Warnings []string
	Elapsed  time.Duration
}

// Quantize returns a quantized copy of m. It does not change m, whose tensors the copy shares.
func Quantize(ctx context.Context, m *Model, o QuantizeOptions) (*Result, error) {
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
	return &Result{Model: FromGraph(r.Graph, m.path), Plan: r.Plan, Gate: r.Gate, Fixes: r.Fixes, Effort: r.Effort, Drawn: r.Drawn, Warnings: r.Warnings, Elapsed: time.Since(start)}, nil
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
