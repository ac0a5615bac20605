package dataset

import "lowbit/internal/fault"

// InMemory returns a source of samples that are already there. labelled says whether they carry labels.
func InMemory(name string, samples []*Sample, labelled bool) (*Source, error) {
	if len(samples) == 0 {
		return nil, fault.Invalidf(name, "holds no samples")
	}
	info := Info{Form: "memory", Path: name, Total: len(samples), Labelled: labelled}
	return &Source{info: info, data: held(samples)}, nil
}

// held are samples in memory.
type held []*Sample

func (h held) len() int                      { return len(h) }
func (h held) sample(i int) (*Sample, error) { return h[i], nil }
func (h held) close() error                  { return nil }
