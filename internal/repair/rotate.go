package repair

import (
	"context"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// Rotate turns the values of transformers by Hadamard matrices, which spread what a few channels hold over all of
// them, so that a step for the whole value loses less (QuaRot, Ashkboos et al. 2024, sections 3 and 4). What writes
// a value takes the matrix into its weights, what reads it the transposed one: the network computes the same. Values
// that may be turned are found by what operators do along the last axis: the residual stream between
// normalizations, and what attention mixes between the projections on its two sides, head by head. The weights of
// normalizations are taken into the layers that read them first.
var Rotate = &Repair{
	Name: "rotate", Doc: "turn values between matrices by Hadamard matrices, which spread outliers over channels", Stage: Before,
	Run: func(ctx context.Context, j *Job) (*Outcome, error) {
		out := findSpaces(j).rotate(j, func(string) bool { return ctx.Err() == nil })
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		out.Redo = func(j *Job, keep func(string) bool) *Outcome { return findSpaces(j).rotate(j, keep) }
		if len(out.Changes) == 0 {
			out.Note = "no value lies between matrices with nothing but what a rotation passes through between them"
		}
		return out, nil
	},
}

// rotate turns every space that may be, as long as its place is kept.
func (s *spaces) rotate(j *Job, keep func(place string) bool) *Outcome {
	out := &Outcome{}
	for i, root := range s.order {
		j.progress(i+1, len(s.order))
		sp := s.at[root]
		if s.root(root) != root || !s.free(sp) || !keep(s.place(sp)) {
			continue
		}
		r := newRotation(sp.block, sp.steady, uint64(len(out.Changes)))
		if r == nil {
			continue
		}
		for _, g := range sp.gains {
			s.fold(g)
		}
		for _, c := range sp.corners {
			s.turn(c, r)
		}
		for name := range j.Norms {
			if s.at[name] != nil && s.root(name) == root {
				delete(j.Norms, name)
			}
		}
		out.add(s.place(sp), "turned in blocks of %d channels between %d constants, with the weights of %d normalizations taken into them", r.size, len(sp.corners), len(sp.gains))
	}
	return out
}

// free says whether a space may be turned and it is worth it: some weights write it, and others read it.
func (s *spaces) free(sp *space) bool {
	writes, reads := false, false
	for _, c := range sp.corners {
		writes, reads = writes || c.writes, reads || c.reads
	}
	if sp.fixed || !writes || !reads {
		return false
	}
	for _, g := range sp.gains {
		if !s.foldable(g) {
			return false
		}
	}
	return true
}

// place is where the first constant that writes a space does.
func (s *spaces) place(sp *space) string {
	var first *graph.Node
	for _, c := range sp.corners {
		if c.writes && (first == nil || s.index[c.node] < s.index[first]) {
			first = c.node
		}
	}
	return first.Out[0]
}

// turn rotates a constant along its axis.
func (s *spaces) turn(c corner, r *rotation) {
	t := s.constant(c.node.In[c.in])
	x := tensor.Of[float32](t)
	y := make([]float32, len(x))
	width, inner := t.Shape[c.axis], tensor.Elements(t.Shape[c.axis+1:])
	row := make([]float64, width)
	for at := range len(x) / width {
		from := at/inner*inner*width + at%inner
		for i := range row {
			row[i] = float64(x[from+i*inner])
		}
		r.apply(row)
		for i, v := range row {
			y[from+i*inner] = float32(v)
		}
	}
	s.put(c.node, c.in, tensor.Float32s(y, t.Shape...))
}

// put gives a node another constant; the others that read it keep theirs.
func (s *spaces) put(n *graph.Node, in int, t *tensor.Tensor) {
	name := n.In[in]
	if s.used[name] > 1 {
		s.used[name]--
		name = fresh(s.names, name+"_turned")
		s.used[name], n.In[in] = 1, name
	}
	s.g.SetConst(name, t)
}

// scaled multiplies a constant along an axis by factors, or divides it by them.
func scaled(t *tensor.Tensor, axis int, by []float32, divide bool) *tensor.Tensor {
	x := slices.Clone(tensor.Of[float32](t))
	inner := tensor.Elements(t.Shape[axis+1:])
	for i := range x {
		f := by[i/inner%t.Shape[axis]]
		if divide {
			x[i] /= f
		} else {
			x[i] *= f
		}
	}
	return tensor.Float32s(x, t.Shape...)
}

// fold takes the weights of a normalization into the layers behind it.
func (s *spaces) fold(g gain) {
	by := tensor.Of[float32](s.constant(g.node.In[g.in]))
	readers, shifts, _ := s.behind(g)
	for _, c := range shifts {
		s.put(c.node, c.in, scaled(s.constant(c.node.In[c.in]), c.axis, by, true))
	}
	for _, c := range readers {
		s.put(c.node, c.in, scaled(s.constant(c.node.In[c.in]), c.axis, by, false))
	}
	if g.drop {
		s.replace(g.node)
		return
	}
	one := make([]float32, len(by))
	for i := range one {
		one[i] = 1
	}
	s.put(g.node, g.in, tensor.Float32s(one, len(one)))
}

// replace takes a product with weights that are one now out of the graph.
func (s *spaces) replace(n *graph.Node) {
	data := n.In[0]
	if s.constant(data) != nil {
		data = n.In[1]
	}
	for _, u := range s.x.Uses(n.Out[0]) {
		u.Node.In[u.In] = data
	}
	s.g.Nodes = slices.DeleteFunc(s.g.Nodes, func(m *graph.Node) bool { return m == n })
	s.x = s.g.Index()
}
