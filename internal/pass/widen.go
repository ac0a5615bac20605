package pass

import (
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// isHalf says whether d is a float of 16 bits.
func isHalf(d tensor.DType) bool { return d == tensor.Float16 || d == tensor.BFloat16 }

// typed are the attributes that name the element type of a result.
var typed = []string{"to", "dtype", "output_dtype", "precision", "softmax_precision"}

// Widen makes a network that computes in 16-bit floats one that computes in float32, with a Cast at each input and output,
// whose types stay, and says whether it did so. Others, and those of which it cannot tell, it leaves alone.
func Widen(m *graph.Model) (bool, error) {
	for _, p := range []*Pass{InitInputs, Inline} {
		if err := p.Run(m); err != nil {
			return false, err
		}
	}
	if !computesInHalves(m) || !widens(m) {
		return false, nil
	}
	used := namesOf(m)
	for g := range m.Graph.Graphs() {
		widenGraph(m, g)
		if g != m.Graph {
			widenTypes(g.In)
			widenTypes(g.Out)
		}
	}
	widenBorders(m.Graph, used)
	return true, nil
}

// computesInHalves says whether an operator with weights reads what flows in 16-bit floats.
func computesInHalves(m *graph.Model) bool {
	if !holdsHalves(m) {
		return false
	}
	facts, err := op.Infer(m, nil)
	if err != nil {
		return false
	}
	for _, n := range m.Graph.AllNodes() {
		if o := op.Lookup(n.Domain, n.Op); o == nil || len(o.Quant.In) == 0 || len(n.In) == 0 {
			continue
		}
		if isHalf(facts[n.In[0]].Type.DType) {
			return true
		}
	}
	return false
}

// holdsHalves says whether a model has constants or inputs of 16 bits at all.
func holdsHalves(m *graph.Model) bool {
	for g := range m.Graph.Graphs() {
		for _, c := range g.Consts() {
			if c.Tensor != nil && isHalf(c.Tensor.DType) {
				return true
			}
		}
	}
	return slices.ContainsFunc(m.Graph.In, func(v *graph.Value) bool { return isHalf(v.Type.DType) })
}

// widens says whether nothing stands in the way: bits read as another type, sparse constants, borders that are no
// tensors, outputs that nothing computes.
func widens(m *graph.Model) bool {
	for g := range m.Graph.Graphs() {
		if slices.ContainsFunc(g.Consts(), func(c *graph.Const) bool { return c.Sparse != nil }) {
			return false
		}
	}
	for _, n := range m.Graph.AllNodes() {
		if n.Op == "BitCast" {
			return false
		}
	}
	x := m.Graph.Index()
	for _, v := range m.Graph.In {
		if v.Type.Kind != graph.TensorType || m.Graph.Const(v.Name) != nil {
			return false
		}
	}
	return !slices.ContainsFunc(m.Graph.Out, func(v *graph.Value) bool {
		return v.Type.Kind != graph.TensorType || x.Producer(v.Name) == nil
	})
}

// widenGraph widens the constants, the attributes and the stated types of one graph.
func widenGraph(m *graph.Model, g *graph.Graph) {
	for _, c := range g.Consts() {
		if c.Tensor != nil && isHalf(c.Tensor.DType) {
			was := c.Tensor
			c.Tensor = m.Shelved(format.FromHalves(was))
			m.Forget(was)
		}
	}
	widenTypes(g.Info)
	for _, n := range g.Nodes {
		for _, a := range n.Attrs {
			switch v := a.Value.(type) {
			case int64:
				if slices.Contains(typed, a.Name) && isHalf(tensor.DType(v)) {
					a.Value = int64(tensor.Float32)
				}
			case *tensor.Tensor:
				if v != nil && isHalf(v.DType) {
					a.Value = format.FromHalves(v)
				}
			case graph.Type:
				a.Value = wideType(v)
			}
		}
	}
}

func widenTypes(list []*graph.Value) {
	for _, v := range list {
		v.Type = wideType(v.Type)
	}
}

func wideType(t graph.Type) graph.Type {
	if isHalf(t.DType) {
		t.DType = tensor.Float32
	}
	if t.Elem != nil {
		e := wideType(*t.Elem)
		t.Elem = &e
	}
	return t
}

// widenBorders puts a Cast behind each input and in front of each output of 16 bits.
func widenBorders(g *graph.Graph, used names) {
	var front, back []*graph.Node
	for _, v := range g.In {
		if isHalf(v.Type.DType) {
			to := used.added(v.Name + "_float")
			rename(g, v.Name, to)
			front = append(front, castTo(tensor.Float32, used.added(v.Name+"_Cast"), v.Name, to))
		}
	}
	for _, v := range g.Out {
		if !isHalf(v.Type.DType) {
			continue
		}
		from := used.added(v.Name + "_float")
		for _, n := range g.Nodes {
			for i, o := range n.Out {
				if o == v.Name {
					n.Out[i] = from
				}
			}
		}
		rename(g, v.Name, from)
		back = append(back, castTo(v.Type.DType, used.added(v.Name+"_Cast"), from, v.Name))
	}
	g.Nodes = slices.Concat(front, g.Nodes, back)
}

func castTo(d tensor.DType, name, from, to string) *graph.Node {
	n := &graph.Node{Op: "Cast", Name: name, In: []string{from}, Out: []string{to}}
	n.SetAttr("to", int64(d))
	return n
}
