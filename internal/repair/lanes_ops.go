package repair

import (
	"math"
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// ties says for each operator how the lanes of its results follow from those of its operands. An
// operator that is not here, or whose row says no, fixes all lanes that it touches.
var ties map[string]func(l *Lanes, n *graph.Node) bool

func init() {
	ties = map[string]func(l *Lanes, n *graph.Node) bool{
		"Conv": tieConv, "ConvTranspose": tieConvTranspose, "Gemm": tieGemm, "MatMul": tieMatMul,
		"Relu": tieSame, "LeakyRelu": tieSame, "Identity": tieSame, "Dropout": tieSame,
		"MaxPool": tiePool, "AveragePool": tiePool, "GlobalAveragePool": tiePool, "GlobalMaxPool": tiePool,
		"PRelu": tiePRelu, "Clip": tieClip, "Pad": tiePad, "Resize": tieResize,
		"Add": tieAdd, "Sub": tieAdd, "Sum": tieAdd, "Mul": tieMul, "Concat": tieConcat, "Split": tieSplit,
		"Flatten": tieFlatten, "Reshape": tieFlatten, "Squeeze": tieFlatten, "ReduceMean": tieReduce,
		"LayerNormalization": tieLayerNorm,
	}
}

// tieSame is for operators that treat every element alike and are positively homogeneous.
func tieSame(l *Lanes, n *graph.Node) bool {
	_, axis, _, ok := l.known(n.In[0])
	return ok && len(n.Out) == 1 && l.same(n.In[0], n.Out[0], axis)
}

func tiePool(l *Lanes, n *graph.Node) bool {
	_, axis, _, ok := l.known(n.In[0])
	return ok && axis == 1 && (len(n.Out) == 1 || n.Out[1] == "") && l.same(n.In[0], n.Out[0], 1)
}

// tieConv undoes the factors of the input in the columns of the weight (O,I/g,…) and makes those
// of the output in its rows.
func tieConv(l *Lanes, n *graph.Node) bool {
	w := l.constant(n.In[1])
	if w == nil || w.Rank() < 3 {
		l.block(n)
		return true
	}
	group := n.Int("group", 1)
	if first, count, ok := l.of(n.In[0], 1); ok && count == w.Shape[1]*group {
		l.slots = append(l.slots, slot{g: l.g, node: n, in: 1, axis: 1, lane: first, blocks: group, divide: true, weight: true})
	} else {
		l.fixValue(n.In[0])
	}
	first, count, ok := l.of(n.Out[0], 1)
	if !ok || count != w.Shape[0] {
		l.fixValue(n.Out[0])
		return true
	}
	l.slots = append(l.slots, slot{g: l.g, node: n, in: 1, axis: 0, lane: first, blocks: 1, weight: true})
	l.bias(n, 2, first, count)
	return true
}

// bias makes operand in follow the lanes from first on, or fixes them where it cannot.
func (l *Lanes) bias(n *graph.Node, in, first, count int) {
	if in >= len(n.In) || n.In[in] == "" {
		return
	}
	b := l.constant(n.In[in])
	if b == nil || b.Rank() == 0 || b.Len() != count || b.Shape[b.Rank()-1] != count {
		for i := range count {
			l.fixed[l.root(first+i)] = true
		}
		return
	}
	l.slots = append(l.slots, slot{g: l.g, node: n, in: in, axis: b.Rank() - 1, lane: first, blocks: 1})
}

// tieConvTranspose is tieConv for weights (I,O/g,…).
func tieConvTranspose(l *Lanes, n *graph.Node) bool {
	w := l.constant(n.In[1])
	if w == nil || w.Rank() < 3 {
		return false
	}
	if first, count, ok := l.of(n.In[0], 1); ok && count == w.Shape[0] {
		l.slots = append(l.slots, slot{g: l.g, node: n, in: 1, axis: 0, lane: first, blocks: 1, divide: true, weight: true})
	} else {
		l.fixValue(n.In[0])
	}
	first, count, ok := l.of(n.Out[0], 1)
	if !ok || n.Int("group", 1) != 1 || count != w.Shape[1] {
		l.fixValue(n.Out[0])
		return true
	}
	l.slots = append(l.slots, slot{g: l.g, node: n, in: 1, axis: 1, lane: first, blocks: 1, weight: true})
	l.bias(n, 2, first, count)
	return true
}

func tieGemm(l *Lanes, n *graph.Node) bool {
	w := l.constant(n.In[1])
	if w == nil || n.Int("transA", 0) != 0 {
		return false
	}
	out := 1 - n.Int("transB", 0)
	return l.product(n, w, 1-out, out)
}

func tieMatMul(l *Lanes, n *graph.Node) bool {
	w := l.constant(n.In[1])
	if w == nil || w.Rank() != 2 {
		return false
	}
	return l.product(n, w, 0, 1)
}

// product ties a matrix product whose weight has its input lanes along one axis and its output
// lanes along the other; the lanes of both operands lie along the last axis.
func (l *Lanes) product(n *graph.Node, w *tensor.Tensor, in, out int) bool {
	if first, count, ok := l.of(n.In[0], -1); ok && count == w.Shape[in] {
		l.slots = append(l.slots, slot{g: l.g, node: n, in: 1, axis: in, lane: first, blocks: 1, divide: true, weight: true})
	} else {
		l.fixValue(n.In[0])
	}
	first, count, ok := l.of(n.Out[0], -1)
	if !ok || count != w.Shape[out] {
		l.fixValue(n.Out[0])
		return true
	}
	l.slots = append(l.slots, slot{g: l.g, node: n, in: 1, axis: out, lane: first, blocks: 1, weight: true})
	l.bias(n, 2, first, count)
	return true
}

// tiePRelu needs a slope for each lane, or one for all.
func tiePRelu(l *Lanes, n *graph.Node) bool {
	_, axis, count, ok := l.known(n.In[0])
	s := l.constant(n.In[1])
	if !ok || s == nil || s.Len() != 1 && s.Len() != count || !l.same(n.In[0], n.Out[0], axis) {
		return false
	}
	return s.Len() == 1 || alongLane(s, axis, len(l.facts[n.In[0]].Shape), count)
}

// alongLane says whether the elements of t, count of them, run along the axis of a value of that rank.
func alongLane(t *tensor.Tensor, axis, rank, count int) bool {
	at := axis - (rank - t.Rank())
	return at >= 0 && t.Len() == count && t.Shape[at] == count
}

// tieClip passes lanes that it bounds below by zero. An upper bound stays the same for all lanes,
// so that it holds them to it: their factors may not be less than 1.
func tieClip(l *Lanes, n *graph.Node) bool {
	first, axis, count, ok := l.known(n.In[0])
	lo, hi, bounds := clipBounds(l.g, n)
	if !ok || !bounds || lo != 0 || hi <= 0 || !l.same(n.In[0], n.Out[0], axis) {
		return false
	}
	if !math.IsInf(hi, 1) {
		for i := range count {
			r := l.root(first + i)
			if l.limit[r] == 0 || hi < l.limit[r] {
				l.limit[r] = hi
			}
		}
	}
	return true
}

// clipBounds returns the constant bounds of a Clip of opset 11 or later.
func clipBounds(g *graph.Graph, n *graph.Node) (lo, hi float64, ok bool) {
	bound := func(i int, none float64) (float64, bool) {
		if i >= len(n.In) || n.In[i] == "" {
			return none, true
		}
		t := g.ConstTensor(n.In[i])
		if t == nil || t.Len() != 1 {
			return 0, false
		}
		v, err := format.Floats(t)
		return v[0], err == nil
	}
	lo, ok = bound(1, math.Inf(-1))
	hi, ok2 := bound(2, math.Inf(1))
	return lo, hi, ok && ok2
}

// tiePad passes lanes where it fills with zeros, the default.
func tiePad(l *Lanes, n *graph.Node) bool {
	if n.Str("mode", "constant") == "constant" && len(n.In) > 2 && n.In[2] != "" {
		t := l.constant(n.In[2])
		if t == nil || t.Len() != 1 || tensor.Of[float32](t)[0] != 0 {
			return false
		}
	}
	return tieSame(l, n)
}

// tieResize passes the lanes of images whose channels it does not mix.
func tieResize(l *Lanes, n *graph.Node) bool {
	mode := n.Str("mode", "nearest")
	return (mode == "nearest" || mode == "linear") && n.Str("coordinate_transformation_mode", "") != "tf_crop_and_resize" && tieSame(l, n)
}

// tieAdd ties both operands with the result; a constant operand follows the factors.
func tieAdd(l *Lanes, n *graph.Node) bool {
	if len(n.In) == 2 {
		for i, name := range n.In {
			if c := l.constant(name); c != nil {
				return l.shift(n, i, c)
			}
		}
	}
	_, axis, _, ok := l.known(n.In[0])
	for _, name := range n.In {
		if !ok || len(l.facts[name].Shape) != len(l.facts[n.Out[0]].Shape) || !l.same(name, n.Out[0], axis) {
			return false
		}
	}
	return true
}

// shift ties an addition of constant c, which is operand i.
func (l *Lanes) shift(n *graph.Node, i int, c *tensor.Tensor) bool {
	first, axis, count, ok := l.known(n.In[1-i])
	rank := len(l.facts[n.In[1-i]].Shape)
	if !ok || len(l.facts[n.Out[0]].Shape) != rank || !alongLane(c, axis, rank, count) || !l.same(n.In[1-i], n.Out[0], axis) {
		return false
	}
	l.slots = append(l.slots, slot{g: l.g, node: n, in: i, axis: axis - (rank - c.Rank()), lane: first, blocks: 1})
	return true
}

// tieMul multiplies by a constant: by one for each lane, which may then take any factor itself, or
// by one for all. The factors of a product of two flowing values would multiply, so one operand
// that holds one number for each lane is held fixed (squeeze and excitation).
func tieMul(l *Lanes, n *graph.Node) bool {
	for i, name := range n.In {
		c := l.constant(name)
		if c == nil {
			continue
		}
		if c.Len() == 1 {
			_, axis, _, ok := l.known(n.In[1-i])
			return ok && l.same(n.In[1-i], n.Out[0], axis)
		}
		return l.gain(n, i, c)
	}
	return l.gate(n) || l.gated(n)
}

// gated ties the product of two values of one shape with the one that nothing else reads: the other
// keeps its size (the gate of a feed-forward layer).
func (l *Lanes) gated(n *graph.Node) bool {
	for i, name := range n.In {
		_, axis, _, ok := l.known(name)
		if !ok || l.x.OnlyUse(name) != n || n.In[1-i] == name || !sameShape(l.facts[name].Shape, l.facts[n.Out[0]].Shape) {
			continue
		}
		l.fixValue(n.In[1-i])
		return l.same(name, n.Out[0], axis)
	}
	return false
}

func sameShape(a, b []graph.Dim) bool {
	return slices.EqualFunc(a, b, func(p, q graph.Dim) bool { return p.Same(q) })
}

// gain makes a constant factor for each lane follow the factors of the result, and undo those of the
// operand, where it has any.
func (l *Lanes) gain(n *graph.Node, i int, c *tensor.Tensor) bool {
	x := n.In[1-i]
	rank := len(l.facts[x].Shape)
	axis := rank - 1
	if _, a, _, ok := l.known(x); ok {
		axis = a
	}
	out, count, ok := l.of(n.Out[0], axis)
	if !ok || !alongLane(c, axis, rank, count) {
		return false
	}
	at := axis - (rank - c.Rank())
	if in, k, ok := l.of(x, axis); ok && k == count {
		l.slots = append(l.slots, slot{g: l.g, node: n, in: i, axis: at, lane: in, blocks: 1, divide: true})
	} else {
		l.fixValue(x)
	}
	l.slots = append(l.slots, slot{g: l.g, node: n, in: i, axis: at, lane: out, blocks: 1})
	return true
}

// gate ties the product of a value with one that holds a single number for each of its lanes.
func (l *Lanes) gate(n *graph.Node) bool {
	for i, name := range n.In {
		x := n.In[1-i]
		_, axis, count, ok := l.known(x)
		shape, static := l.facts[name].Static()
		if !ok || !static || axis >= len(shape) || len(shape) != len(l.facts[x].Shape) || shape[axis] != count || x == name {
			continue
		}
		if tensor.Elements(shape[axis:]) != count || len(l.facts[x].Shape) < 3 {
			continue
		}
		l.fixValue(name)
		return l.same(x, n.Out[0], axis)
	}
	return false
}

// tieConcat ties the lanes of each operand with their place in the result.
func tieConcat(l *Lanes, n *graph.Node) bool {
	axis := n.Int("axis", 0)
	out, total, ok := l.of(n.Out[0], 1)
	if !ok || axis != 1 {
		return false
	}
	at := 0
	for _, name := range n.In {
		first, count, ok := l.of(name, 1)
		if !ok || at+count > total {
			return false
		}
		for c := range count {
			l.join(out+at+c, first+c)
		}
		at += count
	}
	return at == total
}

// tieSplit is tieConcat the other way.
func tieSplit(l *Lanes, n *graph.Node) bool {
	in, total, ok := l.of(n.In[0], 1)
	if !ok || n.Int("axis", 0) != 1 {
		return false
	}
	at := 0
	for _, name := range n.Out {
		first, count, ok := l.of(name, 1)
		if !ok || at+count > total {
			return false
		}
		for c := range count {
			l.join(in+at+c, first+c)
		}
		at += count
	}
	return at == total
}

// tieFlatten passes lanes where every dimension behind them is 1: (N,C,1,1) to (N,C).
func tieFlatten(l *Lanes, n *graph.Node) bool {
	first, axis, count, ok := l.known(n.In[0])
	in, static := l.facts[n.In[0]].Static()
	out, static2 := l.facts[n.Out[0]].Static()
	if !ok || axis != 1 || !static || !static2 || tensor.Elements(in[axis:]) != count || len(out) < 2 || out[1] != count || out[0] != in[0] || tensor.Elements(out) != tensor.Elements(in) {
		return false
	}
	to, _, ok := l.of(n.Out[0], 1)
	if !ok {
		return false
	}
	for c := range count {
		l.join(first+c, to+c)
	}
	return true
}

// tieReduce passes lanes where the mean runs over the axes behind them.
func tieReduce(l *Lanes, n *graph.Node) bool {
	_, axis, _, ok := l.known(n.In[0])
	in, out := l.facts[n.In[0]].Shape, l.facts[n.Out[0]].Shape
	if !ok || axis != 1 || len(out) < 2 || !out[1].Same(in[1]) || !out[0].Same(in[0]) {
		return false
	}
	for _, d := range out[2:] {
		if d.Size != 1 {
			return false
		}
	}
	return l.same(n.In[0], n.Out[0], 1)
}

// tieLayerNorm makes the factors of a normalization of the last axis in its scale and bias.
func tieLayerNorm(l *Lanes, n *graph.Node) bool {
	rank := len(l.facts[n.In[0]].Shape)
	if axis := n.Int("axis", -1); axis != -1 && axis != rank-1 || slices.ContainsFunc(n.Out[1:], func(s string) bool { return s != "" }) {
		return false
	}
	l.fixValue(n.In[0])
	first, count, ok := l.of(n.Out[0], -1)
	c := l.constant(n.In[1])
	if !ok || c == nil || c.Len() != count {
		l.fixValue(n.Out[0])
		return true
	}
	l.slots = append(l.slots, slot{g: l.g, node: n, in: 1, axis: c.Rank() - 1, lane: first, blocks: 1})
	l.bias(n, 2, first, count)
	return true
}
