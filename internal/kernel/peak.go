package kernel

import (
	"math/rand/v2"
	"time"
)

// Peak is what one core reaches with an instruction alone: no loads, no
// stores. A kernel's speed divided by it is the part that the kernel uses.
type Peak struct {
	Instruction string  // "" where the level runs plain Go
	GOPS        float64 // 10^9 multiplications and additions per second, of zeros
	Random      float64 // the same of random numbers, which some cores' tiles multiply more slowly
}

// peakData are operands: a register of tiles takes a kilobyte.
type peakData [4096]byte

// peakFloats is of numbers between 1/2 and 1 of either sign, as bfloat16 and, two together, as float32.
var peakZeros, peakBytes, peakFloats = func() (zeros, random, floats *peakData) {
	zeros, random, floats = new(peakData), new(peakData), new(peakData)
	r := rand.New(rand.NewPCG(1, 1))
	for i := 0; i < len(zeros); i += 2 {
		v := uint16(r.Uint32())
		random[i], random[i+1] = byte(v), byte(v>>8)
		v = v&0x807F | 0x3F00
		floats[i], floats[i+1] = byte(v), byte(v>>8)
	}
	return
}()

// peakLoop is a loop over an instruction: ops multiplications and additions
// in each round.
type peakLoop struct {
	level Level
	name  string
	ops   float64
	run   func(data *peakData, n int)
}

// PeakF32 measures the instruction behind [PackedF32] under this level. It
// takes some milliseconds.
func (l Level) PeakF32() Peak { return l.measure(peaksF32, peakFloats) }

// PeakU8S8 measures the instruction behind [PackedU8S8] under this level.
func (l Level) PeakU8S8() Peak { return l.measure(peaksU8S8, peakBytes) }

// PeakBF16 measures the instruction behind [PackedBF16] under this level; it is
// empty where there is none.
func (l Level) PeakBF16() Peak {
	if !l.TilesBF16() {
		return Peak{}
	}
	return l.measure(peaksBF16, peakFloats)
}

// PeakBits measures the instructions behind [PackedBits] under this level.
func (l Level) PeakBits() Peak { return l.measure(peaksBits, peakBytes) }

// measure takes the best of several short runs of the best loop.
func (l Level) measure(loops []peakLoop, random *peakData) Peak {
	for _, p := range loops {
		if l.use(p.level) && p.run != nil {
			return Peak{p.name, p.measure(peakZeros), p.measure(random)}
		}
	}
	return Peak{}
}

func (p *peakLoop) measure(data *peakData) float64 {
	const rounds, tries = 20000, 20
	best := time.Duration(1<<63 - 1)
	for range tries {
		t := time.Now()
		p.run(data, rounds)
		best = min(best, time.Since(t))
	}
	return p.ops * rounds / float64(best.Nanoseconds())
}
