package engine

import (
	"math"

	"lowbit/internal/kernel"
)

// A fold is a reduction by a kernel along contiguous elements and by another of two rows, behind functions of what is
// reduced, which rows knows.
type fold struct {
	rows  kernel.Reduce
	pair  kernel.Binary
	first []kernel.Unary
}

func (r fold) reduceRows(l kernel.Level, dst, x []float32) { l.ReduceRows(r.rows, dst, x) }

func (r fold) reduceColumns(l kernel.Level, dst, x []float32, rows, pitch int, room []float32) {
	lanes, tmp, n := room[:reduceColumns], room[reduceColumns:2*reduceColumns], min(rows, chunkRows(len(dst), pitch))
	if n == 1 {
		lanes = dst
	}
	eachChunk(len(dst), x, rows, pitch, func(i int, chunk []float32) {
		for _, u := range r.first {
			l.Unary(u, tmp[:len(chunk)], chunk)
			chunk = tmp[:len(chunk)]
		}
		if i == 0 {
			copy(lanes, chunk)
		} else {
			l.Binary(r.pair, lanes[:len(chunk)], lanes[:len(chunk)], chunk)
		}
	})
	if n > 1 {
		foldLanes(l, r.pair, dst, lanes, n)
	}
}

// eachChunk calls do with rows of cols elements, pitch apart: with as many at a time as chunkRows says.
func eachChunk(cols int, x []float32, rows, pitch int, do func(i int, chunk []float32)) {
	n := chunkRows(cols, pitch)
	for i := 0; i < rows; i += n {
		do(i, x[i*pitch:][:min(n, rows-i)*cols])
	}
}

// chunkColumns is how many columns short rows have together that are folded at a time.
const chunkColumns = 512

// chunkRows is how many rows of so many columns are folded at a time: several where they are short, and neighbours.
func chunkRows(cols, pitch int) int {
	if cols < pitch {
		return 1
	}
	return max(1, chunkColumns/cols)
}

// foldLanes folds the rows that lie in the lanes behind one another, the latter half onto the former again and again.
func foldLanes(l kernel.Level, pair kernel.Binary, dst, lanes []float32, rows int) {
	for n := len(dst); rows > 1; {
		half := rows / 2
		l.Binary(pair, lanes[:half*n], lanes[:half*n], lanes[(rows-half)*n:][:half*n])
		rows -= half
	}
	copy(dst, lanes)
}

// productOf multiplies in float64.
type productOf struct{}

func (productOf) reduceRows(_ kernel.Level, dst, x []float32) {
	n := len(x) / max(1, len(dst))
	for i := range dst {
		dst[i] = multiplyUp(x[i*n:][:n])
	}
}

func multiplyUp(x []float32) float32 {
	a, b, c, d := 1.0, 1.0, 1.0, 1.0
	for ; len(x) >= 4; x = x[4:] {
		a, b, c, d = a*float64(x[0]), b*float64(x[1]), c*float64(x[2]), d*float64(x[3])
	}
	for _, v := range x {
		a *= float64(v)
	}
	return float32(a * b * (c * d))
}

func (productOf) reduceColumns(_ kernel.Level, dst, x []float32, rows, pitch int, _ []float32) {
	var sums [reduceColumns]float64
	all := sums[:len(dst)]
	for i := range all {
		all[i] = 1
	}
	for i := range rows {
		for j, v := range x[i*pitch:][:len(all)] {
			all[j] *= float64(v)
		}
	}
	for i, v := range all {
		dst[i] = float32(v)
	}
}

// logSumExp is ln Σ exp(x), computed around the largest element, but around zero where that is infinite.
type logSumExp struct{}

func (logSumExp) reduceRows(l kernel.Level, dst, x []float32) {
	n := len(x) / max(1, len(dst))
	for i := range dst {
		row := x[i*n:][:n]
		top := aroundZero(l.Reduce(kernel.ReduceMax, row, 0))
		dst[i] = top + float32(math.Log(float64(l.ExpSum(nil, row, top))))
	}
}

// aroundZero is x, or zero in place of an infinity.
func aroundZero(x float32) float32 {
	if math.IsInf(float64(x), 0) {
		return 0
	}
	return x
}

func (logSumExp) reduceColumns(l kernel.Level, dst, x []float32, rows, pitch int, room []float32) {
	fold{pair: kernel.Max}.reduceColumns(l, dst, x, rows, pitch, room)
	tops, lanes, tmp := room[:reduceColumns], room[reduceColumns:2*reduceColumns], room[2*reduceColumns:]
	for i, v := range dst {
		dst[i] = aroundZero(v)
	}
	for i := range chunkRows(len(dst), pitch) {
		copy(tops[i*len(dst):], dst)
	}
	eachChunk(len(dst), x, rows, pitch, func(i int, chunk []float32) {
		to := lanes
		if i > 0 {
			to = tmp
		}
		to = to[:len(chunk)]
		l.Binary(kernel.Sub, to, chunk, tops[:len(chunk)])
		l.Unary(kernel.Exp, to, to)
		if i > 0 {
			l.Binary(kernel.Add, lanes[:len(chunk)], lanes[:len(chunk)], to)
		}
	})
	foldLanes(l, kernel.Add, tmp[:len(dst)], lanes, min(rows, chunkRows(len(dst), pitch)))
	l.Unary(kernel.Log, tmp[:len(dst)], tmp[:len(dst)])
	l.Binary(kernel.Add, dst, dst, tmp[:len(dst)])
}
