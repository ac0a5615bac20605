// Package pass rewrites a graph, one rewrite per file.
//
// A pass changes the model it is given. Tensors are shared with the model they came from and
// never changed in place.
package pass

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A Pass is a rewrite that keeps what the network computes.
type Pass struct {
	Name string
	Doc  string
	Run  func(m *graph.Model) error
}

// Prepare runs the passes that every quantization begins with, in order.
func Prepare(m *graph.Model) error { return PrepareBut(m) }

// PrepareBut is Prepare without some of the passes.
func PrepareBut(m *graph.Model, but ...*Pass) error {
	for _, p := range All {
		if slices.Contains(but, p) {
			continue
		}
		if err := p.Run(m); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return nil
}

// Clone returns a copy of a model whose graphs and nodes may be changed freely. Tensors are shared.
func Clone(m *graph.Model) *graph.Model {
	c := *m
	c.Opsets = append([]graph.Opset(nil), m.Opsets...)
	c.Meta = append([]graph.Prop(nil), m.Meta...)
	c.Functions = append([]*graph.Function(nil), m.Functions...)
	c.Graph = cloneGraph(m.Graph)
	return &c
}

func cloneGraph(g *graph.Graph) *graph.Graph {
	c := &graph.Graph{Name: g.Name, Doc: g.Doc, Meta: g.Meta, Unknown: g.Unknown}
	c.In, c.Out, c.Info = cloneValues(g.In), cloneValues(g.Out), cloneValues(g.Info)
	for _, k := range g.Consts() {
		k := *k
		c.AddConst(&k)
	}
	for _, n := range g.Nodes {
		c.Nodes = append(c.Nodes, cloneNode(n))
	}
	return c
}

func cloneValues(list []*graph.Value) []*graph.Value {
	var out []*graph.Value
	for _, v := range list {
		v := *v
		out = append(out, &v)
	}
	return out
}

func cloneNode(n *graph.Node) *graph.Node {
	c := *n
	c.In = append([]string(nil), n.In...)
	c.Out = append([]string(nil), n.Out...)
	c.Attrs = nil
	for _, a := range n.Attrs {
		a := *a
		switch v := a.Value.(type) {
		case *graph.Graph:
			a.Value = cloneGraph(v)
		case []*graph.Graph:
			var list []*graph.Graph
			for _, g := range v {
				list = append(list, cloneGraph(g))
			}
			a.Value = list
		}
		c.Attrs = append(c.Attrs, &a)
	}
	return &c
}

// names hands out names that no value of a model has yet.
type names map[string]bool

// namesOf collects every name that a model uses for a value or a node.
func namesOf(m *graph.Model) names {
	used := names{}
	for g := range m.Graph.Graphs() {
		for _, v := range g.In {
			used[v.Name] = true
		}
		for _, c := range g.Consts() {
			used[c.Name] = true
		}
		for _, n := range g.Nodes {
			used[n.Name] = true
			for _, o := range n.Out {
				used[o] = true
			}
		}
	}
	return used
}

// fresh returns name, or name with a number behind it where it is taken, and takes it.
func (u names) fresh(name string) string {
	pick := name
	for k := 2; u[pick]; k++ {
		pick = fmt.Sprintf("%s_%d", name, k)
	}
	u[pick] = true
	return pick
}

// nameMost bounds the names of what passes add: those of some exporters are as long as a small weight.
const nameMost = 40

// added is fresh for a name made from a value's: of a long one it leaves the middle out.
func (u names) added(name string) string {
	if len(name) > nameMost {
		name = strings.ToValidUTF8(name[:nameMost/2-1], "") + ".." + strings.ToValidUTF8(name[len(name)-nameMost/2+1:], "")
	}
	return u.fresh(name)
}

// rename makes every reader of a value in g and its subgraphs read another.
func rename(g *graph.Graph, from, to string) {
	for _, n := range g.Nodes {
		for i, name := range n.In {
			if name == from {
				n.In[i] = to
			}
		}
		for _, s := range n.Subgraphs() {
			rename(s, from, to)
			for _, v := range s.Out {
				if v.Name == from {
					v.Name = to
				}
			}
		}
	}
}

// isFloat says whether t is a float32 tensor.
func isFloat(t *tensor.Tensor) bool { return t != nil && t.DType == tensor.Float32 }

// constantOf returns the initializer of that name in graph g of a model, or in its main graph, or nil.
func constantOf(m *graph.Model, g *graph.Graph, name string) *tensor.Tensor {
	if t := g.ConstTensor(name); t != nil {
		return t
	}
	return m.Graph.ConstTensor(name)
}

// sameBytes says whether two constants hold the same elements; false where one is nil.
func sameBytes(a, b *tensor.Tensor) bool {
	return a != nil && b != nil && a.DType == b.DType && bytes.Equal(a.Raw, b.Raw)
}
