package repair

import (
	"math"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// A layer is a node of the float network with a constant weight that is stored in codes, and a bias.
type layer struct {
	name   string // in the plan
	node   *graph.Node
	weight int     // operand
	stored string  // the weight in the plan
	bias   int     // operand; its constant belongs to this node alone; 0 where there is none
	as     string  // the bias in the plan; "" stays in float
	addend string  // the constant that an Add behind it adds to each channel, in place of a bias; "" where there is none
	adder  string  // the name of that Add
	added  int     // its operand
	axis   int     // of the result's channels
	lo, hi float64 // of the clamps that follow
}

func (l *layer) clamp(v float64) float64 { return max(l.lo, min(l.hi, v)) }

// findLayers lists the layers of a graph by name.
func findLayers(g *graph.Graph, p *plan.Plan) map[string]*layer {
	rows := map[string]*plan.Node{}
	for _, r := range p.Nodes {
		if r.Quantized || slices.ContainsFunc(r.Inputs, func(as string) bool { return as != "" }) {
			rows[r.Name] = r
		}
	}
	x := g.Index()
	all := map[string]*layer{}
	for _, n := range g.Nodes {
		row := rows[plan.NodeName(n)]
		if l := layerOf(g, x, n); l != nil && row != nil {
			l.name = row.Name
			if l.bias > 0 && l.bias < len(row.Inputs) {
				l.as = row.Inputs[l.bias]
			}
			l.follow(g, x, rows, p)
			if l.stored = row.Inputs[l.weight]; l.stored != "" {
				all[l.name] = l
			}
		}
	}
	return all
}

// layerOf returns a node as a layer, nil where it is none.
func layerOf(g *graph.Graph, x *graph.Index, n *graph.Node) *layer {
	o := op.Lookup(n.Domain, n.Op)
	if o == nil {
		return nil
	}
	l := &layer{node: n, axis: biasAxes[op.QualifiedName(n)], lo: math.Inf(-1), hi: math.Inf(1)}
	for i := range n.In {
		switch o.Quant.Role(i) {
		case op.Weight:
			l.weight = i
		case op.Bias:
			l.bias = i
		}
	}
	if l.weight == 0 || l.axis == 0 {
		return nil
	}
	w := g.ConstTensor(n.In[l.weight])
	if w == nil || w.DType != tensor.Float32 || n.Float("alpha", 1) != 1 || n.Float("beta", 1) != 1 {
		return nil
	}
	if l.bias > 0 && !l.ownBias(g, x) {
		l.bias = 0
	}
	for name := n.Out[0]; ; {
		u := x.OnlyUse(name)
		if u == nil || !l.narrow(g, u) {
			return l
		}
		name = u.Out[0]
	}
}

// ownBias says whether the bias is a constant vector that no other node reads.
func (l *layer) ownBias(g *graph.Graph, x *graph.Index) bool {
	name := l.node.In[l.bias]
	t := g.ConstTensor(name)
	return t != nil && t.DType == tensor.Float32 && t.Rank() == 1 && len(x.Uses(name)) == 1
}

// follow finds the Add that does the work of a bias for a layer that has none, as products of matrices are exported.
func (l *layer) follow(g *graph.Graph, x *graph.Index, rows map[string]*plan.Node, p *plan.Plan) {
	u := x.OnlyUse(l.node.Out[0])
	if l.bias > 0 || l.axis != -1 || u == nil || u.Op != "Add" {
		return
	}
	i := 0
	if u.In[0] == l.node.Out[0] {
		i = 1
	}
	w, t := g.ConstTensor(l.node.In[l.weight]), g.ConstTensor(u.In[i])
	if t == nil || t.DType != tensor.Float32 || t.Rank() != 1 || t.Len() != outputs(l.node, w) || len(x.Uses(u.In[i])) != 1 {
		return
	}
	if row := rows[plan.NodeName(u)]; row != nil && i < len(row.Inputs) {
		l.as = row.Inputs[i]
	}
	if v := p.Value(l.as); l.as == "" || v != nil && v.Role == plan.RoleBias {
		l.addend, l.adder, l.added = u.In[i], plan.NodeName(u), i
	}
}

// outputs is how many output channels a node has.
func outputs(n *graph.Node, w *tensor.Tensor) int {
	axis := op.Lookup(n.Domain, n.Op).Quant.WeightAxis(n)
	if axis < 0 {
		axis += w.Rank()
	}
	if n.Op == "ConvTranspose" {
		return w.Shape[axis] * n.Int("group", 1)
	}
	return w.Shape[axis]
}

// offset is the constant that moves each channel of the result: the bias, or what is added in its place; "" where there
// is none.
func (l *layer) offset() string {
	if l.bias > 0 {
		return l.node.In[l.bias]
	}
	return l.addend
}

// biasAxes is the axis of the results along which each operator's output channels run.
var biasAxes = map[string]int{"Conv": 1, "ConvTranspose": 1, "Gemm": -1, "MatMul": -1}

// narrow takes the bounds of a clamp, and says whether n is one.
func (l *layer) narrow(g *graph.Graph, n *graph.Node) bool {
	o := op.Lookup(n.Domain, n.Op)
	if o == nil || !o.Quant.Clamp {
		return false
	}
	lo, hi := 0.0, math.Inf(1)
	if len(n.In) > 1 {
		var ok bool
		if lo, hi, ok = clipBounds(g, n); !ok {
			return false
		}
	}
	l.lo, l.hi = max(l.lo, lo), min(l.hi, hi)
	return true
}
