package repair

import (
	"context"
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// A Journal keeps what is done of a repair, so that a later run of the same work need not do it again.
type Journal interface {
	Recall(key string, v any) bool // fills v with what was kept, false where there is nothing
	Keep(key string, v any) error  // what JSON cannot write, such as an infinity, may be left out
}

// Once returns what an earlier run of the same work kept under a key, or else what do makes, which it keeps. Without
// a journal it calls do.
func Once[T any](j Journal, key string, do func() (T, error)) (T, error) {
	var kept T
	if j != nil && j.Recall(key, &kept) {
		return kept, nil
	}
	made, err := do()
	if j != nil && err == nil {
		err = j.Keep(key, made)
	}
	return made, err
}

// A kept is what a repair did to some layers at a time, as a journal keeps it.
type kept struct {
	Consts  map[string]stored // of the float network, that changed
	Values  []fitted          // of the plan, that changed
	Changes []Change
	Counts  []int    // of the repair
	Stale   bool     // what the layers yield was not computed since
	Watched []string // with which values watched it was
}

// stored is a constant in float32.
type stored struct {
	Shape []int
	Raw   []byte
}

// fitted is what repairs change of a value in a plan.
type fitted struct {
	As             string
	Params, Fitted []format.Params
	Reason         string
}

func fittedOf(v *plan.Value) fitted {
	return fitted{v.As, slices.Clone(v.Params), slices.Clone(v.Fitted), v.Reason}
}

func (f *fitted) equal(o *fitted) bool {
	return slices.Equal(f.Params, o.Params) && slices.Equal(f.Fitted, o.Fitted) && f.Reason == o.Reason
}

// A recorder keeps the steps of one repair in the job's journal.
type recorder struct {
	job    *Job
	out    *Outcome
	walk   *walk
	counts []*int                     // of the repair
	node   func(l *layer) *graph.Node // a layer in the quantized network
}

// once does something to some layers and keeps what it did; stale says that what the layers yield has to be
// computed again. Where that was kept by an earlier run, it is made again, and returned.
func (r *recorder) once(key string, layers []*layer, do func() (stale bool, err error)) (made *kept, err error) {
	if r.job.Journal == nil {
		_, err := do()
		return nil, err
	}
	s := &kept{}
	if r.job.Journal.Recall(key, s) && r.fits(s) {
		return s, r.replay(s, layers)
	}
	was := r.state(layers)
	stale, err := do()
	if err != nil {
		return nil, err
	}
	s = r.since(was)
	s.Stale, s.Watched = stale, r.walk.watched
	return nil, r.job.Journal.Keep(key, s)
}

// A state is what a step may change.
type state struct {
	consts  map[string]*tensor.Tensor
	values  []fitted
	changes int
	counts  []int
}

func (r *recorder) state(layers []*layer) *state {
	b := &state{consts: map[string]*tensor.Tensor{}, changes: len(r.out.Changes)}
	for _, l := range layers {
		b.consts[l.node.In[l.weight]] = r.job.Net.Graph.ConstTensor(l.node.In[l.weight])
		if name := l.offset(); name != "" {
			b.consts[name] = r.job.Net.Graph.ConstTensor(name)
		}
		for _, v := range r.job.Plan.Values {
			if v.As == l.stored || v.Weight == l.stored {
				b.values = append(b.values, fittedOf(v))
			}
		}
	}
	for _, c := range r.counts {
		b.counts = append(b.counts, *c)
	}
	return b
}

// since is what was done since a state.
func (r *recorder) since(b *state) *kept {
	s := &kept{Consts: map[string]stored{}, Changes: r.out.Changes[b.changes:]}
	for name, was := range b.consts {
		if t := r.job.Net.Graph.ConstTensor(name); t != was {
			s.Consts[name] = stored{t.Shape, t.Raw}
		}
	}
	for _, was := range b.values {
		if f := fittedOf(r.job.Plan.Value(was.As)); !f.equal(&was) {
			s.Values = append(s.Values, f)
		}
	}
	for i, c := range r.counts {
		s.Counts = append(s.Counts, *c-b.counts[i])
	}
	return s
}

// fits says whether a kept step is one of this network.
func (r *recorder) fits(s *kept) bool {
	for _, f := range s.Values {
		if v := r.job.Plan.Value(f.As); v == nil || len(v.Params) != len(f.Params) {
			return false
		}
	}
	for name, c := range s.Consts {
		if t := r.job.Net.Graph.ConstTensor(name); t == nil || !slices.Equal(t.Shape, c.Shape) || len(t.Raw) != len(c.Raw) {
			return false
		}
	}
	return len(s.Counts) == len(r.counts)
}

// replay makes a kept step again.
func (r *recorder) replay(s *kept, layers []*layer) error {
	for _, f := range s.Values {
		v := r.job.Plan.Value(f.As)
		v.Params, v.Fitted, v.Reason = f.Params, f.Fitted, f.Reason
	}
	put := func(name string, set func(t *tensor.Tensor) error) error {
		c, ok := s.Consts[name]
		if !ok {
			return nil
		}
		t := &tensor.Tensor{DType: tensor.Float32, Shape: c.Shape, Raw: c.Raw}
		r.job.Net.Graph.SetConst(name, t)
		return set(t)
	}
	for _, l := range layers {
		n := r.node(l)
		err := put(l.node.In[l.weight], func(t *tensor.Tensor) error { return r.walk.setConst(n, l.weight, l.stored, t, r.job.Plan) })
		if err == nil {
			err = put(l.offset(), func(t *tensor.Tensor) error { return r.walk.setOffset(n, l, t, r.job.Plan) })
		}
		if err != nil {
			return err
		}
	}
	r.out.Changes = append(r.out.Changes, s.Changes...)
	for i, n := range s.Counts {
		*r.counts[i] += n
	}
	return nil
}

// left computes what a piece leaves behind a step that was made again, as it was computed then.
func (s *kept) left(ctx context.Context, w *walk, p *piece) ([]map[string]*tensor.Tensor, error) {
	return w.run(ctx, p, s.Watched, func(int, string, *tensor.Tensor) {})
}
