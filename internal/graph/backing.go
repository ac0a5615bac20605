package graph

import "lowbit/internal/tensor"

// A Backing is the files in which the bytes of large constants lie, of which memory holds what was read last.
type Backing struct {
	// Forget lets the system take back the memory of bytes in these files, until they are read again. Others it leaves alone.
	Forget func(b []byte)
	// Shelve returns the same bytes in a file that takes no memory while nobody reads them, or those given where it has
	// no room. Nil: what is computed stays in memory.
	Shelve func(b []byte) []byte
}

// Forget tells that a constant of m is not read again soon. It may come from several goroutines.
func (m *Model) Forget(t *tensor.Tensor) {
	if m.Backing.Forget != nil && t != nil {
		m.Backing.Forget(t.Raw)
	}
}

// Shelved returns a computed constant with its bytes where m keeps such.
func (m *Model) Shelved(t *tensor.Tensor) *tensor.Tensor {
	if m.Backing.Shelve == nil || t == nil || len(t.Raw) == 0 {
		return t
	}
	s := *t
	s.Raw = m.Backing.Shelve(t.Raw)
	return &s
}
