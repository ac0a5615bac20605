package engine

import (
	"slices"

	"lowbit/internal/fault"
	"lowbit/internal/kernel"
)

// recurrentSlots are the operands, results and scratch of a recurrent step; absent ones are nil.
type recurrentSlots struct {
	x, lens, h0, c0 *slot
	out             [3]*slot // of all steps, the last h, the last c
	sums, work      *slot
}

// lengths reads how many steps each row has; nil: all that there are.
func (s *recurrent) lengths(f *frame, at *slot) ([]int, error) {
	if at == nil {
		return nil, nil
	}
	var list []int
	for _, n := range f.s32(at) {
		if n < 0 || int(n) > s.time {
			return nil, fault.Invalidf("", "sequence length %d, the input has %d steps", n, s.time)
		}
		list = append(list, int(n))
	}
	return list, nil
}

// A sweep goes through the steps of one direction of all rows. hidden are the products of their states.
type sweep struct {
	*recurrent
	l                             kernel.Level
	d                             int
	lens                          []int
	sums, hidden, second, h, c, y []float32
	now                           cellState // of the row that is computed
}

// run computes one direction.
func (s *recurrent) run(l kernel.Level, f *frame, d int, at recurrentSlots, lens []int) {
	g, width := s.gates*s.size, s.batch*s.size
	w := &sweep{recurrent: s, l: l, d: d, lens: lens, sums: f.f32(at.sums)}
	s.w[d].multiply(f, w.sums, f.f32(at.x), s.time*s.batch)
	work := f.f32(at.work)
	w.hidden, w.h, w.c = work[:s.batch*g], work[s.batch*g:][:width], work[s.batch*g+width:][:width]
	w.now = cellState{tmp: work[s.batch*g+2*width:], size: s.size, squash: s.squash[d]}
	if s.reset != nil {
		w.hidden, w.second = w.hidden[:s.batch*(g-s.size)], w.hidden[s.batch*(g-s.size):]
	}
	s.initial(f, at.h0, w.h, d)
	s.initial(f, at.c0, w.c, d)
	steps := s.time
	if at.out[0] != nil {
		w.y = f.f32(at.out[0])
	}
	if lens != nil {
		steps = slices.Max(lens)
		w.clear()
	}
	for i := range steps {
		w.step(f, i)
	}
	s.final(f, at.out[1], w.h, d)
	s.final(f, at.out[2], w.c, d)
}

// step computes a step of all rows that are as long.
func (w *sweep) step(f *frame, i int) {
	w.r[w.d].multiply(f, w.hidden, w.h, w.batch)
	if w.reset != nil {
		for b := range w.batch {
			if _, ok := w.row(i, b); ok {
				w.reset(w.l, &w.now)
			}
		}
		w.recurrent.second[w.d].multiply(f, w.second, w.c, w.batch)
	}
	for b := range w.batch {
		if t, ok := w.row(i, b); ok {
			w.cell.step(w.l, &w.now)
			if w.y != nil {
				copy(w.y[w.out(t, b):], w.now.h)
			}
		}
	}
}

// row turns to row b at step i of the sweep, step t of the input; it returns false where the row is over.
func (w *sweep) row(i, b int) (t int, ok bool) {
	n, size, s := w.time, w.size, &w.now
	if w.lens != nil {
		n = w.lens[b]
	}
	if t = i; w.reverse[w.d] {
		t = n - 1 - i
	}
	if i >= n {
		return 0, false
	}
	at := t*w.batch + b
	if w.batchFirst {
		at = b*w.time + t
	}
	g, h := w.gates*size, len(w.hidden)/w.batch
	s.sums, s.hidden = w.sums[at*g:][:g], w.hidden[b*h:][:h]
	if s.h, s.c = w.h[b*size:][:size], w.c[b*size:][:size]; w.reset != nil {
		s.second = w.second[b*size:][:size]
	}
	return t, true
}

// out is where the state of row b at step t lies among all.
func (w *sweep) out(t, b int) int {
	dirs := len(w.reverse)
	if w.batchFirst {
		return ((b*w.time+t)*dirs + w.d) * w.size
	}
	return ((t*dirs+w.d)*w.batch + b) * w.size
}

// clear makes the results of this direction zero, some of which no step sets.
func (w *sweep) clear() {
	if w.y == nil {
		return
	}
	for t := range w.time {
		for b := range w.batch {
			clear(w.y[w.out(t, b):][:w.size])
		}
	}
}

// at is where the state of row b lies among those of all directions.
func (s *recurrent) at(d, b int) int {
	if s.batchFirst {
		return (b*len(s.reverse) + d) * s.size
	}
	return (d*s.batch + b) * s.size
}

func (s *recurrent) initial(f *frame, from *slot, state []float32, d int) {
	if from == nil {
		clear(state)
		return
	}
	for b := range s.batch {
		copy(state[b*s.size:][:s.size], f.f32(from)[s.at(d, b):])
	}
}

func (s *recurrent) final(f *frame, to *slot, state []float32, d int) {
	if to == nil {
		return
	}
	for b := range s.batch {
		copy(f.f32(to)[s.at(d, b):], state[b*s.size:][:s.size])
	}
}
