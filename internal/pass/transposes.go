package pass

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// Transposes moves the Transposes that put the channels of images last, of which networks from frameworks that have them there
// are full, behind the operators on each element that read them, and drops those that undo another: what scales and shifts
// channels is then right behind the Conv that it can be folded into, and what clamps behind the codes whose saturation can do that.
var Transposes = &Pass{
	Name: "transposes", Doc: "move Transposes of images behind operators on each element, and drop those that undo each other",
	Run: func(m *graph.Model) error {
		used := namesOf(m)
		for g := range m.Graph.Graphs() {
			for moveTransposes(g, used) {
			}
		}
		return nil
	},
}

// moveTransposes goes through the nodes once and says whether it changed anything.
func moveTransposes(g *graph.Graph, used names) (changed bool) {
	x := g.Index()
	for _, n := range slices.Clone(g.Nodes) {
		if permutation(n) != nil && slices.Contains(g.Nodes, n) && (undo(g, x, n) || sink(g, x, used, n)) {
			x, changed = g.Index(), true
		}
	}
	return changed
}

// permutation returns where a Transpose takes each axis of its result from; nil of other nodes, and where it does not say.
func permutation(n *graph.Node) []int {
	if n == nil || n.Op != "Transpose" || graph.CanonicalDomain(n.Domain) != "" || len(n.In) != 1 || len(n.Out) != 1 {
		return nil
	}
	return n.Ints("perm")
}

// undo lets the readers of a Transpose that undoes another read what that one reads.
func undo(g *graph.Graph, x *graph.Index, n *graph.Node) bool {
	p := x.Producer(n.In[0])
	there, back := permutation(p), permutation(n)
	if len(there) == 0 || len(there) != len(back) || x.IsOutput(n.Out[0]) {
		return false
	}
	for i, axis := range back {
		if axis < 0 || axis >= len(there) || there[axis] != i {
			return false
		}
	}
	rename(g, n.Out[0], p.In[0])
	last := x.OnlyUse(p.Out[0]) == n
	g.Nodes = slices.DeleteFunc(g.Nodes, func(m *graph.Node) bool { return m == n || last && m == p })
	return true
}

// elementwise are operators that do the same to each element of their first operand, whatever its shape.
var elementwise = []string{"Relu", "LeakyRelu", "Clip", "Sigmoid", "HardSigmoid", "HardSwish", "Tanh", "Elu", "Selu", "Softplus", "Softsign", "Mish", "Gelu", "Erf", "Abs", "Neg", "Exp", "Sqrt", "ThresholdedRelu", "Celu", "Swish"}

// broadcasting are operators on the elements of two operands.
var broadcasting = []string{"Add", "Sub", "Mul", "Div", "PRelu"}

// sink moves a Transpose of channels to the end behind the node that alone reads it, where that is an operator on each element
// whose other operand is a constant or transposed in the same way for it alone.
func sink(g *graph.Graph, x *graph.Index, used names, n *graph.Node) bool {
	perm, e := permutation(n), x.OnlyUse(n.Out[0])
	if !channelsLast(perm) || e == nil || graph.CanonicalDomain(e.Domain) != "" || len(e.Out) != 1 || e.Has("axis") || e.Has("broadcast") {
		return false
	}
	at, gone := slices.Index(e.In, n.Out[0]), []*graph.Node{n}
	switch {
	case slices.Contains(elementwise, e.Op) && at == 0:
	case slices.Contains(broadcasting, e.Op) && len(e.In) == 2:
		other := e.In[1-at]
		if p := x.Producer(other); p != nil && x.OnlyUse(other) == e && slices.Equal(permutation(p), perm) {
			e.In[1-at], gone = p.In[0], append(gone, p)
		} else if t := untransposed(floatConst(g, other), perm); t != nil {
			e.In[1-at] = used.added(other)
			g.SetConst(e.In[1-at], t)
		} else {
			return false
		}
	default:
		return false
	}
	moved := &graph.Node{Op: n.Op, Name: n.Name, In: []string{used.added(e.Out[0])}, Out: e.Out, Attrs: n.Attrs}
	e.In[at], e.Out = n.In[0], []string{moved.In[0]}
	g.Nodes = slices.DeleteFunc(g.Nodes, func(m *graph.Node) bool { return slices.Contains(gone, m) })
	g.Nodes = slices.Insert(g.Nodes, slices.Index(g.Nodes, e)+1, moved)
	return true
}

// channelsLast says whether a permutation takes the second axis of images to the end.
func channelsLast(perm []int) bool {
	rank := len(perm)
	for i, axis := range perm {
		if want := i + 1; i > 0 && i < rank-1 && axis != want || i == 0 && axis != 0 || i == rank-1 && axis != 1 {
			return false
		}
	}
	return rank >= 4
}

// untransposed is the constant that, transposed, broadcasts as t does; nil of one that varies along more than one axis.
func untransposed(t *tensor.Tensor, perm []int) *tensor.Tensor {
	if t == nil || t.Rank() > len(perm) || t.Len() == 0 {
		return nil
	}
	shape := slices.Repeat([]int{1}, len(perm))
	for i, size := range t.Shape {
		if size == 1 {
			continue
		}
		if size != t.Len() {
			return nil
		}
		shape[perm[len(perm)-t.Rank()+i]] = size
	}
	return t.Reshape(shape...)
}
