package op

import (
	"math"
	"math/rand/v2"
	"testing"

	"lowbit/internal/graph"
)

// evalDim puts numbers in the place of the symbols of a dimension.
func evalDim(d graph.Dim, at map[string]int) (int, bool) {
	p := polyOf(d)
	if p == nil {
		return 0, false
	}
	sum := 0
	for k, c := range p {
		for _, s := range splitSymbols(k) {
			c *= at[s]
		}
		sum += c
	}
	return sum, true
}

func splitSymbols(k string) []string {
	var list []string
	for start, i := 0, 0; i <= len(k); i++ {
		if i == len(k) || k[i] == '*' {
			if i > start {
				list = append(list, k[start:i])
			}
			start = i + 1
		}
	}
	return list
}

// TestDimArithmetic compares symbolic arithmetic with that of the numbers.
func TestDimArithmetic(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	at := map[string]int{"N": 3, "H": 5, "T": 7}
	random := func() graph.Dim {
		d := graph.Known(1 + r.IntN(4))
		for range r.IntN(4) {
			s := graph.Symbol([]string{"N", "H", "T"}[r.IntN(3)])
			if r.IntN(2) == 0 {
				d = mulDims(d, s)
			} else {
				d = addDims(d, s, 1)
			}
		}
		return d
	}
	for range 2000 {
		a, b := random(), random()
		x, okA := evalDim(a, at)
		y, okB := evalDim(b, at)
		if !okA || !okB {
			t.Fatalf("%v or %v cannot be read back", a, b)
		}
		if p := mulDims(a, b); p.Name != "" || p.IsKnown() {
			if z, _ := evalDim(p, at); z != x*y {
				t.Errorf("(%v)·(%v) = %v", a, b, p)
			}
			if q := divDims(p, b); !q.Same(a) {
				t.Errorf("(%v)/(%v) = %v, want %v", p, b, q, a)
			}
		}
		if z, _ := evalDim(addDims(a, b, 1), at); z != x+y {
			t.Errorf("(%v)+(%v) = %v", a, b, addDims(a, b, 1))
		}
		if back := addDims(addDims(a, b, 1), b, -1); !back.Same(a) {
			t.Errorf("(%v)+(%v)-(%v) = %v", a, b, b, back)
		}
		if q := divDims(a, b); q.Name != "" || q.IsKnown() {
			if z, _ := evalDim(q, at); z*y != x {
				t.Errorf("(%v)/(%v) = %v", a, b, q)
			}
		}
	}
}

func TestDimForms(t *testing.T) {
	n, h := graph.Symbol("N"), graph.Symbol("H")
	odd := graph.Symbol("batch-size (max)")
	for _, c := range []struct {
		got  graph.Dim
		want string
	}{
		{mulDims(n, graph.Known(12)), "12*N"},
		{mulDims(h, n, h), "H*H*N"},
		{addDims(mulDims(n, graph.Known(2)), graph.Known(3), 1), "2*N+3"},
		{addDims(n, graph.Known(1), -1), "N-1"},
		{addDims(graph.Known(0), addDims(n, h, -1), -1), "H-N"},
		{addDims(n, n, -1), "0"},
		{mulDims(n, graph.Known(0)), "0"},
		{mulDims(), "1"},
		{divDims(graph.Known(6), graph.Known(4)), "?"},
		{divDims(n, graph.Known(2)), "?"},
		{divDims(graph.Known(6), graph.Known(0)), "?"},
		{addDims(graph.Known(1), graph.Known(3), -1), "-2"},
		{addDims(constDim(-2), n, 1), "N-2"},
		{mulDims(constDim(-2), constDim(-3)), "6"},
		{mulDims(odd, graph.Known(1)), odd.Name},
		{mulDims(odd, graph.Known(2)), "?"},
		{addDims(odd, graph.Known(0), 1), odd.Name},
		{divDims(odd, odd), "1"},
		{addDims(graph.Unknown, n, 1), "?"},
		{mulDims(graph.Known(1<<40), graph.Known(1<<40)), "?"},
		{mulDims(graph.Known(1<<40), n, graph.Known(1<<40)), "?"},
		{addDims(graph.Known(math.MaxInt), graph.Known(1), 1), "?"},
		{addDims(graph.Symbol("99999999999*99999999999*N"), n, 1), "?"},
	} {
		if c.got.String() != c.want {
			t.Errorf("%v, want %s", c.got, c.want)
		}
	}
}
