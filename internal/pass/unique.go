package pass

import (
	"slices"
	"strings"

	"lowbit/internal/graph"
)

// UniqueNames gives values of different subgraphs different names, and names to nodes without
// one that share it with another, so that a plan can call each by one word. The inputs and
// outputs of the main graph keep theirs.
var UniqueNames = &Pass{
	Name: "unique-names", Doc: "give every value and node a name of its own",
	Run: func(m *graph.Model) error {
		u := &uniquer{all: namesOf(m), seen: map[string]bool{}}
		u.values(m.Graph, true)
		nodes := names{}
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

// A uniquer renames values whose name another graph took before.
type uniquer struct {
	all  names           // every name in the model, and those given since
	seen map[string]bool // those that a value has for good
}

// pick returns the name that a value keeps or gets. Those of the main graph keep theirs.
func (u *uniquer) pick(name string, top bool) string {
	if name != "" && !top && u.seen[name] {
		name = u.all.fresh(name)
	}
	u.seen[name] = true
	return name
}

// takenNames begin the names of constants that ONNX Runtime 1.32 adds while it fuses MatMul and Add. It does not
// load a model in which its own optimizer left such, once more products can be fused.
var takenNames = []string{"gemm_input_shape", "gemm_output_shape"}

func isTaken(name string) bool {
	return slices.ContainsFunc(takenNames, func(t string) bool { return strings.HasPrefix(name, t) })
}

// values names the values that g defines, and then those of the graphs in its nodes.
func (u *uniquer) values(g *graph.Graph, top bool) {
	for _, v := range g.In {
		old := v.Name
		v.Name = u.pick(old, top)
		renameAll(g, old, v.Name)
		renameConst(g, old, v.Name)
	}
	for _, c := range slices.Clone(g.Consts()) {
		if g.Input(c.Name) == nil {
			now := u.pick(c.Name, top)
			if isTaken(now) && g.Output(now) == nil {
				now = u.all.fresh("const_" + now)
				u.seen[now] = true
			}
			renameAll(g, c.Name, now)
			renameConst(g, c.Name, now)
		}
	}
	for _, n := range g.Nodes {
		for i, name := range n.Out {
			n.Out[i] = u.pick(name, top)
			renameAll(g, name, n.Out[i])
		}
	}
	for _, n := range g.Nodes {
		for _, s := range n.Subgraphs() {
			u.values(s, false)
		}
	}
}

// renameAll tells a value's new name to its readers, to g's outputs and to the types in the file.
func renameAll(g *graph.Graph, from, to string) {
	if from == to {
		return
	}
	rename(g, from, to)
	for _, v := range slices.Concat(g.Out, g.Info) {
		if v.Name == from {
			v.Name = to
		}
	}
}

// renameConst gives an initializer, if there is one, another name.
func renameConst(g *graph.Graph, from, to string) {
	c := g.Const(from)
	if c == nil || from == to {
		return
	}
	k := *c
	k.Name = to
	g.DropConst(from)
	g.AddConst(&k)
}
