package dataset

import (
	"math/rand/v2"
	"slices"
)

// drawStream keeps the draw of samples apart from other uses of the same seed.
const drawStream = 0x73616d706c6573

// draw returns k of the numbers 0 to n-1 in ascending order; every subset is equally likely
// (Floyd's method: Bentley and Floyd, A sample of brilliance, CACM 30(9), 1987).
func draw(n, k int, seed uint64) []int {
	rng := rand.New(rand.NewPCG(seed, drawStream))
	taken := make(map[int]bool, k)
	out := make([]int, 0, k)
	for j := n - k; j < n; j++ {
		pick := rng.IntN(j + 1)
		if taken[pick] {
			pick = j
		}
		taken[pick] = true
		out = append(out, pick)
	}
	slices.Sort(out)
	return out
}
