package pass

import (
	"math"

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

// Shield puts a Clip without bounds, which passes everything on, in front of such layers, and of other nodes where the
// optimizer would spoil a bias or a whole file: they no longer stand beside a DequantizeLinear.
func Shield(m *graph.Model) {
	used := namesOf(m)
	typed := m.Opset("") >= 21
	for g := range m.Graph.Graphs() {
		x := g.Index()
		var list []*graph.Node
		for _, n := range g.Nodes {
			if floatBetween(g, x, n) || spoilsBias(g, x, n) || unknownCodes(g, x, n) || typed && movesSigned(g, x, n) {
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
	if !shielded[n.Op] || source(x, n) == nil {
		return false
	}
	return foldsToFloat(g, x, n.In[1]) && requantized(x, n)
}

// foldsToFloat says whether a value is a constant in float32 once the optimizer has computed what is made of constants, but for
// what a DequantizeLinear makes, which it leaves.
func foldsToFloat(g *graph.Graph, x *graph.Index, name string) bool {
	if t := g.ConstTensor(name); t != nil {
		return t.DType == tensor.Float32
	}
	d := x.Producer(name)
	if d == nil || d.Op == "DequantizeLinear" || len(d.In) == 0 || len(d.Subgraphs()) > 0 {
		return false
	}
	for _, in := range d.In {
		if in != "" && g.ConstTensor(in) == nil && !foldsToFloat(g, x, in) {
			return false
		}
	}
	return true
}

// source is the DequantizeLinear whose numbers a shielded layer or a MatMul reads; nil where there is none.
func source(x *graph.Index, n *graph.Node) *graph.Node {
	if !shielded[n.Op] && n.Op != "MatMul" || graph.CanonicalDomain(n.Domain) != "" || len(n.In) < 2 || len(n.Out) == 0 {
		return nil
	}
	d := x.Producer(n.In[0])
	for d != nil && crossed[d.Op] {
		d = x.Producer(d.In[0])
	}
	if d == nil || d.Op != "DequantizeLinear" {
		return nil
	}
	return d
}

// requantized says whether all that reads what n gives, or an activation behind it, is one QuantizeLinear.
func requantized(x *graph.Index, n *graph.Node) bool {
	for n = x.OnlyUse(n.Out[0]); n != nil && len(n.Out) > 0 && (crossed[n.Op] || n.Op == "Relu" || n.Op == "Clip"); {
		n = x.OnlyUse(n.Out[0])
	}
	return n != nil && n.Op == "QuantizeLinear"
}

// spoilsBias says whether the same optimizer, which stores a float bias between codes as int32 in steps of the product of
// the scales, would change what a layer computes: 8-bit floats, of which no product is made on integers, have sums that lie
// between two codes where such a bias does not move them, and scales so small that 32 bits do not reach far.
func spoilsBias(g *graph.Graph, x *graph.Index, n *graph.Node) bool {
	d := source(x, n)
	if d == nil || len(n.In) < 3 || !requantized(x, n) {
		return false
	}
	w := x.Producer(n.In[1])
	if w == nil || w.Op != "DequantizeLinear" {
		return false
	}
	in, steps, bias := floats(g, d.In[1]), floats(g, w.In[1]), floats(g, n.In[2])
	if t := g.ConstTensor(w.In[0]); t != nil && t.DType.IsFloat() {
		return len(bias) > 0
	}
	if len(in) != 1 || len(steps) == 0 {
		return false
	}
	for i, b := range bias {
		if math.Abs(float64(b)) >= float64(in[0])*float64(steps[i%len(steps)])*math.MaxInt32 {
			return true
		}
	}
	return false
}

// floats are the numbers of a float32 constant; nil where the value is none.
func floats(g *graph.Graph, name string) []float32 {
	t := g.ConstTensor(name)
	if t == nil || t.DType != tensor.Float32 {
		return nil
	}
	return tensor.Of[float32](t)
}

// unknownCodes says whether n is a convolution of codes with weights of two bits, or a product that gives codes again, of
// which ONNX Runtime 1.32 makes a QLinearConv or a QLinearMatMul that it then refuses: the file would not load.
func unknownCodes(g *graph.Graph, x *graph.Index, n *graph.Node) bool {
	if n.Op != "Conv" && (n.Op != "MatMul" || len(n.Out) == 0 || !requantized(x, n)) || source(x, n) == nil {
		return false
	}
	w := x.Producer(n.In[1])
	if w == nil || w.Op != "DequantizeLinear" {
		return false
	}
	t := g.ConstTensor(w.In[0])
	return t != nil && (t.DType == tensor.Int2 || t.DType == tensor.Uint2)
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

// movesSigned says whether n is one past which ONNX Runtime 1.32 would move a QuantizeLinear to int8. From opset 21 it
// writes that type into an attribute, forgets it when it makes uint8 of int8, and refuses what came out.
func movesSigned(g *graph.Graph, x *graph.Index, n *graph.Node) bool {
	if len(n.In) == 0 || len(n.Out) == 0 || graph.CanonicalDomain(n.Domain) != "" {
		return false
	}
	from := x.Producer(n.In[0])
	switch {
	case from == nil:
		return false
	case crossed[n.Op] && from.Op == "DequantizeLinear": // on the way down
		return signed(g, from) && !codesBehind(x, n)
	case crossed[from.Op] && n.Op == "QuantizeLinear": // on the way up
		for from != nil && crossed[from.Op] {
			from = x.Producer(from.In[0])
		}
		return signed(g, n) && (from == nil || from.Op != "DequantizeLinear")
	}
	return false
}

// codesBehind says whether a QuantizeLinear is all that reads what a node moves, behind others that move.
func codesBehind(x *graph.Index, n *graph.Node) bool {
	for n != nil && crossed[n.Op] && len(n.Out) > 0 {
		n = x.OnlyUse(n.Out[0])
	}
	return n != nil && n.Op == "QuantizeLinear"
}

// signed says whether the zero point of a QuantizeLinear or a DequantizeLinear is an int8.
func signed(g *graph.Graph, n *graph.Node) bool {
	if len(n.In) < 3 {
		return false
	}
	t := g.ConstTensor(n.In[2])
	return t != nil && t.DType == tensor.Int8
}
