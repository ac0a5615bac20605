package main

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"lowbit/internal/report"
)

// TestSpansWithoutFiniteValues tells what was seen in the model that has finite values, in lists that are never null.
func TestSpansWithoutFiniteValues(t *testing.T) {
	s, err := newSpans()
	if err != nil {
		t.Fatal(err)
	}
	nan := []float32{float32(math.NaN()), float32(math.Inf(1))}
	s.see("neither", nan, nan)
	s.see("first", []float32{1, 3}, nan)
	for name, want := range map[string]string{"neither": "none finite, none finite", "first": "1 … 3, none finite", "unseen": "none finite, none finite"} {
		l := layerDifJSON{Name: name}
		s.fill(&l)
		if got := report.Range(l.RangeA, l.Hist.Before) + ", " + report.Range(l.RangeB, l.Hist.After); got != want {
			t.Errorf("%s: %s, not %s", name, got, want)
		}
		if b, err := json.Marshal(l); err != nil || strings.Contains(string(b), "null") {
			t.Errorf("%s: %s, %v", name, b, err)
		}
	}
}
