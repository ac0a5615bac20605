package repair

import (
	"math"
	"math/big"
	"math/rand/v2"
)

// A rotation is an orthogonal matrix that acts on rows of so many numbers, and that spreads every one of them evenly:
// signs drawn at random, and behind them a Hadamard matrix over √size (QuaRot, Ashkboos et al. 2024, section 3). A
// steady one keeps the mean of a row, in its place in the row: H·D·Hᵀ/size with signs D, the first of them +1,
// for the first column of H is all ones.
type rotation struct {
	size    int
	factors [][]float64 // square Hadamard matrices whose Kronecker product is H, the first columns all ones
	signs   []float64
	steady  bool
}

// newRotation returns one for rows of at most that many numbers which divides them, nil where there is none.
func newRotation(size int, steady bool, seed uint64) *rotation {
	r := &rotation{size: size, steady: steady, factors: hadamardFactors(size)}
	if r.factors == nil { // blocks of a power of two
		r.size = size & -size
		r.factors = hadamardFactors(r.size)
	}
	if r.size < 2 {
		return nil
	}
	draw := rand.New(rand.NewPCG(seed, 0x726f74617465))
	r.signs = make([]float64, r.size)
	for i := range r.signs {
		r.signs[i] = float64(1 - 2*int(draw.Uint64()&1))
	}
	if steady {
		r.signs[0] = 1
	}
	return r
}

// hadamardFactors lists matrices whose Kronecker product is a Hadamard matrix of that size: 2×2 ones, and one of
// Paley's where the size is no power of two; nil where these give none.
func hadamardFactors(size int) [][]float64 {
	odd := size
	for odd > 1 && odd%2 == 0 {
		odd /= 2
	}
	var list [][]float64
	if odd > 1 {
		m := odd
		for m%4 != 0 || !big.NewInt(int64(m-1)).ProbablyPrime(0) {
			if m *= 2; m > size {
				return nil
			}
		}
		list, size = append(list, paley(m)), size/m
	}
	for ; size > 1; size /= 2 {
		list = append(list, []float64{1, 1, 1, -1})
	}
	return list
}

// paley is Paley's first construction: H = I + S of size m = q+1 for a prime q ≡ 3 mod 4, where S borders the
// residues χ(i−j); rows are turned so that the first column is all ones.
func paley(m int) []float64 {
	q := m - 1
	residue := make([]float64, q) // χ
	for i := range residue {
		residue[i] = -1
	}
	for i := 1; i < q; i++ {
		residue[i*i%q] = 1
	}
	residue[0] = 0
	h := make([]float64, m*m)
	for j := range m {
		h[j] = 1
	}
	for i := range q {
		row := h[(i+1)*m:][:m]
		row[0] = 1
		for j := range q {
			row[j+1] = -residue[(i-j+q)%q]
		}
		row[i+1] = -1
	}
	return h
}

// apply rotates a row in place, block after block.
func (r *rotation) apply(x []float64) {
	t := make([]float64, r.size)
	for from := 0; from+r.size <= len(x); from += r.size {
		b := x[from:][:r.size]
		scale := 1 / math.Sqrt(float64(r.size))
		if r.steady {
			r.hadamard(b, t, false)
			scale *= scale
		}
		for i := range b {
			b[i] *= r.signs[i]
		}
		r.hadamard(b, t, r.steady)
		for i := range b {
			b[i] *= scale
		}
	}
}

// hadamard multiplies a row by H, or by Hᵀ: by each factor along its own axis.
func (r *rotation) hadamard(x, t []float64, transposed bool) {
	inner := len(x)
	for _, h := range r.factors {
		m := int(math.Sqrt(float64(len(h))))
		inner /= m
		for at := range x {
			i, sum := at/inner%m, 0.0
			base := at - i*inner
			for k := range m {
				w := h[k*m+i]
				if transposed {
					w = h[i*m+k]
				}
				sum += x[base+k*inner] * w
			}
			t[at] = sum
		}
		copy(x, t)
	}
}
