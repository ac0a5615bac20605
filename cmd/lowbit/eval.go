package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/spf13/cobra"

	"lowbit"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/fault"
	"lowbit/internal/report"
)

type evalFlags struct {
	metric, backend string
	min             float64
	offset          int
	data            dataFlags
}

func evalCmd(a *app) *cobra.Command {
	e := &evalFlags{}
	cmd := &cobra.Command{
		Use:   "eval MODEL --data DIR",
		Short: "Measure a model's accuracy",
		Example: `  lowbit eval model.onnx --data val/ --labels val.csv --preprocess imagenet
  lowbit eval model.onnx --data val/ --min 0.75 --json`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return a.eval(cmd.Context(), args[0], e) },
	}
	f := cmd.Flags()
	f.StringVar(&e.metric, "metric", "top1", "top1 or top5")
	f.StringVar(&e.backend, "backend", "engine", "engine or reference")
	f.Float64Var(&e.min, "min", 0, "fail unless the metric reaches this")
	f.IntVar(&e.offset, "label-offset", 0, "add this to every label")
	e.data.add(cmd, 0)
	return cmd
}

func (a *app) eval(ctx context.Context, path string, e *evalFlags) error {
	m, err := lowbit.Open(path)
	if err != nil {
		return err
	}
	defer m.Close()
	src, err := a.openData(&e.data, m)
	if err != nil {
		return err
	}
	defer src.Close()
	k := map[string]int{"top1": 1, "top5": 5}[e.metric]
	if k == 0 {
		return fault.Invalidf("--metric", "%q is not top1 or top5", e.metric)
	}
	s, err := a.compile(m, e.backend)
	if err != nil {
		return err
	}
	hits, err := a.classify(ctx, s, src, k, e.offset)
	if err != nil {
		return err
	}
	v := float64(hits) / float64(src.Len())
	if a.json {
		err = a.printJSON(map[string]any{"schema": "lowbit.eval/v1", "samples": src.Len(), "metrics": map[string]float64{e.metric: v}})
	} else {
		_, err = fmt.Fprintf(a.out, "%s %.4f on %d samples\n", e.metric, v, src.Len())
	}
	if err == nil && v < e.min {
		return &fault.Error{Kind: fault.Gate, Place: path, Msg: fmt.Sprintf("%s %.4f is below %.4f", e.metric, v, e.min)}
	}
	return err
}

// classify counts the samples whose label is among the k largest elements of the first output.
func (a *app) classify(ctx context.Context, s *lowbit.Session, src *dataset.Source, k, offset int) (int, error) {
	if !src.Info().Labelled {
		return 0, fault.Invalidf(src.Info().Path, "has no labels").WithHint("give --labels FILE")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var hits, next, done atomic.Int64
	var wg sync.WaitGroup
	p := a.newProgress()
	for range a.threads {
		wg.Go(func() {
			for i := int(next.Add(1) - 1); i < src.Len() && ctx.Err() == nil; i = int(next.Add(1) - 1) {
				sample, err := src.Sample(i)
				if err == nil {
					var out map[string]*lowbit.Tensor
					if out, err = s.Run(ctx, sample.Inputs); err == nil {
						if report.InTop(report.Floats(out[s.Outputs()[0].Name]), sample.Label+offset, k) {
							hits.Add(1)
						}
					}
				}
				if err != nil {
					cancel(err)
					return
				}
				p.update("eval", int(done.Add(1)), src.Len())
			}
		})
	}
	wg.Wait()
	return int(hits.Load()), context.Cause(ctx)
}
