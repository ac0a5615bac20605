package repair

import (
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// Lanes are the channels of the values of a graph. Lanes that one operator ties together, as the
// two operands of an Add, have to be multiplied by the same factor for the network to keep what it
// computes; a lane that an operator can neither pass on nor undo stays as it is.
type Lanes struct {
	m     *graph.Model
	g     *graph.Graph
	x     *graph.Index
	facts op.Facts

	axis   map[string]int // channel axis of each value that has lanes
	first  map[string]int // its first lane
	count  map[string]int
	parent []int
	fixed  []bool    // by root: its factor is 1
	limit  []float64 // by root: the bound of a clamp that its lanes pass; 0 without one
	slots  []slot
}

// A slot is a constant that follows the factors: its slices along axis are multiplied by the
// factor of their lanes, or divided by it.
type slot struct {
	g      *graph.Graph
	node   *graph.Node
	in     int // the operand of node that is the constant
	axis   int
	lane   int // the lane of slice 0 of block 0
	blocks int // the leading axis is cut in so many blocks, each with lanes of its own; 1 for most
	divide bool
	weight bool // a weight, and not a bias or a slope
}

// tensor is the constant.
func (s *slot) tensor() *tensor.Tensor { return s.g.ConstTensor(s.node.In[s.in]) }

// FindLanes ties the lanes of a model's main graph.
func FindLanes(m *graph.Model, facts op.Facts) *Lanes {
	l := &Lanes{m: m, g: m.Graph, x: m.Graph.Index(), facts: facts, axis: map[string]int{}, first: map[string]int{}, count: map[string]int{}}
	for _, n := range l.g.Nodes {
		if tie := ties[op.QualifiedName(n)]; tie == nil || !tie(l, n) {
			l.block(n)
		}
	}
	for _, v := range l.g.In {
		l.fixValue(v.Name)
	}
	for _, v := range l.g.Out {
		l.fixValue(v.Name)
	}
	return l
}

// block fixes every lane that n reads or writes.
func (l *Lanes) block(n *graph.Node) {
	for _, name := range append(n.Captures(), n.In...) {
		l.fixValue(name)
	}
	for _, name := range n.Out {
		l.fixValue(name)
	}
}

func (l *Lanes) fixValue(name string) {
	first, ok := l.first[name]
	if !ok {
		l.axis[name] = -1 // no operator may give it lanes any more
		return
	}
	for i := range l.count[name] {
		l.fixed[l.root(first+i)] = true
	}
}

// Root returns the lane that stands for all those tied with lane i.
func (l *Lanes) root(i int) int {
	for l.parent[i] != i {
		l.parent[i] = l.parent[l.parent[i]]
		i = l.parent[i]
	}
	return i
}

// join ties lanes a and b. The lower number stands for both.
func (l *Lanes) join(a, b int) {
	a, b = l.root(a), l.root(b)
	if a == b {
		return
	}
	if b < a {
		a, b = b, a
	}
	l.parent[b] = a
	l.fixed[a] = l.fixed[a] || l.fixed[b]
	if l.limit[a] == 0 || l.limit[b] != 0 && l.limit[b] < l.limit[a] {
		l.limit[a] = l.limit[b]
	}
}

// of returns the first lane of a value whose channels lie along axis, and how many there are.
// It fails where the shape is not known, or where the value has its lanes along another axis.
func (l *Lanes) of(name string, axis int) (first, count int, ok bool) {
	f := l.facts[name]
	if name == "" || !f.IsTensor() || f.DType != tensor.Float32 || !f.Ranked {
		return 0, 0, false
	}
	if axis < 0 {
		axis += len(f.Shape)
	}
	if axis < 0 || axis >= len(f.Shape) || !f.Shape[axis].IsKnown() {
		return 0, 0, false
	}
	if a, known := l.axis[name]; known {
		if a != axis {
			return 0, 0, false
		}
		if first, ok = l.first[name]; ok {
			return first, l.count[name], true
		}
	}
	first, count = len(l.parent), f.Shape[axis].Size
	l.axis[name], l.first[name], l.count[name] = axis, first, count
	for i := range count {
		l.parent = append(l.parent, first+i)
	}
	l.fixed = append(l.fixed, make([]bool, count)...)
	l.limit = append(l.limit, make([]float64, count)...)
	return first, count, true
}

// known returns the lanes that a value has already.
func (l *Lanes) known(name string) (first, axis, count int, ok bool) {
	first, ok = l.first[name]
	return first, l.axis[name], l.count[name], ok
}

// constant returns the float initializer of that name, or nil.
func (l *Lanes) constant(name string) *tensor.Tensor {
	if t := l.g.ConstTensor(name); t != nil && t.DType == tensor.Float32 && l.g.Input(name) == nil {
		return t
	}
	return nil
}

// same ties two values lane by lane.
func (l *Lanes) same(a, b string, axis int) bool {
	i, n, ok := l.of(a, axis)
	j, k, ok2 := l.of(b, axis)
	if !ok || !ok2 || n != k {
		return false
	}
	for c := range n {
		l.join(i+c, j+c)
	}
	return true
}
