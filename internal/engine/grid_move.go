package engine

import (
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A gridMove makes each element of a box of the result of the element of the operand that lies where a number for each of
// its indices, added up, says. So move Resize to nearest neighbours, Tile, Expand, Pad that repeats, SpaceToDepth and its
// inverse, and Gather.
type gridMove struct {
	dims        []int
	to          []int     // how far apart the indices of each dimension lie in the result
	from        [][]int32 // by dimension and index, none below 0
	start, base int       // where the box begins in the result, and what is added in the operand
	row         []rowPiece
	dense       []int // by dimension, the elements that an index has in the result; 0 where there are gaps
	period      []int // by dimension, after how many indices the same come again; 0: never
	lines       int   // how often each row comes, where all are neighbours in the operand that are repeated alike; else 0
	cut         int   // the dimension that threads share
	level       kernel.Level
	nanos       float64
}

// A rowPiece is a part of the last dimension.
type rowPiece struct {
	kind  pieceKind
	to, n int     // in the result
	from  int     // the first element
	times int     // that each element is repeated
	each  int     // elements that are repeated
	table []int32 // of picks
}

type pieceKind uint8

const (
	picked   pieceKind = iota // one by one
	copied                    // neighbours
	filled                    // with one element
	repeated                  // neighbours, each several times
)

const (
	longPiece    = 16   // elements from which on neighbours are copied by a call
	shortRow     = 64   // elements up to which rows of picks are joined
	mostRow      = 2048 // elements of what they are joined to
	repeatedRoom = 2048 // elements of rows that are repeated by one call
	nearCopy     = 4096 // elements from which on a copy is made from the first ones again
	pickNanos    = 0.4  // for one element, roughly
	pieceNanos   = 6    // for one piece of a row
)

// gridOf finds the grid in a list that holds for each index of dims, in order, the element that goes there. It is nil where
// tables would take about as much room as the list.
func gridOf(dims, to []int, start int, list []int32) *gridMove {
	m := &gridMove{start: start, base: int(list[0])}
	all, n, step := len(list), 1, 1
	for k := len(dims) - 1; k >= 0; k-- {
		switch {
		case dims[k] == 1:
			continue
		case n == 1:
			n, step = dims[k], to[k]
		case to[k] == n*step:
			n *= dims[k]
		default:
			return nil
		}
		if rowsAgree(list, n) {
			m.prepend(n, step, list[:n])
			list, n = everyNth(list, n), 1
		}
	}
	if !m.settle(all) {
		return nil
	}
	return m
}

// evenGrid is the grid of even steps through result and operand.
func evenGrid(dims, to, from []int) *gridMove {
	m := &gridMove{}
	for k := len(dims) - 1; k >= 0; k-- {
		if dims[k] > 1 {
			table := make([]int32, dims[k])
			for i := range table {
				table[i] = int32(i * from[k])
			}
			m.prepend(dims[k], to[k], table)
		}
	}
	m.settle(0)
	return m
}

// rowsAgree says whether all rows of n numbers go alike.
func rowsAgree(list []int32, n int) bool {
	first := list[:n]
	for row := list[n:]; len(row) > 0; row = row[n:] {
		by := row[0] - first[0]
		for i, v := range first {
			if row[i]-v != by {
				return false
			}
		}
	}
	return true
}

func everyNth(list []int32, n int) []int32 {
	out := make([]int32, len(list)/n)
	for i := range out {
		out[i] = list[i*n]
	}
	return out
}

// prepend adds an outer dimension, whose numbers count from the least.
func (m *gridMove) prepend(n, step int, from []int32) {
	least := slices.Min(from)
	table := make([]int32, n)
	for i, v := range from {
		table[i] = v - least
	}
	m.base -= int(from[0] - least)
	m.dims, m.to, m.from = slices.Insert(m.dims, 0, n), slices.Insert(m.to, 0, step), slices.Insert(m.from, 0, table)
}

// settle joins dimensions and decides how rows are made, unless that keeps about as many numbers as there are elements.
func (m *gridMove) settle(elems int) bool {
	last := func() int { return len(m.dims) - 1 }
	if last() < 0 || m.to[last()] != 1 {
		m.dims, m.to, m.from = append(m.dims, 1), append(m.to, 1), append(m.from, []int32{0})
	}
	for last() > 0 && m.evenly(last()-1) {
		m.join(last() - 1)
	}
	m.row = piecesOf(m.from[last()])
	for last() > 0 && m.joinsRows(last()-1) {
		m.join(last() - 1)
		m.row = piecesOf(m.from[last()])
	}
	kept := 0
	for k := last() - 1; k >= 0; k-- {
		if k < last()-1 && m.evenly(k) {
			m.join(k)
		}
	}
	for _, d := range m.dims[:last()] {
		kept += d
	}
	for _, p := range m.row {
		kept += len(p.table)
	}
	m.from[last()] = nil
	m.measure()
	return kept*2 <= elems || elems <= mostRow
}

// joinsRows says whether rows are short and of picks, and those of dimension k differ.
func (m *gridMove) joinsRows(k int) bool {
	return len(m.row) == 1 && m.row[0].kind == picked && m.dims[k+1] <= shortRow && m.dims[k]*m.dims[k+1] <= mostRow &&
		m.joinable(k) && !hasTwins(m.from[k])
}

// joinable says whether dimension k and the next one follow each other in the result.
func (m *gridMove) joinable(k int) bool { return m.to[k] == m.dims[k+1]*m.to[k+1] }

// evenly says whether dimension k goes on where the next one ends, in even steps.
func (m *gridMove) evenly(k int) bool {
	a, b := m.from[k], m.from[k+1]
	by := b[len(b)-1] / int32(max(1, len(b)-1))
	for i, v := range b {
		if v != int32(i)*by {
			return false
		}
	}
	for i, v := range a {
		if v != int32(i*len(b))*by {
			return false
		}
	}
	return m.joinable(k)
}

// join makes one dimension of k and the next.
func (m *gridMove) join(k int) {
	a, b := m.from[k], m.from[k+1]
	table := make([]int32, 0, len(a)*len(b))
	for _, u := range a {
		for _, v := range b {
			table = append(table, u+v)
		}
	}
	m.dims, m.to, m.from = slices.Delete(m.dims, k, k+1), slices.Delete(m.to, k, k+1), slices.Delete(m.from, k, k+1)
	m.dims[k], m.from[k] = len(table), table
}

// hasTwins says whether neighbours are the same.
func hasTwins(list []int32) bool {
	for i, v := range list[1:] {
		if v == list[i] {
			return true
		}
	}
	return false
}

// piecesOf cuts a row by how its elements are found.
func piecesOf(t []int32) []rowPiece {
	if r := repetitions(t); r > 1 && r < len(t) {
		return []rowPiece{{kind: repeated, n: len(t), from: int(t[0]), times: r, each: len(t) / r}}
	}
	var list []rowPiece
	for i := 0; i < len(t); {
		kind, n := picked, 1
		if c := runOf(t[i:], 1); c >= longPiece || c == len(t) {
			kind, n = copied, c
		} else if c := runOf(t[i:], 0); c >= longPiece {
			kind, n = filled, c
		}
		if k := len(list) - 1; kind == picked && k >= 0 && list[k].kind == picked {
			list[k].n++
			list[k].table = t[list[k].to:][:list[k].n]
		} else {
			list = append(list, rowPiece{kind: kind, to: i, n: n, from: int(t[i])})
			if kind == picked {
				list[k+1].table = t[i:][:1]
			}
		}
		i += n
	}
	return list
}

// runOf is how many numbers follow each other in steps.
func runOf(t []int32, step int32) int {
	n := 1
	for n < len(t) && t[n] == t[n-1]+step {
		n++
	}
	return n
}

// repetitions is how often each of the neighbours of a row comes, 1 where that differs.
func repetitions(t []int32) int {
	r := runOf(t, 0)
	if len(t)%r != 0 {
		return 1
	}
	for i, want := 0, t[0]; i < len(t); i, want = i+r, want+1 {
		for _, v := range t[i : i+r] {
			if v != want {
				return 1
			}
		}
	}
	return r
}

// periodOf is after how many numbers a list begins anew; 0: never.
func periodOf(list []int32) int {
	p := 1 + slices.Index(list[1:], list[0])
	for i := range len(list) - p {
		if list[i] != list[i+p] {
			return 0
		}
	}
	return p
}

// measure finds out what lies in a row in the result, and where to cut.
func (m *gridMove) measure() {
	last := len(m.dims) - 1
	m.dense, m.period = make([]int, last+1), make([]int, last)
	size, gaps := 1, false
	for k := last; k >= 0; k-- {
		if gaps = gaps || m.to[k] != size; !gaps {
			m.dense[k] = size
		}
		size *= m.dims[k]
		if k < last && m.dense[k] > 0 {
			m.period[k] = periodOf(m.from[k])
		}
		if k < last && m.dims[k] >= m.dims[m.cut] || m.cut >= last && k < last {
			m.cut = k
		}
	}
	m.lines = m.repeatedLines()
	for _, p := range m.row {
		m.nanos += pieceNanos
		if p.kind == picked {
			m.nanos += float64(p.n) * pickNanos
		} else {
			m.nanos += float64(p.n) * moveNanosPerByte
		}
	}
	m.nanos *= float64(size / m.dims[last])
}

// repeatedLines is how often each row comes, 0 where they are not made in the one way that linesOf knows.
func (m *gridMove) repeatedLines() int {
	k := len(m.dims) - 2
	if k < 0 || m.dense[k] == 0 || m.row[0].kind != repeated {
		return 0
	}
	r, each := runOf(m.from[k], 0), m.row[0].each
	if r < 2 || m.dims[k]%r != 0 {
		return 0
	}
	for i, v := range m.from[k] {
		if int(v) != i/r*each {
			return 0
		}
	}
	return r
}

// emitGrid adds the step that moves elements from src to dst.
func (lw *lowerer) emitGrid(n *node, name string, dst, src *slot, m *gridMove) {
	limit := 1
	if m.cut < len(m.dims)-1 {
		limit = m.dims[m.cut]
	}
	m.level = lw.level
	parts := lw.partsFor(m.nanos, limit)
	lw.emit(&step{node: n, kernel: name, parts: parts, in: []*slot{src}, out: []*slot{dst}, run: func(f *frame, part int) error {
		m.run(f.vals[dst.id], f.vals[src.id], part, parts)
		return nil
	}})
}

// run makes one part of the elements, whatever their type.
func (m *gridMove) run(dst, src *tensor.Tensor, part, parts int) {
	switch src.DType.Bits() {
	case 8:
		runGrid(m, dst.Raw, src.Raw, part, parts)
	case 16:
		runGrid(m, tensor.Of[uint16](dst), tensor.Of[uint16](src), part, parts)
	case 32:
		runGrid(m, tensor.Of[uint32](dst), tensor.Of[uint32](src), part, parts)
	case 64:
		runGrid(m, tensor.Of[uint64](dst), tensor.Of[uint64](src), part, parts)
	}
}

// A gridRun is one part of a gridMove under way.
type gridRun[T kernel.Word] struct {
	*gridMove
	dst, src    []T
	part, parts int
}

func runGrid[T kernel.Word](m *gridMove, dst, src []T, part, parts int) {
	r := &gridRun[T]{m, dst, src, part, parts}
	r.blocks(0, m.start, m.base)
}

// blocks makes what lies below dimension k, from elements d of the result and s of the operand on. What comes again is
// copied from where it was made: later, since a processor waits for what has just been written.
func (r *gridRun[T]) blocks(k, d, s int) {
	last := len(r.dims) - 1
	if k == last {
		r.line(d, s)
		return
	}
	a, b := 0, r.dims[k]
	if k == r.cut {
		a, b = b*r.part/r.parts, b*(r.part+1)/r.parts
	}
	if n := r.lines; k+1 == last && n > 0 && a%n == 0 && b%n == 0 {
		r.linesOf(d, s, a/n, b/n)
		return
	}
	table, step, size := r.from[k], r.to[k], r.dense[k]
	shared := r.parts > 1 && k < r.cut // among parts: what comes again is not all made by this one
	end := b
	if p := r.period[k]; p > 0 && !shared {
		end = min(a+p, b)
	}
	twins := false
	for i := a; i < end; i++ {
		switch {
		case i > a && size > 0 && table[i] == table[i-1] && !shared:
			twins = true
		case k+1 == last:
			r.line(d+i*step, s+int(table[i]))
		default:
			r.blocks(k+1, d+i*step, s+int(table[i]))
		}
	}
	for i := a + 1; twins && i < end; i++ {
		if at := d + i*step; table[i] == table[i-1] {
			copy(r.dst[at:][:size], r.dst[at-step:])
		}
	}
	for n, again := end-a, end-a; n < b-a; n += again {
		whole := r.dst[d+a*step:][:(b-a)*step]
		if again*step < nearCopy {
			again = n
		}
		copy(whole[n*step:], whole[:again*step])
	}
}

// linesOf makes the rows of the rows a to b-1 of the operand, many by one call: to the end of where they belong, from where they
// are dealt out to what lies before. What has been dealt out never reaches what has not.
func (r *gridRun[T]) linesOf(d, s, a, b int) {
	p, width := &r.row[0], r.dims[len(r.dims)-1]
	for most := max(1, repeatedRoom/(width*r.lines)); a < b; a += most {
		n := min(most, b-a)
		all := r.dst[d+a*r.lines*width:][:n*r.lines*width]
		once := all[n*(r.lines-1)*width:]
		kernel.Repeat(r.level, once, r.src[s+p.from+a*p.each:][:n*p.each], p.times)
		for ; len(once) >= width; once = once[width:] {
			row := once[:width]
			for range r.lines {
				copy(all[:width], row)
				all = all[width:]
			}
		}
	}
}

// line makes one row.
func (r *gridRun[T]) line(d, s int) {
	for i := range r.row {
		p := &r.row[i]
		to := r.dst[d+p.to:][:p.n]
		switch p.kind {
		case copied:
			copy(to, r.src[s+p.from:])
		case filled:
			fillAll(to, r.src[s+p.from])
		case repeated:
			kernel.Repeat(r.level, to, r.src[s+p.from:][:p.each], p.times)
		default:
			pickEach(to, r.src[s:], p.table)
		}
	}
}

func pickEach[T kernel.Word](dst, src []T, at []int32) {
	for len(at) >= 4 && len(dst) >= 4 {
		dst[0], dst[1], dst[2], dst[3] = src[at[0]], src[at[1]], src[at[2]], src[at[3]]
		dst, at = dst[4:], at[4:]
	}
	for i, k := range at {
		dst[i] = src[k]
	}
}

// fillAll sets all elements to v.
func fillAll[T kernel.Word](dst []T, v T) {
	n := min(len(dst), longPiece)
	for i := range dst[:n] {
		dst[i] = v
	}
	for ; 0 < n && n < len(dst); n *= 2 {
		copy(dst[n:], dst[:n])
	}
}
