package engine

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// A recurrentCase is a recurrent node of 3 rows of up to 5 steps of 7 numbers, with a state of 6.
type recurrentCase struct {
	op, dir    string
	reset      int64 // linear_before_reset
	batchFirst bool
	lens       []int32
	functions  []string
	bare       bool // without a bias, a first state, and results but the last ones
}

func (c recurrentCase) String() string {
	return strings.TrimSpace(fmt.Sprint(c.op, " ", c.dir, " ", c.reset, c.batchFirst, c.lens, c.functions, c.bare))
}

func (c recurrentCase) build() *maker {
	k := newMaker(9)
	d, g := 1, cells[c.op].gates
	if c.dir == "bidirectional" {
		d = 2
	}
	x, state := []int{5, 3, 7}, []int{d, 3, 6}
	if c.batchFirst {
		x, state = []int{3, 5, 7}, []int{3, d, 6}
	}
	in := []string{k.input(k.floats(x...)), k.constant(k.floats(d, g*6, 7)), k.constant(k.floats(d, g*6, 6)), "", "", ""}
	n := &graph.Node{Op: c.op, Out: []string{"y", "h"}}
	if c.lens != nil {
		in[4] = k.input(tensor.Wrap(tensor.Int32, c.lens, 3))
	}
	if c.bare {
		n.Out[0] = ""
	} else {
		in[3], in[5] = k.constant(k.floats(d, 2*g*6)), k.input(k.floats(state...))
	}
	if c.op == "LSTM" {
		n.Out = append(n.Out, "c")
	}
	n.In = in
	n.SetAttr("hidden_size", int64(6))
	n.SetAttr("direction", c.dir)
	if c.op == "GRU" {
		n.SetAttr("linear_before_reset", c.reset)
	}
	if c.batchFirst {
		n.SetAttr("layout", int64(1))
	}
	if c.functions != nil {
		n.SetAttr("activations", c.functions)
	}
	k.m.Graph.Nodes = append(k.m.Graph.Nodes, n)
	k.output(slices.DeleteFunc(slices.Clone(n.Out), func(s string) bool { return s == "" })...)
	return k
}

func TestRecurrent(t *testing.T) {
	var cases []recurrentCase
	for _, c := range []recurrentCase{{op: "RNN"}, {op: "LSTM"}, {op: "GRU"}, {op: "GRU", reset: 1}} {
		for _, c.dir = range []string{"forward", "reverse", "bidirectional"} {
			for _, c.batchFirst = range []bool{false, true} {
				for _, c.lens = range [][]int32{nil, {5, 2, 3}, {0, 4, 1}, {0, 0, 0}} {
					cases = append(cases, c)
					c.bare = true
					cases = append(cases, c)
					c.bare = false
				}
			}
		}
	}
	cases = append(cases,
		recurrentCase{op: "RNN", dir: "forward", functions: []string{"Relu"}},
		recurrentCase{op: "RNN", dir: "bidirectional", functions: []string{"relu", "tanh"}},
		recurrentCase{op: "GRU", dir: "reverse", functions: []string{"sigmoid", "TANH"}},
	)
	for _, c := range cases {
		t.Run(c.String(), func(t *testing.T) { wantKernels(t, c.build().checkFloat(t), "f32 "+c.op) })
	}
}

// TestRecurrentByDefinition holds what has no fast path to the definition all the same.
func TestRecurrentByDefinition(t *testing.T) {
	for _, c := range []recurrentCase{
		{op: "RNN", dir: "forward", functions: []string{"Affine"}},
		{op: "GRU", dir: "forward", functions: []string{"Relu", "Tanh"}},
		{op: "LSTM", dir: "forward", functions: []string{"Sigmoid", "Relu", "Tanh"}},
	} {
		if steps := c.build().checkFloat(t); steps[len(steps)-1].Kernel != "reference" {
			t.Errorf("%v: %v", c, kernelsOf(steps))
		}
	}
}

// TestRecurrentLengths refuses rows that are longer than the input, as the definition does.
func TestRecurrentLengths(t *testing.T) {
	for _, lens := range [][]int32{{6, 1, 1}, {1, -1, 1}} {
		k := recurrentCase{op: "GRU", dir: "forward", lens: lens}.build()
		if _, err := op.Run(k.m, k.in, op.Options{}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%v: the definition gives %v", lens, err)
		}
		s, err := Compile(k.m, Options{Threads: 1})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Run(t.Context(), k.in); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%v: the engine gives %v", lens, err)
		}
		s.Close()
	}
}
