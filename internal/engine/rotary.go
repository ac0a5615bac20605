package engine

import (
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A rotary turns pairs of features by angles whose cosines and sines lie in tables (positions,half): neighbours if
// interleaved, else features half the width apart.
type rotary struct {
	cos, sin    []float32
	rows, half  int
	interleaved bool
}

func newRotary(cos, sin *tensor.Tensor, interleaved bool) (*rotary, bool) {
	c, ok := f32Of(cos)
	s, ok2 := f32Of(sin)
	if !ok || !ok2 || len(cos.Shape) != 2 || !sameShape(cos.Shape, sin.Shape) {
		return nil, false
	}
	return &rotary{c, s, cos.Shape[0], cos.Shape[1], interleaved}, true
}

// turn sets the first features of some rows of dst, which begin dstStep apart, to those of x turned by the angles of a position,
// and copies the others, of size together.
func (r *rotary) turn(l kernel.Level, dst []float32, dstStep int, x []float32, xStep, rows, size, position int) {
	cos, sin := r.cos[position*r.half:][:r.half], r.sin[position*r.half:][:r.half]
	if r.interleaved {
		l.TurnPairs(dst, dstStep, x, xStep, rows, cos, sin)
	} else {
		l.TurnHalves(dst, dstStep, x, xStep, rows, cos, sin)
	}
	if width := 2 * r.half; width < size {
		for i := range rows {
			copy(dst[i*dstStep+width:][:size-width], x[i*xStep+width:])
		}
	}
}

// holds says whether the tables have the positions of all rows.
func (r *rotary) holds(at func(n, row int) int, batch, rows int) bool {
	for n := range batch {
		for i := range rows {
			if p := at(n, i); p < 0 || p >= r.rows {
				return false
			}
		}
	}
	return true
}

// positionsOf reads the positions of rows (N,rows), or (1) that of each sample's first row.
func positionsOf(t *tensor.Tensor, batch, rows int) (func(n, row int) int, bool) {
	ids, err := t.Ints()
	switch {
	case err != nil:
		return nil, false
	case sameShape(t.Shape, []int{1}):
		return func(_, row int) int { return int(ids[0]) + row }, true
	case !sameShape(t.Shape, []int{batch, rows}):
		return nil, false
	}
	return func(n, row int) int { return int(ids[n*rows+row]) }, true
}

// A turning is a node that turns features of heads: where its operands are, and what their shapes are.
type turning struct {
	cos, sin, position int // operands; a position of -1: every row has cosines and sines of its own
	batch, heads, rows int
	size, half         int // features of a head, and pairs of them
	table              int // rows of cosines and sines
	inFront            bool
	interleaved        bool
}

// lowerRotary emits the RotaryEmbedding of ONNX and that of ONNX Runtime.
func lowerRotary(lw *lowerer, n *node) bool {
	t := &turning{cos: 1, sin: 2, position: -1, interleaved: n.onnx.Bool("interleaved", false)}
	switch contrib := n.onnx.Domain != ""; {
	case len(n.in) != n.formal || slices.Contains(n.in, nil) || contrib && (n.onnx.Bool("is_packed_batching", false) || n.onnx.Float("scale", 1) != 1):
		return false
	case contrib:
		t.cos, t.sin, t.position = 2, 3, 1
	case len(n.in) > 3:
		t.position = 3
	}
	return t.fits(n) && lw.emitIndexed(n, "f32 RotaryEmbedding", t.batch*t.rows, false, func(dst *tensor.Tensor, in []*tensor.Tensor, part, parts int) bool {
		return t.run(lw.level, dst, in, part, parts)
	})
}

// fits reads the shapes and says whether the definition finds no fault with them.
func (t *turning) fits(n *node) bool {
	x, cos, sin := n.in[0], n.in[t.cos], n.in[t.sin]
	rank := len(cos.shape)
	if !x.is(tensor.Float32) || !cos.is(tensor.Float32) || !sin.is(tensor.Float32) || rank < 2 || !sameShape(cos.shape, sin.shape) || x.elems() == 0 || cos.elems() == 0 {
		return false
	}
	t.half, t.table = cos.shape[rank-1], tensor.Elements(cos.shape[:rank-1])
	if !t.split(x.shape, n.onnx.Int("num_heads", 0), n.onnx.Domain != "") {
		return false
	}
	if width := n.onnx.Int("rotary_embedding_dim", 0); 2*t.half > t.size || width != 2*t.half && (width != 0 || t.size != 2*t.half) {
		return false
	}
	if t.position < 0 {
		return sameShape(cos.shape, []int{t.batch, t.rows, t.half})
	}
	at := n.in[t.position]
	first := n.onnx.Domain != "" && sameShape(at.shape, []int{1})
	return rank == 2 && (at.is(tensor.Int64) || at.is(tensor.Int32)) && (first || sameShape(at.shape, []int{t.batch, t.rows}))
}

// split reads (N,heads,rows,size), or (N,rows,heads*size); unless a count is given, the heads of the latter may be as wide as
// what is turned.
func (t *turning) split(shape []int, heads int, narrow bool) bool {
	if t.batch = shape[0]; len(shape) == 4 {
		t.heads, t.rows, t.size, t.inFront = shape[1], shape[2], shape[3], true
		return true
	}
	if len(shape) != 3 {
		return false
	}
	if heads == 0 && narrow {
		heads = shape[2] / (2 * t.half)
	}
	if heads < 1 || shape[2]%heads != 0 {
		return false
	}
	t.heads, t.rows, t.size = heads, shape[1], shape[2]/heads
	return true
}

// run turns some rows of all samples, and says whether the table has their positions.
func (t *turning) run(l kernel.Level, dst *tensor.Tensor, in []*tensor.Tensor, part, parts int) bool {
	r := &rotary{tensor.Of[float32](in[t.cos]), tensor.Of[float32](in[t.sin]), t.table, t.half, t.interleaved}
	at := func(n, row int) int { return n*t.rows + row }
	if t.position >= 0 {
		at, _ = positionsOf(in[t.position], t.batch, t.rows)
	}
	lay := func(x *tensor.Tensor) headRows {
		if t.inFront {
			return inFront(tensor.Of[float32](x), x.Shape)
		}
		return inRows(tensor.Of[float32](x), t.rows, t.heads*t.size, 0, t.size)
	}
	y, x, all := lay(dst), lay(in[0]), t.batch*t.rows
	for i := all * part / parts; i < all*(part+1)/parts; i++ {
		n, row := i/t.rows, i%t.rows
		p := at(n, row)
		if p < 0 || p >= t.table {
			return false
		}
		r.turn(l, y.at(n, 0, row), y.head, x.at(n, 0, row), x.head, t.heads, t.size, p)
	}
	return true
}
