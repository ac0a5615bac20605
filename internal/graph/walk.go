package graph

import "iter"

// AllNodes yields every node of g and of the graphs inside its nodes, outer before inner, each
// with the graph that it stands in.
func (g *Graph) AllNodes() iter.Seq2[*Graph, *Node] {
	return func(yield func(*Graph, *Node) bool) { g.walk(yield) }
}

func (g *Graph) walk(yield func(*Graph, *Node) bool) bool {
	for _, n := range g.Nodes {
		if !yield(g, n) {
			return false
		}
		for _, s := range n.Subgraphs() {
			if !s.walk(yield) {
				return false
			}
		}
	}
	return true
}

// Graphs yields g and every graph inside its nodes, outer before inner.
func (g *Graph) Graphs() iter.Seq[*Graph] {
	return func(yield func(*Graph) bool) { g.graphs(yield) }
}

func (g *Graph) graphs(yield func(*Graph) bool) bool {
	if !yield(g) {
		return false
	}
	for _, n := range g.Nodes {
		for _, s := range n.Subgraphs() {
			if !s.graphs(yield) {
				return false
			}
		}
	}
	return true
}

// Captures returns the names that the node's subgraphs read from the graphs around them, each
// once, in the order of first use.
func (n *Node) Captures() []string {
	subs := n.Subgraphs()
	if len(subs) == 0 {
		return nil
	}
	return n.Free(subs...)
}

// Free returns the names that some subgraphs of n read from the graphs around them. The branches of an If,
// which feeds them nothing, read from outside what they declare as inputs.
func (n *Node) Free(subs ...*Graph) []string {
	var list []string
	seen := map[string]bool{}
	for _, s := range subs {
		s.free(n.Op != "If", func(name string) {
			if !seen[name] {
				seen[name] = true
				list = append(list, name)
			}
		})
	}
	return list
}

// EachRead calls f with every name that the node reads, those that its subgraphs capture included.
func (n *Node) EachRead(f func(name string)) {
	for _, name := range n.In {
		if name != "" {
			f(name)
		}
	}
	for _, name := range n.Captures() {
		f(name)
	}
}

// free calls f with every name that g, whose inputs may be fed, reads and does not define.
func (g *Graph) free(fed bool, f func(string)) {
	own := g.defined(fed)
	read := func(name string) {
		if name != "" && !own[name] {
			f(name)
		}
	}
	for _, n := range g.Nodes {
		for _, name := range n.In {
			read(name)
		}
		for _, s := range n.Subgraphs() {
			s.free(n.Op != "If", read)
		}
	}
	for _, v := range g.Out {
		read(v.Name)
	}
}

// defined returns the names of g's initializers, node outputs and, where they are fed, inputs.
func (g *Graph) defined(fed bool) map[string]bool {
	own := make(map[string]bool, len(g.Nodes)+len(g.In)+len(g.consts))
	for _, v := range g.In {
		own[v.Name] = fed
	}
	for _, c := range g.consts {
		own[c.Name] = true
	}
	for _, n := range g.Nodes {
		for _, name := range n.Out {
			own[name] = true
		}
	}
	return own
}

// A Use is one place where a node reads a value: operand In of Node, or one of its subgraphs
// where In is -1.
type Use struct {
	Node *Node
	In   int
}

// An Index answers who makes and who reads the values of one graph. It shows the graph as it was
// when the index was made.
type Index struct {
	producer map[string]*Node
	uses     map[string][]Use
	outputs  map[string]bool
}

// Index returns an index of g's values.
func (g *Graph) Index() *Index {
	x := &Index{map[string]*Node{}, map[string][]Use{}, map[string]bool{}}
	for _, n := range g.Nodes {
		for _, name := range n.Out {
			if name != "" {
				x.producer[name] = n
			}
		}
		for i, name := range n.In {
			if name != "" {
				x.uses[name] = append(x.uses[name], Use{n, i})
			}
		}
		for _, name := range n.Captures() {
			x.uses[name] = append(x.uses[name], Use{n, -1})
		}
	}
	for _, v := range g.Out {
		x.outputs[v.Name] = true
	}
	return x
}

// Producer returns the node that makes the value; nil for inputs, constants and unknown names.
func (x *Index) Producer(name string) *Node { return x.producer[name] }

// Uses returns the places where nodes read the value, in node order.
func (x *Index) Uses(name string) []Use { return x.uses[name] }

// IsOutput says whether the value is an output of the graph.
func (x *Index) IsOutput(name string) bool { return x.outputs[name] }

// OnlyUse returns the node that alone reads the value, as operand and not in a subgraph, and nil
// where there is none or where the value is an output of the graph.
func (x *Index) OnlyUse(name string) *Node {
	if u := x.uses[name]; len(u) == 1 && u[0].In >= 0 && !x.outputs[name] {
		return u[0].Node
	}
	return nil
}
