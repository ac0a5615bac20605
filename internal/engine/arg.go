package engine

import (
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// A contest finds the position of the largest or smallest of n elements that lie inner apart.
type contest struct {
	level       kernel.Level
	n, inner    int
	least, last bool // the smallest wins, of equal ones the last
}

// lowerArg emits ArgMax and ArgMin.
func lowerArg(lw *lowerer, n *node) bool {
	x, y := n.in[0], n.out[0]
	find := map[tensor.DType]func(c *contest, at []int64, x *tensor.Tensor, from, to int){
		tensor.Float32: findWinners[float32], tensor.Int32: findWinners[int32], tensor.Int64: findWinners[int64],
		tensor.Uint8: findWinners[uint8], tensor.Int8: findWinners[int8],
	}[x.dtype]
	rank := len(x.shape)
	axis := n.onnx.Int("axis", 0)
	if axis < 0 {
		axis += rank
	}
	if find == nil || x.elems() == 0 || axis < 0 || axis >= rank {
		return false
	}
	gone := make([]bool, rank)
	gone[axis] = true
	l, _ := lw.natural(x)
	to, ok := reducedLayout(l, y.shape, gone)
	if !ok {
		l, to = rowMajor, rowMajor
	}
	shape, p := l.physical(x.shape), l.axis(axis, rank)
	c := &contest{lw.level, shape[p], tensor.Elements(shape[p+1:]), n.kind == "ArgMin", n.onnx.Bool("select_last_index", false)}
	src, dst := lw.use(x, l), lw.make(y, to)
	lines := x.elems() / c.n
	parts := lw.partsFor(float64(x.elems())*functionNanos, lines)
	lw.emit(&step{node: n, kernel: x.dtype.String() + " " + n.kind, parts: parts, in: []*slot{src}, out: []*slot{dst}, run: func(f *frame, part int) error {
		find(c, tensor.Of[int64](f.vals[dst.id]), f.vals[src.id], lines*part/parts, lines*(part+1)/parts)
		return nil
	}})
	return true
}

// winnersAtOnce is how many neighbouring lines are looked at together.
const winnersAtOnce = 256

// findWinners finds those of the lines from to to-1: what wins first, then where that stands.
func findWinners[T float32 | int64 | int32 | uint8 | int8](c *contest, at []int64, src *tensor.Tensor, from, to int) {
	x := tensor.Of[T](src)
	var room [winnersAtOnce]T
	for from < to {
		n := min(to-from, winnersAtOnce)
		if c.inner > 1 {
			n = min(n, c.inner-from%c.inner)
		}
		lines, best, won := x[from/c.inner*c.n*c.inner+from%c.inner:], room[:n], at[from:][:n]
		if c.inner == 1 {
			bestOfRows(c, best, lines[:n*c.n])
			for i := range won {
				won[i] = int64(position(c, lines[i*c.n:][:c.n], best[i]))
			}
		} else {
			bestOfLines(c, best, lines)
			positions(c, won, best, lines)
		}
		from += n
	}
}

// bestOfRows finds what wins in each row of n elements. What is no number wins against all that are.
func bestOfRows[T float32 | int64 | int32 | uint8 | int8](c *contest, best, rows []T) {
	if b, ok := any(best).([]float32); ok {
		op := kernel.ReduceMax
		if c.least {
			op = kernel.ReduceMin
		}
		c.level.ReduceRows(op, b, any(rows).([]float32))
		return
	}
	for i := range best {
		if row := rows[i*c.n:][:c.n]; c.least {
			best[i] = slices.Min(row)
		} else {
			best[i] = slices.Max(row)
		}
	}
}

// bestOfLines does so for neighbouring lines.
func bestOfLines[T float32 | int64 | int32 | uint8 | int8](c *contest, best, lines []T) {
	copy(best, lines)
	b, isFloat := any(best).([]float32)
	op := kernel.Max
	if c.least {
		op = kernel.Min
	}
	for k := 1; k < c.n; k++ {
		row := lines[k*c.inner:][:len(best)]
		switch {
		case isFloat:
			c.level.Binary(op, b, b, any(row).([]float32))
		case c.least:
			for i, v := range row {
				best[i] = min(best[i], v)
			}
		default:
			for i, v := range row {
				best[i] = max(best[i], v)
			}
		}
	}
}

// positions finds where in each of neighbouring lines the best stand, going through them so that what counts comes last.
func positions[T float32 | int64 | int32 | uint8 | int8](c *contest, at []int64, best, lines []T) {
	clear(at)
	for k := range c.n {
		if !c.last {
			k = c.n - 1 - k
		}
		row := lines[k*c.inner:][:len(at)]
		for i, v := range best[:len(at)] {
			p := at[i]
			if row[i] == v {
				p = int64(k)
			}
			at[i] = p
		}
	}
	for i, v := range best {
		if v != v {
			at[i] = int64(position(c, lines[i:], v))
		}
	}
}

// position finds where in a line the best stands.
func position[T float32 | int64 | int32 | uint8 | int8](c *contest, line []T, best T) int {
	k, end, step := 0, c.n, 1
	if c.last {
		k, end, step = c.n-1, -1, -1
	}
	for ; k != end; k += step {
		if v := line[k*c.inner]; v == best || v != v && best != best {
			return k
		}
	}
	return 0
}

// hardmaxRows sets the first of the largest numbers of each row to 1 and all else to 0.
func hardmaxRows(level kernel.Level, dst, x []float32, cols int) {
	for ; len(x) > 0; dst, x = dst[cols:], x[cols:] {
		row, at := x[:cols], 0
		if best := level.Reduce(kernel.ReduceMax, row, 0); best == best {
			at = slices.Index(row, best)
		} else {
			for i, v := range row {
				if v > row[at] {
					at = i
				}
			}
		}
		clear(dst[:cols])
		dst[at] = 1
	}
}
