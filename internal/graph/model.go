// Package graph is the one representation of a network, in ONNX's own terms: nodes in
// evaluation order, values named once, edges looked up by name and never stored twice.
package graph

import (
	"slices"

	"lowbit/internal/tensor"
)

// A Model is a network with everything its file says of it.
type Model struct {
	IR              int64
	Opsets          []Opset
	Producer        string
	ProducerVersion string
	Domain          string
	Version         int64
	Doc             string
	Graph           *Graph
	Functions       []*Function
	Meta            []Prop
	Unknown         []byte // protobuf fields that lowbit does not know, as they stood
	Backing         Backing
}

// An Opset names the version of one operator domain.
type Opset struct {
	Domain  string
	Version int
}

// A Prop is one pair of metadata.
type Prop struct{ Key, Value string }

// Opset returns the version of a domain that m imports, 0 if it imports none.
// "ai.onnx" and "" name the same domain.
func (m *Model) Opset(domain string) int { return OpsetIn(m.Opsets, domain) }

// OpsetIn returns the version of a domain among imports, 0 if it is not there.
func OpsetIn(list []Opset, domain string) int {
	for _, o := range list {
		if CanonicalDomain(o.Domain) == CanonicalDomain(domain) {
			return o.Version
		}
	}
	if domain == "com.microsoft" {
		return 1 // its only version: tools that write its operators leave it out
	}
	return 0
}

// SetOpset makes m import the given version of a domain.
func (m *Model) SetOpset(domain string, version int) {
	for i, o := range m.Opsets {
		if CanonicalDomain(o.Domain) == CanonicalDomain(domain) {
			m.Opsets[i].Version = version
			return
		}
	}
	m.Opsets = append(m.Opsets, Opset{domain, version})
}

// CanonicalDomain returns "" for both spellings of the default operator domain.
func CanonicalDomain(d string) string {
	if d == "ai.onnx" {
		return ""
	}
	return d
}

// MetaValue returns the metadata value of a key, "" if there is none.
func (m *Model) MetaValue(key string) string {
	for _, p := range m.Meta {
		if p.Key == key {
			return p.Value
		}
	}
	return ""
}

// SetMeta sets one metadata value.
func (m *Model) SetMeta(key, value string) {
	for i, p := range m.Meta {
		if p.Key == key {
			m.Meta[i].Value = value
			return
		}
	}
	m.Meta = append(m.Meta, Prop{key, value})
}

// Function returns the model's own function of that domain, name and overload, or nil.
func (m *Model) Function(domain, name, overload string) *Function {
	for _, f := range m.Functions {
		if f.Name == name && f.Overload == overload && CanonicalDomain(f.Domain) == CanonicalDomain(domain) {
			return f
		}
	}
	return nil
}

// A Function is an operator that the model itself defines by a list of nodes.
type Function struct {
	Name, Domain, Overload, Doc string
	In, Out                     []string
	AttrNames                   []string // attributes without a default
	Attrs                       []*Attr  // attributes with a default
	Nodes                       []*Node
	Opsets                      []Opset
	Info                        []*Value
	Meta                        []Prop
	Unknown                     []byte
}

// Opset returns the version of a domain that f imports, 0 if it imports none.
func (f *Function) Opset(domain string) int { return OpsetIn(f.Opsets, domain) }

// A Graph is a list of nodes in evaluation order with the constants they read.
type Graph struct {
	Name, Doc string
	Nodes     []*Node
	In, Out   []*Value
	Info      []*Value // what the file says of values in between
	Meta      []Prop
	Unknown   []byte

	consts []*Const
	index  map[string]*Const
}

// A Value is a named edge and its type.
type Value struct {
	Name, Doc string
	Type      Type
	Meta      []Prop
	Unknown   []byte
}

// A Const is an initializer: a named tensor that the graph carries.
type Const struct {
	Name, Doc string
	Tensor    *tensor.Tensor // of a sparse initializer, its dense form once it is asked for
	Sparse    *Sparse        // nil for a dense one
	Meta      []Prop
	Unknown   []byte
}

// A Sparse tensor lists its non-zero values with their indices, [n] linear or [n,rank] (ONNX SparseTensorProto).
type Sparse struct {
	Values, Indices *tensor.Tensor
	Shape           []int
	Info            [2]TensorInfo // of Values and Indices
	Unknown         []byte
}

// A TensorInfo is what a file says of a tensor besides its numbers.
type TensorInfo struct {
	Name, Doc string
	Meta      []Prop
	Unknown   []byte
}

// Consts returns the graph's initializers in file order. The slice is not to be changed.
func (g *Graph) Consts() []*Const { return g.consts }

// Const returns the initializer of that name, or nil.
func (g *Graph) Const(name string) *Const { return g.index[name] }

// ConstTensor returns the tensor of the initializer of that name, or nil.
func (g *Graph) ConstTensor(name string) *tensor.Tensor {
	if c := g.index[name]; c != nil {
		return c.Tensor
	}
	return nil
}

// AddConst adds or replaces an initializer.
func (g *Graph) AddConst(c *Const) {
	if g.index == nil {
		g.index = map[string]*Const{}
	}
	if old := g.index[c.Name]; old != nil {
		*old = *c
		return
	}
	g.index[c.Name] = c
	g.consts = append(g.consts, c)
}

// SetConst adds or replaces an initializer by name and tensor.
func (g *Graph) SetConst(name string, t *tensor.Tensor) {
	if c := g.index[name]; c != nil {
		c.Tensor, c.Sparse = t, nil
		return
	}
	g.AddConst(&Const{Name: name, Tensor: t})
}

// DropConst removes the named initializers.
func (g *Graph) DropConst(names ...string) {
	for _, n := range names {
		delete(g.index, n)
	}
	g.consts = slices.DeleteFunc(g.consts, func(c *Const) bool { return g.index[c.Name] == nil })
}

// Input returns the graph input of that name, or nil.
func (g *Graph) Input(name string) *Value { return find(g.In, name) }

// Output returns the graph output of that name, or nil.
func (g *Graph) Output(name string) *Value { return find(g.Out, name) }

func find(list []*Value, name string) *Value {
	for _, v := range list {
		if v.Name == name {
			return v
		}
	}
	return nil
}

// Required returns the inputs that a caller has to feed: those without an initializer
// (files of IR 3 list initializers among the inputs).
func (g *Graph) Required() []*Value {
	var list []*Value
	for _, v := range g.In {
		if g.Const(v.Name) == nil {
			list = append(list, v)
		}
	}
	return list
}
