package pass

import "lowbit/internal/graph"

// UniqueNames gives values of different subgraphs different names, and names to nodes without
// one that share it with another, so that a plan can call each by one word. The inputs and
// outputs of the main graph keep theirs.
var UniqueNames = &Pass{
	Name: "unique-names", Doc: "give every value and node a name of its own",
	Run: func(m *graph.Model) error {
		used, nodes := names{}, names{}
		uniqueValues(m.Graph, used, true)
		for _, n := range m.Graph.AllNodes() {
			name := n.Name
			if name == "" && len(n.Out) > 0 {
				name = n.Out[0]
			}
			if fresh := nodes.fresh(name); fresh != name {
				n.Name = fresh
			}
		}
		return nil
	},
}

// uniqueValues renames the values that g defines where another graph took the name before.
func uniqueValues(g *graph.Graph, used names, top bool) {
	fresh := func(name string) string {
		if name == "" || top {
			used[name] = true
			return name
		}
		return used.fresh(name)
	}
	for _, v := range g.In {
		v.Name = renamed(g, v.Name, fresh)
	}
	for _, c := range append([]*graph.Const(nil), g.Consts()...) {
		if top || g.Input(c.Name) != nil {
			used[c.Name] = true
			continue
		}
		if old, now := c.Name, renamed(g, c.Name, fresh); now != old {
			k := *c
			k.Name = now
			g.DropConst(old)
			g.AddConst(&k)
		}
	}
	for _, n := range g.Nodes {
		for i, name := range n.Out {
			n.Out[i] = renamed(g, name, fresh)
		}
	}
	for _, n := range g.Nodes {
		for _, s := range n.Subgraphs() {
			uniqueValues(s, used, false)
		}
	}
}

// renamed takes a name for a value of g and tells its readers and g's outputs.
func renamed(g *graph.Graph, name string, fresh func(string) string) string {
	now := fresh(name)
	if now == name {
		return name
	}
	rename(g, name, now)
	for _, v := range append(g.Out, g.Info...) {
		if v.Name == name {
			v.Name = now
		}
	}
	return now
}
