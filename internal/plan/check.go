package plan

import (
	"cmp"
	"fmt"

	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// Check holds a plan that was read from a file against the network it is for: every name exists,
// and every value has the parameters that its role, format and block ask for.
func (p *Plan) Check(m *graph.Model) error {
	c := &checker{plan: p, consts: constants(m), nodes: map[string]bool{}, values: map[string]bool{}, as: map[string]*Value{}}
	for _, n := range m.Graph.AllNodes() {
		c.nodes[NodeName(n)] = true
		for _, o := range n.Out {
			c.values[o] = true
		}
	}
	for g := range m.Graph.Graphs() {
		for _, v := range g.In {
			c.values[v.Name] = true
		}
	}
	if p.Mode != Static && p.Mode != Dynamic && p.Mode != Weights && p.Mode != Convert {
		return fault.Invalidf("plan", "mode %q is not static, dynamic, weights or convert", p.Mode)
	}
	for _, v := range p.Values {
		if c.as[v.As] != nil {
			return fault.Invalidf("plan", "value %q stands twice", v.As)
		}
		c.as[v.As] = v
	}
	for _, v := range p.Values {
		if err := c.value(v); err != nil {
			return fault.Invalidf(fmt.Sprintf("plan: value %q", v.As), "%v", err)
		}
	}
	for _, n := range p.Nodes {
		if err := c.node(n); err != nil {
			return fault.Invalidf(fmt.Sprintf("plan: node %q", n.Name), "%v", err)
		}
	}
	return nil
}

type checker struct {
	plan   *Plan
	consts map[string]*tensor.Tensor
	nodes  map[string]bool
	values map[string]bool   // those that flow
	as     map[string]*Value // lines by As
}

func (c *checker) node(n *Node) error {
	if !c.nodes[n.Name] {
		return fmt.Errorf("is not in the model")
	}
	for _, in := range n.Inputs {
		if in != "" && c.as[in] == nil {
			return fmt.Errorf("reads %q, which has no line", in)
		}
	}
	return nil
}

func (c *checker) value(v *Value) error {
	flows, t := c.values[v.Name], c.consts[v.Name]
	switch v.Role {
	case RoleActivation:
		if !flows {
			return fmt.Errorf("is no value of the model that flows")
		}
		t = nil
	case RoleWeight, RoleConstant, RoleBias:
		if t == nil || t.DType != tensor.Float32 {
			return fmt.Errorf("is no float constant of the model")
		}
	default:
		return fmt.Errorf("role %q is none of %s, %s, %s, %s", v.Role, RoleActivation, RoleWeight, RoleConstant, RoleBias)
	}
	if v.Role == RoleBias && v.Format != format.Int32.Name {
		return fmt.Errorf("a bias is %s, not %s", format.Int32.Name, v.Format)
	}
	for _, name := range []string{v.Like, v.Input, v.Weight} {
		if name != "" && c.as[name] == nil {
			return fmt.Errorf("mentions %q, which has no line", name)
		}
	}
	return v.checkParams(t)
}

// checkParams holds the parameters against the block; t is nil for a value that flows.
func (v *Value) checkParams(t *tensor.Tensor) error {
	want := 1
	switch {
	case t == nil && v.Block.Kind != format.Whole:
		return fmt.Errorf("a value that flows has one scale, not one by %s", v.Block)
	case t != nil && v.Block.Kind != format.Whole:
		if v.Block.Axis < 0 || v.Block.Axis >= t.Rank() {
			return fmt.Errorf("axis %d of %s", v.Block.Axis, t)
		}
		want = tensor.Elements(v.Block.ParamShape(t.Shape))
	}
	if len(v.Params) != want {
		return fmt.Errorf("has %d scales, by %s it needs %d", len(v.Params), v.Block, want)
	}
	f := cmp.Or(format.Lookup(v.Format), format.Int32)
	for _, p := range v.Params {
		if f.Lo < f.Hi && (int(p.Zero) < f.Lo || int(p.Zero) > f.Hi) {
			return fmt.Errorf("zero point %d is no code of %s", p.Zero, f.Name)
		}
	}
	return nil
}
