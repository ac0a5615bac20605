//go:build amd64 && !purego

package kernel

var peaksF32 = []peakLoop{
	{AVX512, "VFMADD231PS zmm", 12 * 32, peakFMA512},
	{AVX2, "VFMADD231PS ymm", 12 * 16, peakFMA256},
}

// The AMX loop does a sixteenth of its rounds, since they are so much longer.
var peaksU8S8 = []peakLoop{
	{AMX, "TDPBUSD", 4 * 2 * 16 * 16 * 64 / 16, func(n int) { peakTiles(&tileConfigs[tileHeight], n/16) }},
	{VNNI, "VPDPBUSD zmm", 12 * 128, peakVNNI512},
	{AVXVNNI, "VPDPBUSD ymm", 12 * 64, peakVNNI256},
	{AVX2, "VPMADDWD ymm", 6 * 32, peakPairs256},
}

var peaksBF16 = []peakLoop{
	{AMX, "TDPBF16PS", 4 * 2 * 16 * 16 * 32 / 16, func(n int) { peakTilesBF16(&tileConfigs[tileHeight], n/16) }},
}
