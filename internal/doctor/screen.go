package doctor

import (
	"context"
	"math"
	"slices"
	"sync"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
)

// The screening runs the float network once over some samples. Beside every layer it runs the same
// layer with the quantized weights alone, and with the quantized input alone; every activation is
// rounded as the file says. So each quantizer's own loss is known before any is swapped.

// A reading is what one activation's quantizer does to the values that it meets.
type reading struct {
	stats       *calib.Stats // of the float values
	report.Diff              // float values against quantized ones
	outside     uint64       // values beyond the range of the codes
	outer       float64      // their share of the squared error
	counts      []int64      // how many values other than zero take each code
}

// crowd is the share of the values other than zero that take one of the two commonest codes.
func (r *reading) crowd() float64 {
	var first, second, all int64
	for _, c := range r.counts {
		all += c
		if c > first {
			first, second = c, first
		} else if c > second {
			second = c
		}
	}
	return float64(first+second) / float64(max(1, all))
}

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

// A branch is a copy of a layer that reads some values quantized.
type branch struct {
	unit    *unit
	weights bool
}

// screen measures every quantizer's own loss.
func (e *exam) screen(ctx context.Context) error {
	p, err := e.probe()
	if err != nil {
		return err
	}
	r, err := e.Compile(p.m, p.watch)
	if err != nil {
		return err
	}
	whole, err := e.Compile(e.m, sorted(p.results))
	if err != nil {
		return err
	}
	shots := make([]*screening, len(e.few))
	done, mu := 0, sync.Mutex{}
	err = calib.Each(ctx, len(e.few), e.Threads, func(ctx context.Context, i int) error {
		s := newScreening()
		kept := map[*unit][]float32{}
		see := func(name string, t *tensor.Tensor) { p.see(e, s, kept, name, t) }
		for _, name := range sorted(e.few[i]) {
			see(name, e.few[i][name])
		}
		if _, err := r.RunWatch(ctx, e.few[i], see); err != nil {
			return err
		}
		if _, err := whole.RunWatch(ctx, e.few[i], func(name string, t *tensor.Tensor) { p.seeWhole(s, kept, name, t) }); err != nil {
			return err
		}
		shots[i] = s
		mu.Lock()
		defer mu.Unlock()
		done++
		e.Progress("screen", done, len(e.few))
		return nil
	})
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

func newScreening() *screening {
	return &screening{map[*site]*reading{}, map[*unit]*loss{}, map[string]*calib.Stats{}}
}

// A probe is the network of the screening.
type probe struct {
	m        *graph.Model
	watch    []string
	sites    map[string][]*site // by the value that they quantize
	results  map[string]*unit   // layers by the float result
	branches map[string]branch  // by the result of the copy
	joins    map[string]bool    // operands of operators that join branches
}

// probe makes the network: all in float, with the branches.
func (e *exam) probe() (*probe, error) {
	b, err := e.draft(e.base)
	if err != nil {
		return nil, err
	}
	p := &probe{m: b.out, sites: map[string][]*site{}, results: map[string]*unit{}, branches: map[string]branch{}, joins: map[string]bool{}}
	for _, s := range e.sites {
		if s.kind == acts {
			name := b.now(s.to[0])
			if name == s.to[0] { // an output of the graph
				name = b.now(s.from)
			}
			p.sites[name] = append(p.sites[name], s)
		}
	}
	for _, u := range e.nodes {
		if joins(u) {
			for _, name := range u.node.In {
				p.joins[b.now(name)] = true
				e.branches[u] = append(e.branches[u], b.now(name))
			}
		}
	}
	var list []*graph.Node
	for _, n := range b.out.Graph.Nodes {
		list = append(list, n)
		if u := e.layerOf(n); u != nil {
			list = append(list, p.beside(b, u, n)...)
		}
	}
	b.out.Graph.Nodes = list
	for _, set := range []map[string]bool{keys(p.sites), keys(p.results), keys(p.branches), p.joins} {
		for name := range set {
			if !slices.Contains(p.watch, name) {
				p.watch = append(p.watch, name)
			}
		}
	}
	slices.Sort(p.watch)
	return p, nil
}

func keys[V any](m map[string]V) map[string]bool {
	set := map[string]bool{}
	for k := range m {
		set[k] = true
	}
	return set
}

// layerOf is the unit with weights whose copy a node is, nil where there is none.
func (e *exam) layerOf(n *graph.Node) *unit {
	for _, u := range e.nodes {
		if u.weights != nil && u.weights.off != nil && len(n.Out) > 0 && n.Out[0] == u.node.Out[0] {
			return u
		}
	}
	return nil
}

// joins says whether a unit joins several branches in one result.
func joins(u *unit) bool { return u.node.Op == "Concat" || u.node.Op == "Add" || u.node.Op == "Sub" }

// beside makes the branches of a layer: one with quantized weights and bias, one with quantized input.
func (p *probe) beside(b *builder, u *unit, n *graph.Node) []*graph.Node {
	p.results[n.Out[0]] = u
	copyOf := func(what string, weights bool) *graph.Node {
		c := *n
		c.Name, c.Out, c.In = b.fresh(n.Name+what), []string{b.fresh(n.Out[0] + what)}, slices.Clone(n.In)
		p.branches[c.Out[0]] = branch{u, weights}
		return &c
	}
	var list []*graph.Node
	w := copyOf("_weights", true)
	for _, s := range []*site{u.weights, u.bias} {
		if s == nil {
			continue
		}
		name := b.fresh(s.name + "_decoded")
		if s.kind == weights {
			b.out.Graph.SetConst(name, s.coded.Decode())
		} else {
			b.out.Graph.SetConst(name, tensor.Float32s(b.biasOf(u), s.codes.Shape...))
		}
		w.In[operandOf(u, s)] = name
	}
	list = append(list, w)
	a, quantized := copyOf("_acts", false), false
	for i, s := range u.in {
		if s == nil || s.kind != acts {
			continue
		}
		q, d := *s.q, *b.x.Producer(s.to[0])
		q.Name, d.Name = b.fresh(q.Name), b.fresh(d.Name)
		q.In, q.Out, d.In = slices.Clone(q.In), slices.Clone(q.Out), slices.Clone(d.In)
		q.In[0] = n.In[i]
		for k, name := range s.q.Out {
			q.Out[k] = b.fresh(name)
			if at := slices.Index(d.In, name); at >= 0 {
				d.In[at] = q.Out[k]
			}
		}
		d.Out = []string{b.fresh(d.Out[0])}
		a.In[i] = d.Out[0]
		list, quantized = append(list, &q, &d), true
	}
	if !quantized {
		delete(p.branches, a.Out[0])
		return list
	}
	return append(list, a)
}

// see measures a value of one sample.
func (p *probe) see(e *exam, s *screening, kept map[*unit][]float32, name string, t *tensor.Tensor) {
	x := report.Floats(t)
	if x == nil {
		return
	}
	for _, site := range p.sites[name] {
		r := s.acts[site]
		if r == nil {
			r = &reading{stats: calib.NewStats(true)}
			s.acts[site] = r
		}
		r.stats.Add(e.Level, x)
		r.quantize(site, x)
	}
	if p.joins[name] {
		if s.inputs[name] == nil {
			s.inputs[name] = calib.NewStats(false)
		}
		s.inputs[name].Add(e.Level, x)
	}
	if u := p.results[name]; u != nil {
		kept[u] = slices.Clone(x)
		s.layers[u] = &loss{}
	}
	if b, ok := p.branches[name]; ok && len(kept[b.unit]) == len(x) {
		y, l := kept[b.unit], s.layers[b.unit]
		if b.weights {
			l.weights.Add(y, x)
			l.shift.add(y, x, t.Shape, channelAxis(b.unit, t.Rank()))
		} else {
			l.acts.Add(y, x)
		}
	}
}

// seeWhole compares a layer's results in the quantized network with those in float.
func (p *probe) seeWhole(s *screening, kept map[*unit][]float32, name string, t *tensor.Tensor) {
	u := p.results[name]
	if u == nil {
		return
	}
	if x := report.Floats(t); x != nil && len(kept[u]) == len(x) {
		s.layers[u].whole.add(kept[u], x, t.Shape, channelAxis(u, t.Rank()))
	}
}

// channelAxis is the axis of a layer's results along which its output channels lie.
func channelAxis(u *unit, rank int) int {
	if slices.Contains([]string{"Conv", "ConvTranspose"}, u.node.Op) {
		return min(1, rank-1)
	}
	return rank - 1
}

// quantize rounds values as a site does, and counts what happens to them.
func (r *reading) quantize(s *site, x []float32) {
	y := make([]float32, len(x))
	codes := make([]int32, len(x))
	p := s.params
	if s.dynamic {
		p = ranged(x)
	}
	s.format.Encode(codes, x, p)
	s.format.Decode(y, codes, p)
	r.Diff.Add(x, y)
	a, b := s.format.Range(p)
	lo, hi := float64(a), float64(b)
	half := float64(p.Scale) / 2
	if r.counts == nil && s.format.Bits <= 16 {
		r.counts = make([]int64, 1<<s.format.Bits)
	}
	mask := len(r.counts) - 1
	for i, v := range x {
		if v != 0 && r.counts != nil {
			r.counts[int(codes[i])&mask]++
		}
		if e := float64(v); e < lo-half || e > hi+half {
			r.outside++
			d := e - float64(y[i])
			r.outer += float64(d * d)
		}
	}
}

// ranged returns the parameters that DynamicQuantizeLinear finds.
func ranged(x []float32) format.Params {
	if len(x) == 0 {
		return format.Params{Scale: 1}
	}
	return over(float64(slices.Min(x)), float64(slices.Max(x)))
}

// over returns the parameters of codes from 0 to 255 over a range widened to hold zero.
func over(lo, hi float64) format.Params {
	lo, hi = min(lo, 0), max(hi, 0)
	scale := (hi - lo) / 255
	if !(scale > 0) {
		return format.Params{Scale: 1}
	}
	return format.Params{Scale: float32(scale), Zero: int32(min(255, max(0, math.RoundToEven(-lo/scale))))}
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
		t.outer += r.outer
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

func sorted[V any](m map[string]V) []string {
	var list []string
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// share is the part of values outside the range of an activation's codes.
func (r *reading) share() float64 { return float64(r.outside) / float64(max(1, r.Len())) }
