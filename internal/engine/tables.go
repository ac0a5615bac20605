package engine

import (
	"context"
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// pointwiseOps lists the operators, beside the "function" nodes, that compute each element from the elements
// at the same place.
var pointwiseOps = []string{
	"Add", "Sub", "Mul", "Div", "Min", "Max", "Pow", "PRelu", "LeakyRelu", "ThresholdedRelu", "Celu", "Shrink", "Sign", "Sum", "Mean",
	"HardSwish", "Swish", "Elu", "Selu", "Sin", "Cos", "Atan",
}

// maxRegion bounds the nodes that one table may stand for.
const maxRegion = 16

// A region is a piece of network between one tensor of codes and a "quantize" node, in which each element
// depends on one code alone: a table of 256 codes computes it.
type region struct {
	g     *net
	end   *node
	codes *value // the source
	mean  affine
	nodes []*node
	vals  map[*value]*tensor.Tensor // for each value, what each code gives; or a constant
}

// findTables turns such regions into "table" nodes.
func findTables(g *net) {
	for _, n := range g.nodes {
		if n.kind != "quantize" || n.in[0].def == nil {
			continue
		}
		r := &region{g: g, end: n, vals: map[*value]*tensor.Tensor{}}
		v := r.trace(n.in[0])
		if v == nil || r.codes == nil || !r.closed() || !sameShape(r.codes.shape, n.out[0].shape) {
			continue
		}
		to := n.spec.(affine)
		t := new([256]uint8)
		kernel.Generic.QuantizeU8(t[:], tensor.Of[float32](v), to.scale, uint8(to.zero))
		if len(r.nodes) > 0 {
			last := r.nodes[len(r.nodes)-1]
			n.onnx, n.version = last.onnx, last.version
		}
		n.become("table", t, r.codes)
	}
	g.sweep()
}

// trace returns what each of the 256 codes gives for v, or nil where v is not a function of one code.
func (r *region) trace(v *value) *tensor.Tensor {
	if t := r.vals[v]; t != nil {
		return t
	}
	t := r.compute(v)
	if t != nil {
		r.vals[v] = t
	}
	return t
}

func (r *region) compute(v *value) *tensor.Tensor {
	if x, a, ok := r.g.codesOf(v); ok && x.konst == nil {
		return r.source(x, a)
	}
	if v.konst != nil {
		if v.elems() != 1 {
			return nil
		}
		return v.konst
	}
	n := v.def
	if n == nil || !v.is(tensor.Float32) || len(r.nodes) == maxRegion {
		return nil
	}
	if n.kind != "function" && !slices.Contains(pointwiseOps, n.kind) {
		return nil
	}
	in := make([]*tensor.Tensor, len(n.in))
	for i, x := range n.in {
		if x != nil {
			if in[i] = r.trace(x); in[i] == nil {
				return nil
			}
		}
	}
	r.nodes = append(r.nodes, n)
	return r.apply(n, in)
}

func (r *region) source(x *value, a affine) *tensor.Tensor {
	if r.codes != nil && (r.codes != x || r.mean != a) {
		return nil
	}
	r.codes, r.mean = x, a
	var all [256]float32
	decodeAll(&all, a)
	return tensor.Float32s(all[:], 256)
}

func (r *region) apply(n *node, in []*tensor.Tensor) *tensor.Tensor {
	if f, ok := n.spec.(function); ok {
		t := tensor.New(tensor.Float32, in[0].Shape...)
		f.apply(kernel.Generic, tensor.Of[float32](t), tensor.Of[float32](in[0]))
		return t
	}
	for i, t := range in {
		if t != nil && t.Len() == 1 {
			in[i] = t.Reshape()
		}
	}
	e, err := r.g.evaluator(n, 0)
	if err != nil || e.hosted != nil {
		return nil
	}
	out, err := e.run(context.Background(), in)
	if err != nil || out[0].DType != tensor.Float32 || out[0].Len() != 256 && out[0].Len() != 1 {
		return nil
	}
	return out[0]
}

// closed says whether nothing outside reads the values within.
func (r *region) closed() bool {
	for _, n := range r.nodes {
		for _, v := range n.out {
			if v == nil {
				continue
			}
			if v.pinned || !sameShape(v.shape, r.codes.shape) {
				return false
			}
			for _, u := range v.uses {
				if u != r.end && !slices.Contains(r.nodes, u) {
					return false
				}
			}
		}
	}
	return true
}
