package repair

import (
	"context"
	"math"
	"slices"

	"lowbit/internal/kernel"
)

// A gram sums up what the rows x of a layer's input and its wanted results y have to do with each
// other, from which the squared error of any weights follows.
type gram struct {
	k, rows int
	weight  float64   // of all rows
	seen    int       // rows that were added
	x       []float64 // Σx (k)
	y       []float64 // Σy (rows)
	h       []float64 // Σxxᵀ (k,k)
	c       []float64 // Σyxᵀ (rows,k)
	yy      []float64 // Σy² (rows)
}

func newGram(k, rows int) *gram {
	return &gram{k: k, rows: rows, x: make([]float64, k), y: make([]float64, rows), h: make([]float64, k*k), c: make([]float64, rows*k), yy: make([]float64, rows)}
}

// rowBlock is how many output channels are looked at at a time where that changes no sum: vocabularies have a hundred
// thousand.
const rowBlock = 1 << 12

// bulk is the length of rows from which on products are left to the kernels.
const bulk = 24

// add takes rows x (n,k) with their results y (rows,n), each row with a weight. Products of one call
// add up in float32, calls in float64.
func (m *gram) add(ctx context.Context, level kernel.Level, threads int, x, y []float32, weights []float64) {
	n := len(weights)
	m.seen += n
	for r, w := range weights {
		m.weight += w
		for i, v := range x[r*m.k:][:m.k] {
			m.x[i] += float64(v) * w
		}
	}
	for o := range m.rows {
		for r, v := range y[o*n:][:n] {
			u := float64(v) * weights[r]
			m.y[o] += u
			m.yy[o] += u * float64(v)
		}
	}
	if m.k < bulk {
		m.addPlain(x, y, weights)
		return
	}
	left := make([]float32, max(m.k, min(m.rows, rowBlock))*n)
	for r, w := range weights {
		for i, v := range x[r*m.k:][:m.k] {
			left[i*n+r] = float32(w) * v
		}
	}
	order := kernel.Order{N: 1, K: m.k}
	addTo(m.h, product(ctx, level, threads, left, m.k, x, m.k, n, order))
	for from := 0; from < m.rows; from += rowBlock {
		rows := min(rowBlock, m.rows-from)
		for o := range rows {
			for r, w := range weights {
				left[o*n+r] = float32(w) * y[(from+o)*n+r]
			}
		}
		addTo(m.c[from*m.k:], product(ctx, level, threads, left, rows, x, m.k, n, order))
	}
}

// addPlain adds the products of short rows, of Σxxᵀ the lower half.
func (m *gram) addPlain(x, y []float32, weights []float64) {
	n := len(weights)
	row := make([]float64, m.k)
	for r, w := range weights {
		for i, v := range x[r*m.k:][:m.k] {
			row[i] = float64(v)
		}
		for i, v := range row {
			u := w * v
			h := m.h[i*m.k:][:i+1]
			for j, v := range row[:len(h)] {
				h[j] += float64(u * v)
			}
		}
		for o := range m.rows {
			axpy(m.c[o*m.k:][:m.k], w*float64(y[o*n+r]), row)
		}
	}
}

func addTo(sum []float64, x []float32) {
	for i, v := range x {
		sum[i] += float64(v)
	}
}

// finish turns sums into means. Centred, all of it is about the means of x and y: for layers whose
// bias takes up the mean error.
func (m *gram) finish(centred bool) {
	n := max(m.weight, 1e-30)
	for i := range m.x {
		m.x[i] /= n
	}
	for o := range m.y {
		m.y[o] /= n
		m.yy[o] /= n
		if centred {
			m.yy[o] -= m.y[o] * m.y[o]
		}
	}
	for i := range m.k {
		for j := range i + 1 { // products of the kernels may differ in the last bit across the diagonal
			v := m.h[i*m.k+j] / n
			if centred {
				v -= m.x[i] * m.x[j]
			}
			m.h[i*m.k+j], m.h[j*m.k+i] = v, v
		}
	}
	for i := range m.c {
		m.c[i] /= n
		if centred {
			m.c[i] -= m.y[i/m.k] * m.x[i%m.k]
		}
	}
}

// loss is the mean squared error of row o with weights w: wᵀHw − 2cᵀw + y².
func (m *gram) loss(o int, w []float64) float64 {
	sum := m.yy[o] - 2*dot(m.c[o*m.k:][:m.k], w)
	for i, v := range w {
		if v != 0 {
			sum += v * dot(m.h[i*m.k:][:m.k], w)
		}
	}
	return max(0, sum)
}

// trust weights rows x (n,k) by how far the float weights w (rows,k) miss the wanted results y
// (rows,n) there: rows that the quantization of earlier layers spoilt, often by saturating some huge
// element, count less, so that the weights do not bend to make up for them. What the float weights make of x is written
// to own (rows,n), unless that is nil.
func trust(ctx context.Context, level kernel.Level, threads int, w []float64, x, y, own []float32, k, rows int, centred bool) []float64 {
	n := len(x) / k
	miss := make([]float64, n)
	w32 := make([]float32, min(rows, rowBlock)*k)
	for from := 0; from < rows; from += rowBlock {
		part := w[from*k : min(from+rowBlock, rows)*k]
		for i, v := range part {
			w32[i] = float32(v)
		}
		wide := len(part) / k
		got := product(ctx, level, threads, x, n, w32[:len(part)], wide, k, kernel.Order{N: k, K: 1})
		addMiss(miss, got, y[from*n:][:wide*n], centred)
		if own != nil {
			kernel.Transpose(level, own[from*n:][:wide*n], got, 1, n, wide)
		}
	}
	median := slices.Sorted(slices.Values(miss))[n/2]
	for r, v := range miss {
		miss[r] = 1
		if v > median {
			miss[r] = math.Sqrt(median / v)
		}
	}
	return miss
}

// addMiss adds to each row the squares by which results got (n,rows) miss those that are wanted (rows,n).
func addMiss(miss []float64, got, y []float32, centred bool) {
	n := len(miss)
	rows := len(y) / n
	for o := range rows {
		mean := 0.0
		if centred {
			for r := range n {
				mean += float64(y[o*n+r]-got[r*rows+o]) / float64(n)
			}
		}
		for r := range n {
			e := float64(y[o*n+r]-got[r*rows+o]) - mean
			miss[r] += e * e
		}
	}
}
