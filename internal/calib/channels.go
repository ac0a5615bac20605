package calib

import (
	"context"
	"maps"
	"slices"
	"sync"

	"lowbit/internal/fault"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// Channels is what is kept of each channel of one value: four numbers for every sample. It is
// meant for few samples.
type Channels struct {
	Axis    int
	samples []channelSample // by number, so that sums do not depend on the order of work
}

type channelSample struct{ min, max, mean, square []float32 }

// A Channel sums one channel up over all samples.
type Channel struct {
	Min, Max         float64 // over all samples
	MeanMin, MeanMax float64 // means over samples of each one's extremes
	Mean, Square     float64 // means of the values and of their squares
}

// At sums up channel c.
func (s *Channels) At(c int) Channel {
	var r Channel
	n := 0.0
	for _, x := range s.samples {
		if x.min == nil {
			continue
		}
		lo, hi := float64(x.min[c]), float64(x.max[c])
		if n == 0 {
			r.Min, r.Max = lo, hi
		}
		n++
		r.Min, r.Max = min(r.Min, lo), max(r.Max, hi)
		r.MeanMin += lo
		r.MeanMax += hi
		r.Mean += float64(x.mean[c])
		r.Square += float64(x.square[c])
	}
	n = max(n, 1)
	r.MeanMin, r.MeanMax, r.Mean, r.Square = r.MeanMin/n, r.MeanMax/n, r.Mean/n, r.Square/n
	return r
}

// CollectChannels runs the samples of feed through r and returns the statistics of each channel
// of the named values, whose channels lie along the given axes. Values of other types, and those
// that r never showed, are left out.
func CollectChannels(ctx context.Context, r Runner, feed Feed, axes map[string]int, opt Options) (map[string]*Channels, error) {
	all := map[string]*Channels{}
	for name, axis := range axes {
		all[name] = &Channels{Axis: axis, samples: make([]channelSample, feed.N)}
	}
	var mu sync.Mutex
	done := 0
	err := Each(ctx, feed.N, opt.Workers, func(ctx context.Context, i int) error {
		in, name, err := feed.Sample(i)
		if err != nil {
			return err
		}
		watch := func(value string, t *tensor.Tensor) {
			if s := all[value]; s != nil && t.DType == tensor.Float32 && t.Kind == tensor.Dense && s.Axis < t.Rank() {
				s.samples[i] = channelsOf(opt.Level, tensor.Of[float32](t), t.Shape, s.Axis)
			}
		}
		for _, value := range slices.Sorted(maps.Keys(in)) {
			watch(value, in[value])
		}
		if _, err := r.RunWatch(ctx, in, watch); err != nil {
			return fault.At("sample "+name, err)
		}
		mu.Lock()
		defer mu.Unlock()
		done++
		if opt.Done != nil {
			opt.Done(done)
		}
		return nil
	})
	return all, err
}

// channelsOf sums up one sample whose channels lie along an axis.
func channelsOf(l kernel.Level, x []float32, shape []int, axis int) channelSample {
	n, inner := shape[axis], tensor.Elements(shape[axis+1:])
	var r channelSample
	if len(x) == 0 {
		return r
	}
	r.min, r.max = make([]float32, n), make([]float32, n)
	sum, square := make([]float64, n), make([]float64, n)
	outer := len(x) / (n * inner)
	for o := range outer {
		for c := range n {
			v := x[(o*n+c)*inner:][:inner]
			lo, hi := v[0], v[0]
			if inner > 1 {
				lo, hi = l.MinMax(v)
			}
			if o == 0 {
				r.min[c], r.max[c] = lo, hi
			}
			r.min[c], r.max[c] = min(r.min[c], lo), max(r.max[c], hi)
			sum[c] += float64(l.Reduce(kernel.ReduceSum, v, 0))
			square[c] += float64(l.Reduce(kernel.ReduceSumSquare, v, 0))
		}
	}
	r.mean, r.square = make([]float32, n), make([]float32, n)
	for c := range n {
		r.mean[c] = float32(sum[c] / float64(outer*inner))
		r.square[c] = float32(square[c] / float64(outer*inner))
	}
	return r
}

// Len is the number of channels; 0 where nothing was seen.
func (s *Channels) Len() int {
	for _, x := range s.samples {
		if x.min != nil {
			return len(x.min)
		}
	}
	return 0
}
