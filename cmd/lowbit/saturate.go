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
		if f.Format.Elem == tensor.Int8 && f.Format.Via == format.Dequantize && len(f.Shape) > 1 && readsBytes(x, f.Node, facts) && !depthwise(f) && exceeds(f.Coded) {
			names = append(names, plan.NodeName(f.Node))
		}
	}
	return names
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
func exceeds(c *weight.Coded) bool {
	channel := 0
	if len(c.Shape) == 2 {
		channel = 1
	}
	if c.Block.Kind == format.Channel {
		channel = c.Block.Axis
	}
	run := tensor.Elements(c.Shape[channel+1:])
	pairs := make([][2][2]int32, c.Shape[channel]) // by channel and sign, the two largest magnitudes
	for i, q := range c.Codes {
		p := &pairs[i/run%len(pairs)]
		side, v := &p[0], q
		if q < 0 {
			side, v = &p[1], -q
		}
		side[0], side[1] = max(side[0], v), max(side[1], min(side[0], v))
	}
	return slices.ContainsFunc(pairs, func(p [2][2]int32) bool { return p[0][0]+p[0][1] > mostPair || p[1][0]+p[1][1] > mostPair })
}
