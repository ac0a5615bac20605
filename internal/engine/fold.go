package engine

import (
	"context"
	"slices"

	"lowbit/internal/tensor"
)

// foldLimit bounds the bytes that folding one node may add to what it reads.
const foldLimit = 16 << 20

// fold evaluates the nodes whose operands are all constant. Nodes of the kinds in keep stay.
func (g *net) fold(keep ...string) {
	for _, n := range g.nodes {
		if n.dead || slices.Contains(keep, n.kind) || n.spec != nil {
			continue
		}
		if out := g.constantResults(n); out != nil {
			for i, v := range n.out {
				if v != nil {
					v.konst, v.dtype, v.shape, v.known = out[i], out[i].DType, out[i].Shape, out[i].Kind == tensor.Dense
					v.def = nil
				}
			}
			n.out = nil
			g.kill(n)
		}
	}
	g.sweep()
}

// constantResults returns the results of n where they are known or can be computed now, else nil.
func (g *net) constantResults(n *node) []*tensor.Tensor {
	out := make([]*tensor.Tensor, len(n.out))
	known := true
	for i, v := range n.out {
		if v != nil {
			out[i] = v.konst
			known = known && v.konst != nil
		}
	}
	if known {
		return out
	}
	in := make([]*tensor.Tensor, len(n.in))
	size := 0
	for i, v := range n.in {
		if v == nil {
			continue
		}
		if v.konst == nil {
			return nil
		}
		in[i] = v.konst
		size += v.konst.Bytes()
	}
	if !g.foldable(n, size) {
		return nil
	}
	e, err := g.evaluator(n, 0)
	if err != nil || e.op == nil || e.op.Random || e.hosted != nil && len(n.in) == 0 {
		return nil
	}
	res, err := e.run(context.Background(), in)
	if err != nil {
		return nil
	}
	copy(out, res)
	return out
}

// foldable says whether the results of n are known to be of bearable size.
func (g *net) foldable(n *node, size int) bool {
	for _, v := range n.out {
		if v == nil {
			continue
		}
		if !v.known {
			return false
		}
		if b := v.dtype.ByteLen(v.elems()); b > 16*size+foldLimit {
			return false
		}
	}
	return true
}
