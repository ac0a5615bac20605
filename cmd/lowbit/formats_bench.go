package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"lowbit"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// A product is a matrix product (M,K)·(K,N), on which the speed of a format is measured.
type product struct{ m, k, n int }

func (p product) String() string { return fmt.Sprintf("%dx%dx%d", p.m, p.k, p.n) }

// formatShapes are the products measured: one row as in generation, many as in batches.
var formatShapes = []product{{1, 1024, 1024}, {64, 1024, 1024}}

// formatTime is how long each product is measured.
const formatTime = span(150 * time.Millisecond)

// A yardstick is a product in float32 and its time.
type yardstick struct {
	product
	model   *lowbit.Model
	samples []*dataset.Sample
	millis  float64
}

// yardsticks measures the products that formats are held against.
func (a *app) yardsticks(ctx context.Context) ([]yardstick, error) {
	var list []yardstick
	for _, p := range formatShapes {
		y := yardstick{product: p}
		y.model, y.samples = p.model(a.seed)
		var err error
		if y.millis, err = a.median(ctx, y.model, y.samples[0].Inputs); err != nil {
			return nil, err
		}
		list = append(list, y)
	}
	return list, nil
}

// benchFormat measures products whose weights have a format.
// A format that no network can be written in is left out, and said to be.
func (a *app) benchFormat(ctx context.Context, list []yardstick, f *format.Format, row *formatJSON) error {
	speedup := map[string]float64{}
	for _, y := range list {
		q, err := quantizedProduct(ctx, y.model, y.samples, f, a.threads)
		if err != nil && ctx.Err() == nil {
			a.warn("%s is left out: %v", f.Name, err)
			return nil
		}
		if err != nil {
			return err
		}
		fast, err := a.median(ctx, q.Model, y.samples[0].Inputs)
		if err != nil {
			return fault.At(f.Name, err)
		}
		speedup[y.String()] = y.millis / fast
	}
	row.Speedup = speedup
	return nil
}

// model is a network of one product with normal weights, and samples for it.
func (p product) model(seed uint64) (*lowbit.Model, []*dataset.Sample) {
	r := rand.New(rand.NewPCG(seed, 2))
	normal := func(shape ...int) *tensor.Tensor {
		x := make([]float32, tensor.Elements(shape))
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return tensor.Float32s(x, shape...)
	}
	g := &graph.Graph{
		Name:  "product",
		In:    []*graph.Value{{Name: "x", Type: graph.Of(tensor.Float32, p.m, p.k)}},
		Out:   []*graph.Value{{Name: "y", Type: graph.Of(tensor.Float32, p.m, p.n)}},
		Nodes: []*graph.Node{{Op: "MatMul", Name: "product", In: []string{"x", "w"}, Out: []string{"y"}}},
	}
	g.SetConst("w", normal(p.k, p.n))
	var samples []*dataset.Sample
	for i := range 4 {
		samples = append(samples, &dataset.Sample{Name: fmt.Sprintf("sample %d", i), Inputs: feed{"x": normal(p.m, p.k)}, Label: -1})
	}
	return lowbit.FromGraph(&graph.Model{IR: 10, Opsets: []graph.Opset{{Version: 21}}, Graph: g}, "product"), samples
}

// quantizedProduct quantizes a product with weights in a format, and activations in the format
// that its kernels pair it with; without such a partner activations stay in float.
func quantizedProduct(ctx context.Context, m *lowbit.Model, samples []*dataset.Sample, f *format.Format, threads int) (*lowbit.Result, error) {
	set, err := plan.Default("W8A8")
	if err != nil {
		return nil, err
	}
	set.Weights.Format, set.Mode = f, plan.Weights
	if acts := format.Lookup(f.Act); acts != nil {
		set.Acts.Format, set.Mode = acts, plan.Static
	}
	set.Weights.Block = set.Mode.WeightBlock(f)
	data := dataset.New(dataset.Info{Form: "memory", Path: "normal numbers", Total: len(samples)}, func(i int) (*dataset.Sample, error) { return samples[i], nil })
	return lowbit.Quantize(ctx, m, lowbit.QuantizeOptions{Settings: set, Data: data, Threads: threads})
}

// median is the median time of a run in milliseconds.
func (a *app) median(ctx context.Context, m *lowbit.Model, in feed) (float64, error) {
	s, err := m.Compile(lowbit.CompileOptions{Threads: a.threads})
	if err != nil {
		return 0, err
	}
	defer s.Close()
	b := &benchFlags{warmup: formatTime / 6, duration: formatTime}
	times, err := b.measure(ctx, s, in)
	if err != nil {
		return 0, err
	}
	return latencyOf(times).Median, nil
}
