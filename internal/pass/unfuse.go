package pass

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

// Unfuse writes float operators that ONNX Runtime's optimizer fused as the standard ones that they stand for,
// so that models it saved are quantized as others are (onnxruntime/docs/ContribOperators.md).
var Unfuse = &Pass{
	Name: "unfuse", Doc: "write ONNX Runtime's fused operators as standard ones",
	Run: func(m *graph.Model) error {
		used := namesOf(m)
		for g := range m.Graph.Graphs() {
			u := &unfuser{m: m, g: g, used: used}
			for _, n := range g.Nodes {
				if form := unfused[n.Op]; form == nil || n.Domain != weight.Microsoft || !form(u, n) {
					u.out = append(u.out, n)
				}
			}
			g.Nodes = u.out
		}
		return nil
	},
}

// unfused writes the nodes of one operator, or says that it could not and writes none.
var unfused = map[string]func(u *unfuser, n *graph.Node) bool{
	"FusedConv":              (*unfuser).conv,
	"FusedGemm":              (*unfuser).gemm,
	"FusedMatMul":            (*unfuser).matMul,
	"BiasGelu":               func(u *unfuser, n *graph.Node) bool { return u.biased(n, "Gelu") },
	"FastGelu":               func(u *unfuser, n *graph.Node) bool { return input(n, 1) != "" && u.biased(n, "FastGelu") },
	"SkipLayerNormalization": (*unfuser).skipNorm,
}

type unfuser struct {
	m    *graph.Model
	g    *graph.Graph
	used names
	out  []*graph.Node
	done *graph.Node // whose name a node bears already
}

// add writes an operator that stands for a part of n, the first under its name, and returns its result: the
// one named, or a new one.
func (u *unfuser) add(n *graph.Node, op string, in []string, result string, attrs ...*graph.Attr) string {
	if result == "" {
		result = u.used.added(n.Out[0] + "_" + op)
	}
	name := n.Name
	if u.done == n {
		name = u.used.added(n.Name + "_" + op)
	}
	u.done = n
	u.out = append(u.out, &graph.Node{Op: op, Name: name, Doc: n.Doc, In: in, Out: []string{result}, Attrs: attrs})
	return result
}

// number adds a constant of one element.
func (u *unfuser) number(n *graph.Node, v float32) string {
	name := u.used.added(n.Out[0] + "_constant")
	u.g.AddConst(&graph.Const{Name: name, Tensor: tensor.Scalar(v)})
	return name
}

// attrsOf are the attributes of n of those names.
func attrsOf(n *graph.Node, names ...string) []*graph.Attr {
	var list []*graph.Attr
	for _, a := range n.Attrs {
		if slices.Contains(names, a.Name) {
			list = append(list, a)
		}
	}
	return list
}

// activations that are fused, with the attributes that their parameters are.
var activations = map[string][]string{
	"Relu": nil, "Tanh": nil, "Sigmoid": nil, "LeakyRelu": {"alpha"}, "HardSigmoid": {"alpha", "beta"}, "Clip": {"min", "max"},
}

// activation writes the function that n applies to a value.
func (u *unfuser) activation(n *graph.Node, x string, params []float32) {
	name := n.Str("activation", "")
	var attrs []*graph.Attr
	in := []string{x}
	for i, a := range activations[name] {
		if name == "Clip" && u.m.Opset("") >= 11 {
			in = append(in, u.number(n, params[i]))
		} else {
			attrs = append(attrs, &graph.Attr{Name: a, Value: params[i]})
		}
	}
	u.add(n, name, in, n.Out[0], attrs...)
}

// activates says whether n applies a function, and whether it is known, with all its parameters.
func activates(n *graph.Node, params []float32) (some, known bool) {
	name := n.Str("activation", "")
	list, known := activations[name]
	return name != "", name == "" || known && len(params) >= len(list)
}

func (u *unfuser) conv(n *graph.Node) bool {
	params := n.Floats("activation_params")
	some, known := activates(n, params)
	if !known || len(n.Out) != 1 {
		return false
	}
	z := input(n, 3)
	result := func(more bool) string {
		if more {
			return ""
		}
		return n.Out[0]
	}
	y := u.add(n, "Conv", slices.Clone(n.In[:min(3, len(n.In))]), result(z != "" || some),
		attrsOf(n, "auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")...)
	if z != "" {
		y = u.add(n, "Add", []string{y, z}, result(some))
	}
	if some {
		u.activation(n, y, params)
	}
	return true
}

func (u *unfuser) gemm(n *graph.Node) bool {
	params := op.GemmActivation(n)
	some, known := activates(n, params)
	if !known || len(n.Out) != 1 {
		return false
	}
	attrs := attrsOf(n, "alpha", "beta", "transA", "transB")
	if !some {
		u.add(n, "Gemm", n.In, n.Out[0], attrs...)
		return true
	}
	u.activation(n, u.add(n, "Gemm", n.In, "", attrs...), params)
	return true
}

// matMul writes the product with a constant, which is transposed for good.
func (u *unfuser) matMul(n *graph.Node) bool {
	for _, a := range []string{"transA", "transBatchA", "transBatchB"} {
		if n.Bool(a, false) {
			return false
		}
	}
	in := slices.Clone(n.In)
	if n.Bool("transB", false) {
		w := u.g.ConstTensor(n.In[1])
		if w == nil || w.DType != tensor.Float32 || w.Rank() < 2 || u.g.Input(n.In[1]) != nil {
			return false
		}
		in[1] = u.used.added(n.In[1] + "_transposed")
		u.g.AddConst(&graph.Const{Name: in[1], Tensor: turned(w)})
	}
	alpha := n.Float("alpha", 1)
	if alpha == 1 {
		u.add(n, "MatMul", in, n.Out[0])
		return true
	}
	u.add(n, "Mul", []string{u.add(n, "MatMul", in, ""), u.number(n, alpha)}, n.Out[0])
	return true
}

// biased writes the sum that n begins with, and the function of it.
func (u *unfuser) biased(n *graph.Node, op string) bool {
	if len(n.In) < 2 || len(n.Out) != 1 {
		return false
	}
	u.add(n, op, []string{u.add(n, "Add", n.In[:2], "")}, n.Out[0])
	u.out[len(u.out)-1].Domain = weight.Microsoft
	return true
}

// skipNorm writes the sum, or the two, and the normalization, which opset 17 brought.
func (u *unfuser) skipNorm(n *graph.Node) bool {
	if u.m.Opset("") < 17 || len(n.In) < 3 || anyNamed(n.Out[1:min(3, len(n.Out))]) {
		return false
	}
	sum := ""
	if len(n.Out) > 3 {
		sum = n.Out[3]
	}
	bias := input(n, 4)
	if bias != "" {
		sum = u.add(n, "Add", []string{u.add(n, "Add", n.In[:2], ""), bias}, sum)
	} else {
		sum = u.add(n, "Add", n.In[:2], sum)
	}
	in := []string{sum, n.In[2]}
	if beta := input(n, 3); beta != "" {
		in = append(in, beta)
	}
	u.add(n, "LayerNormalization", in, n.Out[0], &graph.Attr{Name: "axis", Value: int64(-1)}, &graph.Attr{Name: "epsilon", Value: n.Float("epsilon", 1e-12)})
	return true
}
