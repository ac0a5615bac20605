package npz

import (
	"io"
	"sync"
)

// A stream reads a large deflated array in pieces. Deflate can only be read forwards, so the
// stream keeps the last bytes it unpacked: readers that take rows in about their order, several
// at a time, find them there. Reading further back begins again from the start.
type stream struct {
	a    *array
	mu   sync.Mutex
	rc   io.ReadCloser
	pos  int64  // bytes of elements unpacked so far
	ring []byte // the last of them: element byte i lies at i % len(ring)

	behind int // how many bytes back from its place the stream can look
}

// lookBehind is how far back a stream can look: some dozens of photographs in float32.
const lookBehind = 16 << 20

// read fills p with the elements' bytes from off on.
func (s *stream) read(p []byte, off int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rc == nil || off < s.pos-int64(len(s.ring)) {
		if err := s.restart(); err != nil {
			return err
		}
	}
	if need := len(p) + s.behind; len(s.ring) < need {
		s.grow(need)
	}
	if err := s.forward(off + int64(len(p))); err != nil {
		return err
	}
	at := int(off % int64(len(s.ring)))
	n := copy(p, s.ring[at:])
	copy(p[n:], s.ring)
	return nil
}

func (s *stream) restart() error {
	if s.rc != nil {
		s.rc.Close()
	}
	s.rc, s.pos, s.ring = nil, 0, nil
	rc, err := s.a.entry.Open()
	if err != nil {
		return err
	}
	if _, err := io.CopyN(io.Discard, rc, s.a.start); err != nil {
		rc.Close()
		return err
	}
	s.rc = rc
	return nil
}

// grow makes the ring larger and keeps what it holds.
func (s *stream) grow(n int) {
	ring := make([]byte, n)
	for i := max(0, s.pos-int64(len(s.ring))); i < s.pos; i++ {
		ring[i%int64(n)] = s.ring[i%int64(len(s.ring))]
	}
	s.ring = ring
}

// forward unpacks until pos has reached end.
func (s *stream) forward(end int64) error {
	for s.pos < end {
		at := s.pos % int64(len(s.ring))
		n := min(end-s.pos, int64(len(s.ring))-at)
		k, err := io.ReadFull(s.rc, s.ring[at:at+n])
		s.pos += int64(k)
		if err != nil {
			s.rc.Close()
			s.rc = nil
			return err
		}
	}
	return nil
}
