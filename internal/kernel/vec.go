package kernel

import "sync"

// variant is one assembly body, the level it is written for, and the number of elements of which
// it takes whole multiples; the rest is left to Go.
type variant[F any] struct {
	level Level
	unit  int
	fn    F
}

// variants holds the bodies of one kernel, best first. It is empty where the machine has none.
type variants[F any] []variant[F]

// pick finds the best body that l allows; without one the Go reference runs.
func (v variants[F]) pick(l Level) (fn F, ok bool) {
	for i := range v {
		if l.use(v[i].level) {
			return v[i].fn, true
		}
	}
	return fn, false
}

// part finds the best body and how many of n elements it takes: 0 where there is none.
func (v variants[F]) part(l Level, n int) (fn F, m int) {
	for i := range v {
		if l.use(v[i].level) {
			return v[i].fn, n - n%v[i].unit
		}
	}
	return fn, 0
}

// strip finds the best body and the columns that it takes at a time, its unit: 0 where there is none.
func (v variants[F]) strip(l Level) (fn F, lanes int) {
	for i := range v {
		if l.use(v[i].level) {
			return v[i].fn, v[i].unit
		}
	}
	return fn, 0
}

// unit is how many elements the body that l allows takes at a time: 0 where there is none.
func (v variants[F]) unit(l Level) int {
	_, n := v.strip(l)
	return n
}

// callMax is how many elements one call of assembly takes at most: it cannot be preempted, so it must
// be over within some 100 µs.
const callMax = 1 << 16

// One block is what an elementwise kernel takes per turn of its main loop.
const (
	blockLen   = 64
	blockBytes = blockLen * 4
	tileLen    = 512
)

// vecScratch is room that a call needs for a short time. It is pooled: what is passed to assembly by way
// of a table cannot stay on the stack.
type vecScratch struct {
	x, y  [tileLen]float32
	zeros [tileLen]int32
	bytes [tileLen]uint8
	scan  [5][lanes]uint32
}

var vecScratches = sync.Pool{New: func() any { return new(vecScratch) }}

func getScratch() *vecScratch { return vecScratches.Get().(*vecScratch) }

func (s *vecScratch) free() { vecScratches.Put(s) }

// tile repeats a short v in buf so that one call covers several rows, n elements at most.
// It returns v itself where that does not pay.
func tile[T any](buf, v []T, n int) []T {
	if len(v) == 0 || 2*len(v) > len(buf) || n < 2*len(v) {
		return v
	}
	m := 0
	for m+len(v) <= len(buf) && m < n {
		m += copy(buf[m:], v)
	}
	return buf[:m]
}

// spans calls f for the parts [i, i+n) of total elements, each of size elements but the last.
func spans(total, size int, f func(i, n int)) {
	if size <= 0 {
		return
	}
	for i := 0; i < total; i += size {
		f(i, min(size, total-i))
	}
}
