package engine

import (
	"context"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// An embedTable is one of the tables whose rows EmbedLayerNormalization adds up.
type embedTable struct {
	data, ids   *slot // ids nil: the row is the place in the sample
	rows        int
	repeats     bool // the ids of one sample are those of all
	scale, zero float32
	signed      bool
}

// The tables of words, positions and segments, and the operands that say which rows.
var embedOperands = []struct{ table, ids int }{{2, 0}, {3, 8}, {4, 1}}

// An embedder emits EmbedLayerNormalization, of floats or of codes.
type embedder struct {
	*lowerer
	n      *node
	length int // rows of a sample
	norm   layerNorm
	tables []embedTable
	slots  []*slot // by operand
	from   []*slot
	eval   *evaluator
}

// lowerEmbed emits EmbedLayerNormalization by constant scale and shift.
func lowerEmbed(lw *lowerer, n *node) bool {
	y, words := n.out[0], n.in[2]
	if y == nil || !y.is(tensor.Float32) || len(y.shape) != 3 || y.elems() == 0 || len(words.shape) != 2 || len(n.in[0].shape) != 2 {
		return false
	}
	e := &embedder{lowerer: lw, n: n, length: y.shape[1], slots: make([]*slot, len(n.in)), norm: layerNorm{eps: n.onnx.Float("epsilon", 1e-12)}}
	var err error
	if e.eval, err = lw.net.evaluator(n, lw.seed); err != nil || !e.read() {
		return false
	}
	e.emit()
	return true
}

// quantized says whether the tables are codes.
func (e *embedder) quantized() bool { return e.n.kind == "com.microsoft.QEmbedLayerNormalization" }

// ids is the operand that says which rows of a table are taken; nil: each the one of its place.
func (e *embedder) ids(i int) *value {
	if i == 8 && e.quantized() {
		return nil
	}
	return e.n.input(i)
}

// read reads the operands, and says whether they are such as the definition finds no fault with.
func (e *embedder) read() bool {
	n, hidden := e.n, e.n.out[0].shape[2]
	var ok [2]bool
	e.norm.gamma, ok[0] = e.vector(5)
	e.norm.beta, ok[1] = e.vector(6)
	if !ok[0] || !ok[1] || (n.input(1) == nil) != (n.input(4) == nil) || n.input(7) != nil && !sameShape(n.input(7).shape, n.in[0].shape) {
		return false
	}
	for k, at := range embedOperands {
		v, ids := n.input(at.table), e.ids(at.ids)
		if v == nil {
			continue
		}
		if len(v.shape) != 2 || v.shape[1] != hidden || ids == nil && v.shape[0] < e.length ||
			ids != nil && (!ids.is(tensor.Int32) || !sameShape(ids.shape, n.in[0].shape) && !sameShape(ids.shape, []int{1, e.length})) {
			return false
		}
		t := embedTable{rows: v.shape[0], scale: 1, repeats: ids != nil && ids.shape[0] == 1, signed: v.dtype == tensor.Int8}
		if e.quantized() {
			var ok bool
			if t.scale, t.zero, ok = e.params(k); !ok {
				return false
			}
		} else if !v.is(tensor.Float32) {
			return false
		}
		e.tables = append(e.tables, t)
	}
	return true
}

// params are the scale and zero point of the k-th operand that is codes.
func (e *embedder) params(k int) (scale, zero float32, ok bool) {
	s, z := e.n.input(8+k), e.n.input(13+k)
	if s == nil || z == nil || s.elems() != 1 || z.elems() != 1 || !s.is(tensor.Float32) || s.konst == nil || z.dtype != e.n.in[2].dtype {
		return 0, 0, false
	}
	point, ok := intsOf(z)
	return tensor.Of[float32](s.konst)[0], float32(append(point, 0)[0]), ok
}

// vector is the constant scale, operand 5, or shift, operand 6, of the normalization.
func (e *embedder) vector(i int) ([]float32, bool) {
	v, hidden := e.n.in[i], e.n.out[0].shape[2]
	if v.konst == nil || !sameShape(v.shape, []int{hidden}) {
		return nil, false
	}
	if !e.quantized() {
		return rowOf(v, hidden)
	}
	scale, zero, ok := e.params(i - 2)
	codes, good := intsOf(v)
	if !ok || !good {
		return nil, false
	}
	x := make([]float32, hidden)
	for k, c := range codes {
		x[k] = (float32(c) - zero) * scale
	}
	return x, true
}

func (e *embedder) emit() {
	n, y, hidden := e.n, e.n.out[0], e.n.out[0].shape[2]
	for i, v := range n.in {
		if v != nil {
			e.slots[i] = e.use(v, rowMajor)
			e.from = append(e.from, e.slots[i])
		}
	}
	k := 0
	for _, at := range embedOperands {
		if n.input(at.table) == nil {
			continue
		}
		if e.tables[k].data = e.slots[at.table]; e.ids(at.ids) != nil {
			e.tables[k].ids = e.slots[at.ids]
		}
		k++
	}
	dst := e.make(y, rowMajor)
	out := []*slot{dst}
	sum := dst
	var counts *slot
	if v := n.output(1); v != nil {
		counts = e.make(v, rowMajor)
		out = append(out, counts)
	}
	if v := n.output(2); v != nil {
		sum = e.make(v, rowMajor)
		out = append(out, sum)
	}
	rows, level := y.elems()/hidden, e.level
	parts := e.partsFor(float64(y.elems())*3*functionNanos, rows)
	room := e.scratch(tensor.Float32, parts*hidden)
	e.lowerer.emit(&step{node: n, kernel: "embeddings", parts: parts, in: e.from, out: append(out, room), run: func(f *frame, part int) error {
		from, to := rows*part/parts, rows*(part+1)/parts
		if !e.add(f, f.vals[sum.id], f.vals[room.id], part, from, to) {
			return e.fault(f)
		}
		level.LayerNormRows(f.f32(dst)[from*hidden:to*hidden], f.f32(sum)[from*hidden:to*hidden], e.norm.gamma, e.norm.beta, e.norm.eps)
		if part == 0 && counts != nil {
			e.count(f, tensor.Of[int32](f.vals[counts.id]))
		}
		return nil
	}})
}

// add sets the rows from to to-1 to the sums of those of the tables, and says whether these have them. Rows of floats are copied
// before they are read, since those of a file may lie anywhere.
func (e *embedder) add(f *frame, sums, room *tensor.Tensor, part, from, to int) bool {
	hidden := sums.Shape[2]
	sum, size := tensor.Of[float32](sums), 4*hidden
	for k, t := range e.tables {
		x := f.vals[t.data.id]
		for r := from; r < to; r++ {
			id := t.row(f, r, e.length)
			if id < 0 || id >= t.rows {
				return false
			}
			row := sum[r*hidden:][:hidden]
			if k == 0 && e.quantized() {
				clear(row)
			}
			switch {
			case e.quantized() && t.signed:
				addCodes(row, tensor.Of[int8](x)[id*hidden:][:hidden], t.scale, t.zero)
			case e.quantized():
				addCodes(row, x.Raw[id*hidden:][:hidden], t.scale, t.zero)
			case k == 0:
				copy(sums.Raw[r*size:][:size], x.Raw[id*size:])
			default:
				copy(room.Raw[part*size:][:size], x.Raw[id*size:])
				e.level.Binary(kernel.Add, row, row, tensor.Of[float32](room)[part*hidden:][:hidden])
			}
		}
	}
	return true
}

// row is the row that row r of the result, of samples of some length, takes of a table.
func (t *embedTable) row(f *frame, r, length int) int {
	if t.ids == nil {
		return r % length
	}
	if t.repeats {
		r %= length
	}
	return int(tensor.Of[int32](f.vals[t.ids.id])[r])
}

// addCodes adds what codes stand for.
func addCodes[T int8 | uint8](dst []float32, codes []T, scale, zero float32) {
	for i, c := range codes[:len(dst)] {
		dst[i] += float32((float32(c) - zero) * scale)
	}
}

// count sets the tokens of each sample whose mask is one.
func (e *embedder) count(f *frame, dst []int32) {
	clear(dst)
	if e.n.input(7) == nil {
		return
	}
	for i, m := range tensor.Of[int32](f.vals[e.slots[7].id]) {
		if m == 1 {
			dst[i/e.length]++
		}
	}
}

// fault is what the definition finds wrong with the operands.
func (e *embedder) fault(f *frame) error {
	in := make([]*tensor.Tensor, len(e.slots))
	for i, s := range e.slots {
		if s != nil {
			in[i] = f.vals[s.id]
		}
	}
	_, err := e.eval.run(context.Background(), in)
	return err
}
