package engine

import (
	"cmp"
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
	mu     sync.Mutex // held by who packs them
	packed any        // nil until then
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

// row returns the place of what is made of the tensors in from.
func (c *packCache) row(key packKey, from []*tensor.Tensor) *packRow {
	sums := make([]uint64, len(from))
	for i, t := range from {
		sums[i] = c.sum(t)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.rows[key]; r != nil && slices.Equal(r.sums, sums) {
		return r
	}
	if c.rows == nil {
		c.rows = map[packKey]*packRow{}
	}
	r := &packRow{sums: sums}
	c.rows[key] = r
	return r
}

// packed returns what build makes of the tensors in from, or what it made of the same ones before.
func packed[T any](c *packCache, key packKey, from []*tensor.Tensor, build func() T) T {
	r := c.row(key, from)
	r.mu.Lock()
	defer r.mu.Unlock()
	if p, ok := r.packed.(T); ok {
		return p
	}
	p := build()
	if c.release != nil {
		for _, t := range from {
			c.release(t.Raw)
		}
	}
	r.packed = p
	return p
}

// packAll packs the matrices of few bits side by side, the largest first. Their products find them when they are lowered.
func (lw *lowerer) packAll() error {
	var list []*node
	for _, n := range lw.net.nodes {
		if s, ok := n.spec.(*gemmSpec); ok && n.kind == "gemm" && n.static() && s.inFewBits() {
			list = append(list, n)
		}
	}
	size := func(n *node) int { s := n.spec.(*gemmSpec); return s.n * s.k }
	slices.SortStableFunc(list, func(a, b *node) int { return cmp.Compare(size(b), size(a)) })
	st := &step{kernel: "packing weights", parts: len(list), run: func(_ *frame, i int) error {
		n := list[i]
		if s := n.spec.(*gemmSpec); !s.eightBits || lw.packS8(n, s).w == nil {
			lw.packF32(n, s)
		}
		return nil
	}}
	if c := lw.crew; c != nil && c.acquire() {
		defer c.release()
		return st.all(nil, c)
	}
	return st.all(nil, nil)
}
