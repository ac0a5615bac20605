package engine

import (
	"math"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

const (
	dotQueries = 8   // up to so many, each key is multiplied by each query
	fewQueries = 16  // up to so many, keys are multiplied as the left side, where they lie
	keyBlock   = 256 // keys that are packed together
	queryBlock = 64  // queries that are multiplied by them at a time
)

// An attentionRoom is memory of one thread.
type attentionRoom struct {
	q, scores, turned, y []float32
	off                  []int32
	sums                 []float32 // of the exponentials of each query
	query                *kernel.PackedF32
	keys, values         []*kernel.PackedF32 // by blocks
}

// An attentionUnit computes queries of the heads that share one key and value of a sample. They are counted through these heads.
type attentionUnit struct {
	*attention
	mem      *attentionRoom
	level    kernel.Level
	n, key   int // sample, head of the key
	from, to int // queries; from begins a block of them
}

// grow returns n elements of memory, which s becomes.
func grow[T any](s *[]T, n int) []T {
	if cap(*s) < n {
		*s = make([]T, n)
	}
	*s = (*s)[:n]
	return *s
}

// group is how many heads share a key.
func (u *attentionUnit) group() int { return u.heads / u.kv }

func (u *attentionUnit) run() {
	if u.stored {
		u.store(0, &u.k, u.size)
		u.store(1, &u.v, u.vsize)
	}
	u.queries()
	if u.group()*u.rows <= fewQueries {
		u.few()
	} else {
		u.many()
	}
}

// store puts the new rows behind the past that counts.
func (u *attentionUnit) store(i int, from *headRows, size int) {
	dst, past := u.present[i].at(u.n, u.key, 0), u.counts[u.n]
	if past > 0 {
		u.fetch(i, dst[:past*size])
	}
	for r := range from.rows {
		row, x := dst[(past+r)*size:][:size], from.at(u.n, u.key, r)[:size]
		if i == 0 && u.rotary != nil {
			u.rotary.turn(u.level, row, u.size, x, u.size, 1, u.size, u.positions(u.n, r))
		} else {
			copy(row, x)
		}
		if b := u.bias[1+i]; b != nil {
			u.level.Binary(kernel.Add, row, row, b[u.key*size:][:size])
		}
	}
	if u.keptHalf[i] != nil {
		u.keep(i, dst[past*size:][:from.rows*size], past*size)
	}
}

// fetch reads the past.
func (u *attentionUnit) fetch(i int, dst []float32) {
	at := u.past[i].from(u.n, u.key)
	if u.kept == tensor.Float32 {
		copy(dst, u.past[i].x[at:])
		return
	}
	decodeHalf(u.level, u.kept, dst, u.pastHalf[i][at:][:len(dst)])
}

// keep writes the past, of so many numbers, and the new rows as 16-bit floats.
func (u *attentionUnit) keep(i int, rows []float32, past int) {
	dst := u.keptHalf[i][u.present[i].from(u.n, u.key):]
	if past > 0 {
		copy(dst, u.pastHalf[i][u.past[i].from(u.n, u.key):][:past])
	}
	encodeHalf(u.level, u.kept, dst[past:][:len(rows)], rows)
}

// queries gathers the queries, turned and multiplied by the scale.
func (u *attentionUnit) queries() {
	q := grow(&u.mem.q, (u.to-u.from)*u.size)
	for m := u.from; m < u.to; m++ {
		head, r := u.headOf(m), m%u.rows
		row, x := q[(m-u.from)*u.size:][:u.size], u.q.at(u.n, head, r)[:u.size]
		if u.rotary != nil {
			u.rotary.turn(u.level, row, u.size, x, u.size, 1, u.size, u.positions(u.n, r))
		} else {
			copy(row, x)
		}
		if b := u.bias[0]; b != nil {
			u.level.Binary(kernel.Add, row, row, b[head*u.size:][:u.size])
		}
	}
	u.level.BinaryScalar(kernel.Mul, q, q, u.scale)
}

// sees is the range of keys that query r may attend to.
func (u *attentionUnit) sees(r int) (lo, hi int) {
	at := u.offset[u.n] + r
	hi = min(u.total, u.valid[u.n])
	if u.causal {
		hi = min(hi, at+1)
	}
	if u.right >= 0 {
		hi = min(hi, at+u.right+1)
	}
	if u.left >= 0 {
		lo = max(0, at-u.left)
	}
	return min(lo, max(hi, 0)), max(hi, 0)
}

// seen is the range of keys that some of queries m0 to m1, counted through the heads, may attend to.
func (u *attentionUnit) seen(m0, m1 int) (lo, hi int) {
	lo = math.MaxInt
	for m := m0; m < m1; m++ {
		a, b := u.sees(m % u.rows)
		lo, hi = min(lo, a), max(hi, b)
	}
	return min(lo, hi), hi
}

// few multiplies the keys by the queries, and adds the values up row by row: neither is packed.
func (u *attentionUnit) few() {
	m := u.group() * u.rows
	lo, hi := u.seen(0, m)
	keys, count := &u.present[0], hi-lo
	scores, y := grow(&u.mem.scores, count*m), grow(&u.mem.y, u.vsize)
	switch {
	case count == 0:
	case m <= dotQueries:
		u.level.DotRows(scores, count, keys.at(u.n, u.key, lo), keys.step, count, u.mem.q, u.size)
	default:
		u.multiply(scores, keys.at(u.n, u.key, lo), count)
	}
	values, off := &u.present[1], grow(&u.mem.off, count)
	for i := range off {
		off[i] = int32(i * values.step)
	}
	for i := range m {
		row, from, sum := u.softmax(scores[i*count:][:count], i, lo)
		clear(y)
		if len(row) > 0 && sum > 0 || sum != sum {
			u.level.SumRows(y, values.at(u.n, u.key, lo+from), off[:len(row)], row)
		}
		u.finish(y, i, sum)
	}
}

// multiply sets the scores of count keys, which are multiplied by a panel of queries.
func (u *attentionUnit) multiply(scores, keys []float32, count int) {
	m, order := u.group()*u.rows, kernel.Order{N: u.size, K: 1}
	if u.mem.query == nil || !u.mem.query.Holds(m, u.size) {
		u.mem.query = u.level.PackF32(u.mem.q, m, u.size, 1, order)
	} else {
		u.mem.query.Repack(u.mem.q, order)
	}
	turned := grow(&u.mem.turned, count*m)
	u.mem.query.Gemm(keys, u.present[0].step, &kernel.OutF32{C: turned, Ldc: m}, kernel.Range{M1: count, P1: u.mem.query.Panels()})
	kernel.TransposePitch(u.level, scores, turned, count, m, count, m)
}

// many multiplies blocks of queries by blocks of keys and values that are packed.
func (u *attentionUnit) many() {
	first, last := u.seen(u.from, u.to)
	u.pack(first, last)
	y := grow(&u.mem.y, queryBlock*u.vsize)
	for m0 := u.from; m0 < u.to; m0 += queryBlock {
		m1 := min(u.to, m0+queryBlock)
		lo, hi := u.seen(m0, m1)
		lo, hi = first+(lo-first)/keyBlock*keyBlock, min(last, first+(hi-first+keyBlock-1)/keyBlock*keyBlock)
		width := hi - lo
		scores, sums := grow(&u.mem.scores, queryBlock*width), grow(&u.mem.sums, queryBlock)
		u.eachBlock(first, lo, hi, func(b, at int) {
			k := u.mem.keys[b]
			k.Gemm(u.mem.q[(m0-u.from)*u.size:], u.size, &kernel.OutF32{C: scores[at:], Ldc: width}, kernel.Range{M1: m1 - m0, P1: k.Panels()})
		})
		for i := range m1 - m0 {
			whole := scores[i*width:][:width]
			row, from, sum := u.softmax(whole, m0+i, lo)
			clear(whole[:from])
			clear(whole[from+len(row):])
			if !(sum > 0) && sum == sum {
				clear(row)
			}
			sums[i] = sum
		}
		clear(y)
		u.eachBlock(first, lo, hi, func(b, at int) {
			v := u.mem.values[b]
			v.Gemm(scores[at:], width, &kernel.OutF32{C: y, Ldc: u.vsize, Add: y, LdAdd: u.vsize}, kernel.Range{M1: m1 - m0, P1: v.Panels()})
		})
		for i := range m1 - m0 {
			u.finish(y[i*u.vsize:][:u.vsize], m0+i, sums[i])
		}
	}
}

// eachBlock calls do for the blocks of keys from lo to hi: with its number, and how far behind lo it begins.
func (u *attentionUnit) eachBlock(first, lo, hi int, do func(b, at int)) {
	for at := lo; at < hi; at += keyBlock {
		do((at-first)/keyBlock, at-lo)
	}
}

// pack packs the keys and values from first to last, which is the end of the last block.
func (u *attentionUnit) pack(first, last int) {
	keys, values := &u.present[0], &u.present[1]
	for b, at := 0, first; at < last; b, at = b+1, at+keyBlock {
		if b == len(u.mem.keys) {
			u.mem.keys, u.mem.values = append(u.mem.keys, nil), append(u.mem.values, nil)
		}
		n := min(keyBlock, last-at)
		u.mem.keys[b] = u.repacked(u.mem.keys[b], keys.at(u.n, u.key, at), n, u.size, kernel.Order{N: keys.step, K: 1})
		u.mem.values[b] = u.repacked(u.mem.values[b], values.at(u.n, u.key, at), u.vsize, n, kernel.Order{N: 1, K: values.step})
	}
}

// repacked packs a matrix in the memory of p, if that is as large.
func (u *attentionUnit) repacked(p *kernel.PackedF32, x []float32, n, k int, o kernel.Order) *kernel.PackedF32 {
	if p == nil || !p.Holds(n, k) {
		return u.level.PackF32(x, n, k, 1, o)
	}
	p.Repack(x, o)
	return p
}

// softmax makes exponentials of the scores of query m, of which the first is that of key lo. It returns those that the query
// may attend to, behind how many they begin, and their sum; zero where it attends to none.
func (u *attentionUnit) softmax(scores []float32, m, lo int) (row []float32, from int, sum float32) {
	head, r := u.headOf(m), m%u.rows
	a, b := u.sees(r)
	from = a - lo
	row = scores[from : b-lo]
	if len(row) == 0 {
		return row, 0, 0
	}
	if u.cap > 0 {
		u.level.BinaryScalar(kernel.Div, row, row, u.cap)
		u.level.Unary(kernel.Tanh, row, row)
		u.level.BinaryScalar(kernel.Mul, row, row, u.cap)
	}
	for i := range u.masks {
		u.addMask(row, &u.masks[i], head, r, a)
	}
	top := u.level.Reduce(kernel.ReduceMax, row, 0)
	if !(top > float32(math.Inf(-1))) { // nor where one is none
		return row, from, 0
	}
	if u.sinks != nil {
		top = max(top, u.sinks[head])
	}
	sum = u.level.ExpSum(row, row, top)
	if u.sinks != nil {
		sum += float32(math.Exp(float64(u.sinks[head] - top)))
	}
	if u.plain && sum != sum {
		sum = 0
	}
	return row, from, sum
}

// headOf is the head that query m, counted through the heads of the unit, belongs to.
func (u *attentionUnit) headOf(m int) int { return u.key*u.group() + m/u.rows }

// addMask applies what a mask has for the keys from a on.
func (u *attentionUnit) addMask(row []float32, m *scoreMask, head, r, a int) {
	at := u.n*m.step[0] + head*m.step[1] + r*m.step[2] + a*m.step[3]
	if m.places != nil {
		for i := range row {
			if m.places[at+i*m.step[3]] == m.where {
				row[i] = m.number
			}
		}
		return
	}
	x := m.x[at:]
	if m.step[3] == 0 {
		u.level.BinaryScalar(m.op, row, row, x[0])
		return
	}
	u.level.Binary(m.op, row, row, x[:len(row)])
}

// finish writes the result of query m, which attends to nothing where sum is zero.
func (u *attentionUnit) finish(y []float32, m int, sum float32) {
	dst := u.y.at(u.n, u.headOf(m), m%u.rows)[:u.vsize]
	if sum == 0 {
		for i := range dst {
			dst[i] = u.empty
		}
		return
	}
	u.level.BinaryScalar(kernel.Mul, dst, y, 1/sum)
}
