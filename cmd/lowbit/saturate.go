package main

import (
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

// mostPair is the largest sum of two weights whose products with 255 fit 16 bits together.
const mostPair = 32767 / 255

// saturating names the nodes that multiply uint8 by int8, of which two products may not fit 16 bits together,
// whichever two a runtime adds first.
func saturating(m *graph.Model, facts op.Facts) []string {
	names := []string{}
	x := m.Graph.Index()
	for _, f := range weight.Find(m) {
		axis, multiplies := channelAxis(f)
		if multiplies && f.Format.Elem == tensor.Int8 && f.Format.Via == format.Dequantize && readsBytes(x, f.Node, facts) && !depthwise(f) && exceeds(f.Load(), axis) {
			names = append(names, plan.NodeName(f.Node))
		}
	}
	return names
}

// channelAxis is the axis of the output channels of a weight, negative from the end; false for constants that
// multiply nothing.
func channelAxis(f weight.Found) (axis int, ok bool) {
	if len(f.Shape) < 2 {
		return 0, false
	}
	if axis, ok = weight.Channels(f.Node); ok {
		return axis, true
	}
	o := op.Lookup(f.Node.Domain, f.Node.Op)
	at := slices.Index(f.Node.In, f.Name)
	if o == nil || at < 0 || o.Quant.Role(at) != op.Weight {
		return 0, false
	}
	return o.Quant.WeightAxis(f.Node), true
}

// readsBytes says whether the first operand of a node is uint8, or stands for it.
func readsBytes(x *graph.Index, n *graph.Node, facts op.Facts) bool {
	name := n.In[0]
	if d := x.Producer(name); d != nil && d.Op == "DequantizeLinear" {
		name = d.In[0]
	}
	return facts[name].DType == tensor.Uint8
}

// depthwise says whether a weight is that of a depthwise convolution, whose products are not added in pairs.
func depthwise(f weight.Found) bool {
	return f.Node.Int("group", 1) > 1 && len(f.Shape) > 1 && f.Shape[1] == 1
}

// exceeds says whether some two codes of one sign that are added together are too large.
func exceeds(c *weight.Coded, axis int) bool {
	pairs := map[int]*[2][2]int32{} // by sum and sign, the two largest magnitudes
	sum := sums(c.Shape, axis)
	for i, q := range c.Codes {
		k := sum(i)
		if pairs[k] == nil {
			pairs[k] = &[2][2]int32{}
		}
		side, v := &pairs[k][0], q
		if q < 0 {
			side, v = &pairs[k][1], -q
		}
		side[0], side[1] = max(side[0], v), max(side[1], min(side[0], v))
		if side[0]+side[1] > mostPair {
			return true
		}
	}
	return false
}

// sums numbers the sums that the elements of a weight are part of: one for each output channel, and of matrices
// that are stacked one for each column of each.
func sums(shape []int, axis int) func(i int) int {
	if axis == -1 {
		n, k := shape[len(shape)-1], shape[len(shape)-2]
		return func(i int) int { return i/(k*n)*n + i%n }
	}
	axis = (axis + len(shape)) % len(shape)
	run := tensor.Elements(shape[axis+1:])
	return func(i int) int { return i / run % shape[axis] }
}
