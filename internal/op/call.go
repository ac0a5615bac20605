package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A Call is one evaluation of a node.
type Call struct {
	*graph.Node
	Opset int              // version of the node's domain
	In    []*tensor.Tensor // nil where an optional operand is left out

	run  *runner
	env  *scope
	salt uint64
}

// Has says whether input i is there. (It hides Node.Has: use HasAttr for attributes.)
func (c *Call) Has(i int) bool { return i < len(c.In) && c.In[i] != nil }

// HasAttr says whether the node carries the attribute.
func (c *Call) HasAttr(name string) bool { return c.Node.Has(name) }

// Input returns input i, or nil where it is absent.
func (c *Call) Input(i int) *tensor.Tensor {
	if i < len(c.In) {
		return c.In[i]
	}
	return nil
}

// Wants says whether output i is used.
func (c *Call) Wants(i int) bool { return i < len(c.Out) && c.Out[i] != "" }

// Run evaluates a subgraph of this node, which may read values of the graphs around it.
func (c *Call) Run(g *graph.Graph, in []*tensor.Tensor) ([]*tensor.Tensor, error) {
	return c.run.graph(g, c.env, in)
}
