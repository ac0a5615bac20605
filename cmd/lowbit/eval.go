package main

import (
	"context"
	"fmt"
	"sync"

	"github.com/spf13/cobra"

	"lowbit"
	"lowbit/internal/calib"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/fault"
)

type evalFlags struct {
	metric   []string
	backend  backend
	min, max share
	offset   int
	data     dataFlags
}

func evalCmd(a *app) *cobra.Command {
	e := &evalFlags{}
	cmd := &cobra.Command{
		Use: "eval MODEL --data DIR", Short: "Measure a model's accuracy", Args: positional("MODEL"),
		Example: "  lowbit eval model.onnx --data val/ --labels val.csv --preprocess imagenet\n  lowbit eval model.onnx --data val/ --metric top1,top5 --min 75% --json",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.eval(cmd, args[0], e) },
	}
	f := cmd.Flags()
	f.StringSliceVar(&e.metric, "metric", []string{"top1"}, "top1, top5, mse from stored outputs, or ppl of token ids; several with commas")
	f.Var(&e.min, "min", "fail unless the first metric reaches this, such as 0.75 or 75%")
	f.Var(&e.max, "max", "fail if the first metric is above this; for metrics that are good when small")
	f.IntVar(&e.offset, "label-offset", 0, "add this to every label")
	e.backend.add(cmd)
	e.data.add(cmd, 0)
	return cmd
}

// metrics are those that the flags name.
func (e *evalFlags) metrics() ([]*metric, error) {
	var list []*metric
	for _, name := range e.metric {
		m, err := lookupMetric(name)
		if err != nil {
			return nil, err
		}
		list = append(list, m)
		e.data.outputs = e.data.outputs || m.stored
	}
	if len(list) == 0 {
		return nil, fault.Invalidf("--metric", "names no metric")
	}
	return list, nil
}

func (a *app) eval(cmd *cobra.Command, path string, e *evalFlags) error {
	list, err := e.metrics()
	if err != nil {
		return err
	}
	if list[0].low && cmd.Flags().Changed("min") {
		return fault.Invalidf("--min", "%s is good when it is small", list[0].name).WithHint("use --max")
	}
	m, err := a.openToRun(path)
	if err != nil {
		return err
	}
	defer m.Close()
	e.data.seed = a.seed
	src, err := a.openData(&e.data, m)
	if err != nil {
		return err
	}
	defer src.Close()
	types, err := sampleTypes(src)
	if err != nil {
		return err
	}
	s, err := a.compile(m, e.backend, load{workers: a.threads, inputs: types, copies: 1})
	if err != nil {
		return err
	}
	v, err := a.measure(cmd.Context(), s, src, list, e.offset)
	if err != nil {
		return fault.At(path, err)
	}
	if err := a.printEval(list, v, src.Len()); err != nil {
		return err
	}
	a.next("bench", path)
	return e.judge(cmd, path, list[0], v[0])
}

func (a *app) printEval(list []*metric, v []float64, samples int) error {
	named := map[string]float64{}
	for i, m := range list {
		named[m.name] = v[i]
		if a.json {
			continue
		}
		if err := a.printf("%s %.6g on %d samples\n", m.name, v[i], samples); err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(map[string]any{"schema": "lowbit.eval/v1", "samples": samples, "metrics": named})
	}
	return nil
}

// judge holds the first metric against --min and --max.
func (e *evalFlags) judge(cmd *cobra.Command, path string, m *metric, v float64) error {
	word, limit := "", share(0)
	switch {
	case cmd.Flags().Changed("min") && !(v >= float64(e.min)):
		word, limit = "below", e.min
	case cmd.Flags().Changed("max") && !(v <= float64(e.max)):
		word, limit = "above", e.max
	default:
		return nil
	}
	return &fault.Error{Kind: fault.Gate, Place: path, Msg: fmt.Sprintf("%s %.6g is %s %s", m.name, v, word, &limit)}
}

// scores is what one sample adds to each metric.
type scores []struct{ sum, weight float64 }

// measure runs every sample through a session and returns each metric's mean. Samples are added in
// order, so that the number of threads does not change the sum.
func (a *app) measure(ctx context.Context, s *lowbit.Session, src *dataset.Source, list []*metric, offset int) ([]float64, error) {
	for _, m := range list {
		if m.labels && !src.Info().Labelled {
			return nil, fault.Invalidf(src.Info().Path, "has no labels").WithHint("give --labels FILE, or --metric mse for data with stored outputs")
		}
	}
	all := make([]scores, src.Len())
	p := a.newProgress()
	err := a.parallel(ctx, src.Len(), func(ctx context.Context, i int) (err error) {
		all[i], err = scoreSample(ctx, s, src, i, list, offset)
		return err
	}, func(done int) { p.update("eval", done, src.Len()) })
	if err != nil {
		return nil, err
	}
	means := make([]float64, len(list))
	for k := range list {
		var sum, weight float64
		for _, sc := range all {
			sum += sc[k].sum
			weight += sc[k].weight
		}
		if means[k] = sum / weight; list[k].of != nil {
			means[k] = list[k].of(means[k])
		}
	}
	return means, nil
}

func scoreSample(ctx context.Context, s *lowbit.Session, src *dataset.Source, i int, list []*metric, offset int) (scores, error) {
	sample, err := src.Sample(i)
	if err != nil {
		return nil, err
	}
	out, err := s.Run(ctx, sample.Inputs)
	if err != nil {
		return nil, fault.At(sample.Name, err)
	}
	sc := make(scores, len(list))
	for k, m := range list {
		if sc[k].sum, sc[k].weight, err = m.add(s.Outputs(), out, sample, offset); err != nil {
			return nil, err
		}
	}
	return sc, nil
}

// parallel calls f for 0 to n-1 on as many threads as the user allows, and done, one call at a
// time, with the number of calls that have returned. The first error ends it.
func (a *app) parallel(ctx context.Context, n int, f func(ctx context.Context, i int) error, done func(int)) error {
	finished, mu := 0, sync.Mutex{}
	return calib.Each(ctx, n, a.threads, func(ctx context.Context, i int) error {
		err := f(ctx, i)
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			finished++
			done(finished)
		}
		return err
	})
}
