package kernel

import (
	"fmt"
	"os"
	"strings"
)

// Level is an instruction set that kernels may use. Each includes the ones
// below it, except that AVX512 does not imply AVXVNNI.
type Level uint8

// The levels from slowest to fastest.
const (
	Generic Level = iota // plain Go
	AVX2                 // AVX2 and FMA
	AVXVNNI              // 256-bit VPDPBUSD in VEX encoding
	AVX512               // AVX-512 F, BW, DQ, VL
	VNNI                 // AVX-512 VNNI
	AMX                  // AMX-TILE and AMX-INT8
	numLevels
)

var levelNames = [numLevels]string{"generic", "avx2", "avxvnni", "avx512", "vnni", "amx"}

// EnvCPU is the environment variable that caps the level.
const EnvCPU = "LOWBIT_CPU"

var (
	have   [numLevels]bool // what this process may use
	envErr error
)

func init() { have, envErr = allowed(os.Getenv(EnvCPU), detect) }

// allowed asks find for the levels up to the one that limit names, "" for all.
func allowed(limit string, find func(Level) [numLevels]bool) (have [numLevels]bool, err error) {
	top := numLevels - 1
	if limit != "" {
		l, e := ParseLevel(limit)
		if e != nil {
			err = fmt.Errorf("%s: %w", EnvCPU, e)
		} else {
			top = l
		}
	}
	found := find(top)
	for l := range numLevels {
		have[l] = l == Generic || found[l] && l <= top
	}
	return have, err
}

// String is the name that [ParseLevel] and LOWBIT_CPU know.
func (l Level) String() string {
	if l < numLevels {
		return levelNames[l]
	}
	return fmt.Sprintf("level(%d)", uint8(l))
}

// ParseLevel finds a level by its name.
func ParseLevel(s string) (Level, error) {
	for i, n := range levelNames {
		if n == s {
			return Level(i), nil
		}
	}
	return Generic, fmt.Errorf("unknown instruction set %q (one of %s)", s, strings.Join(levelNames[:], ", "))
}

// Levels lists what this machine has, capped by LOWBIT_CPU, slowest first.
func Levels() []Level {
	var r []Level
	for l := range numLevels {
		if have[l] {
			r = append(r, l)
		}
	}
	return r
}

// Best is the last of [Levels]. The error says that LOWBIT_CPU holds an
// unknown word.
func Best() (Level, error) {
	l := Levels()
	return l[len(l)-1], envErr
}

// DotsBytes says whether this level has an instruction for the dot product of bytes.
func (l Level) DotsBytes() bool { return l.use(AVXVNNI) || l.use(VNNI) }

// use says whether code written for v may run under the level l.
func (l Level) use(v Level) bool { return l >= v && have[v] }
