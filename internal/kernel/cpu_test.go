package kernel

import (
	"strings"
	"testing"
)

func TestParseLevel(t *testing.T) {
	for l := range numLevels {
		if got, err := ParseLevel(l.String()); err != nil || got != l {
			t.Errorf("ParseLevel(%q) = %v, %v", l.String(), got, err)
		}
	}
	if _, err := ParseLevel("sse"); err == nil || !strings.Contains(err.Error(), `"sse"`) {
		t.Errorf("unknown name: error %v", err)
	}
}

func TestAllowed(t *testing.T) {
	// A machine with AVX-512 VNNI but without AVX-VNNI.
	find := func(Level) [numLevels]bool {
		return [numLevels]bool{AVX2: true, AVX512: true, VNNI: true}
	}
	for limit, want := range map[string][numLevels]bool{
		"":        {Generic: true, AVX2: true, AVX512: true, VNNI: true},
		"amx":     {Generic: true, AVX2: true, AVX512: true, VNNI: true},
		"avx512":  {Generic: true, AVX2: true, AVX512: true},
		"avxvnni": {Generic: true, AVX2: true},
		"generic": {Generic: true},
	} {
		if got, err := allowed(limit, find); err != nil || got != want {
			t.Errorf("limit %q: %v, %v, want %v", limit, got, err, want)
		}
	}
	if _, err := allowed("fast", find); err == nil || !strings.Contains(err.Error(), EnvCPU) {
		t.Errorf("unknown limit: error %v", err)
	}
}

func TestBest(t *testing.T) {
	levels := Levels()
	best, err := Best()
	if err != nil || best != levels[len(levels)-1] || levels[0] != Generic {
		t.Errorf("Best() = %v, %v of %v", best, err, levels)
	}
	for _, l := range levels {
		if !l.use(l) || !l.use(Generic) {
			t.Errorf("%v may not use itself or plain Go", l)
		}
	}
}
