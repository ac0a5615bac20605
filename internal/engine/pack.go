package engine

import (
	"hash/maphash"
	"slices"
	"sync"

	"lowbit/internal/tensor"
)

// A packCache keeps packed weights, so that programs for other input shapes share them.
type packCache struct {
	mu      sync.Mutex
	rows    map[packKey]*packRow
	release func(b []byte) // see Options; may be nil
}

// A packKey says for which result, in which form, weights were packed.
type packKey struct{ value, form string }

// A packRow holds packed weights, and what tells whether they were made of the same numbers.
type packRow struct {
	sums   []uint64
	packed any
}

var packSeed = maphash.MakeSeed()

// packed returns what build makes of the tensors in from, or what it made of the same ones before.
func packed[T any](c *packCache, key packKey, from []*tensor.Tensor, build func() T) T {
	sums := make([]uint64, len(from))
	for i, t := range from {
		sums[i] = maphash.Bytes(packSeed, t.Raw)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.rows[key]; r != nil && slices.Equal(r.sums, sums) {
		if p, ok := r.packed.(T); ok {
			return p
		}
	}
	p := build()
	if c.release != nil {
		for _, t := range from {
			c.release(t.Raw)
		}
	}
	if c.rows == nil {
		c.rows = map[packKey]*packRow{}
	}
	c.rows[key] = &packRow{sums, p}
	return p
}
