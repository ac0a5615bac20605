package plan

import (
	"fmt"

	"lowbit/internal/graph"
	"lowbit/internal/op"
)

// worthwhile says whether a node without weights, now among the quantized ones, has a quantized
// neighbour on both sides: integers that nobody made, or that nobody reads, cost more than they save.
func (d *decider) worthwhile(n *graph.Node) bool {
	q := d.quant(n)
	if !d.feeds(n, q) {
		d.why[n] = "no quantized node feeds it"
		return false
	}
	if q.Clamp && d.absorber(n) != nil && d.isAnchor(d.absorber(n)) {
		return true
	}
	for _, name := range n.Out {
		if d.x.IsOutput(name) {
			d.why[n] = "its result leaves the network"
			return false
		}
		uses := d.x.Uses(name)
		for _, u := range uses {
			if !d.reads(u) {
				d.why[n] = fmt.Sprintf("%s, which reads it, stays in float", u.Node.Label())
				return false
			}
		}
	}
	return true
}

// feeds says whether some operand of n comes from a quantized node.
func (d *decider) feeds(n *graph.Node, q *op.Quant) bool {
	for i, name := range n.In {
		if q.Role(i) != op.Float && name != "" && d.in[d.x.Producer(name)] {
			return true
		}
	}
	return false
}

// reads says whether a use reads the value in quantized form, or does not look at its elements.
func (d *decider) reads(u graph.Use) bool {
	q := d.quant(u.Node)
	if u.In < 0 || q == nil {
		return false
	}
	if layer, _ := d.offsets(u.Node); layer != nil {
		return false // the sums before they are codes
	}
	return q.ShapeOnly || d.in[u.Node] && q.Role(u.In) != op.Float && q.Role(u.In) != op.Bias
}

// absorber returns the quantized node whose saturation does the work of clamp n: the one that
// makes n's input, if nothing else reads that.
func (d *decider) absorber(n *graph.Node) *graph.Node {
	p := d.x.Producer(n.In[0])
	if p == nil || !d.in[p] || p.Out[0] != n.In[0] || d.x.OnlyUse(n.In[0]) != n || !d.isolated(n) {
		return nil
	}
	if q := d.quant(p); q.Share || q.Clamp {
		return nil
	}
	return p
}

// isolated says whether n is a clamp whose bounds are constants.
func (d *decider) isolated(n *graph.Node) bool {
	if q := d.quant(n); q == nil || !q.Clamp {
		return false
	}
	for _, name := range n.In[1:] {
		if name != "" && d.constant(name) == nil {
			return false
		}
	}
	return true
}

// result returns the value in which the work of n ends: its first output, that of the Add of its bias, or that of the
// clamp that either absorbs.
func (d *decider) result(n *graph.Node) string {
	if u := d.x.OnlyUse(n.Out[0]); u != nil && d.in[u] {
		if layer, _ := d.offsets(u); layer == n {
			n = u
		}
	}
	if u := d.x.OnlyUse(n.Out[0]); u != nil && d.in[u] && u.In[0] == n.Out[0] && d.isolated(u) && d.absorber(u) == n {
		return u.Out[0]
	}
	return n.Out[0]
}
