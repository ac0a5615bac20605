package doctor

import (
	"fmt"

	"lowbit/internal/graph"
	"lowbit/internal/pass"
	"lowbit/internal/tensor"
)

// A builder writes a network with changes.
type builder struct {
	*net
	c     changes
	out   *graph.Model
	alias map[string]string        // values whose readers get another
	drop  map[*graph.Node]bool     // nodes of m that go
	front []*graph.Node            // before all others
	after map[string][]*graph.Node // behind the node that writes a value
	used  map[string]bool
}

// build returns the network with changes; products whose scale is found while running are on integers again, and layers
// that are left in float stay so elsewhere too.
// Constants are shared with the file's.
func (n *net) build(c changes) (*graph.Model, error) {
	b, err := n.draft(c)
	if err != nil {
		return nil, err
	}
	if err := pass.Unused.Run(b.out); err != nil {
		return nil, err
	}
	pass.Shield(b.out)
	return b.out, pass.Gather(b.out)
}

// draft is build before what nothing reads goes.
func (n *net) draft(c changes) (*builder, error) {
	b := &builder{net: n, c: n.rebias(c), out: pass.Clone(n.m), alias: map[string]string{}, drop: map[*graph.Node]bool{}, after: map[string][]*graph.Node{}, used: n.names()}
	if err := pass.Upgrade(b.out, opsetOf(b.c)); err != nil {
		return nil, err
	}
	for _, s := range n.sites {
		v, ok := b.c[s]
		if !ok {
			continue
		}
		if err := b.change(s, v); err != nil {
			return nil, err
		}
	}
	b.assemble()
	return b, nil
}

// rebias writes the biases anew whose scale changes with that of their input or weight.
func (n *net) rebias(c changes) changes {
	d := c.with(nil)
	for _, u := range n.nodes {
		if u.bias == nil || d[u.bias].off || d[u.bias].bias != nil {
			continue
		}
		_, weights := d[u.weights]
		_, input := d[u.in[0]]
		if _, behind := d.behind(u); weights || input || behind {
			d[u.bias] = change{bias: n.biasOf(u)}
		}
	}
	return d
}

// biasOf is the bias that a unit has in the file.
func (n *net) biasOf(u *unit) []float32 {
	d := n.x.Producer(u.bias.to[0])
	scale := tensor.Of[float32](n.m.Graph.ConstTensor(d.In[1]))
	codes := tensor.Of[int32](u.bias.codes)
	y := make([]float32, len(codes))
	for i, q := range codes {
		y[i] = float32(float64(q) * float64(scale[min(i, len(scale)-1)]))
	}
	return y
}

// assemble writes the list of nodes.
func (b *builder) assemble() {
	gone := map[string]bool{}
	for n := range b.drop {
		gone[n.Out[0]] = true
	}
	for _, v := range b.out.Graph.In {
		b.front = append(b.front, b.after[v.Name]...)
	}
	list := b.front
	for _, n := range b.out.Graph.Nodes {
		if len(n.Out) > 0 && gone[n.Out[0]] {
			continue
		}
		list = append(list, n)
		for _, o := range n.Out {
			list = append(list, b.after[o]...)
		}
	}
	b.out.Graph.Nodes = list
	b.reroute(b.out.Graph)
}

// reroute lets readers get what stands for a value now.
func (b *builder) reroute(g *graph.Graph) {
	for _, n := range g.Nodes {
		for i, name := range n.In {
			n.In[i] = b.now(name)
		}
		for _, s := range n.Subgraphs() {
			b.reroute(s)
			for _, v := range s.Out {
				v.Name = b.now(v.Name)
			}
		}
	}
}

// now is the name of what stands for a value.
func (b *builder) now(name string) string {
	for range len(b.alias) {
		to, ok := b.alias[name]
		if !ok {
			break
		}
		name = to
	}
	return name
}

// names collects what a network uses.
func (n *net) names() map[string]bool {
	used := map[string]bool{}
	for g := range n.m.Graph.Graphs() {
		for _, v := range g.In {
			used[v.Name] = true
		}
		for _, c := range g.Consts() {
			used[c.Name] = true
		}
		for _, node := range g.Nodes {
			used[node.Name] = true
			for _, o := range node.Out {
				used[o] = true
			}
		}
	}
	return used
}

// fresh returns name, or name with a number behind it where it is taken.
func (b *builder) fresh(name string) string {
	pick := name
	for k := 2; b.used[pick]; k++ {
		pick = fmt.Sprintf("%s_%d", name, k)
	}
	b.used[pick] = true
	return pick
}
