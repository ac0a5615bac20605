package main

import (
	"testing"

	"lowbit/internal/graph"
)

// TestCountConstants has a parameter in each place that may hold one.
func TestCountConstants(t *testing.T) {
	m, err := graph.ParseText(`<ir_version: 8, opset_import: ["" : 17]>
	g (float[2] x) => (float[2] y) <float[2] w = {1, 2}> {
		k = Constant <value: tensor = float[1] {3}> ()
		i = Constant <value_int = 1> ()
		a = Add (x, k)
		y = Mul (a, w)
	}`)
	if err != nil {
		t.Fatal(err)
	}
	r := &inspectJSON{Ops: map[string]int{}, Types: map[string]int{}}
	if count(m, r); r.Nodes != 4 || r.Parameters != 4 || r.Types["float"] != 3 || r.Types["int64"] != 1 {
		t.Errorf("%d nodes, %d parameters, %v", r.Nodes, r.Parameters, r.Types)
	}
}

// TestWeightFormats counts a weight that two nodes read once.
func TestWeightFormats(t *testing.T) {
	list := []weightJSON{{Name: "w", Format: "int8", Block: "channel", Shape: []int{2, 3}}, {Name: "w", Format: "int8", Block: "channel", Shape: []int{2, 3}}, {Name: "v", Format: "int4", Block: "group=32", Shape: []int{64}}}
	if got := weightFormats(list); len(got) != 2 || got["int8:channel"] != 6 || got["int4:group=32"] != 64 {
		t.Error(got)
	}
}
