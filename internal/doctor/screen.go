package doctor

import (
	"context"
	"maps"
	"slices"
	"sync"

	"lowbit/internal/calib"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
)

// The screening runs the float network once over some samples. Beside every layer it runs the same
// layer with the quantized weights alone, and with the quantized input alone; every activation is
// rounded as the file says. So each site's own loss is known before any is swapped.

// A loss is what a layer loses by its weights alone and by its quantized input alone.
type loss struct {
	weights, acts report.Diff
	shift         shift // of the results with quantized weights against those in float
	whole         shift // of the results in the quantized network, where a correction may have undone it
}

// A screening holds what was measured, by site and by unit.
type screening struct {
	acts   map[*site]*reading
	layers map[*unit]*loss
	inputs map[string]*calib.Stats // of the operands of operators that join branches
}

// screen measures every site's own loss.
func (e *exam) screen(ctx context.Context) error {
	p, err := e.probe()
	if err != nil {
		return err
	}
	r, err := e.Compile(p.m, p.watch)
	if err != nil {
		return err
	}
	defer r.Close()
	whole, err := e.Compile(e.m, slices.Sorted(maps.Keys(p.results)))
	if err != nil {
		return err
	}
	defer whole.Close()
	shots, err := e.shoot(ctx, p, r, whole)
	if err != nil {
		return err
	}
	e.screening = newScreening()
	for _, s := range shots { // in order, so that sums do not depend on the threads
		e.screening.merge(s)
	}
	for s, r := range e.screening.acts {
		if s.dynamic && r.stats.Seen() {
			s.params = over(float64(r.stats.Min), float64(r.stats.Max))
		}
	}
	return nil
}

// shoot runs every sample through the probe and the quantized network.
func (e *exam) shoot(ctx context.Context, p *probe, r, whole calib.Runner) ([]*screening, error) {
	shots := make([]*screening, len(e.few))
	done, mu := 0, sync.Mutex{}
	return shots, calib.Each(ctx, len(e.few), e.Threads, func(ctx context.Context, i int) error {
		s, kept := newScreening(), map[*unit][]float32{}
		see := func(name string, t *tensor.Tensor) { p.see(e, s, kept, name, t) }
		in := e.few[i]()
		for _, name := range slices.Sorted(maps.Keys(in)) {
			see(name, in[name])
		}
		if _, err := r.RunWatch(ctx, in, see); err != nil {
			return err
		}
		if _, err := whole.RunWatch(ctx, in, func(name string, t *tensor.Tensor) { p.seeWhole(s, kept, name, t) }); err != nil {
			return err
		}
		shots[i] = s
		mu.Lock()
		defer mu.Unlock()
		done++
		e.Progress("screen", done, len(e.few))
		return nil
	})
}

func newScreening() *screening {
	return &screening{map[*site]*reading{}, map[*unit]*loss{}, map[string]*calib.Stats{}}
}

func (s *screening) merge(o *screening) {
	for k, r := range o.acts {
		t := s.acts[k]
		if t == nil {
			s.acts[k] = r
			continue
		}
		t.stats.Merge(r.stats)
		t.Diff.Merge(r.Diff)
		t.outside += r.outside
		t.distant += r.distant
		for c, k := range r.counts {
			t.counts[c] += k
		}
	}
	for k, l := range o.layers {
		t := s.layers[k]
		if t == nil {
			s.layers[k] = l
			continue
		}
		t.weights.Merge(l.weights)
		t.acts.Merge(l.acts)
		t.shift.merge(l.shift)
		t.whole.merge(l.whole)
	}
	for k, v := range o.inputs {
		if s.inputs[k] == nil {
			s.inputs[k] = v
		} else {
			s.inputs[k].Merge(v)
		}
	}
}
