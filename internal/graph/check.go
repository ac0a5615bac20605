package graph

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"lowbit/internal/fault"
	"lowbit/internal/tensor"
)

// Limits bound what a model's functions may grow to. Zero stands for the default.
type Limits struct {
	CallDepth int   // functions that call functions, default 100
	Inlined   int64 // nodes once every function is written out, default 2,000,000
}

// Check returns what is wrong with the structure of m, whatever its operators mean: names are
// given once and before they are read, every operator's domain is imported, functions end, and
// the scales of quantized values are usable. It returns an empty list for a sound model. The
// nodes need not be in order.
func Check(m *Model, lim Limits) *fault.List {
	lim.CallDepth = cmp.Or(lim.CallDepth, 100)
	lim.Inlined = cmp.Or(lim.Inlined, 2_000_000)
	c := &checker{lim: lim, functions: map[opKey]*Function{}}
	for i, f := range m.Functions {
		c.function(i, f)
	}
	c.bodies(m)
	if m.Graph != nil {
		c.opsets = m.Opsets
		c.graph("graph", m.Graph, nil)
	}
	return &c.faults
}

// An opKey names an operator or function.
type opKey struct{ domain, name, overload string }

func (n *Node) key() opKey { return opKey{CanonicalDomain(n.Domain), n.Op, n.Overload} }

// A scope is the names that a graph defines, inside those of the graphs around it.
type scope struct {
	names map[string]int // the index of the node that makes it, or given
	graph *Graph
	outer *scope
	at    int // the node of the graph that is being looked at
}

// given is the index of what inputs and initializers define.
const given = -1

// has says whether a name can be read.
func (s *scope) has(name string) bool {
	for ; s != nil; s = s.outer {
		if _, ok := s.names[name]; ok {
			return true
		}
	}
	return false
}

// taken says whether a node may not give its output that name: because this graph has it, or one
// around it, up to the node that this graph is part of. A name that comes later outside is free, as
// ONNX has it.
func (s *scope) taken(name string) bool {
	if _, ok := s.names[name]; ok {
		return true
	}
	for s = s.outer; s != nil; s = s.outer {
		if i, ok := s.names[name]; ok && i < s.at {
			return true
		}
	}
	return false
}

// constant returns the initializer that a name stands for, nil if it stands for something else.
func (s *scope) constant(name string) *tensor.Tensor {
	for ; s != nil; s = s.outer {
		if _, ok := s.names[name]; ok {
			return s.graph.ConstTensor(name)
		}
	}
	return nil
}

type checker struct {
	lim       Limits
	faults    fault.List
	functions map[opKey]*Function
	opsets    []Opset
	inside    *Function // the function being checked, nil in the main graph
}

func (c *checker) invalid(place, format string, a ...any) {
	c.faults.Add(fault.Invalidf(place, format, a...))
}

// graph checks one graph and those inside it. place is where it stands in the file.
func (c *checker) graph(place string, g *Graph, outer *scope) {
	s := &scope{names: make(map[string]int, len(g.In)+len(g.consts)+len(g.Nodes)), graph: g, outer: outer}
	for i, v := range g.In {
		if v.Name == "" {
			c.invalid(fmt.Sprintf("%s.input[%d]", place, i), "an input without a name")
		} else if _, ok := s.names[v.Name]; ok {
			c.invalid(at(place+".input", i, v.Name), "a second input of that name")
		}
		s.names[v.Name] = given
	}
	for _, k := range g.consts {
		s.names[k.Name] = given
	}
	c.outputs(place, g.Nodes, s)
	for i, n := range g.Nodes {
		c.node(place, i, n, s)
	}
	for i, v := range g.Out {
		if !s.has(v.Name) {
			c.invalid(at(place+".output", i, v.Name), "no node, input or initializer makes this output")
		}
	}
	c.cycle(place, g.Nodes)
	c.quantParams(place, s)
}

// at writes a place in a list: `graph.node[12] "conv1"`.
func at(list string, i int, name string) string {
	s := list + "[" + strconv.Itoa(i) + "]"
	if name != "" {
		s += " " + strconv.Quote(name)
	}
	return s
}

// outputs adds what the nodes make to the scope.
func (c *checker) outputs(place string, nodes []*Node, s *scope) {
	for i, n := range nodes {
		for _, name := range n.Out {
			if name == "" {
				continue
			}
			if s.taken(name) {
				c.invalid(at(place+".node", i, n.Name), "output %q is already the name of another value", name)
			}
			s.names[name] = i
		}
	}
}

// node checks one node, given the names that it can see.
func (c *checker) node(place string, i int, n *Node, s *scope) {
	s.at = i
	here := func() string { return at(place+".node", i, n.Name) }
	if n.Op == "" {
		c.invalid(here(), "a node without an operator")
	}
	if OpsetIn(c.opsets, n.Domain) == 0 && c.functions[n.key()] == nil {
		c.invalid(here(), "operator %s of domain %q, of which the model imports no version", n.Op, n.Domain)
	}
	for _, name := range n.In {
		if name != "" && !s.has(name) {
			c.invalid(here(), "input %q is made by no node, input or initializer", name)
		}
	}
	c.attrs(here, n.Attrs)
	for j, a := range n.Attrs {
		switch v := a.Value.(type) {
		case *Graph:
			c.graph(at(here()+".attribute", j, a.Name), v, s)
		case []*Graph:
			for k, g := range v {
				c.graph(fmt.Sprintf("%s.graphs[%d]", at(here()+".attribute", j, a.Name), k), g, s)
			}
		}
	}
}

// attrs checks that names are given once, and that references name an attribute of the function.
func (c *checker) attrs(here func() string, list []*Attr) {
	var seen map[string]bool // in place of a look through the list, where that is long
	if len(list) > 16 {
		seen = make(map[string]bool, len(list))
	}
	for i, a := range list {
		if seen[a.Name] || seen == nil && findAttr(list[:i], a.Name) {
			c.invalid(at(here()+".attribute", i, a.Name), "a second attribute of that name")
		}
		if seen != nil {
			seen[a.Name] = true
		}
		if a.Ref != "" && (c.inside == nil || !c.inside.declares(a.Ref)) {
			c.invalid(at(here()+".attribute", i, a.Name), "refers to %q, which is no attribute of a function around it", a.Ref)
		}
	}
}

func findAttr(list []*Attr, name string) bool {
	return slices.ContainsFunc(list, func(a *Attr) bool { return a.Name == name })
}

func (c *checker) cycle(place string, nodes []*Node) {
	if _, i := evaluationOrder(nodes); i >= 0 {
		c.invalid(at(place+".node", i, nodes[i].Name), "waits for its own result: the graph has a cycle")
	}
}
