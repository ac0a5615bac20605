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

// NewChannels keeps the channels along an axis, of some samples.
func NewChannels(axis, samples int) *Channels {
	return &Channels{Axis: axis, samples: make([]channelSample, samples)}
}

// add takes in what sample i shows. Values of other types are left out.
func (s *Channels) add(l kernel.Level, i int, t *tensor.Tensor) {
	if s != nil && t.DType == tensor.Float32 && t.Kind == tensor.Dense && s.Axis < t.Rank() {
		s.samples[i] = channelsOf(l, tensor.Of[float32](t), t.Shape, s.Axis)
	}
}

// CollectChannels runs the samples of feed through r and returns the statistics of each channel
// of the named values, whose channels lie along the given axes, axis 1 also where r shows values
// as matrices of pixels and channels. Values of other types, and those that r never showed, are left out.
func CollectChannels(ctx context.Context, r Runner, feed Feed, axes map[string]int, opt Options) (map[string]*Channels, error) {
	all := map[string]*Channels{}
	for name, axis := range axes {
		all[name] = NewChannels(axis, feed.N)
	}
	var mu sync.Mutex
	done := 0
	err := Each(ctx, feed.N, opt.Workers, func(ctx context.Context, i int) error {
		in, name, err := feed.Sample(i)
		if err != nil {
			return err
		}
		watch := func(value string, t *tensor.Tensor) { all[value].add(opt.Level, i, t) }
		for _, value := range slices.Sorted(maps.Keys(in)) {
			watch(value, in[value])
		}
		out, err := r.RunWatch(ctx, in, watch)
		if err != nil {
			return fault.At("sample "+name, err)
		}
		tensor.Recycle(out)
		tensor.Recycle(in)
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
	if inner == 1 {
		if r, ok := columnsOf(l, x, n); ok {
			return r
		}
	}
	r.min, r.max = make([]float32, n), make([]float32, n)
	sum, square := make([]float64, n), make([]float64, n)
	outer := len(x) / (n * inner)
	for o := range outer {
		for c := range n {
			v := x[(o*n+c)*inner:][:inner]
			lo, hi := l.MinMax(v)
			if o == 0 {
				r.min[c], r.max[c] = lo, hi
			}
			r.min[c], r.max[c] = min(r.min[c], lo), max(r.max[c], hi)
			sum[c] += float64(l.Reduce(kernel.ReduceSum, v, 0))
			square[c] += float64(l.Reduce(kernel.ReduceSumSquare, v, 0))
		}
	}
	r.means(sum, square, outer*inner)
	return r
}

// means sets the means over some elements of each channel.
func (r *channelSample) means(sum, square []float64, elements int) {
	r.mean, r.square = make([]float32, len(sum)), make([]float32, len(sum))
	for c := range sum {
		r.mean[c] = float32(sum[c] / float64(elements))
		r.square[c] = float32(square[c] / float64(elements))
	}
}

const (
	columnsWide = 512 // elements of the rows that are taken at a time
	columnsDeep = 32  // so many are added in float32
)

// A columnScratch is what columnsOf works in.
type columnScratch struct {
	lo, hi, part, parts, own []float32
	sum, square              []float64
}

var columnSums = sync.Pool{New: func() any { return &columnScratch{} }}

// grow makes room for rows of so many elements in n columns, and clears the sums.
func (s *columnScratch) grow(wide, n int) {
	if len(s.lo) < wide {
		for _, x := range []*[]float32{&s.lo, &s.hi, &s.part, &s.parts, &s.own} {
			*x = make([]float32, wide)
		}
	}
	if len(s.sum) < n {
		s.sum, s.square = make([]float64, n), make([]float64, n)
	}
	clear(s.part[:wide])
	clear(s.parts[:wide])
	clear(s.sum[:n])
	clear(s.square[:n])
}

// columnsOf sums up the columns of a matrix of n columns, several rows at a time. It returns false where
// one holds NaN, which extremes pass over.
func columnsOf(l kernel.Level, x []float32, n int) (r channelSample, ok bool) {
	wide := max(1, columnsWide/n) * n
	wide = min(wide, len(x))
	s := columnSums.Get().(*columnScratch)
	defer columnSums.Put(s)
	s.grow(wide, n)
	lo, hi, part, parts, own, sum, square := s.lo[:wide], s.hi[:wide], s.part[:wide], s.parts[:wide], s.own[:wide], s.sum[:n], s.square[:n]
	copy(lo, x)
	copy(hi, x)
	flush := func() {
		for i := 0; i < wide; i += n {
			a, b := part[i:][:n], parts[i:][:n]
			for c := range n {
				sum[c] += float64(a[c])
				square[c] += float64(b[c])
			}
		}
		clear(part)
		clear(parts)
	}
	for i := 0; i < len(x); i += wide {
		v := x[i:min(i+wide, len(x))]
		k := len(v)
		l.Binary(kernel.Min, lo[:k], lo[:k], v)
		l.Binary(kernel.Max, hi[:k], hi[:k], v)
		l.Binary(kernel.Add, part[:k], part[:k], v)
		l.Binary(kernel.Mul, own[:k], v, v)
		l.Binary(kernel.Add, parts[:k], parts[:k], own[:k])
		if i/wide%columnsDeep == columnsDeep-1 {
			flush()
		}
	}
	flush()
	r.min, r.max = slices.Clone(lo[:n]), slices.Clone(hi[:n])
	for i := n; i < wide; i += n {
		l.Binary(kernel.Min, r.min, r.min, lo[i:][:n])
		l.Binary(kernel.Max, r.max, r.max, hi[i:][:n])
	}
	for c := range n {
		if r.min[c] != r.min[c] {
			return r, false
		}
		r.min[c], r.max[c] = r.min[c]+0, r.max[c]+0 // zeros are +0
	}
	r.means(sum, square, len(x)/n)
	return r, true
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
