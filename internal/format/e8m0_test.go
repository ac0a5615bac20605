package format

import (
	"math"
	"slices"
	"testing"
)

// TestFromFloatsE8M0 follows the table of ONNX Cast for float8e8m0: powers of two, ties, the
// ends of the range and what lies beyond them.
func TestFromFloatsE8M0(t *testing.T) {
	x := []float64{0.3, 1, 3, 0.75, 1e-40, math.Ldexp(1, 127), math.Ldexp(1.9, 127), math.Inf(1), math.NaN(), 0, -2}
	for _, c := range []struct {
		round    string
		saturate bool
		want     []byte
	}{
		{"up", true, []byte{126, 127, 129, 127, 0, 254, 254, 254, 255, 0, 128}},
		{"down", true, []byte{125, 127, 128, 126, 0, 254, 254, 254, 255, 0, 128}},
		{"nearest", true, []byte{125, 127, 129, 127, 0, 254, 254, 254, 255, 0, 128}},
		{"nearest", false, []byte{125, 127, 129, 127, 255, 254, 255, 255, 255, 255, 128}},
	} {
		got, err := FromFloatsE8M0(x, c.round, c.saturate, len(x))
		if err != nil || !slices.Equal(got.Raw, c.want) {
			t.Errorf("%s, saturate %v: %v %v, want %v", c.round, c.saturate, got.Raw, err, c.want)
		}
	}
	if _, err := FromFloatsE8M0(x, "sideways", true, len(x)); err == nil {
		t.Error("an unknown round mode is accepted")
	}
}
