package doctor

import (
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/plan"
	"lowbit/internal/weight"
)

// A change is what becomes of one site.
type change struct {
	off    bool           // its value stays in float
	format *format.Format // of activations, with
	params format.Params
	coded  *weight.Coded // of weights
	bias   []float32     // of a bias: the numbers that it stands for
	behind bool          // of activations that clamps alone read: they are quantized behind these
}

// changes are those of a network; sites that are not in it stay as they are.
type changes map[*site]change

// allOff takes every site out.
func (n *net) allOff() changes {
	c := changes{}
	for _, s := range n.sites {
		if s.kind == acts || s.off != nil {
			c[s] = change{off: true}
		}
	}
	return c
}

// except leaves the given sites as they are in the file.
func (c changes) except(list ...*site) changes {
	d := changes{}
	for s, v := range c {
		if !slices.Contains(list, s) {
			d[s] = v
		}
	}
	return d
}

// with adds changes.
func (c changes) with(more changes) changes {
	d := changes{}
	for s, v := range c {
		d[s] = v
	}
	for s, v := range more {
		d[s] = v
	}
	return d
}

// behind returns the change by which a unit reads codes in place of what a clamp makes of them.
func (c changes) behind(u *unit) (change, bool) {
	for s, v := range c {
		if v.behind && slices.ContainsFunc(s.reads, func(r use) bool { return r.unit.node.Out[0] == u.node.In[0] }) {
			return v, true
		}
	}
	return change{}, false
}

// off takes sites out. A bias goes with its weights: its scale is the product of theirs.
func off(list ...*site) changes {
	c := changes{}
	for _, s := range list {
		if s.kind == acts || s.off != nil {
			c[s] = change{off: true}
		}
	}
	return c
}

// sitesOff says which sites changes take out, and whether they do nothing else.
func (n *net) sitesOff(c changes) (key string, only bool) {
	out := make([]byte, len(n.sites))
	for i, s := range n.sites {
		v, ok := c[s]
		if ok && !v.off {
			return "", false
		}
		if ok {
			out[i] = 1
		}
	}
	return string(out), true
}

// opsetOf is the first opset that holds the changes.
func opsetOf(c changes) int {
	need := 0
	for _, v := range c {
		if v.format != nil {
			need = max(need, v.format.Opset)
		}
		if v.coded != nil {
			need = max(need, plan.Scheme{Format: v.coded.Format, Block: v.coded.Block}.Opset())
		}
	}
	return need
}
