package dataset

import (
	"crypto/sha256"
	"encoding/binary"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"lowbit/internal/fault"
)

// A fingerprinter is a reader that knows the content of a sample without decoding it.
type fingerprinter interface {
	fingerprint(i int) (uint64, error)
}

// Fingerprint returns a number that depends on the content of sample i alone: not on its place among
// the others, nor on what it is called. Samples that are split or ordered by it are so however the
// data was shuffled.
func (s *Source) Fingerprint(i int) (uint64, error) {
	if f, ok := s.data.(fingerprinter); ok {
		if s.picks != nil {
			i = s.picks[i]
		}
		return f.fingerprint(i)
	}
	sample, err := s.Sample(i)
	if err != nil {
		return 0, err
	}
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(sample.Inputs)) {
		h.Write(sample.Inputs[name].Raw)
	}
	return binary.LittleEndian.Uint64(h.Sum(nil)), nil
}

func (d *images) fingerprint(i int) (uint64, error) {
	path := filepath.Join(d.root, d.files[i])
	f, err := os.Open(path)
	if err != nil {
		return 0, fault.IOf(path, err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return 0, fault.IOf(path, err)
	}
	return binary.LittleEndian.Uint64(h.Sum(nil)), nil
}
