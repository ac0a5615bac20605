package repair

import (
	"context"

	"lowbit/internal/calib"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A tour runs the float network over samples part by part, and shows values of it on the way. Each part runs once, but where what
// lies between two parts takes too much to be kept, the next one begins earlier.
type tour struct {
	walk *walk
	made map[string]int // the piece that makes a value
}

// newTour cuts a network behind the nodes that end says, and keeps up to so many bytes of all samples between two parts.
func newTour(j *Job, net *graph.Model, samples []calib.Inputs, most int, end func(n *graph.Node) bool) *tour {
	t := &tour{newWalk(j, net, samples), map[string]int{}}
	t.walk.most = most
	t.walk.cut(func(n *graph.Node) string {
		if !end(n) {
			return ""
		}
		return n.Out[0]
	})
	for i, p := range t.walk.pieces {
		for _, n := range p.nodes {
			for _, o := range n.Out {
				t.made[o] = i
			}
		}
	}
	return t
}

// show shows some values of every sample, from several goroutines. The last bits of what a network yields may depend on which
// values are shown together, and on which were before: so these must not depend on where work was taken up.
func (t *tour) show(ctx context.Context, names []string, see func(sample int, value string, x *tensor.Tensor)) error {
	w := t.walk
	if len(w.samples) == 0 {
		return nil
	}
	last := -1
	for _, name := range names {
		if k, ok := t.made[name]; ok {
			last = max(last, k)
			if k < w.done && w.values[0][name] == nil {
				w.restart()
			}
		}
	}
	var there, watch []string
	for _, name := range names {
		if k, ok := t.made[name]; ok && k >= w.done {
			watch = append(watch, name)
		} else {
			there = append(there, name)
		}
	}
	if len(there) > 0 {
		err := calib.Each(ctx, len(w.samples), w.job.Threads, func(_ context.Context, i int) error {
			in := map[string]*tensor.Tensor{}
			for _, name := range there {
				if x := w.value(i, name); x != nil {
					see(i, name, x)
					in[name] = x
				}
			}
			w.spent(i, in)
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(watch) == 0 {
		return nil
	}
	p := w.from(last)
	p.again = 0
	left, err := w.run(ctx, p, watch, see)
	w.leave(last, left)
	return err
}
