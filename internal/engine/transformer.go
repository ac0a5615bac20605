package engine

import (
	"math"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// expansions lists operators of ONNX Runtime that are written as standard ones, which have fast paths.
// They leave alone what their definitions have to judge.
var expansions = map[string]func(e *expander){
	"com.microsoft.MultiHeadAttention": (*expander).multiHead,
	"com.microsoft.Attention":          (*expander).projected,
	"com.microsoft.QAttention":         (*expander).quantized,
}

// expandTransformers writes the operators of expansions as others, where all is float32.
func expandTransformers(g *net) {
	masks := map[[2]int]*value{}
	for _, n := range slices.Clone(g.nodes) {
		if f := expansions[n.kind]; f != nil && n.static() && n.out[0].is(tensor.Float32) && n.out[0].elems() > 0 && len(n.in[0].shape) > 0 {
			f(&expander{g: g, n: n, batch: n.in[0].shape[0], masks: masks})
		}
	}
	g.sweep()
}

// An expander writes nodes in front of n.
type expander struct {
	g     *net
	n     *node
	batch int
	masks map[[2]int]*value // that shut out later keys, by rows and keys: all nodes share them
}

// put adds a node with a result of that shape.
func (e *expander) put(op string, shape []int, attrs []*graph.Attr, in ...*value) *value {
	dtype := tensor.Float32
	if op == "Greater" {
		dtype = tensor.Bool
	}
	v := e.g.newValue(e.n.out[0], dtype, shape)
	e.g.insertOp(e.n, op, qdqVersion, attrs, in, v)
	return v
}

// end lets the node that gives v, or one that passes it on, take the place of n.
func (e *expander) end(v *value) {
	n := e.n
	if slices.Contains(n.in, v) {
		v = e.put("Identity", v.shape, nil, v)
	}
	last, y := v.def, n.out[0]
	last.out[0], last.onnx.Out[0], y.def = y, y.name, last
	n.out = nil
	e.g.kill(n)
}

// number is a constant without dimensions.
func (e *expander) number(x float64) *value {
	return e.g.constant(e.n.out[0].name+"·number", tensor.Float32s([]float32{float32(x)}))
}

// reshaped gives x another shape.
func (e *expander) reshaped(x *value, shape ...int) *value {
	return e.put("Reshape", shape, nil, x, e.g.constant("shape", shapeOf(shape)))
}

func shapeOf(shape []int) *tensor.Tensor {
	list := make([]int64, len(shape))
	for i, d := range shape {
		list[i] = int64(d)
	}
	return tensor.Vector(list...)
}

// output returns result i, or nil.
func (n *node) output(i int) *value {
	if i < len(n.out) {
		return n.out[i]
	}
	return nil
}

// multiHead writes MultiHeadAttention without a past as products and Softmax.
func (e *expander) multiHead() {
	n := e.n
	for i := range max(3, n.formal) {
		v := n.input(i)
		if i < 3 && (v == nil || len(v.shape) != 3) || i > 5 && v != nil {
			return
		}
	}
	if n.output(1) != nil || n.output(2) != nil || n.output(3) != nil {
		return
	}
	var rows [3][]float32
	if b := n.input(3); b != nil {
		var ok bool
		if rows, ok = split(b, n.in[0].shape[2], n.in[1].shape[2], n.in[2].shape[2]); !ok {
			return
		}
	}
	h := attentionHeads{in: [3]*value{n.in[0], n.in[1], n.in[2]}, bias: rows, padding: n.input(4), scores: n.input(5)}
	if e.fits(&h) {
		e.attend(&h)
	}
}

// split cuts a constant vector into pieces of these lengths.
func split(v *value, lengths ...int) (rows [3][]float32, ok bool) {
	if v.konst == nil || !v.is(tensor.Float32) || !sameShape(v.shape, []int{lengths[0] + lengths[1] + lengths[2]}) {
		return rows, false
	}
	at := tensor.Of[float32](v.konst)
	for i, n := range lengths {
		rows[i], at = at[:n], at[n:]
	}
	return rows, true
}

// projected writes Attention by a constant matrix as three products with its parts and what multiHead writes, or
// MultiHeadAttention where there is a past, or one to be kept, or a mask that tells how many keys count.
func (e *expander) projected() {
	n := e.n
	x, w := n.in[0], n.in[1]
	if n.input(6) != nil || n.onnx.Bool("do_rotary", false) || n.onnx.Bool("past_present_share_buffer", false) || n.output(2) != nil ||
		len(x.shape) != 3 || w.konst == nil || len(w.shape) != 2 || w.shape[0] != x.shape[2] {
		return
	}
	widths := n.onnx.Ints("qkv_hidden_sizes")
	if len(widths) == 0 {
		widths = []int{w.shape[1] / 3, w.shape[1] / 3, w.shape[1] / 3}
	}
	if len(widths) != 3 || slices.Min(widths) < 1 || slices.Max(widths) > w.shape[1] || widths[0]+widths[1]+widths[2] != w.shape[1] {
		return
	}
	h := attentionHeads{padding: n.input(3), scores: n.input(5)}
	if b := n.input(2); b != nil {
		var ok bool
		if h.bias, ok = split(b, widths...); !ok {
			return
		}
	}
	at := 0
	for i, width := range widths {
		h.in[i] = e.g.newValue(n.out[0], tensor.Float32, []int{x.shape[0], x.shape[1], width})
	}
	past, mask := n.input(4), n.input(3)
	h.added = n.input(2)
	e.heads(&h, past, mask, func() {
		for i, width := range widths {
			e.g.insertOp(n, "MatMul", qdqVersion, nil, []*value{x, e.g.constant(w.name+"·part", columnsOf(w.konst, at, width))}, h.in[i])
			at += width
		}
	})
}

// heads writes an attention whose query, key and value are what project writes, where all fits.
func (e *expander) heads(h *attentionHeads, past, mask *value, project func()) {
	behind := past != nil || e.n.output(1) != nil || mask != nil && len(mask.shape) == 1
	switch {
	case behind && e.follows(h, past):
		project()
		e.follow(h, past)
	case !behind && e.fits(h):
		project()
		e.attend(h)
	}
}

// quantized writes QAttention by a constant matrix as projected does Attention, with products of codes.
func (e *expander) quantized() {
	n := e.n
	x, w, bias, wScale, wZero := n.in[0], n.in[1], n.in[2], n.in[4], n.input(7)
	xScale, xZero := n.in[3], n.input(6)
	if n.onnx.Bool("do_rotary", false) || n.onnx.Bool("past_present_share_buffer", false) || len(x.shape) != 3 || w.konst == nil || len(w.shape) != 2 ||
		w.shape[0] != x.shape[2] || w.shape[1] == 0 || w.shape[1]%3 != 0 || xScale.elems() != 1 || xZero != nil && xZero.elems() != 1 || !byColumn(w, bias, xScale, xZero, wScale, wZero) {
		return
	}
	for _, v := range []*value{bias, wScale, wZero} {
		if v != nil && v.konst == nil {
			return
		}
	}
	h, width := attentionHeads{padding: n.input(5)}, w.shape[1]/3
	for i := range h.in {
		h.in[i] = e.g.newValue(n.out[0], tensor.Float32, []int{x.shape[0], x.shape[1], width})
	}
	e.heads(&h, n.input(8), n.input(5), func() {
		for i, y := range h.in {
			part := func(v *value) *value {
				if v == nil || v.elems() == 1 {
					return v
				}
				return e.g.constant(v.name+"·part", columnsOf(v.konst, i*width, width))
			}
			e.g.insertScaled(n, y, x, xScale, xZero, part(w), part(wScale), part(wZero), part(bias))
		}
	})
}

// follows says whether the heads split as follow writes them.
func (e *expander) follows(h *attentionHeads, past *value) bool {
	q, k, v := h.in[0].shape, h.in[1].shape, h.in[2].shape
	h.count = e.n.onnx.Int("num_heads", 0)
	if h.count < 1 || q[2]%h.count != 0 || v[2]%h.count != 0 || q[2] != k[2] || (past != nil || e.n.output(1) != nil) && k[2] != v[2] {
		return false
	}
	h.keys = k[1]
	if past == nil {
		return true
	}
	if len(past.shape) != 5 || !past.is(tensor.Float32) || past.elems() == 0 || !sameShape(past.shape, []int{2, e.batch, h.count, past.shape[3], k[2] / h.count}) {
		return false
	}
	h.keys += past.shape[3]
	return true
}

// follow makes n a MultiHeadAttention behind the two halves of a past, and joins the halves that it keeps.
func (e *expander) follow(h *attentionHeads, past *value) {
	n, y := e.n, e.n.out[0]
	in := []*value{h.in[0], h.in[1], h.in[2], h.added, h.padding, h.scores, nil, nil}
	if past == nil {
		in = in[:6]
	}
	for i := 6; i < len(in); i++ {
		at := e.g.constant("half", tensor.Wrap(tensor.Int64, []int64{int64(i - 6)}))
		in[i] = e.put("Gather", past.shape[1:], []*graph.Attr{{Name: "axis", Value: int64(0)}}, past, at)
	}
	m := newNode("com.microsoft.MultiHeadAttention", n, nil, in, []*value{y})
	m.onnx = &graph.Node{Op: "MultiHeadAttention", Domain: "com.microsoft", Name: n.onnx.Name, In: make([]string, len(in)), Out: []string{y.name}}
	for i, v := range in {
		if v != nil {
			m.onnx.In[i] = v.name
		}
	}
	for _, a := range n.onnx.Attrs {
		if a.Name != "qkv_hidden_sizes" {
			m.onnx.Attrs = append(m.onnx.Attrs, a)
		}
	}
	e.g.insert(m, n)
	if kept := n.output(1); kept != nil {
		shape := []int{e.batch, h.count, h.keys, h.in[1].shape[2] / h.count}
		var halves []*value
		for range 2 {
			v := e.g.newValue(y, tensor.Float32, shape)
			v.def = m
			m.out, m.onnx.Out = append(m.out, v), append(m.onnx.Out, v.name)
			halves = append(halves, e.reshaped(v, append([]int{1}, shape...)...))
		}
		e.g.insertOp(n, "Concat", qdqVersion, []*graph.Attr{{Name: "axis", Value: int64(0)}}, halves, kept)
	}
	n.out = nil
	e.g.kill(n)
}

// columnsOf returns some columns of a matrix, or elements of a vector.
func columnsOf(t *tensor.Tensor, from, count int) *tensor.Tensor {
	shape := slices.Clone(t.Shape)
	cols := shape[len(shape)-1]
	shape[len(shape)-1] = count
	c := tensor.New(t.DType, shape...)
	size := t.DType.ByteLen(1)
	for r := 0; r*count < c.Len(); r++ {
		copy(c.Raw[r*count*size:][:count*size], t.Raw[(r*cols+from)*size:])
	}
	return c
}

// attentionHeads are the operands of an attention without a past: query, key and value (N,rows,heads*size)
// with what is added to their rows, the mask of keys, what is added to the scores.
type attentionHeads struct {
	in              [3]*value
	bias            [3][]float32
	padding, scores *value
	added           *value // the three biases in one, where they are added to what in names
	count           int
	rows, keys      int
}

// fits says whether the operands are such as attend can write, whose definition then finds no fault with them.
func (e *expander) fits(h *attentionHeads) bool {
	q, k, v := h.in[0].shape, h.in[1].shape, h.in[2].shape
	h.count, h.rows, h.keys = e.n.onnx.Int("num_heads", 0), q[1], k[1]
	if h.count < 1 || q[2]%h.count != 0 || v[2]%h.count != 0 || q[2] != k[2] || k[0] != q[0] || v[0] != q[0] || v[1] != k[1] || h.keys == 0 || q[2] == 0 {
		return false
	}
	if p := h.padding; p != nil && !sameShape(p.shape, []int{q[0], h.keys}) && !sameShape(p.shape, []int{q[0], h.rows, h.keys}) {
		return false
	}
	if s := h.scores; s != nil && (len(s.shape) != 4 || !broadcasts(s.shape, []int{q[0], h.count, h.rows, h.keys}) || s.shape[3] != h.keys) {
		return false
	}
	return !e.n.onnx.Bool("unidirectional", false) || h.rows == h.keys
}

// attend makes n the last of the nodes that compute the attention: Softmax(scale·QKᵀ + masks)·V.
func (e *expander) attend(h *attentionHeads) {
	n, k := e.n, h.in[0].shape[2]/h.count
	q, keys, v := e.head(h, 0, []int64{0, 2, 1, 3}), e.head(h, 1, []int64{0, 2, 3, 1}), e.head(h, 2, []int64{0, 2, 1, 3})
	full := []int{e.batch, h.count, h.rows, h.keys}
	scale := float64(n.onnx.Float("scale", 0))
	if scale == 0 {
		scale = 1 / math.Sqrt(float64(k))
	}
	s := e.put("Mul", full, nil, e.put("MatMul", full, nil, q, keys), e.number(scale))
	for _, m := range []*value{h.scores, e.padding(h), e.backwards(h)} {
		if m != nil {
			s = e.put("Add", full, nil, s, m)
		}
	}
	s = e.put("Softmax", full, []*graph.Attr{{Name: "axis", Value: int64(-1)}}, s)
	size := v.shape[3]
	y := e.put("MatMul", []int{e.batch, h.count, h.rows, size}, nil, s, v)
	y = e.put("Transpose", []int{e.batch, h.rows, h.count, size}, []*graph.Attr{{Name: "perm", Value: []int64{0, 2, 1, 3}}}, y)
	shape := e.g.constant("shape", shapeOf(n.out[0].shape))
	n.out = n.out[:1]
	n.onnx = &graph.Node{Op: "Reshape", Name: n.onnx.Name, In: []string{y.name, shape.name}, Out: []string{n.out[0].name}}
	n.version = qdqVersion
	n.become("Reshape", nil, y, shape)
}

// head adds operand i's bias and moves its heads in front of its rows.
func (e *expander) head(h *attentionHeads, i int, perm []int64) *value {
	x := h.in[i]
	if b := h.bias[i]; b != nil {
		x = e.put("Add", x.shape, nil, x, e.g.constant(x.name+"·bias", tensor.Float32s(b, len(b))))
	}
	s := []int{x.shape[0], x.shape[1], h.count, x.shape[2] / h.count}
	x = e.reshaped(x, s...)
	to := make([]int, 4)
	for k, p := range perm {
		to[k] = s[p]
	}
	return e.put("Transpose", to, []*graph.Attr{{Name: "perm", Value: perm}}, x)
}

// padding is the filter's value where the mask of keys is not above zero; nil without a mask.
func (e *expander) padding(h *attentionHeads) *value {
	m := h.padding
	if m == nil {
		return nil
	}
	zero := e.g.constant("zero", tensor.Wrap(tensor.Int32, []int32{0}))
	open := e.put("Greater", m.shape, nil, m, zero)
	fill := e.number(float64(e.n.onnx.Float("mask_filter_value", -10000)))
	x := e.put("Where", m.shape, nil, open, e.number(0), fill)
	if len(m.shape) == 2 {
		return e.reshaped(x, m.shape[0], 1, 1, h.keys)
	}
	return e.reshaped(x, m.shape[0], 1, h.rows, h.keys)
}

// backwards shuts out the keys behind each row; nil where rows see all.
func (e *expander) backwards(h *attentionHeads) *value {
	if !e.n.onnx.Bool("unidirectional", false) {
		return nil
	}
	size := [2]int{h.rows, h.keys}
	if m := e.masks[size]; m != nil {
		return m
	}
	t := tensor.New(tensor.Float32, h.rows, h.keys)
	x := tensor.Of[float32](t)
	for i := range x {
		if i%h.keys > i/h.keys {
			x[i] = -math.MaxFloat32
		}
	}
	e.masks[size] = e.g.constant("backwards", t)
	return e.masks[size]
}
