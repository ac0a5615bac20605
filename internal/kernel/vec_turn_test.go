package kernel

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// TestTurn holds every level to the formulas, rounded after each operation.
func TestTurn(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 22))
	for range 300 {
		n, rows := 1+r.IntN(300), 1+r.IntN(5)
		step, from := 2*n+r.IntN(9), 2*n+r.IntN(9)
		x, cos, sin := newFloats(r, rows*from, 1), newFloats(r, n, 2), newFloats(r, n, 3)
		halves, pairs := make([]float32, rows*step), make([]float32, rows*step)
		for i := range rows {
			for j := range halves[i*step:][:step] {
				halves[i*step+j], pairs[i*step+j] = mark, mark
			}
			for j := range n {
				halves[i*step+j], halves[i*step+n+j] = turned(x[i*from+j], x[i*from+n+j], cos[j], sin[j])
				pairs[i*step+2*j], pairs[i*step+2*j+1] = turned(x[i*from+2*j], x[i*from+2*j+1], cos[j], sin[j])
			}
		}
		for _, l := range Levels() {
			what := fmt.Sprintf("%v: %d rows of %d", l, rows, n)
			got := newGuard[float32](rows*step, 1, mark)
			l.TurnHalves(got.slice(), step, x, from, rows, cos, sin)
			equalFloats(t, what+" halves", got.slice(), halves)
			l.TurnPairs(got.slice(), step, x, from, rows, cos, sin)
			equalFloats(t, what+" pairs", got.slice(), pairs)
			got.check(t, what)
		}
	}
}

// turned is the point (u,v) turned, rounded after each operation.
func turned(u, v, cos, sin float32) (x, y float32) {
	return float32(u*cos) - float32(v*sin), float32(v*cos) + float32(u*sin)
}
