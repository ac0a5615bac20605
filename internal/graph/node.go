package graph

import (
	"fmt"

	"lowbit/internal/tensor"
)

// A Node applies one operator. An empty name among In or Out is an optional operand left out.
type Node struct {
	Op, Domain, Overload string
	Name, Doc            string
	In, Out              []string
	Attrs                []*Attr
	Meta                 []Prop
	Unknown              []byte
}

// An Attr is a named constant of a node. Value is one of: float32, int64, string,
// *tensor.Tensor, *Sparse, *Graph, Type, a slice of one of these, or nil where Ref names the
// attribute of the enclosing function to take it from.
type Attr struct {
	Name, Doc string
	Value     any
	Ref       string
	RefType   int32        // AttributeProto.type of a reference
	TensorID  string       // the name that a tensor value carries in the file
	Info      []TensorInfo // of tensor values, in order; may be shorter than their list
	Unknown   []byte
}

// Label names the node in messages: `Conv "conv1"`, or its first output where it has no name.
func (n *Node) Label() string {
	name := n.Name
	if name == "" && len(n.Out) > 0 {
		name = n.Out[0]
	}
	return fmt.Sprintf("%s %q", n.Op, name)
}

// Attr returns the attribute of that name, or nil.
func (n *Node) Attr(name string) *Attr {
	for _, a := range n.Attrs {
		if a.Name == name {
			return a
		}
	}
	return nil
}

// Has says whether the node carries an attribute of that name.
func (n *Node) Has(name string) bool { return n.Attr(name) != nil }

// SetAttr sets an attribute; value is one of the types that Attr.Value may have.
func (n *Node) SetAttr(name string, value any) {
	if a := n.Attr(name); a != nil {
		a.Value = value
		return
	}
	n.Attrs = append(n.Attrs, &Attr{Name: name, Value: value})
}

// attr returns the value of an attribute as T, and def where it is absent. An attribute of
// another type counts as absent: the operator table checks types before anything reads them.
func attr[T any](n *Node, name string, def T) T {
	if a := n.Attr(name); a != nil {
		if v, ok := a.Value.(T); ok {
			return v
		}
	}
	return def
}

// Int returns an integer attribute, or def.
func (n *Node) Int(name string, def int) int { return int(attr(n, name, int64(def))) }

// Bool returns an integer attribute as a truth value, or def.
func (n *Node) Bool(name string, def bool) bool {
	d := 0
	if def {
		d = 1
	}
	return n.Int(name, d) != 0
}

// Float returns a float attribute, or def.
func (n *Node) Float(name string, def float32) float32 { return attr(n, name, def) }

// Str returns a string attribute, or def.
func (n *Node) Str(name, def string) string { return attr(n, name, def) }

// Ints returns a list of integers as int, nil where it is absent.
func (n *Node) Ints(name string) []int {
	list := attr[[]int64](n, name, nil)
	if list == nil {
		return nil
	}
	out := make([]int, len(list))
	for i, v := range list {
		out[i] = int(v)
	}
	return out
}

// Floats returns a list of floats, nil where it is absent.
func (n *Node) Floats(name string) []float32 { return attr[[]float32](n, name, nil) }

// Strs returns a list of strings, nil where it is absent.
func (n *Node) Strs(name string) []string { return attr[[]string](n, name, nil) }

// Tensor returns a tensor attribute, nil where it is absent.
func (n *Node) Tensor(name string) *tensor.Tensor { return attr[*tensor.Tensor](n, name, nil) }

// Graph returns a subgraph, nil where it is absent.
func (n *Node) Graph(name string) *Graph { return attr[*Graph](n, name, nil) }

// Subgraphs returns every graph among the node's attributes, in order.
func (n *Node) Subgraphs() []*Graph {
	var list []*Graph
	for _, a := range n.Attrs {
		switch v := a.Value.(type) {
		case *Graph:
			list = append(list, v)
		case []*Graph:
			list = append(list, v...)
		}
	}
	return list
}
