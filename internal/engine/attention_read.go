package engine

import (
	"math"

	"lowbit/internal/tensor"
)

// operand returns operand i of a run, or nil.
func operand(in []*tensor.Tensor, i int) *tensor.Tensor {
	if i < len(in) {
		return in[i]
	}
	return nil
}

// anyOf says whether one of some operands is there.
func anyOf(in []*tensor.Tensor, from int) bool {
	for i := from; i < len(in); i++ {
		if in[i] != nil {
			return true
		}
	}
	return false
}

// f32Of returns the elements of a float32 tensor.
func f32Of(t *tensor.Tensor) ([]float32, bool) {
	if t == nil || t.DType != tensor.Float32 {
		return nil, false
	}
	return tensor.Of[float32](t), true
}

// readRows reads (N,heads,rows,size), or (N,rows,heads*size).
func readRows(t *tensor.Tensor, heads int) (h headRows, count, size int, ok bool) {
	x, ok := f32Of(t)
	switch {
	case !ok || t.Len() == 0:
		return h, 0, 0, false
	case len(t.Shape) == 4:
		return inFront(x, t.Shape), t.Shape[1], t.Shape[3], true
	case len(t.Shape) != 3 || heads < 1 || t.Shape[2]%heads != 0:
		return h, 0, 0, false
	}
	size = t.Shape[2] / heads
	return inRows(x, t.Shape[1], t.Shape[2], 0, size), heads, size, true
}

// readHeads reads query, key and value of operands 0 to 2.
func (a *attention) readHeads(in []*tensor.Tensor, heads, kv int) bool {
	var count [3]int
	var ok bool
	for i, h := range []*headRows{&a.q, &a.k, &a.v} {
		want, size := kv, &a.size
		if i == 0 {
			want = heads
		}
		if i == 2 {
			size = &a.vsize
		}
		before := *size
		if *h, count[i], *size, ok = readRows(in[i], want); !ok || in[i].Shape[0] != in[0].Shape[0] || i == 1 && before != *size {
			return false
		}
	}
	a.batch, a.heads, a.kv, a.rows = in[0].Shape[0], count[0], count[1], a.q.rows
	return count[1] == count[2] && a.heads%a.kv == 0 && a.k.rows == a.v.rows
}

// readPast reads past keys and values (N,heads,past,size); either both are there or none.
func (a *attention) readPast(key, value *tensor.Tensor) bool {
	if key == nil && value == nil {
		return true
	}
	for i, t := range []*tensor.Tensor{key, value} {
		size := []int{a.size, a.vsize}[i]
		if t == nil || len(t.Shape) != 4 || !sameShape(t.Shape, []int{a.batch, a.kv, key.Shape[2], size}) {
			return false
		}
		x, ok := f32Of(t)
		switch {
		case ok:
		case t.DType == tensor.Float16, t.DType == tensor.BFloat16:
			a.pastHalf[i] = tensor.Of[uint16](t)
		default:
			return false
		}
		a.past[i] = inFront(x, t.Shape)
	}
	return true
}

// follow lets all of the past count, with the new keys behind it, and all keys.
func (a *attention) follow() {
	past := a.past[0].rows
	a.total = past + a.k.rows
	a.room = a.total
	for range a.batch {
		a.counts, a.offset, a.valid = append(a.counts, past), append(a.offset, past), append(a.valid, a.total)
	}
}

// readMask reads what is added to the scores: numbers, or bools of which the false ones shut a key out. Its last axis may be
// shorter than the keys.
func (a *attention) readMask(t *tensor.Tensor) bool {
	if t == nil {
		return true
	}
	rank := len(t.Shape)
	if rank < 1 || rank > 4 || t.Len() == 0 || t.Shape[rank-1] > a.room || t.DType != tensor.Bool && t.DType != tensor.Float32 {
		return false
	}
	a.total = t.Shape[rank-1]
	step, ok := a.broadcast(t.Shape)
	m := scoreMask{step: step}
	if t.DType == tensor.Float32 {
		m.x = tensor.Of[float32](t)
	} else {
		m.x = shutOut(tensor.Of[bool](t), float32(math.Inf(-1)))
	}
	a.masks = append(a.masks, m)
	return ok
}

// broadcast returns the strides of a mask of that shape, and whether it goes with the scores.
func (a *attention) broadcast(shape []int) (strides [4]int, ok bool) {
	full, step := [4]int{a.batch, a.heads, a.rows, a.total}, 1
	for i := range shape {
		d := shape[len(shape)-1-i]
		if i > 3 || d != 1 && d != full[3-i] {
			return strides, false
		}
		if d > 1 {
			strides[3-i] = step
		}
		step *= d
	}
	return strides, true
}

// shutOut is fill where open is false, and zero elsewhere.
func shutOut(open []bool, fill float32) []float32 {
	x := make([]float32, len(open))
	for i, o := range open {
		if !o {
			x[i] = fill
		}
	}
	return x
}

// scaleOf is the attribute scale, one over the root of the features without it.
func (a *attention) scaleOf(n *node) float32 {
	if s := n.onnx.Float("scale", 0); s != 0 {
		return s
	}
	return float32(1 / math.Sqrt(float64(a.size)))
}

// readAttention reads ONNX's operator.
func readAttention(n *node, in []*tensor.Tensor) *attention {
	a := &attention{cap: n.onnx.Float("softcap", 0), causal: n.onnx.Bool("is_causal", false)}
	a.left, a.right = n.onnx.Int("left_window_size", -1), n.onnx.Int("right_window_size", -1)
	if anyOf(in, 7) || in[1] == nil || in[2] == nil || len(in[1].Shape) != len(in[0].Shape) || len(in[2].Shape) != len(in[0].Shape) ||
		!a.readHeads(in, n.onnx.Int("q_num_heads", 0), n.onnx.Int("kv_num_heads", 0)) || !a.readPast(operand(in, 4), operand(in, 5)) ||
		a.left < -1 || a.right < -1 || max(a.left, a.right) > math.MaxInt32 || a.cap < 0 {
		return nil
	}
	a.scale = a.scaleOf(n)
	if n.onnx.Attr("scale") != nil {
		a.scale = n.onnx.Float("scale", 0)
	}
	if a.follow(); !a.readValid(operand(in, 6)) || !a.readMask(operand(in, 3)) {
		return nil
	}
	return a
}

// readValid reads how many keys of each sample count; its queries are at the end of them.
func (a *attention) readValid(t *tensor.Tensor) bool {
	if t == nil {
		return true
	}
	counts, err := t.Ints()
	if err != nil || a.past[0].rows > 0 || !sameShape(t.Shape, []int{a.batch}) {
		return false
	}
	for i, v := range counts {
		a.valid[i], a.offset[i] = int(v), int(v)-a.rows
	}
	return true
}

// readMultiHead reads ONNX Runtime's MultiHeadAttention.
func readMultiHead(n *node, in []*tensor.Tensor) *attention {
	heads := n.onnx.Int("num_heads", 0)
	a := &attention{left: -1, right: -1, causal: n.onnx.Bool("unidirectional", false)}
	if anyOf(in, 8) || in[1] == nil || in[2] == nil || len(in[0].Shape) != 3 || !a.readHeads(in, heads, heads) || a.heads != heads || a.kv != heads ||
		!a.readBias(operand(in, 3), len(in[1].Shape) == 4) || !a.readPast(operand(in, 6), operand(in, 7)) {
		return nil
	}
	a.scale = a.scaleOf(n)
	a.follow()
	if bias := operand(in, 5); a.causal && a.total != a.past[0].rows+a.rows || bias != nil && (len(bias.Shape) != 4 || bias.Shape[3] != a.total) || !a.readMask(bias) ||
		!a.readPadding(operand(in, 4), n.onnx.Float("mask_filter_value", -10000)) {
		return nil
	}
	return a
}

// readBias reads a vector that is added to the rows of query, key and value; to those of the query alone where the other two
// are caches.
func (a *attention) readBias(t *tensor.Tensor, cached bool) bool {
	if t == nil {
		return true
	}
	x, ok := f32Of(t)
	widths := []int{a.heads * a.size, a.kv * a.size, a.kv * a.vsize}
	if !ok || !sameShape(t.Shape, []int{widths[0] + widths[1] + widths[2]}) {
		return false
	}
	for i, width := range widths {
		if i == 0 || !cached {
			a.bias[i] = x[:width]
		}
		x = x[width:]
	}
	return true
}

// readPadding reads a mask that is above zero where keys count: (N,keys) or (N,rows,keys); or how many keys count (N), behind which
// the first of them (2N) or cumulated lengths (3N+2) may stand.
func (a *attention) readPadding(t *tensor.Tensor, fill float32) bool {
	if t == nil {
		return true
	}
	x, err := t.Ints()
	if err != nil {
		return false
	}
	m, n := scoreMask{step: [4]int{a.total, 0, 0, 1}}, len(x)
	switch {
	case sameShape(t.Shape, []int{a.batch, a.rows, a.total}):
		m.step = [4]int{a.rows * a.total, 0, a.total, 1}
	case len(t.Shape) == 1 && (n == a.batch || n == 2*a.batch || n == 3*a.batch+2):
		m.x = shutOut(a.counted(x, n == 2*a.batch), fill)
		a.masks = append(a.masks, m)
		return true
	case !sameShape(t.Shape, []int{a.batch, a.total}):
		return false
	}
	open := make([]bool, len(x))
	for i, v := range x {
		open[i] = v > 0
	}
	m.x = shutOut(open, fill)
	a.masks = append(a.masks, m)
	return true
}

// counted says of each sample's keys whether they are before its last, and, where the first ones are given too, not before its
// first.
func (a *attention) counted(x []int64, first bool) []bool {
	open := make([]bool, a.batch*a.total)
	for i := range open {
		n, j := i/a.total, int64(i%a.total)
		open[i] = j < x[n] && (!first || j >= x[a.batch+n])
	}
	return open
}

// readGroupAttention reads ONNX Runtime's GroupQueryAttention.
func readGroupAttention(n *node, in []*tensor.Tensor) *attention {
	a := &attention{cap: n.onnx.Float("softcap", 0), causal: n.onnx.Bool("causal", true), left: -1, right: -1}
	window := n.onnx.Int("local_window_size", -1) // its own place included
	if anyOf(in, 12) || window < -1 || window == 0 || window > 0 && !a.causal || a.cap < 0 || n.onnx.Bool("sliding_window_cache", false) ||
		n.onnx.Str("k_quant_type", "NONE") != "NONE" || n.onnx.Str("v_quant_type", "NONE") != "NONE" ||
		!a.readGroups(in, n.onnx.Int("num_heads", 0), n.onnx.Int("kv_num_heads", 0)) || !a.readPast(operand(in, 3), operand(in, 4)) {
		return nil
	}
	if window > 0 {
		a.left = window - 1
	}
	a.scale = a.scaleOf(n)
	prompt, ok := a.readLengths(operand(in, 5), operand(in, 6))
	if !ok || n.onnx.Bool("do_rotary", false) && !a.readRotary(in, n.onnx.Bool("rotary_interleaved", false), prompt) || !a.readSinks(operand(in, 11), n.onnx.Bool("smooth_softmax", false)) {
		return nil
	}
	if bias := operand(in, 10); bias != nil && (len(bias.Shape) != 4 || bias.Shape[3] != a.total) || !a.readMask(bias) {
		return nil
	}
	return a
}

// readGroups reads query, key and value, or all of them in the rows of one operand.
func (a *attention) readGroups(in []*tensor.Tensor, heads, kv int) bool {
	q, ok := f32Of(in[0])
	if !ok || heads < 1 || kv < 1 || heads%kv != 0 || len(in[0].Shape) != 3 || len(q) == 0 {
		return false
	}
	if in[1] != nil && in[2] != nil {
		return len(in[1].Shape) == 3 && len(in[2].Shape) == 3 && in[1].Shape[1] == in[0].Shape[1] && a.readHeads(in, heads, kv) && a.size == a.vsize
	}
	s := in[0].Shape
	if in[1] != nil || in[2] != nil || s[2]%(heads+2*kv) != 0 {
		return false
	}
	size := s[2] / (heads + 2*kv)
	a.batch, a.rows, a.heads, a.kv, a.size, a.vsize = s[0], s[1], heads, kv, size, size
	a.q, a.k, a.v = inRows(q, s[1], s[2], 0, size), inRows(q, s[1], s[2], heads*size, size), inRows(q, s[1], s[2], (heads+kv)*size, size)
	return true
}

// readLengths finds how much past each sample has: seqlens are the keys that it has in the end, less one, total is the most
// of them. Where these are the new ones there is no past.
func (a *attention) readLengths(seqlens, total *tensor.Tensor) (prompt, ok bool) {
	if seqlens == nil || total == nil || total.Len() != 1 || seqlens.Len() != a.batch {
		return false, false
	}
	last, err := seqlens.Ints()
	most, err2 := total.Ints()
	room := a.past[0].rows
	if err != nil || err2 != nil || most[0] < 1 || most[0] > int64(room+a.rows) {
		return false, false
	}
	a.total = int(most[0])
	a.room = max(a.total, a.rows, room)
	prompt = a.total == a.rows
	for _, v := range last {
		past := int(v) + 1 - a.rows
		if v < 0 || v >= int64(a.total) || !prompt && (past < 0 || past > room) {
			return false, false
		}
		if prompt {
			past = 0
		}
		a.counts, a.offset, a.valid = append(a.counts, past), append(a.offset, past), append(a.valid, past+a.rows)
	}
	return prompt, true
}

// readSinks reads the score of each head that has no value; smooth is one of zero.
func (a *attention) readSinks(t *tensor.Tensor, smooth bool) bool {
	if t == nil {
		if smooth {
			a.sinks = make([]float32, a.heads)
		}
		return true
	}
	var ok bool
	a.sinks, ok = f32Of(t)
	return ok && sameShape(t.Shape, []int{a.heads})
}

// readRotary reads the tables of cosines and sines, and the positions of rows: behind the past, unless they are given.
func (a *attention) readRotary(in []*tensor.Tensor, interleaved, prompt bool) bool {
	var ok bool
	if a.rotary, ok = newRotary(operand(in, 7), operand(in, 8), interleaved); !ok || 2*a.rotary.half > a.size {
		return false
	}
	a.positions = func(n, row int) int { return a.counts[n] + row }
	if t := operand(in, 9); t != nil {
		if a.positions, ok = positionsOf(t, a.batch, a.rows); !ok {
			return false
		}
		if given := a.positions; prompt { // only the first counts
			a.positions = func(_, row int) int { return given(0, 0) + row }
		}
	}
	return a.rotary.holds(a.positions, a.batch, a.rows)
}
