package engine

import (
	"bytes"
	"sync"

	"lowbit/internal/tensor"
)

// A packCache keeps packed weights, so that programs for other input shapes share them.
type packCache struct {
	mu   sync.Mutex
	rows map[packKey]*packRow
}

// A packKey says for which result, in which form, weights were packed.
type packKey struct{ value, form string }

type packRow struct {
	from   []*tensor.Tensor
	packed any
}

// packed returns what build makes of the tensors in from, or what it made of the same ones before.
func packed[T any](c *packCache, key packKey, from []*tensor.Tensor, build func() T) T {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r := c.rows[key]; r != nil && sameTensors(r.from, from) {
		if p, ok := r.packed.(T); ok {
			return p
		}
	}
	p := build()
	if c.rows == nil {
		c.rows = map[packKey]*packRow{}
	}
	c.rows[key] = &packRow{from, p}
	return p
}

func sameTensors(a, b []*tensor.Tensor) bool {
	if len(a) != len(b) {
		return false
	}
	for i, t := range a {
		if t != b[i] && (t.DType != b[i].DType || !bytes.Equal(t.Raw, b[i].Raw)) {
			return false
		}
	}
	return true
}
