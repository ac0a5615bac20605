//go:build amd64 && !purego

package kernel

import "golang.org/x/sys/cpu"

// detect asks the CPU, and the operating system for AMX, which it grants per
// process; levels above limit are not asked for.
func detect(limit Level) (found [numLevels]bool) {
	x := &cpu.X86
	found[AVX2] = x.HasAVX2 && x.HasFMA && x.HasBMI2
	found[AVXVNNI] = found[AVX2] && x.HasAVXVNNI
	found[AVX512] = found[AVX2] && x.HasAVX512F && x.HasAVX512BW && x.HasAVX512DQ && x.HasAVX512VL
	found[VNNI] = found[AVX512] && x.HasAVX512VNNI
	found[AMX] = limit >= AMX && found[VNNI] && x.HasAMXTile && x.HasAMXInt8 && requestAMX() == nil
	return found
}
