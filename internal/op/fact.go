package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// An Inference asks for the types of a node's outputs.
type Inference struct {
	*graph.Node
	Opset int
	In    []Fact // the zero Fact where an optional operand is left out

	sub func(g *graph.Graph, in []Fact) ([]Fact, error)
}

// Has says whether input i is there.
func (c *Inference) Has(i int) bool { return i < len(c.In) && i < len(c.Node.In) && c.Node.In[i] != "" }

// HasAttr says whether the node carries the attribute.
func (c *Inference) HasAttr(name string) bool { return c.Node.Has(name) }

// Input returns what is known of input i; the zero Fact where it is absent.
func (c *Inference) Input(i int) Fact {
	if i < len(c.In) {
		return c.In[i]
	}
	return Fact{}
}

// Sub infers a subgraph of this node.
func (c *Inference) Sub(g *graph.Graph, in []Fact) ([]Fact, error) { return c.sub(g, in) }

// Ints returns the constant elements of input i, false where they are not known.
func (c *Inference) Ints(i int) ([]int, bool) {
	f := c.Input(i)
	if f.Value != nil {
		v, err := f.Value.Ints()
		if err != nil {
			return nil, false
		}
		out := make([]int, len(v))
		for k, x := range v {
			out[k] = int(x)
		}
		return out, true
	}
	if f.Elems == nil {
		return nil, false
	}
	return numbers(f.Elems)
}

// A Fact is what is known of a value before it exists.
type Fact struct {
	graph.Type
	Value *tensor.Tensor // the value itself, where it is constant
	Elems []graph.Dim    // of an integer scalar or vector: what is known of each element
}

// Typed wraps types as facts.
func Typed(types ...graph.Type) []Fact {
	out := make([]Fact, len(types))
	for i, t := range types {
		out[i].Type = t
	}
	return out
}

func constFact(c *graph.Const) Fact {
	if c.Tensor != nil {
		return factOf(c.Tensor)
	}
	if c.Sparse != nil {
		return Fact{Type: graph.Of(c.Sparse.Values.DType, c.Sparse.Shape...)}
	}
	return Fact{}
}

// factOf is everything about a tensor that exists.
func factOf(t *tensor.Tensor) Fact { return Fact{Type: graph.TypeOf(t), Value: t} }

// refine fills what t leaves open from the declaration d.
func refine(t, d graph.Type) graph.Type {
	if t.Kind == graph.NoType {
		return d
	}
	if t.DType == tensor.Undefined {
		t.DType = d.DType
	}
	if !t.Ranked && d.Ranked {
		t.Ranked, t.Shape = true, d.Shape
		return t
	}
	if t.Ranked && d.Ranked && len(t.Shape) == len(d.Shape) {
		shape := make([]graph.Dim, len(t.Shape))
		for i, s := range t.Shape {
			shape[i] = s
			if !s.IsKnown() && (d.Shape[i].IsKnown() || s.Name == "") {
				shape[i] = d.Shape[i]
			}
		}
		t.Shape = shape
	}
	return t
}

// clearShape returns t without what it says of shapes.
func clearShape(t graph.Type) graph.Type {
	t.Ranked, t.Shape = false, nil
	if t.Elem != nil {
		e := clearShape(*t.Elem)
		t.Elem = &e
	}
	return t
}

// nameless returns t without the names of its dimensions, for values that exist more than once:
// the same name may stand for another size each time.
func nameless(t graph.Type) graph.Type {
	t.Shape = slices.Clone(t.Shape)
	for i, d := range t.Shape {
		if !d.IsKnown() {
			t.Shape[i] = graph.Unknown
		}
	}
	if t.Elem != nil {
		e := nameless(*t.Elem)
		t.Elem = &e
	}
	return t
}
