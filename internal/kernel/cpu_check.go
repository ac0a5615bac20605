package kernel

import "slices"

// init gives up tiles that multiply wrongly: a virtual machine may name AMX and not save its
// registers, which a product shows at once.
func init() {
	if have[AMX] && !agrees(AMX, Generic) {
		have[AMX] = false
	}
}

// agrees says whether two levels give the same product of a small matrix, with tails in every
// direction.
func agrees(a, b Level) bool {
	const m, n, k = 35, 67, 133
	x, w := make([]uint8, m*k), make([]int8, n*k)
	seed := uint32(1)
	next := func() uint32 { seed = seed*1664525 + 1013904223; return seed >> 24 }
	for i := range x {
		x[i] = uint8(next())
	}
	for i := range w {
		w[i] = int8(next())
	}
	product := func(l Level) []int32 {
		p := l.PackU8S8(w, n, k, 1, Order{N: k, K: 1})
		sum := make([]int32, m*n)
		p.Gemm(x, k, &OutU8S8{I32: sum, Ldc: n}, p.All(m))
		return sum
	}
	return slices.Equal(product(a), product(b))
}
