package graph

import (
	"math"
	"slices"

	"lowbit/internal/fault"
)

// declares says whether f has an attribute of that name, with or without a default.
func (f *Function) declares(name string) bool {
	return slices.Contains(f.AttrNames, name) || findAttr(f.Attrs, name)
}

// function adds the i-th function to those that can be called.
func (c *checker) function(i int, f *Function) {
	place := at("functions", i, f.Name)
	key := opKey{CanonicalDomain(f.Domain), f.Name, f.Overload}
	switch {
	case f.Name == "":
		c.invalid(place, "a function without a name")
	case c.functions[key] != nil:
		c.invalid(place, "a second function of that domain and name")
	}
	c.functions[key] = f
}

// body checks the nodes of a function.
func (c *checker) body(place string, f *Function) {
	c.opsets, c.inside = f.Opsets, f
	defer func() { c.opsets, c.inside = nil, nil }()
	s := &scope{names: map[string]int{}, graph: &Graph{}}
	for i, name := range f.In {
		if s.has(name) {
			c.invalid(at(place+".input", i, name), "a second input of that name")
		}
		s.names[name] = given
	}
	c.outputs(place, f.Nodes, s)
	for i, n := range f.Nodes {
		c.node(place, i, n, s)
	}
	for i, name := range f.Out {
		if !s.has(name) {
			c.invalid(at(place+".output", i, name), "no node or input makes this output")
		}
	}
	c.cycle(place, f.Nodes)
}

// A cost is what calling a function amounts to.
type cost struct {
	nodes int64 // once written out
	depth int   // of calls, 1 for a function that calls none
	busy  bool  // being computed: seen again, it calls itself
}

// bodies checks the functions, that they do not call themselves, and that the model stays within
// bounds once they are all written out.
func (c *checker) bodies(m *Model) {
	costs := map[*Function]*cost{}
	for i, f := range m.Functions {
		place := at("functions", i, f.Name)
		c.body(place, f)
		if k := c.cost(f, costs, 1); k == nil {
			c.invalid(place, "calls itself")
			return
		} else if k.depth > c.lim.CallDepth {
			c.faults.Add(fault.Limitf(place, "calls functions more than %d deep", c.lim.CallDepth))
			return
		}
	}
	if m.Graph == nil {
		return
	}
	total := int64(0)
	for _, n := range m.Graph.AllNodes() {
		total = plus(total, c.callCost(n, costs))
	}
	if total > c.lim.Inlined {
		c.faults.Add(fault.Limitf("graph", "has more than %d nodes once its functions are written out", c.lim.Inlined))
	}
}

func (c *checker) callCost(n *Node, costs map[*Function]*cost) int64 {
	if k := costs[c.functions[n.key()]]; k != nil {
		return k.nodes
	}
	return 1
}

// cost computes what f amounts to; nil if it calls itself. Past the limit of depth it stops.
func (c *checker) cost(f *Function, costs map[*Function]*cost, depth int) *cost {
	if k := costs[f]; k != nil {
		if k.busy {
			return nil
		}
		return k
	}
	k := &cost{busy: true, depth: 1}
	costs[f] = k
	body := Graph{Nodes: f.Nodes}
	for _, n := range body.AllNodes() {
		k.nodes = plus(k.nodes, 1)
		callee := c.functions[n.key()]
		if callee == nil {
			continue
		}
		if depth > c.lim.CallDepth {
			k.depth = depth
			break
		}
		inner := c.cost(callee, costs, depth+1)
		if inner == nil {
			return nil
		}
		k.nodes = plus(k.nodes, inner.nodes)
		k.depth = max(k.depth, inner.depth+1)
	}
	k.busy = false
	return k
}

// plus adds without overflow.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}
