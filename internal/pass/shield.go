package pass

import (
	"lowbit/internal/graph"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// shielded are the layers whose float weights ONNX Runtime's optimizer stores as int8 with one scale, where the layer
// stands between DequantizeLinear and QuantizeLinear (WeightBiasQuantization, seen in 1.32): what was to stay in float
// would be quantized after all, and worse.
var shielded = map[string]bool{"Conv": true, "ConvTranspose": true, "Gemm": true}

// crossed are the operators past which it moves Q and DQ nodes.
var crossed = map[string]bool{"Reshape": true, "Flatten": true, "Transpose": true, "Squeeze": true, "Unsqueeze": true, "Slice": true, "MaxPool": true}

// Shield puts a Clip without bounds, which passes everything on, in front of such layers: they no longer read a
// DequantizeLinear.
func Shield(m *graph.Model) {
	used := namesOf(m)
	for g := range m.Graph.Graphs() {
		x := g.Index()
		var list []*graph.Node
		for _, n := range g.Nodes {
			if floatBetween(g, x, n) {
				to := used.added(n.In[0] + "_kept")
				list = append(list, &graph.Node{Op: "Clip", Name: used.added(n.In[0] + "_Keep"), In: []string{n.In[0]}, Out: []string{to}})
				n.In[0] = to
			}
			list = append(list, n)
		}
		g.Nodes = list
	}
}

// FloatBetween names the layers that stand so: runtimes that store weights by themselves would do so with theirs.
func FloatBetween(m *graph.Model) (names []string) {
	for g := range m.Graph.Graphs() {
		x := g.Index()
		for _, n := range g.Nodes {
			if floatBetween(g, x, n) {
				names = append(names, plan.NodeName(n))
			}
		}
	}
	return names
}

// floatBetween says whether n is such a layer with a constant float weight that reads what a DequantizeLinear gives, and
// all that reads it, or an activation behind it, is one QuantizeLinear.
func floatBetween(g *graph.Graph, x *graph.Index, n *graph.Node) bool {
	if !shielded[n.Op] || graph.CanonicalDomain(n.Domain) != "" || len(n.In) < 2 || len(n.Out) == 0 {
		return false
	}
	t, d := g.ConstTensor(n.In[1]), x.Producer(n.In[0])
	for d != nil && crossed[d.Op] {
		d = x.Producer(d.In[0])
	}
	if t == nil || t.DType != tensor.Float32 || d == nil || d.Op != "DequantizeLinear" {
		return false
	}
	for n = x.OnlyUse(n.Out[0]); n != nil && len(n.Out) > 0 && (crossed[n.Op] || n.Op == "Relu" || n.Op == "Clip"); {
		n = x.OnlyUse(n.Out[0])
	}
	return n != nil && n.Op == "QuantizeLinear"
}

// Narrowed names the products of values that flow, in float or in codes of more than eight bits, with matrices stored in
// eight bits or fewer. ONNX Runtime 1.32 makes MatMulNBits of them, whose accuracy level 4, its default, multiplies codes
// of eight bits.
func Narrowed(m *graph.Model) (names []string) {
	for g := range m.Graph.Graphs() {
		x := g.Index()
		codes := func(name string) (string, bool) {
			d := x.Producer(name)
			if d == nil || d.Op != "DequantizeLinear" {
				return "", false
			}
			return d.In[0], true
		}
		for _, n := range g.Nodes {
			if n.Op != "MatMul" || graph.CanonicalDomain(n.Domain) != "" {
				continue
			}
			w, ok := codes(n.In[1])
			t := g.ConstTensor(w)
			if !ok || t == nil || t.DType.Bits() > 8 || len(t.Shape) != 2 {
				continue
			}
			if q, ok := codes(n.In[0]); !ok || wide(g, x, q) {
				names = append(names, plan.NodeName(n))
			}
		}
	}
	return names
}

// wide says whether codes that flow have more than eight bits, by the zero point or the type that their QuantizeLinear names.
func wide(g *graph.Graph, x *graph.Index, codes string) bool {
	q := x.Producer(codes)
	if q == nil || q.Op != "QuantizeLinear" {
		return false
	}
	if len(q.In) > 2 && q.In[2] != "" {
		z := g.ConstTensor(q.In[2])
		return z != nil && z.DType.Bits() > 8
	}
	d := tensor.DType(q.Int("output_dtype", int(tensor.Uint8)))
	return d.Bits() > 8
}
