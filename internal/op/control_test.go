package op

import (
	"context"
	"testing"
	"time"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// body builds a subgraph from names and nodes.
func body(in, out []string, nodes ...*graph.Node) *graph.Graph {
	g := &graph.Graph{Name: "body", Nodes: nodes}
	for _, n := range in {
		g.In = append(g.In, &graph.Value{Name: n})
	}
	for _, n := range out {
		g.Out = append(g.Out, &graph.Value{Name: n})
	}
	return g
}

// call builds a node with named operands.
func call(op string, in, out []string, attrs ...any) *graph.Node {
	n := node(op, 0, 0, attrs...)
	n.In, n.Out = in, out
	return n
}

type names = []string

// summing is a loop body: the state s grows by the iteration number i, and its square is
// collected; it goes on while s < limit.
func summing(limit int64) *graph.Graph {
	g := body(names{"i", "go", "s"}, names{"more", "t", "sq"},
		call("Add", names{"s", "i"}, names{"t"}),
		call("Mul", names{"t", "t"}, names{"sq"}),
		call("Less", names{"t", "limit"}, names{"more"}))
	g.SetConst("limit", tensor.Int64s([]int64{limit}))
	g.Out[2].Type = graph.OfDims(tensor.Int64, nil)
	return g
}

// counting scans x (T) and returns the running sums and the last one.
func counting() *graph.Graph {
	return body(names{"s", "x"}, names{"t", "y"}, call("Add", names{"s", "x"}, names{"t"}), call("Identity", names{"t"}, names{"y"}))
}

var controlCases = []dataCase{
	{"loop for", 16, call("Loop", names{"a", "", "c"}, names{"p", "q"}, "body", summing(0)), ins(of(tensor.Int64, nil, 4), nil, of(tensor.Int64, nil, 1)),
		outs(of(tensor.Int64, nil, 7), i64v(1, 4, 16, 49))},
	{"loop while", 16, call("Loop", names{"", "b", "c"}, names{"p", "q"}, "body", summing(5)), ins(nil, of(tensor.Bool, nil, 1), of(tensor.Int64, nil, 1)),
		outs(of(tensor.Int64, nil, 7), i64v(1, 4, 16, 49))},
	{"loop never", 16, call("Loop", names{"a", "b", "c"}, names{"p", "q"}, "body", summing(5)), ins(of(tensor.Int64, nil, 9), of(tensor.Bool, nil, 0), of(tensor.Int64, nil, 1)),
		outs(of(tensor.Int64, nil, 1), i64v())},
	{"loop without its state", 16, call("Loop", names{"a", ""}, names{"p"}, "body", summing(5)), ins(of(tensor.Int64, nil, 9), nil), nil},
	{"scan", 16, call("Scan", names{"a", "b"}, names{"p", "q"}, "body", counting(), "num_scan_inputs", int64(1)), ins(of(tensor.Int64, nil, 10), i64v(1, 2, 3)),
		outs(of(tensor.Int64, nil, 16), i64v(11, 13, 16))},
	{"scan backward into the last axis", 16, call("Scan", names{"a", "b"}, names{"p", "q"}, "body", counting(), "num_scan_inputs", int64(1),
		"scan_input_axes", i64s(1), "scan_input_directions", i64s(1), "scan_output_axes", i64s(-1), "scan_output_directions", i64s(1)),
		ins(i64v(0, 0), of(tensor.Int64, dims(2, 2), 1, 2, 3, 4)), outs(i64v(3, 7), of(tensor.Int64, dims(2, 2), 3, 2, 7, 4))},
	{"scan of a batch", 8, call("Scan", names{"a", "b", "c"}, names{"p", "q"}, "body", counting(), "num_scan_inputs", int64(1)),
		ins(i64v(1, 2), i64v(0, 10), of(tensor.Int64, dims(2, 2), 1, 2, 3, 4)), outs(i64v(1, 17), of(tensor.Int64, dims(2, 2), 1, 0, 13, 17))},
	{"scan of unequal lengths", 16, call("Scan", names{"a", "b"}, names{"p"}, "body", body(names{"x", "y"}, names{"x"}), "num_scan_inputs", int64(2)),
		ins(i64v(1, 2), i64v(1)), nil},
	{"if picks", 16, call("If", names{"a"}, names{"p"}, "then_branch", constBody(1), "else_branch", constBody(2)), ins(of(tensor.Bool, nil, 0)), outs(i64v(2))},
	{"if of two conditions", 16, call("If", names{"a"}, names{"p"}, "then_branch", constBody(1), "else_branch", constBody(2)), ins(list(tensor.Bool, 0, 1)), nil},
}

func constBody(v int64) *graph.Graph {
	return body(nil, names{"k"}, call("Constant", nil, names{"k"}, "value_ints", i64s(v)))
}

func TestControlCases(t *testing.T) {
	for _, c := range controlCases {
		t.Run(c.name, func(t *testing.T) { c.check(t) })
	}
}

// TestEndlessLoop wants a loop without an end to stop with its context.
func TestEndlessLoop(t *testing.T) {
	n := call("Loop", names{"", "b"}, names{}, "body", body(names{"i", "c"}, names{"c"}))
	m, feed := modelOf(n, 16, ins(nil, of(tensor.Bool, nil, 1)))
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if _, err := Run(m, feed, Options{Context: ctx}); err != context.DeadlineExceeded && fault.KindOf(err) != fault.Internal {
		t.Errorf("error %v", err)
	}
}

// TestSequences walks through the operators of sequences and optionals.
func TestSequences(t *testing.T) {
	a, b := list(tensor.Int8, 1, 2), list(tensor.Int8, 3)
	seq := tensor.NewSequence(tensor.Int8, a, b)
	at := func(v float64) *tensor.Tensor { return of(tensor.Int64, nil, v) }
	for _, c := range []struct {
		name string
		node *graph.Node
		in   []*tensor.Tensor
		want *tensor.Tensor // nil: an error
	}{
		{"at the end", node("SequenceAt", 2, 1), ins(seq, at(-1)), b},
		{"beyond", node("SequenceAt", 2, 1), ins(seq, at(2)), nil},
		{"construct", node("SequenceConstruct", 2, 1), ins(a, b), seq},
		{"construct mixed", node("SequenceConstruct", 2, 1), ins(a, vec(1)), nil},
		{"empty", node("SequenceEmpty", 0, 1, "dtype", int64(tensor.Int8)), nil, tensor.NewSequence(tensor.Int8)},
		{"erase the last", node("SequenceErase", 1, 1), ins(seq), tensor.NewSequence(tensor.Int8, a)},
		{"erase from nothing", node("SequenceErase", 1, 1), ins(tensor.NewSequence(tensor.Int8)), nil},
		{"insert before the last", node("SequenceInsert", 3, 1), ins(seq, b, at(-1)), tensor.NewSequence(tensor.Int8, a, b, b)},
		{"insert at the end", node("SequenceInsert", 2, 1), ins(seq, b), tensor.NewSequence(tensor.Int8, a, b, b)},
		{"insert another type", node("SequenceInsert", 2, 1), ins(seq, vec(1)), nil},
		{"length", node("SequenceLength", 1, 1), ins(seq), at(2)},
		{"concat", node("ConcatFromSequence", 1, 1, "axis", int64(0)), ins(seq), list(tensor.Int8, 1, 2, 3)},
		{"stack unequal", node("ConcatFromSequence", 1, 1, "axis", int64(0), "new_axis", int64(1)), ins(seq), nil},
		{"split", node("SplitToSequence", 2, 1), ins(list(tensor.Int8, 1, 2, 3), at(2)), seq},
		{"split by nothing", node("SplitToSequence", 2, 1), ins(list(tensor.Int8, 1, 2, 3), at(0)), nil},
		{"split and drop the axis", node("SplitToSequence", 1, 1, "keepdims", int64(0)), ins(b), tensor.NewSequence(tensor.Int8, of(tensor.Int8, nil, 3))},
		{"map", call("SequenceMap", names{"a", "b"}, names{"p"}, "body", body(names{"x", "y"}, names{"z"}, call("Concat", names{"x", "y"}, names{"z"}, "axis", int64(0)))),
			ins(seq, b), tensor.NewSequence(tensor.Int8, list(tensor.Int8, 1, 2, 3), list(tensor.Int8, 3, 3))},
		{"optional of a value", node("Optional", 1, 1), ins(a), tensor.NewOptional(tensor.Int8, a)},
		{"optional of nothing", node("Optional", 0, 1, "type", graph.SequenceOf(graph.Unranked(tensor.Int8))), nil, tensor.NewOptional(tensor.Int8, nil)},
		{"get", node("OptionalGetElement", 1, 1), ins(tensor.NewOptional(tensor.Int8, seq)), seq},
		{"get nothing", node("OptionalGetElement", 1, 1), ins(tensor.NewOptional(tensor.Int8, nil)), nil},
		{"has nothing", node("OptionalHasElement", 1, 1), ins(tensor.NewOptional(tensor.Int8, nil)), of(tensor.Bool, nil, 0)},
		{"has no input", node("OptionalHasElement", 0, 1), nil, of(tensor.Bool, nil, 0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, feed := modelOf(c.node, 18, c.in)
			_, inferErr := Infer(m, nil)
			out, err := Run(m, feed, Options{})
			if c.want == nil {
				if fault.KindOf(err) != fault.Invalid {
					t.Fatalf("error %v", err)
				}
				return
			}
			if err != nil || inferErr != nil {
				t.Fatalf("run: %v; infer: %v", err, inferErr)
			}
			if got := out[c.node.Out[0]]; !sameValue(got, c.want) {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// sameValue compares kind, type, shape and bytes throughout.
func sameValue(a, b *tensor.Tensor) bool {
	if a.String() != b.String() || string(a.Raw) != string(b.Raw) || len(a.Items) != len(b.Items) {
		return false
	}
	for i := range a.Items {
		if !sameValue(a.Items[i], b.Items[i]) {
			return false
		}
	}
	return true
}
