package engine

import (
	"context"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// foldLimit bounds the bytes that folding one node may add to what it reads.
const foldLimit = 16 << 20

// fold evaluates the nodes whose operands are all constant, but those that keep names.
func (g *net) fold(keep func(n *node) bool) {
	for _, n := range g.nodes {
		if n.dead || n.spec != nil || keep(n) {
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
	for _, quick := range []func(*node) *tensor.Tensor{dequantizedConstant, widenedConstant} {
		if y := quick(n); y != nil {
			out[0] = y
			return out
		}
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

// dequantizedConstant computes DequantizeLinear of constant codes with one scale in all or for each index of
// an axis by kernels, which give the bits of the definition; nil for other nodes.
func dequantizedConstant(n *node) *tensor.Tensor {
	if n.kind != "DequantizeLinear" || n.onnx.Int("block_size", 0) != 0 || !n.in[1].is(tensor.Float32) || !n.out[0].is(tensor.Float32) {
		return nil
	}
	x, scale := n.in[0].konst, tensor.Of[float32](n.in[1].konst)
	c, ok := codecs[x.DType]
	level, err := kernel.Best()
	if !ok || x.DType.IsFloat() || err != nil {
		return nil
	}
	zero, inner := tensor.New(x.DType, len(scale)), x.Len()
	if z := n.input(2); z != nil {
		if z.konst == nil || !zeroFits(z, n.in[1]) || z.dtype != x.DType {
			return nil
		}
		zero = z.konst
	}
	if len(scale) != 1 || len(n.in[1].shape) > 1 {
		axis, ok := scaledAxis(n)
		if !ok || x.Shape[axis] != len(scale) {
			return nil
		}
		inner = tensor.Elements(x.Shape[axis+1:])
	}
	y := tensor.New(tensor.Float32, x.Shape...)
	if inner == 1 {
		c.dequantizeRows(level, tensor.Of[float32](y), x, 0, x.Len(), scale, zero, 0)
		return y
	}
	for at, k := 0, 0; at < x.Len(); at, k = at+inner, (k+1)%len(scale) {
		c.dequantize(level, tensor.Of[float32](y), x, at, at+inner, scale[k], zero, k)
	}
	return y
}

// scaledAxis returns the axis along which a node's scales lie, one for each position.
func scaledAxis(n *node) (int, bool) {
	axis, ok := quantizedAxis(n)
	return axis, ok && len(n.in[1].shape) == 1
}

// quantizedAxis returns the axis that Q or DQ names.
func quantizedAxis(n *node) (int, bool) {
	rank := len(n.in[0].shape)
	axis := n.onnx.Int("axis", 1)
	if rank == 1 && !n.onnx.Has("axis") {
		axis = 0
	}
	if axis < 0 {
		axis += rank
	}
	return axis, axis >= 0 && axis < rank
}
