//go:build amd64 && !purego

package kernel

import "golang.org/x/sys/cpu"

var peaksF32 = []peakLoop{
	{AVX512, "VFMADD231PS zmm", 12 * 32, peakFMA512},
	{AVX2, "VFMADD231PS ymm", 12 * 16, peakFMA256},
}

// The AMX loop does a sixteenth of its rounds, since they are so much longer.
var peaksU8S8 = []peakLoop{
	{AMX, "TDPBUSD", 4 * 2 * 16 * 16 * 64 / 16, func(d *peakData, n int) { peakTiles(&tileConfigs[tileHeight], d, n/16) }},
	{VNNI, "VPDPBUSD zmm", 12 * 128, peakVNNI512},
	{AVXVNNI, "VPDPBUSD ymm", 12 * 64, peakVNNI256},
	{AVX2, "VPMADDWD ymm", 6 * 32, peakPairs256},
}

// A count takes twice 512 pairs of signs, with their carries; a table gives four for each of 32 columns.
var peaksBits = []peakLoop{
	{AVX512, "VPOPCNTD zmm", 6 * 2048, countsLoop()},
	{AVX2, "VPSHUFB ymm", 6 * 256, peakLookup256},
}

// countsLoop is nil where the CPU does not count bits.
func countsLoop() func(*peakData, int) {
	if !cpu.X86.HasAVX512VPOPCNTDQ {
		return nil
	}
	return peakCounts512
}

var peaksBF16 = []peakLoop{
	{AMX, "TDPBF16PS", 4 * 2 * 16 * 16 * 32 / 16, func(d *peakData, n int) { peakTilesBF16(&tileConfigs[tileHeight], d, n/16) }},
}
