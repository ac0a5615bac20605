package plan

import (
	"fmt"
	"math"
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// overflow says that sums of a node's products may leave 32 bits, which is where runtimes add them; ""
// where they cannot, or where an override asks for the weights that the node has.
func (d *decider) overflow(n *graph.Node, q *op.Quant) string {
	weights, acts := d.schemes(n)
	w := d.weightOf(n, q)
	if w < 0 || d.set.Mode == Weights || d.overridden(n) || !weights.bytes() || !acts.bytes() || weights.Block.Kind == format.Group {
		return ""
	}
	t := d.constant(n.In[w])
	if t.Rank() < 2 {
		return ""
	}
	span := int64(acts.Format.Hi - acts.Format.Lo)
	products := int64(t.Len() / max(1, d.channels(n, q, w, t)))
	if products*span*int64(max(-weights.Format.Lo, weights.Format.Hi)) <= math.MaxInt32 {
		return ""
	}
	if most := span * d.largestSum(weights, t, d.weightBlock(weights, n, q, w), channelAxis(n, q, w, t)); most > math.MaxInt32 {
		return fmt.Sprintf("sums of its %d products may reach %d, 32 bits hold %d", products, most, math.MaxInt32)
	}
	return ""
}

// overridden says whether an override names the weights of a node.
func (d *decider) overridden(n *graph.Node) bool {
	return slices.ContainsFunc(d.set.Overrides, func(o Override) bool { return o.Weights != nil && o.Match.Match(n) })
}

// bytes says whether values of the scheme are whole numbers of at most eight bits.
func (s Scheme) bytes() bool {
	return s.Format != nil && s.Format.Lo < s.Format.Hi && s.Format.Bits <= 8
}

// largestSum is the largest sum of the magnitudes of the codes of an output channel of a weight.
func (d *decider) largestSum(s Scheme, t *tensor.Tensor, block format.Block, channel int) int64 {
	p, err := s.Format.FitTensor(tensor.Of[float32](t), t.Shape, block)
	if err != nil {
		return 0 // it shows where the weight is fitted
	}
	defer d.model.Forget(t)
	codes, err := s.Format.QuantizeCodes(t, block, p)
	if err != nil {
		return 0
	}
	run, owners := tensor.Elements(t.Shape[channel+1:]), block.Owners(t.Shape)
	sums := make([]int64, t.Shape[channel])
	for i, c := range codes {
		v := int64(c - p[owners[i]].Zero)
		sums[i/run%len(sums)] += max(v, -v)
	}
	return slices.Max(sums)
}
