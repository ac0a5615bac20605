package main

import (
	"math"
	"math/bits"
	"os"
	"runtime/debug"
	"time"

	"lowbit"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// Of the memory that there is, this share is taken where --max-memory is not given.
const memoryShare = 0.75

// The program itself, and what the collector leaves before it runs, in bytes.
const memoryFloor = 24 << 20

// limitMemory makes --max-memory hold in three ways: need refuses work before it begins, the
// collector works harder near the limit, and work that passes it all the same is stopped.
func (a *app) limitMemory() error {
	limit := int64(a.memory)
	if limit == 0 {
		limit = int64(memoryShare * float64(totalMemory()))
	}
	if limit == 0 {
		return nil
	}
	a.memory = size(limit)
	debug.SetMemoryLimit(limit)
	if err := a.need("lowbit", 0); err != nil {
		return err
	}
	go a.watchMemory(limit)
	return nil
}

// How much more is held than the collector left before it runs again, in percent. In work on samples nearly all of it is
// numbers, which the collector does not look at: calibration alone takes no longer with a tenth than with a quarter, repairs,
// which make far more that is thrown away, take a tenth longer.
const (
	calibrateSlack = 10
	repairSlack    = 25
)

// thrift has the collector run when that many percent more are held, not twice as much.
func thrift(percent int) {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(percent)
	}
}

// watchMemory ends the work when the process holds more than the limit and a tenth, although the
// collector gave back what it could.
func (a *app) watchMemory(limit int64) {
	for t := time.NewTicker(50 * time.Millisecond); ; {
		select {
		case <-a.ctx.Done():
			t.Stop()
			return
		case <-t.C:
		}
		if residentMemory() <= limit+limit/10 {
			continue
		}
		debug.FreeOSMemory()
		if now := size(residentMemory()); int64(now) > limit+limit/10 {
			max := size(limit)
			a.cancel(fault.Limitf("--max-memory", "%s are in use, %s are allowed", &now, &max).WithHint("use fewer --threads, smaller inputs, or a larger limit"))
		}
	}
}

// need refuses work that takes more bytes, besides the program itself, than --max-memory allows.
func (a *app) need(place string, bytes int64) error {
	total := size(bytes)
	if bytes > math.MaxInt64-memoryFloor {
		total = math.MaxInt64
	} else {
		total += memoryFloor
	}
	if a.memory == 0 || total <= a.memory {
		return nil
	}
	return fault.Limitf(place, "needs about %s, --max-memory allows %s", &total, &a.memory).WithHint("allow more with --max-memory")
}

// A load is the work that a command puts on a model.
type load struct {
	workers int                   // runs at a time
	inputs  map[string]graph.Type // of one run; values whose size they do not tell count as nothing
	copies  int                   // of the weights besides the file: packed, folded, quantized
	watched int64                 // bytes that are kept of all values together
}

// admit refuses a load on a model that --max-memory has no room for.
func (a *app) admit(m *lowbit.Model, l load) error {
	bytes, err := m.Bytes()
	if err != nil {
		return err
	}
	facts, err := op.Infer(m.Graph(), l.inputs)
	if err != nil {
		return fault.At(m.Path(), err)
	}
	total := sum(times(bytes, int64(1+l.copies)), times(peak(m.Graph().Graph, facts), int64(l.workers)))
	return a.need(m.Path(), sum(total, l.watched))
}

// peak is the most bytes of values that are alive at once when a graph runs in order, each from
// the node that writes it to the last that reads it. Subgraphs count as if nothing in them died.
func peak(g *graph.Graph, facts op.Facts) int64 {
	last := map[string]int{}
	for i, n := range g.Nodes {
		for _, name := range append(n.Captures(), n.In...) {
			last[name] = i
		}
		for _, name := range n.Out {
			last[name] = max(last[name], i)
		}
	}
	for _, v := range g.Out {
		last[v.Name] = len(g.Nodes)
	}
	var live, most int64
	dies := map[int]int64{}
	born := func(name string) {
		b := valueBytes(facts[name].Type)
		live = sum(live, b)
		dies[last[name]] = sum(dies[last[name]], b)
	}
	for _, v := range g.Required() {
		born(v.Name)
	}
	for i, n := range g.Nodes {
		for _, s := range n.Subgraphs() {
			live = sum(live, allBytes(s, facts))
		}
		for _, name := range n.Out {
			born(name)
		}
		most = max(most, live)
		live = max(0, live-dies[i])
	}
	return most
}

// allBytes is the size of every value that the nodes of a graph write.
func allBytes(g *graph.Graph, facts op.Facts) (total int64) {
	for _, n := range g.AllNodes() {
		for _, name := range n.Out {
			total = sum(total, valueBytes(facts[name].Type))
		}
	}
	return total
}

// valueBytes is the size of a tensor of that type; 0 where the type leaves it open.
func valueBytes(t graph.Type) int64 {
	shape, ok := t.Static()
	if !ok || !t.IsTensor() {
		return 0
	}
	n := int64(1)
	for _, d := range shape {
		n = times(n, int64(d))
	}
	return times(n, int64(max(8, t.DType.Bits()))) / 8
}

// times multiplies sizes; beyond int64 it stays at the largest.
func times(a, b int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if hi != 0 || lo > math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(lo)
}

// sum adds sizes; beyond int64 it stays at the largest.
func sum(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// typesOf returns the types of given inputs.
func typesOf(in map[string]*tensor.Tensor) map[string]graph.Type {
	types := map[string]graph.Type{}
	for name, t := range in {
		types[name] = graph.TypeOf(t)
	}
	return types
}
