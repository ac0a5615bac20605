package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/spf13/cobra"

	"lowbit"
	"lowbit/internal/calib"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/fault"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
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
	g, err := a.measure(cmd.Context(), s, src, list, e.offset)
	if err != nil {
		return fault.At(path, err)
	}
	a.warnOfLabels(g)
	if err := a.printEval(list, g); err != nil {
		return err
	}
	a.next("bench", path)
	return e.judge(cmd, path, list[0], g.means[0])
}

// warnOfLabels tells of samples whose labels say nothing of the model.
func (a *app) warnOfLabels(g *grades) {
	if g.unlabelled > 0 {
		a.warn("%d of %d samples have no label and are left out", g.unlabelled, g.samples+g.unlabelled)
	}
	if g.beyond > 0 {
		a.warn("the labels of %d of %d samples are none of the model's classes, so these count as wrong; --label-offset shifts labels", g.beyond, g.samples)
	}
}

func (a *app) printEval(list []*metric, g *grades) error {
	named := map[string]float64{}
	for i, m := range list {
		named[m.name] = g.means[i]
		if a.json {
			continue
		}
		if err := a.printf("%s %.6g on %s\n", m.name, g.means[i], report.Count(g.samples, "sample")); err != nil {
			return err
		}
	}
	if a.json {
		return a.printJSON(map[string]any{"schema": "lowbit.eval/v1", "samples": g.samples, "metrics": writable(named)})
	}
	return nil
}

// writable has metrics as JSON can: the largest numbers for infinities, as of a perplexity that has no bound, and null for what is none.
func writable(metrics map[string]float64) map[string]any {
	list := map[string]any{}
	for name, v := range metrics {
		if list[name] = max(-math.MaxFloat64, min(v, math.MaxFloat64)); v != v {
			list[name] = nil
		}
	}
	return list
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
	return &fault.Error{Kind: fault.Gate, Place: path, Msg: fmt.Sprintf("%s %.6g is %s %.6g", m.name, v, word, float64(limit))}
}

// scores is what one sample adds to each metric.
type scores struct {
	of     []struct{ sum, weight float64 } // empty where a label is wanted and the sample has none
	beyond bool                            // its label is none of the model's classes
}

// grades are what metrics come to over samples.
type grades struct {
	means      []float64
	samples    int // that were graded
	unlabelled int // that were not, for want of a label
	beyond     int // whose label is none of the model's classes
}

// measure runs every sample through a session and returns each metric's mean. Samples are added in
// order, so that the number of threads does not change the sum.
func (a *app) measure(ctx context.Context, s *lowbit.Session, src *dataset.Source, list []*metric, offset int) (*grades, error) {
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
	g := graded(all, list)
	if g.samples == 0 {
		return nil, fault.Invalidf(src.Info().Path, "none of the samples has a label")
	}
	return g, nil
}

// graded takes the means of what samples add to metrics.
func graded(all []scores, list []*metric) *grades {
	g := &grades{means: make([]float64, len(list))}
	weights := make([]float64, len(list))
	for _, sc := range all {
		if len(sc.of) == 0 {
			g.unlabelled++
			continue
		}
		g.samples++
		if sc.beyond {
			g.beyond++
		}
		for k, v := range sc.of {
			g.means[k] += v.sum
			weights[k] += v.weight
		}
	}
	for k, m := range list {
		if g.means[k] /= weights[k]; m.of != nil {
			g.means[k] = m.of(g.means[k])
		}
	}
	return g
}

func scoreSample(ctx context.Context, s *lowbit.Session, src *dataset.Source, i int, list []*metric, offset int) (sc scores, err error) {
	sample, err := src.Sample(i)
	if err != nil {
		return sc, err
	}
	labels := slices.ContainsFunc(list, func(m *metric) bool { return m.labels })
	if labels && sample.Label < 0 {
		return sc, nil
	}
	out, err := s.Run(ctx, sample.Inputs)
	if err != nil {
		return sc, fault.At(sample.Name, err)
	}
	sc.of = make([]struct{ sum, weight float64 }, len(list))
	for k, m := range list {
		if sc.of[k].sum, sc.of[k].weight, err = m.add(s.Outputs(), out, sample, offset); err != nil {
			return sc, err
		}
	}
	sc.beyond = labels && isBeyond(out[s.Outputs()[0].Name], sample.Label+offset)
	return sc, nil
}

// isBeyond says whether a label is none of the classes that scores are for.
func isBeyond(t *tensor.Tensor, label int) bool {
	return label < 0 || !t.DType.IsInt() && label >= t.Len()
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
