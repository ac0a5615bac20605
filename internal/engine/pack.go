package engine

import (
	"hash/maphash"
	"slices"
	"sync"
	"unsafe"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A packCache keeps packed weights, so that programs for other input shapes share them.
type packCache struct {
	mu      sync.Mutex
	rows    map[packKey]*packRow
	release func(b []byte) // see Options; may be nil
	fixed   map[*byte]bool // where the tensors of the model begin
}

// fix notes the tensors of a model.
func (c *packCache) fix(m *graph.Model) {
	c.fixed = map[*byte]bool{}
	for _, k := range m.Graph.Consts() {
		if k.Tensor != nil && len(k.Tensor.Raw) > 0 {
			c.fixed[&k.Tensor.Raw[0]] = true
		}
	}
}

// A packKey says for which result, in which form, weights were packed.
type packKey struct{ value, form string }

// A packRow holds packed weights, and what tells whether they were made of the same numbers.
type packRow struct {
	sums   []uint64
	packed any
}

// sum tells a tensor from others. That of a tensor of the model is where it lies, for it lies there as long as the session
// lives.
func (c *packCache) sum(t *tensor.Tensor) uint64 {
	if len(t.Raw) > 0 && c.fixed[&t.Raw[0]] {
		return uint64(uintptr(unsafe.Pointer(&t.Raw[0]))) ^ uint64(len(t.Raw))<<48
	}
	return maphash.Bytes(packSeed, t.Raw)
}

var packSeed = maphash.MakeSeed()

// packed returns what build makes of the tensors in from, or what it made of the same ones before.
func packed[T any](c *packCache, key packKey, from []*tensor.Tensor, build func() T) T {
	sums := make([]uint64, len(from))
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, t := range from {
		sums[i] = c.sum(t)
	}
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
