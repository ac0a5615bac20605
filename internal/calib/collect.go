package calib

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"lowbit/internal/fault"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A Runner evaluates a network and shows the values it was built to show.
type Runner interface {
	// RunWatch returns results that are the caller's own.
	RunWatch(ctx context.Context, in map[string]*tensor.Tensor, watch func(value string, t *tensor.Tensor)) (map[string]*tensor.Tensor, error)
	Close()
}

// A Feed gives the inputs of sample i of n, which are recycled afterwards. It may be called from several goroutines.
type Feed struct {
	N      int
	Sample func(i int) (in map[string]*tensor.Tensor, name string, err error)
}

// Inputs make what one sample feeds to a network, at each call. What they make is not changed; who is done with it may
// recycle it ([tensor.Recycle]).
type Inputs func() map[string]*tensor.Tensor

// FeedOf gives the samples of a list.
func FeedOf(list []Inputs) Feed {
	return Feed{N: len(list), Sample: func(i int) (map[string]*tensor.Tensor, string, error) { return list[i](), "", nil }}
}

// Options of Collect.
type Options struct {
	Hist    bool
	Workers int
	Level   kernel.Level
	Done    func(samples int) // progress; called from one goroutine at a time

	Channels map[string]*Channels // what Collect shows of these values is added to them
}

// Collect runs every sample of feed through r and returns the statistics of the values that r
// shows and of the network's inputs. A sample that holds NaN or an infinity is an error.
func Collect(ctx context.Context, r Runner, feed Feed, opt Options) (map[string]*Stats, error) {
	if feed.N == 0 {
		return nil, fault.Invalidf("calibration data", "no samples")
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	workers := max(1, opt.Workers)
	c := &collector{r: r, feed: feed, opt: opt}
	tables := make([]table, (workers+sharers-1)/sharers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			if err := c.work(ctx, &tables[w/sharers]); err != nil {
				cancel(err)
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	all := map[string]*Stats{}
	for i := range tables {
		for name, e := range tables[i].entries {
			if s := all[name]; s != nil {
				s.Merge(e.stats)
			} else {
				all[name] = e.stats
			}
		}
	}
	return all, nil
}

// sharers is how many workers write to one histogram of each value, so that memory does not grow with each thread.
// They are at different values most of the time.
const sharers = 8

// A table holds the statistics that some workers share.
type table struct {
	mu      sync.Mutex
	entries map[string]*entry
}

type entry struct {
	mu    sync.Mutex
	stats *Stats
}

// entry returns that of a value.
func (t *table) entry(value string, hist bool) *entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.entries == nil {
		t.entries = map[string]*entry{}
	}
	e := t.entries[value]
	if e == nil {
		e = &entry{stats: NewStats(hist)}
		t.entries[value] = e
	}
	return e
}

func (e *entry) add(l kernel.Level, x []float32) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.stats.Add(l, x)
}

type collector struct {
	r    Runner
	feed Feed
	opt  Options

	mu   sync.Mutex
	next int
	done int
}

// take hands out the number of the next sample.
func (c *collector) take() (int, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.next++
	return c.next - 1, c.next <= c.feed.N
}

func (c *collector) work(ctx context.Context, t *table) error {
	for {
		i, ok := c.take()
		if !ok || ctx.Err() != nil {
			break
		}
		if err := c.sample(ctx, t, i); err != nil {
			return err
		}
		c.mu.Lock()
		c.done++
		if c.opt.Done != nil {
			c.opt.Done(c.done)
		}
		c.mu.Unlock()
	}
	return nil
}

func (c *collector) sample(ctx context.Context, stats *table, i int) (err error) {
	defer fault.Trap()()
	defer func() {
		if r := recover(); r != nil {
			err = fault.Recovered(fmt.Sprintf("sample %d", i), r)
		}
	}()
	in, name, err := c.feed.Sample(i)
	if err != nil {
		return err
	}
	add := func(value string, t *tensor.Tensor) {
		if t.DType != tensor.Float32 || t.Kind != tensor.Dense {
			return
		}
		stats.entry(value, c.opt.Hist).add(c.opt.Level, tensor.Of[float32](t))
	}
	for _, value := range slices.Sorted(maps.Keys(in)) {
		t := in[value]
		if t.DType == tensor.Float32 {
			if s := c.opt.Level.Scan(tensor.Of[float32](t)); s.NaNs+s.Infs > 0 {
				return fault.Invalidf(name, "input %q holds %d NaN and %d infinite values", value, s.NaNs, s.Infs).
					WithHint("remove the sample, or mend the pre-processing that made it")
			}
		}
		add(value, t)
		c.opt.Channels[value].add(c.opt.Level, i, t)
	}
	watch := func(value string, t *tensor.Tensor) {
		if _, fed := in[value]; !fed { // that was added
			add(value, t)
			c.opt.Channels[value].add(c.opt.Level, i, t)
		}
	}
	out, err := c.r.RunWatch(ctx, in, watch)
	if err != nil {
		return fault.At(fmt.Sprintf("sample %s", name), err)
	}
	tensor.Recycle(out)
	tensor.Recycle(in)
	return nil
}
