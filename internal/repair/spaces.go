package repair

import (
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// Spaces are sets of values whose rows, in blocks along the last axis, may be multiplied by one orthogonal matrix if the
// constants at their borders follow. An operator that is not in the table, or whose row says no, fixes all that it touches.
type spaces struct {
	g      *graph.Graph
	x      *graph.Index
	facts  op.Facts
	parent map[string]string
	at     map[string]*space // by name; of roots it holds
	order  []string          // names as they came
	index  map[*graph.Node]int
	used   map[string]int // how many operands each constant is
	names  map[string]bool
}

// A space is what is known of a set of values.
type space struct {
	block   int  // the largest that all their last axes are made of
	fixed   bool // it may not be turned
	steady  bool // only by a matrix that keeps the mean of a row
	corners []corner
	gains   []gain
}

// A corner is a constant at the border of a space, which turns with it along an axis.
type corner struct {
	node          *graph.Node
	in, axis      int
	writes, reads bool // it is a weight that makes values of the space, or that multiplies them
}

// A gain multiplies values of a space by a constant for each channel. It has to go into what reads them.
type gain struct {
	node *graph.Node
	in   int  // the constant
	bias int  // an operand that the node adds behind; 0: none
	drop bool // the node does nothing else
}

// findSpaces ties the values of the job's network.
func findSpaces(j *Job) *spaces {
	g := j.Net.Graph
	s := &spaces{g: g, x: g.Index(), facts: j.Facts, parent: map[string]string{}, at: map[string]*space{}, index: map[*graph.Node]int{}, used: map[string]int{}, names: (&Lanes{g: g}).names()}
	for _, n := range g.AllNodes() {
		for _, name := range append(n.Captures(), n.In...) {
			s.used[name]++
		}
	}
	for _, v := range g.Out {
		s.used[v.Name]++
	}
	for i, n := range g.Nodes {
		s.index[n] = i
		if row := turns[op.QualifiedName(n)]; row == nil || !row(s, n) {
			s.block(n)
		}
	}
	for _, list := range [][]*graph.Value{g.In, g.Out} {
		for _, v := range list {
			s.fix(v.Name)
		}
	}
	return s
}

// block fixes what a node touches, but for operands whose shape alone it reads.
func (s *spaces) block(n *graph.Node) {
	o := op.Lookup(n.Domain, n.Op)
	for _, name := range append(n.Captures(), n.In...) {
		if o == nil || !o.Quant.ShapeOnly {
			s.fix(name)
		}
	}
	for _, name := range n.Out {
		s.fix(name)
	}
}

// of returns the space of a value, nil where its rows are not known.
func (s *spaces) of(name string) *space {
	if name == "" || s.constant(name) != nil {
		return nil
	}
	if _, known := s.parent[name]; !known {
		s.parent[name], s.at[name] = name, &space{block: max(1, s.width(name))}
		s.order = append(s.order, name)
		s.at[name].fixed = s.width(name) < 1
	}
	return s.at[s.root(name)]
}

// width is the size of a float value's last axis, 0 where that is not known.
func (s *spaces) width(name string) int {
	f := s.facts[name]
	if !f.IsTensor() || f.DType != tensor.Float32 || !f.Ranked || len(f.Shape) == 0 || !f.Shape[len(f.Shape)-1].IsKnown() {
		return 0
	}
	return f.Shape[len(f.Shape)-1].Size
}

func (s *spaces) root(name string) string {
	for s.parent[name] != name {
		s.parent[name] = s.parent[s.parent[name]]
		name = s.parent[name]
	}
	return name
}

func (s *spaces) fix(name string) {
	if sp := s.of(name); sp != nil {
		sp.fixed = true
	}
}

// constant returns the float initializer of that name, or nil.
func (s *spaces) constant(name string) *tensor.Tensor {
	if t := s.g.ConstTensor(name); t != nil && t.DType == tensor.Float32 && s.g.Input(name) == nil {
		return t
	}
	return nil
}

// join makes one space of those of two values.
func (s *spaces) join(a, b string) bool {
	x, y := s.of(a), s.of(b)
	if x == nil || y == nil {
		return false
	}
	if x == y {
		return true
	}
	s.parent[s.root(b)] = s.root(a)
	x.block = gcd(x.block, y.block)
	x.fixed, x.steady = x.fixed || y.fixed, x.steady || y.steady
	x.corners, x.gains = append(x.corners, y.corners...), append(x.gains, y.gains...)
	return true
}

// corner notes a constant at the border of a value's space.
func (s *spaces) corner(value string, c corner) bool {
	sp := s.of(value)
	t := s.constant(c.node.In[c.in])
	if sp == nil || t == nil || c.axis < 0 || c.axis >= t.Rank() || t.Shape[c.axis] != s.width(value) {
		return false
	}
	sp.corners = append(sp.corners, c)
	return true
}

// leastGain is the size of a gain, as a share of the largest, below which a bias cannot be divided by it.
const leastGain = 1e-4

// behind lists the weights that read what a gain makes, and the biases between; false where anything else reads it.
func (s *spaces) behind(g gain) (readers, shifts []corner, ok bool) {
	by := s.constant(g.node.In[g.in])
	least, most := float32(math.MaxFloat32), float32(0)
	for _, v := range tensor.Of[float32](by) {
		v = max(v, -v)
		least, most = min(least, v), max(most, v)
	}
	if g.bias > 0 {
		shifts = append(shifts, corner{node: g.node, in: g.bias})
	}
	var follow func(name string, deep bool) bool
	follow = func(name string, deep bool) bool {
		if s.x.IsOutput(name) || len(s.x.Uses(name)) == 0 {
			return false
		}
		for _, u := range s.x.Uses(name) {
			if c, ok := s.product(u.Node); ok && u.In == 0 {
				readers = append(readers, c)
				continue
			}
			c, ok := s.shift(u.Node)
			if !ok || !deep || !follow(u.Node.Out[0], false) {
				return false
			}
			shifts = append(shifts, c)
		}
		return true
	}
	if !follow(g.node.Out[0], true) || len(shifts) > 0 && least < leastGain*most {
		return nil, nil, false
	}
	return readers, shifts, true
}

func (s *spaces) foldable(g gain) bool {
	_, _, ok := s.behind(g)
	return ok
}

// product returns the weight of a product with a constant matrix, at the axis along which it reads.
func (s *spaces) product(n *graph.Node) (corner, bool) {
	if len(n.In) < 2 || n.Domain != "" {
		return corner{}, false
	}
	w := s.constant(n.In[1])
	switch {
	case w == nil || w.Rank() != 2:
		return corner{}, false
	case n.Op == "MatMul":
		return corner{node: n, in: 1, axis: 0, reads: true}, true
	case n.Op == "Gemm" && n.Int("transA", 0) == 0:
		return corner{node: n, in: 1, axis: n.Int("transB", 0), reads: true}, true
	}
	return corner{}, false
}

// shift returns the constant vector that an Add adds.
func (s *spaces) shift(n *graph.Node) (corner, bool) {
	if n.Op != "Add" || n.Domain != "" {
		return corner{}, false
	}
	for i, name := range n.In {
		if t := s.constant(name); t != nil && t.Rank() > 0 && t.Len() == t.Shape[t.Rank()-1] {
			return corner{node: n, in: i, axis: t.Rank() - 1}, true
		}
	}
	return corner{}, false
}
