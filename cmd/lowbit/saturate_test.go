package main

import (
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/weight"
)

// TestExceeds holds pairs of weights against 16 bits: 255·64 + 255·64 fits, 255·65 + 255·64 does not.
func TestExceeds(t *testing.T) {
	channel := format.Block{Kind: format.Channel}
	for _, c := range []struct {
		name  string
		shape []int
		block format.Block
		codes []int32
		want  bool
	}{
		{"fits", []int{2, 3}, format.Block{}, []int32{64, -64, 127, 64, -64, -64}, false},
		{"a column", []int{3, 2}, format.Block{}, []int32{65, 0, 64, 0, 0, 0}, true},
		{"two columns", []int{3, 2}, format.Block{}, []int32{65, 64, 0, 0, 0, 0}, false},
		{"below zero", []int{3, 1}, format.Block{}, []int32{-64, 5, -65}, true},
		{"signs apart", []int{3, 1}, format.Block{}, []int32{127, -127, 1}, false},
		{"a filter", []int{2, 2, 1, 1}, channel, []int32{1, 2, 100, 100}, true},
		{"two filters", []int{2, 2, 1, 1}, channel, []int32{100, 2, 100, 2}, false},
		{"one channel", []int{1, 1, 2, 2}, channel, []int32{127, 127, 127, 127}, true},
		{"a row", []int{2}, format.Block{}, []int32{127, 127}, false},
	} {
		if got := exceeds(&weight.Coded{Format: format.Int8, Shape: c.shape, Block: c.block, Codes: c.codes}); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
