package pass

import (
	"fmt"
	"slices"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// NewestOpset is the last default-domain opset that Upgrade writes.
const NewestOpset = 25

// Upgrade rewrites a model for a newer opset of the default domain, at most 25: only then can it
// hold the quantization operators that a plan needs. It does nothing where the model is there already.
func Upgrade(m *graph.Model, to int) error {
	from := m.Opset("")
	if from >= to {
		return nil
	}
	if to > NewestOpset {
		return fault.Unsupportedf("model", "rewriting opset %d as %d", from, to)
	}
	if len(m.Functions) > 0 {
		return fault.Unsupportedf("model", "its functions have to be expanded before its opset changes")
	}
	types, err := op.Infer(m, nil)
	if err != nil {
		return err
	}
	u := &upgrader{m: m, used: namesOf(m), types: types}
	for g := range m.Graph.Graphs() {
		u.g = g
		if err := u.graph(from, to); err != nil {
			return err
		}
	}
	m.SetOpset("", to)
	m.IR = max(m.IR, irOf(to))
	return nil
}

// irOf is the first IR version whose readers know an opset (ONNX Versioning.md).
func irOf(opset int) int64 {
	switch {
	case opset >= 25:
		return 13
	case opset >= 24:
		return 12
	case opset >= 23:
		return 11
	case opset >= 21:
		return 10
	case opset >= 19:
		return 9
	case opset >= 15:
		return 8
	}
	return 7
}

// An upgrade tells how the nodes of an operator change where an opset changed its signature or
// meaning. Rewrite returns the nodes that take n's place.
type upgrade struct {
	op      string
	since   int
	rewrite func(u *upgrader, n *graph.Node) ([]*graph.Node, error)
}

type upgrader struct {
	m     *graph.Model
	g     *graph.Graph
	used  names
	types op.Facts
}

func (u *upgrader) graph(from, to int) error {
	var out []*graph.Node
	for _, n := range u.g.Nodes {
		nodes, err := u.node(n, from, to)
		if err != nil {
			return fault.At(n.Label(), err)
		}
		out = append(out, nodes...)
	}
	u.g.Nodes = out
	return nil
}

func (u *upgrader) node(n *graph.Node, from, to int) ([]*graph.Node, error) {
	nodes := []*graph.Node{n}
	for _, up := range upgrades {
		if up.since <= from || up.since > to {
			continue
		}
		var next []*graph.Node
		for _, c := range nodes {
			if c.Op != up.op || graph.CanonicalDomain(c.Domain) != "" {
				next = append(next, c)
				continue
			}
			out, err := up.rewrite(u, c)
			if err != nil {
				return nil, err
			}
			next = append(next, out...)
		}
		nodes = next
	}
	return nodes, nil
}

// rank returns the rank of a value, false where it is unknown.
func (u *upgrader) rank(name string) (int, bool) {
	f := u.types[name]
	return len(f.Shape), f.Ranked
}

// constant adds an initializer beside node n and returns its name.
func (u *upgrader) constant(n *graph.Node, what string, t *tensor.Tensor) string {
	name := u.used.fresh(fmt.Sprintf("%s_%s", n.Out[0], what))
	u.g.SetConst(name, t)
	return name
}

// setInput puts a name at input i, with empty ones before it where the node has fewer.
func setInput(n *graph.Node, i int, name string) {
	for len(n.In) <= i {
		n.In = append(n.In, "")
	}
	n.In[i] = name
}

// dropAttrs removes attributes.
func dropAttrs(n *graph.Node, names ...string) {
	n.Attrs = slices.DeleteFunc(n.Attrs, func(a *graph.Attr) bool { return slices.Contains(names, a.Name) })
}

// intsToInput moves a list of integers from an attribute to input i.
func intsToInput(attr string, i int) func(u *upgrader, n *graph.Node) ([]*graph.Node, error) {
	return func(u *upgrader, n *graph.Node) ([]*graph.Node, error) {
		if v := n.Ints(attr); v != nil {
			list := make([]int64, len(v))
			for k, x := range v {
				list[k] = int64(x)
			}
			setInput(n, i, u.constant(n, attr, tensor.Vector(list...)))
		}
		dropAttrs(n, attr)
		return []*graph.Node{n}, nil
	}
}
