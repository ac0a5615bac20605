package kernel

import "time"

// Peak is what one core reaches with an instruction alone: no loads, no
// stores. A kernel's speed divided by it is the part that the kernel uses.
type Peak struct {
	Instruction string  // "" where the level runs plain Go
	GOPS        float64 // 10^9 multiplications and additions per second
}

// peakLoop is a loop over an instruction: ops multiplications and additions
// in each round.
type peakLoop struct {
	level Level
	name  string
	ops   float64
	run   func(n int)
}

// PeakF32 measures the instruction behind [PackedF32] under this level. It
// takes some milliseconds.
func (l Level) PeakF32() Peak { return l.measure(peaksF32) }

// PeakU8S8 measures the instruction behind [PackedU8S8] under this level.
func (l Level) PeakU8S8() Peak { return l.measure(peaksU8S8) }

// PeakBF16 measures the instruction behind [PackedBF16] under this level; it is
// empty where there is none.
func (l Level) PeakBF16() Peak {
	if !l.TilesBF16() {
		return Peak{}
	}
	return l.measure(peaksBF16)
}

// PeakBits measures the instructions behind [PackedBits] under this level.
func (l Level) PeakBits() Peak { return l.measure(peaksBits) }

// measure takes the best of several short runs of the best loop.
func (l Level) measure(loops []peakLoop) Peak {
	const rounds, tries = 20000, 20
	for _, p := range loops {
		if !l.use(p.level) || p.run == nil {
			continue
		}
		best := time.Duration(1<<63 - 1)
		for range tries {
			t := time.Now()
			p.run(rounds)
			best = min(best, time.Since(t))
		}
		return Peak{p.name, p.ops * rounds / float64(best.Nanoseconds())}
	}
	return Peak{}
}
