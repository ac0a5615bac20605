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

// holds says whether the numbers of a tensor are those of one of the model.
func (c *packCache) holds(t *tensor.Tensor) bool { return len(t.Raw) > 0 && c.fixed[&t.Raw[0]] }

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
	if c.holds(t) {
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

// A weightPack makes the packed form that the lowering of a node will look for.
type weightPack struct {
	size int // in elements
	make func()
}

// packAll packs large matrices side by side, the largest first. Their products find them when they are lowered.
func (lw *lowerer) packAll() error {
	var list []weightPack
	for _, n := range lw.net.nodes {
		if p, ok := lw.weightPack(n); ok && n.static() {
			list = append(list, p)
		}
	}
	slices.SortStableFunc(list, func(a, b weightPack) int { return cmp.Compare(b.size, a.size) })
	st := &step{kernel: "packing weights", parts: len(list), run: func(_ *frame, i int) error { list[i].make(); return nil }}
	if c := lw.crew; c != nil && c.acquire() {
		defer c.release()
		return st.all(nil, c)
	}
	return st.all(nil, nil)
}

// weightPack tells what is to be packed for n: a matrix of few bits or of 16-bit floats, or floats and int8 codes as the model has them. Others, which passes have
// computed, are packed one after the other, so that those that are done with make room.
func (lw *lowerer) weightPack(n *node) (weightPack, bool) {
	switch s := n.spec.(type) {
	case *gemmSpec:
		if n.kind != "gemm" {
			break
		}
		if s.inFewBits() {
			return weightPack{s.n * s.k, func() {
				if !s.eightBits || lw.packS8(n, s).w == nil {
					lw.packF32(n, s)
				}
			}}, true
		}
		if !lw.mayTile(n, s.k, s.n) && (s.stored != nil || lw.packs.holds(s.weight)) {
			return weightPack{s.n * s.k, func() { lw.packGemm(n, s) }}, true
		}
	case *convSpec:
		if n.kind != "conv" || s.o <= mostPlanesOut || !lw.packs.holds(s.weight) {
			break
		}
		if f := lw.convForm(n, s, false); f.pack != nil {
			return weightPack{s.weight.Len(), func() { f.pack(lw, n, s) }}, true
		}
	case *intGemm:
		if n.kind == "int gemm" && lw.packs.holds(s.weight) && !isSigns(n.in[0]) {
			return weightPack{s.n * s.k, func() { lw.packIntGemm(n, s) }}, true
		}
	case *dynamicGemm:
		if n.kind == "dynamic gemm" && lw.packs.holds(s.weight) {
			return weightPack{s.n * s.k, func() { lw.packDynamicGemm(n, s) }}, true
		}
	case *intConv:
		if n.kind == "int conv" && lw.packs.holds(s.weight) && !isSigns(n.in[0]) && s.dense(lw) {
			return weightPack{s.weight.Len(), func() { lw.packIntConv(n, s) }}, true
		}
	case *dynamicConv:
		if c := (&intConv{convShape: s.convShape, weight: s.weight}); n.kind == "dynamic conv" && lw.packs.holds(s.weight) && c.dense(lw) {
			return weightPack{s.weight.Len(), func() { lw.packIntConv(n, c) }}, true
		}
	}
	return weightPack{}, false
}
