package pass

import (
	"crypto/sha256"
	"fmt"
	"math"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// Constants turns Constant nodes into initializers.
var Constants = &Pass{
	Name: "constants", Doc: "turn Constant nodes into initializers",
	Run: func(m *graph.Model) error {
		for g := range m.Graph.Graphs() {
			var rest []*graph.Node
			for _, n := range g.Nodes {
				t := constantValue(m, n)
				if t == nil || g.Output(n.Out[0]) != nil {
					rest = append(rest, n)
					continue
				}
				g.SetConst(n.Out[0], t)
			}
			g.Nodes = rest
		}
		return nil
	},
}

// constantValue returns what a Constant node yields, nil where n is none.
func constantValue(m *graph.Model, n *graph.Node) *tensor.Tensor {
	if n.Op != "Constant" || graph.CanonicalDomain(n.Domain) != "" || len(n.Out) != 1 {
		return nil
	}
	out, err := op.EvalConstant(n, m.Opset(""), nil, math.MaxInt)
	if err != nil || len(out) != 1 || out[0].Kind != tensor.Dense {
		return nil
	}
	return out[0]
}

// foldLimit is the most bytes that a folded node may add to a file beyond those of the
// constants it reads: Expand and ConstantOfShape would write out what the file only mentions.
const foldLimit = 1 << 12

// Fold evaluates nodes whose inputs are all constants, those that bodies read from outside included.
var Fold = &Pass{
	Name: "fold", Doc: "evaluate nodes whose inputs are constants",
	Run: func(m *graph.Model) error {
		fold(m, foldLimit, func(n *graph.Node) bool { return !quantizes(n) })
		return nil
	},
}

// fold evaluates those nodes of constants that takes picks and whose results take no more than grown bytes beyond what they read.
func fold(m *graph.Model, grown int, takes func(n *graph.Node) bool) {
	f := &folder{m: m, grown: grown, takes: takes}
	f.graph(m.Graph, nil)
	f.share()
}

type folder struct {
	m     *graph.Model
	grown int
	takes func(n *graph.Node) bool
	made  []folded // in bodies
}

// A folded value is a constant of a body that was computed.
type folded struct {
	g    *graph.Graph
	name string
}

// A scope is a graph and those around it, of which it sees the constants. What cannot be computed stays a node: nobody
// knows that a body runs at all.
type scope struct {
	g     *graph.Graph
	own   map[string]bool // what g defines besides constants
	outer *scope
}

// constant returns the constant that a name means, nil where it means something else.
func (s *scope) constant(name string) *tensor.Tensor {
	for ; s != nil; s = s.outer {
		if s.own[name] {
			return nil
		}
		if c := s.g.Const(name); c != nil {
			return c.Tensor
		}
	}
	return nil
}

func (f *folder) graph(g *graph.Graph, outer *scope) {
	s := &scope{g, map[string]bool{}, outer}
	for _, v := range g.In {
		s.own[v.Name] = true
	}
	for _, n := range g.Nodes {
		for _, name := range n.Out {
			s.own[name] = true
		}
	}
	g.Nodes = slices.DeleteFunc(g.Nodes, func(n *graph.Node) bool {
		if f.node(s, n) {
			return true
		}
		for _, b := range n.Subgraphs() {
			f.graph(b, s)
		}
		return false
	})
}

// node replaces a node by initializers, and says whether it did.
func (f *folder) node(s *scope, n *graph.Node) bool {
	if !f.takes(n) {
		return false
	}
	out := f.results(s, n)
	if out == nil {
		return false
	}
	for i, name := range n.Out {
		if name == "" {
			continue
		}
		delete(s.own, name)
		s.g.SetConst(name, f.m.Shelved(out[i]))
		if s.outer != nil {
			f.made = append(f.made, folded{s.g, name})
		}
	}
	return true
}

// results evaluates a node of constants. It returns nil where n is none, or one whose outputs cannot be
// initializers or would take too much.
func (f *folder) results(s *scope, n *graph.Node) []*tensor.Tensor {
	if len(n.In) == 0 || len(n.Subgraphs()) > 0 || slices.ContainsFunc(n.Out, func(name string) bool { return s.g.Output(name) != nil }) {
		return nil
	}
	in, most := make([]*tensor.Tensor, len(n.In)), f.grown
	for i, name := range n.In {
		if name == "" {
			continue
		}
		if in[i] = s.constant(name); in[i] == nil {
			return nil
		}
		most += in[i].Bytes()
	}
	out, err := op.EvalConstant(n, f.m.Opset(n.Domain), in, most)
	for _, t := range in {
		f.m.Forget(t)
	}
	if err != nil || len(out) < len(n.Out) {
		return nil
	}
	for _, t := range out[:len(n.Out)] {
		if t == nil || t.Kind != tensor.Dense {
			return nil
		}
		most -= t.Bytes()
	}
	if most < 0 {
		return nil
	}
	return out[:len(n.Out)]
}

// share stores once what several bodies computed alike, in the main graph: branches of an If put the same weights together.
// Names have to be unique over all graphs.
func (f *folder) share() {
	first, read := map[[sha256.Size]byte]folded{}, readNames(f.m.Graph)
	for _, v := range f.made {
		t := v.g.ConstTensor(v.name)
		if !read[v.name] || t.Bytes() <= foldLimit {
			continue
		}
		key := sha256.Sum256(fmt.Append(nil, t.DType, t.Shape, string(t.Raw)))
		to, ok := first[key]
		if !ok {
			first[key] = v
			continue
		}
		if to.g != v.g {
			to.g.DropConst(to.name)
			f.m.Graph.SetConst(to.name, t)
			first[key] = folded{f.m.Graph, to.name}
		}
		v.g.DropConst(v.name)
		renameAll(v.g, v.name, to.name)
	}
}

// quantizes says whether a node belongs to a network that is quantized already: folding would undo it.
func quantizes(n *graph.Node) bool { return n.Op == "QuantizeLinear" || n.Op == "DequantizeLinear" }
