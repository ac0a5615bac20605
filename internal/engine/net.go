package engine

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A value is an edge of the network that is being compiled.
type value struct {
	name      string
	dtype     tensor.DType
	shape     []int      // as ONNX orders it; only where known
	typ       graph.Type // as it was inferred
	known     bool       // a dense tensor of known shape and type
	konst     *tensor.Tensor
	def       *node      // nil for inputs and constants
	uses      []*node    // one entry for each operand that reads it
	few       *fewStored // a constant matrix in the few bits that the file spells it in
	fewTurned bool       // it is the transpose of that
	pinned    bool       // a result of the graph or a watched value: passes keep it
}

// elems is the number of elements of a known value.
func (v *value) elems() int { return tensor.Elements(v.shape) }

// single returns the one node that reads v, or nil where there are more, or v must stay observable.
func (v *value) single() *node {
	if v == nil || v.pinned || len(v.uses) != 1 {
		return nil
	}
	return v.uses[0]
}

// is says whether v is known to be of that type.
func (v *value) is(d tensor.DType) bool { return v != nil && v.known && v.dtype == d }

// A node is an operator applied to values. Passes turn ONNX nodes into the engine's own kinds.
type node struct {
	kind    string      // a row of the table of lowerings: the ONNX name, or one of the engine's
	onnx    *graph.Node // where it comes from: name, attributes, reference evaluation
	version int         // imported version of the operator's domain
	in      []*value    // nil where an optional operand is left out; values that subgraphs read come last
	formal  int         // how many of in are the node's own operands
	names   []string    // what the ONNX node and its subgraphs call in
	out     []*value    // nil where a result is not wanted
	spec    any         // what passes found out; its type belongs to the kind
	dead    bool
}

// input returns operand i, or nil.
func (n *node) input(i int) *value {
	if i < n.formal {
		return n.in[i]
	}
	return nil
}

// setIn replaces the operands.
func (n *node) setIn(in ...*value) {
	for _, v := range n.in {
		if v != nil {
			v.uses = slices.Delete(v.uses, slices.Index(v.uses, n), slices.Index(v.uses, n)+1)
		}
	}
	n.in, n.formal = in, len(in)
	for _, v := range in {
		if v != nil {
			v.uses = append(v.uses, n)
		}
	}
}

// become makes n another kind of node with the same results.
func (n *node) become(kind string, spec any, in ...*value) {
	n.kind, n.spec = kind, spec
	n.setIn(in...)
}

// static says whether all operands and results are dense tensors of known shape.
func (n *node) static() bool {
	for _, list := range [][]*value{n.in, n.out} {
		for _, v := range list {
			if v != nil && !v.known {
				return false
			}
		}
	}
	return true
}

// A net is the network that is being compiled, for one set of input shapes.
type net struct {
	model  *graph.Model
	nodes  []*node // in evaluation order
	values map[string]*value
	in     []*value // what the caller feeds
	out    []*value // results in the graph's order
	watch  []*value
	bf16   map[*graph.Node]bool // those whose first two operands are bfloat16 in the file
	fresh  int
	level  kernel.Level
	open   bool // dimensions of inputs are

	nesting int // compilations in a run around this one
}

// newValue adds a value that the file does not name.
func (g *net) newValue(like *value, dtype tensor.DType, shape []int) *value {
	g.fresh++
	return &value{name: like.name + "·" + itoa(g.fresh), dtype: dtype, shape: shape, known: true}
}

// constant adds a value that is known.
func (g *net) constant(name string, t *tensor.Tensor) *value {
	return &value{name: name, dtype: t.DType, shape: t.Shape, known: t.Kind == tensor.Dense, konst: t}
}

// replace lets every reader of old read by instead. Old must not be pinned.
func (g *net) replace(old, by *value) {
	for _, n := range slices.Clone(old.uses) {
		for i, v := range n.in {
			if v == old {
				n.in[i] = by
				by.uses = append(by.uses, n)
			}
		}
	}
	old.uses = nil
}

// kill takes a node out; its results must be unread.
func (g *net) kill(n *node) {
	n.setIn()
	n.dead = true
}

// insert puts m in front of n.
func (g *net) insert(m, n *node) {
	g.nodes = slices.Insert(g.nodes, slices.Index(g.nodes, n), m)
}

// newNode returns a node of the engine's own kind that stands for the ONNX node of from.
func newNode(kind string, from *node, spec any, in, out []*value) *node {
	n := &node{kind: kind, onnx: from.onnx, version: from.version, out: out, spec: spec}
	n.setIn(in...)
	for _, v := range out {
		if v != nil {
			v.def = n
		}
	}
	return n
}

// sweep drops dead nodes, and nodes whose results nobody reads.
func (g *net) sweep() {
	for i := len(g.nodes) - 1; i >= 0; i-- {
		if n := g.nodes[i]; !n.dead && !n.wanted() {
			g.kill(n)
		}
	}
	g.nodes = slices.DeleteFunc(g.nodes, func(n *node) bool { return n.dead })
}

func (n *node) wanted() bool {
	if n.kind == assumed {
		return true // others may rely on what it is held against
	}
	for _, v := range n.out {
		if v != nil && (v.pinned || len(v.uses) > 0) {
			return true
		}
	}
	return false
}
