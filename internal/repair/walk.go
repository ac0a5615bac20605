package repair

import (
	"context"
	"math"
	"slices"
	"sync/atomic"

	"lowbit/internal/calib"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// A walk runs a quantized network over samples piece by piece, so that a layer can be changed
// before those behind it see its result. Between two pieces only the values that later pieces read
// are kept: mostly codes of eight bits. What a piece leaves that takes too much is not: the next ones
// compute it again.
type walk struct {
	job     *Job
	net     *graph.Model
	samples []calib.Inputs
	values  []map[string]*tensor.Tensor // of each sample: what the pieces done so far leave
	pieces  []*piece
	most    int      // bytes that a piece may leave; 0 for any number
	done    int      // pieces whose results are kept
	watched []string // by the last run
}

// againMost is how many pieces are computed again at most: behind so many, what they leave is kept whatever it takes.
const againMost = 6

// A piece is a run of consecutive nodes that ends with the quantized result of one layer.
type piece struct {
	layer   *graph.Node // nil at the end of the network
	nodes   []*graph.Node
	in, out []string
	again   int  // pieces in it that were run before
	large   bool // what it leaves is not kept
}

// newWalk makes a walk over a quantized network, which cut has to cut.
func newWalk(j *Job, net *graph.Model, samples []calib.Inputs) *walk {
	w := &walk{job: j, net: net, samples: samples}
	for range samples {
		w.values = append(w.values, map[string]*tensor.Tensor{})
	}
	return w
}

// value is what a piece reads of sample i: what earlier pieces left, or an input of the network; nil where there is none.
func (w *walk) value(i int, name string) *tensor.Tensor {
	if t := w.values[i][name]; t != nil {
		return t
	}
	if !slices.ContainsFunc(w.net.Graph.In, func(v *graph.Value) bool { return v.Name == name }) {
		return nil
	}
	return w.samples[i]()[name]
}

// cut splits the nodes that depend on inputs into pieces; those that only decode constants are
// copied into every piece that reads them. end names the value with which the piece of a layer is
// complete, "" for nodes that begin no end.
func (w *walk) cut(end func(n *graph.Node) string) {
	g := w.net.Graph
	fixed := map[string]*graph.Node{} // by result: nodes that read constants only
	var flow []*graph.Node
	for _, n := range g.Nodes {
		if len(n.In) > 0 && w.isFixed(n, fixed) {
			for _, o := range n.Out {
				fixed[o] = n
			}
			continue
		}
		flow = append(flow, n)
	}
	p := &piece{}
	var ends string // the value at which the piece is complete
	for _, n := range flow {
		p.nodes = append(p.nodes, n)
		if p.layer == nil {
			if ends = end(n); ends != "" {
				p.layer = n
			}
		}
		if p.layer != nil && n.Out[0] == ends {
			w.pieces = append(w.pieces, p)
			p = &piece{}
		}
	}
	if len(p.nodes) > 0 {
		w.pieces = append(w.pieces, p)
	}
	w.connect(fixed)
}

// isFixed says whether n decodes constants and nothing else.
func (w *walk) isFixed(n *graph.Node, fixed map[string]*graph.Node) bool {
	for _, name := range append(n.Captures(), n.In...) {
		if name != "" && w.net.Graph.Const(name) == nil && fixed[name] == nil {
			return false
		}
	}
	return true
}

// codes returns the name of the quantized result of a layer, following clamps, or of the result
// itself where it stays in float.
func (w *walk) codes(n *graph.Node) string {
	x := w.net.Graph.Index()
	name := n.Out[0]
	for range 4 {
		u := x.OnlyUse(name)
		if u == nil {
			break
		}
		if u.Op == "QuantizeLinear" {
			return u.Out[0]
		}
		if o := op.Lookup(u.Domain, u.Op); o == nil || !o.Quant.Clamp {
			break
		}
		name = u.Out[0]
	}
	return n.Out[0]
}

// connect finds what each piece reads from those before it and what it leaves to those behind it.
func (w *walk) connect(fixed map[string]*graph.Node) {
	wanted := map[string]bool{}
	for _, v := range w.net.Graph.Out {
		wanted[v.Name] = true
	}
	for i := len(w.pieces) - 1; i >= 0; i-- {
		p := w.pieces[i]
		own, read := map[string]bool{}, map[string]bool{}
		var pre []*graph.Node
		var add func(n *graph.Node)
		add = func(n *graph.Node) {
			for _, name := range append(n.Captures(), n.In...) {
				if f := fixed[name]; f != nil && !own[name] {
					for _, o := range f.Out {
						own[o] = true
					}
					add(f)
					pre = append(pre, f)
				}
			}
		}
		for _, n := range p.nodes {
			add(n)
			for _, o := range n.Out {
				own[o] = true
			}
		}
		for _, n := range p.nodes {
			for _, name := range append(n.Captures(), n.In...) {
				if name != "" && !own[name] && w.net.Graph.Const(name) == nil && !read[name] {
					read[name] = true
					p.in = append(p.in, name)
				}
			}
			for _, o := range n.Out {
				if wanted[o] {
					p.out = append(p.out, o)
				}
			}
		}
		for name := range read {
			wanted[name] = true
		}
		p.nodes = append(pre, p.nodes...)
	}
}

// from returns piece k, together with those before it whose results were not kept.
func (w *walk) from(k int) *piece {
	last := w.pieces[k]
	if w.done == k {
		return last
	}
	p := &piece{layer: last.layer, again: k - w.done}
	later := w.read(k + 1)
	there, own, read := map[*graph.Node]bool{}, map[string]bool{}, map[string]bool{}
	for i, q := range w.pieces[w.done : k+1] {
		for _, name := range q.in {
			if !own[name] && !read[name] {
				read[name] = true
				p.in = append(p.in, name)
			}
		}
		for _, n := range q.nodes {
			if !there[n] {
				there[n] = true
				p.nodes = append(p.nodes, n)
			}
			for _, o := range n.Out {
				own[o] = true
			}
		}
		for _, name := range q.out {
			if i == p.again || later[name] {
				p.out = append(p.out, name)
			}
		}
	}
	return p
}

// read lists what the pieces from number k on read.
func (w *walk) read(k int) map[string]bool {
	names := map[string]bool{}
	for _, p := range w.pieces[k:] {
		for _, name := range p.in {
			names[name] = true
		}
	}
	return names
}

// model makes a network of one piece.
func (w *walk) model(p *piece) *graph.Model {
	g := &graph.Graph{Name: "piece", Nodes: p.nodes}
	m := *w.net
	m.Graph = g
	for _, n := range p.nodes {
		for _, name := range append(n.Captures(), n.In...) {
			if c := w.net.Graph.Const(name); c != nil {
				g.AddConst(c)
			}
		}
	}
	for _, name := range p.in {
		d := tensor.Undefined
		if t := w.value(0, name); t != nil {
			d = t.DType
		}
		g.In = append(g.In, &graph.Value{Name: name, Type: graph.Unranked(d)})
	}
	for _, name := range p.out {
		g.Out = append(g.Out, &graph.Value{Name: name})
	}
	return &m
}

// run evaluates a piece on every sample, shows the watched values, and returns what it leaves, or nil where that is
// too large to be kept.
func (w *walk) run(ctx context.Context, p *piece, watch []string, see func(sample int, value string, t *tensor.Tensor)) ([]map[string]*tensor.Tensor, error) {
	w.watched = watch
	r, err := w.job.Compile(w.model(p), watch)
	if err != nil {
		return nil, err
	}
	most := int64(w.most)
	if most == 0 || p.again >= againMost {
		most = math.MaxInt64
	}
	defer r.Close()
	var bytes atomic.Int64
	left := make([]map[string]*tensor.Tensor, len(w.samples))
	err = calib.Each(ctx, len(w.samples), w.job.Threads, func(ctx context.Context, i int) error {
		in := map[string]*tensor.Tensor{}
		for _, name := range p.in {
			if in[name] = w.value(i, name); in[name] == nil {
				return fault.Invalidf("", "value %q is missing", name)
			}
		}
		out, err := r.RunWatch(ctx, in, func(value string, t *tensor.Tensor) { see(i, value, t) })
		w.spent(i, in)
		if bytes.Add(bytesOf(out)) <= most {
			left[i] = out
		} else {
			tensor.Recycle(out)
		}
		return err
	})
	if p.large = bytes.Load() > most; p.large {
		drop(left)
		left = nil
	}
	return left, err
}

// spent recycles those values of sample i that were made of the sample alone.
func (w *walk) spent(i int, in map[string]*tensor.Tensor) {
	for name, t := range in {
		if w.values[i][name] == nil {
			tensor.Recycle(map[string]*tensor.Tensor{name: t})
		}
	}
}

// drop recycles what a piece left.
func drop(left []map[string]*tensor.Tensor) {
	for _, values := range left {
		tensor.Recycle(values)
	}
}

func bytesOf(values map[string]*tensor.Tensor) (n int64) {
	for _, t := range values {
		n += int64(t.Bytes())
	}
	return n
}

// leave keeps what the pieces up to number k left, unless it is nil, and drops what nobody reads any more.
func (w *walk) leave(k int, left []map[string]*tensor.Tensor) {
	if left == nil {
		return
	}
	w.done = k + 1
	later := w.read(k + 1)
	for i := range w.samples {
		for name, t := range left[i] {
			w.values[i][name] = t
		}
		for name := range w.values[i] {
			if !later[name] {
				tensor.Recycle(map[string]*tensor.Tensor{name: w.values[i][name]})
				delete(w.values[i], name)
			}
		}
	}
}

// restart forgets what the pieces left.
func (w *walk) restart() {
	w.done = 0
	drop(w.values)
	for i := range w.values {
		w.values[i] = map[string]*tensor.Tensor{}
	}
}
