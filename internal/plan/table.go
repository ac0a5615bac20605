package plan

import (
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// leastTable is how many elements a table has at least that is stored in codes: what is made of each row takes a few operators.
const leastTable = 1 << 15

// table lets a Gather of rows, as of embeddings, read its constant from codes of eight bits with a scale for each row. What it
// gives is in float: only the rows that are looked up are decoded.
func (d *decider) table(n *graph.Node, row *Node) {
	if _, kept := d.kept(n); kept || !d.looksUp(n) || d.set.Weights.Format == nil || d.set.Mode == Convert {
		return
	}
	t := d.g.ConstTensor(n.In[0])
	if f := d.set.Weights.Format; f.Kind != format.Linear || f.Bits > 8 || t.Len() < leastTable || !d.finite(n.In[0], t) {
		return
	}
	for _, u := range d.x.Uses(n.In[0]) {
		if !d.looksUp(u.Node) && !(d.in[u.Node] && d.isAnchor(u.Node)) {
			return // the floats are stored anyhow
		}
	}
	row.Inputs = make([]string, len(n.In))
	row.Inputs[0] = d.add(&Value{Name: n.In[0], Role: RoleWeight, Format: format.Int8.Name, Block: format.Block{Kind: format.Channel}, Reason: "table of " + n.Label()})
	row.Reason = "its table is stored in codes"
}

// looksUp says whether n looks rows up in a constant table of floats.
func (d *decider) looksUp(n *graph.Node) bool {
	if op.QualifiedName(n) != "Gather" || n.Int("axis", 0) != 0 || d.in[n] {
		return false
	}
	t := d.g.ConstTensor(n.In[0])
	return t != nil && t.DType == tensor.Float32 && t.Rank() >= 2
}
