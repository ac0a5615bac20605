package graph

import "slices"

// Without returns a copy of g without the initializers of those names. The lists of the copy may be changed, what they hold is shared.
func (g *Graph) Without(names ...string) *Graph {
	c := *g
	c.Nodes, c.In, c.Out, c.Info = slices.Clone(g.Nodes), slices.Clone(g.In), slices.Clone(g.Out), slices.Clone(g.Info)
	c.consts, c.index = nil, nil
	for _, k := range g.consts {
		if !slices.Contains(names, k.Name) {
			k := *k
			c.AddConst(&k)
		}
	}
	return &c
}

// Renamed returns a copy of n that reads and writes values by the names that names has for them, in its subgraphs too.
func (n *Node) Renamed(names map[string]string) *Node {
	c := *n
	c.In, c.Out = renameAll(n.In, names), renameAll(n.Out, names)
	c.Attrs = slices.Clone(n.Attrs)
	for i, a := range n.Attrs {
		b := *a
		switch v := a.Value.(type) {
		case *Graph:
			b.Value = v.renamed(n, names)
		case []*Graph:
			list := make([]*Graph, len(v))
			for k, g := range v {
				list[k] = g.renamed(n, names)
			}
			b.Value = list
		default:
			continue
		}
		c.Attrs[i] = &b
	}
	return &c
}

// renamed renames what a subgraph of n reads from outside; names of its own hide outer ones.
func (g *Graph) renamed(n *Node, names map[string]string) *Graph {
	free := map[string]string{}
	for _, name := range n.Free(g) {
		if to, ok := names[name]; ok {
			free[name] = to
		}
	}
	return g.RenamedReads(free)
}

// RenamedReads returns a copy of g that reads some values by other names.
func (g *Graph) RenamedReads(names map[string]string) *Graph {
	c := g.Without()
	for i, n := range g.Nodes {
		c.Nodes[i] = n.Renamed(names)
	}
	for i, v := range g.Out {
		if to, ok := names[v.Name]; ok {
			w := *v
			w.Name = to
			c.Out[i] = &w
		}
	}
	return c
}

func renameAll(list []string, names map[string]string) []string {
	out := make([]string, len(list))
	for i, name := range list {
		out[i] = name
		if to, ok := names[name]; ok {
			out[i] = to
		}
	}
	return out
}
