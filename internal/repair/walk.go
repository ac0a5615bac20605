package repair

import (
	"context"
	"slices"

	"lowbit/internal/calib"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// A walk runs a quantized network over samples piece by piece, so that a layer can be changed
// before those behind it see its result. Between two pieces only the values that later pieces read
// are kept: mostly codes of eight bits.
type walk struct {
	job     *Job
	net     *graph.Model
	samples []calib.Inputs
	values  []map[string]*tensor.Tensor // of each sample: what the pieces done so far leave
	pieces  []*piece
	watched []string // by the last run
}

// A piece is a run of consecutive nodes that ends with the quantized result of one layer.
type piece struct {
	layer   *graph.Node // nil at the end of the network
	nodes   []*graph.Node
	in, out []string
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

// run evaluates a piece on every sample, shows the watched values, and returns what it leaves.
func (w *walk) run(ctx context.Context, p *piece, watch []string, see func(sample int, value string, t *tensor.Tensor)) ([]map[string]*tensor.Tensor, error) {
	w.watched = watch
	r, err := w.job.Compile(w.model(p), watch)
	if err != nil {
		return nil, err
	}
	left := make([]map[string]*tensor.Tensor, len(w.samples))
	err = calib.Each(ctx, len(w.samples), w.job.Threads, func(ctx context.Context, i int) error {
		in := map[string]*tensor.Tensor{}
		for _, name := range p.in {
			if in[name] = w.value(i, name); in[name] == nil {
				return fault.Invalidf("", "value %q is missing", name)
			}
		}
		out, err := r.RunWatch(ctx, in, func(value string, t *tensor.Tensor) { see(i, value, t) })
		left[i] = out
		return err
	})
	return left, err
}

// leave keeps what piece number k left and drops what nobody reads any more.
func (w *walk) leave(k int, left []map[string]*tensor.Tensor) {
	later := map[string]bool{}
	for _, p := range w.pieces[k+1:] {
		for _, name := range p.in {
			later[name] = true
		}
	}
	for i := range w.samples {
		for name, t := range left[i] {
			w.values[i][name] = t
		}
		for name := range w.values[i] {
			if !later[name] {
				delete(w.values[i], name)
			}
		}
	}
}
