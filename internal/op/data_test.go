package op

import (
	"slices"
	"testing"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A dataCase is one node with its inputs and what it makes of them; no outputs stand for an
// error of invalid input.
type dataCase struct {
	name  string
	opset int
	node  *graph.Node
	in    []*tensor.Tensor
	want  []*tensor.Tensor
}

func (c *dataCase) check(t *testing.T) {
	m, feed := modelOf(c.node, c.opset, c.in)
	facts, inferErr := Infer(m, nil)
	out, err := Run(m, feed, Options{})
	if c.want == nil {
		if k := fault.KindOf(err); k != fault.Invalid {
			t.Fatalf("error %v of kind %d", err, k)
		}
		return
	}
	if err != nil || inferErr != nil {
		t.Fatalf("run: %v; infer: %v", err, inferErr)
	}
	for i, w := range c.want {
		name := c.node.Out[i]
		got := out[name]
		if got.String() != w.String() || !slices.Equal(got.Raw, w.Raw) || !slices.Equal(got.Str, w.Str) {
			t.Errorf("output %d is %s %v %q, want %s %v %q", i, got, got.Raw, got.Str, w, w.Raw, w.Str)
		}
		if f := facts[name].Type; !f.Accepts(graph.TypeOf(got)) {
			t.Errorf("output %d is %s, inferred %s", i, got, f)
		}
	}
}

func outs(t ...*tensor.Tensor) []*tensor.Tensor { return t }

var (
	i4   = func(shape []int, v ...float64) *tensor.Tensor { return of(tensor.Int4, shape, v...) }
	i64v = tensor.Vector
	u64  = func(v ...uint64) *tensor.Tensor { return tensor.Wrap(tensor.Uint64, v, len(v)) }
	text = func(shape []int, v ...string) *tensor.Tensor { return tensor.Strings(v, shape...) }
	grid = func() *tensor.Tensor { return of(tensor.Int32, dims(2, 3), 1, 2, 3, 4, 5, 6) }
)

var dataCases = []dataCase{
	{"transpose packed int4", 21, node("Transpose", 1, 1), ins(i4(dims(2, 3), 1, -2, 3, -4, 5, -6)), outs(i4(dims(3, 2), 1, -4, -2, 5, 3, -6))},
	{"transpose strings", 13, node("Transpose", 1, 1, "perm", i64s(1, 0)), ins(text(dims(1, 2), "a", "b")), outs(text(dims(2, 1), "a", "b"))},
	{"transpose complex", 13, node("Transpose", 1, 1),
		ins(tensor.Wrap(tensor.Complex64, []complex64{1, 2i, 3, 4i}, 2, 2)), outs(tensor.Wrap(tensor.Complex64, []complex64{1, 3, 2i, 4i}, 2, 2))},
	{"transpose wrong perm", 13, node("Transpose", 1, 1, "perm", i64s(0, 0)), ins(grid()), nil},
	{"reshape zero copies", 13, node("Reshape", 2, 1), ins(grid(), i64v(0, -1, 1)), outs(of(tensor.Int32, dims(2, 3, 1), 1, 2, 3, 4, 5, 6))},
	{"reshape allows zero", 14, node("Reshape", 2, 1, "allowzero", int64(1)), ins(of(tensor.Int32, dims(0, 3)), i64v(3, 0)), outs(of(tensor.Int32, dims(3, 0)))},
	{"reshape of nothing to a vast shape", 14, node("Reshape", 2, 1, "allowzero", int64(1)), ins(of(tensor.Int32, dims(0)), i64v(1<<40, 0)), nil},
	{"reshape two open", 13, node("Reshape", 2, 1), ins(grid(), i64v(-1, -1)), nil},
	{"reshape too small", 13, node("Reshape", 2, 1), ins(grid(), i64v(4)), nil},
	{"flatten at the end", 13, node("Flatten", 1, 1, "axis", int64(2)), ins(grid()), outs(of(tensor.Int32, dims(6, 1), 1, 2, 3, 4, 5, 6))},
	{"squeeze by attribute", 11, node("Squeeze", 1, 1, "axes", i64s(-1)), ins(of(tensor.Int32, dims(2, 1), 1, 2)), outs(list(tensor.Int32, 1, 2))},
	{"squeeze not one", 13, node("Squeeze", 2, 1), ins(grid(), i64v(0)), nil},
	{"unsqueeze by input", 13, node("Unsqueeze", 2, 1), ins(list(tensor.Int32, 7, 8), i64v(-1, 0)), outs(of(tensor.Int32, dims(1, 2, 1), 7, 8))},
	{"unsqueeze twice the same", 13, node("Unsqueeze", 2, 1), ins(list(tensor.Int32, 7), i64v(0, -3)), nil},
	{"concat by rows", 13, node("Concat", 2, 1, "axis", int64(-1)), ins(of(tensor.Int32, dims(2, 1), 8, 9), grid()), outs(of(tensor.Int32, dims(2, 4), 8, 1, 2, 3, 9, 4, 5, 6))},
	{"concat other shapes", 13, node("Concat", 2, 1, "axis", int64(0)), ins(grid(), of(tensor.Int32, dims(1, 2), 1, 2)), nil},
	{"split uneven", 18, node("Split", 1, 2, "num_outputs", int64(2)), ins(list(tensor.Int8, 1, 2, 3)), outs(list(tensor.Int8, 1, 2), list(tensor.Int8, 3))},
	{"split of nothing", 13, node("Split", 1, 2), ins(list(tensor.Int8)), outs(list(tensor.Int8), list(tensor.Int8))},
	{"split not even", 13, node("Split", 1, 2), ins(list(tensor.Int8, 1, 2, 3)), nil},
	{"split sizes too large", 13, node("Split", 2, 2), ins(list(tensor.Int8, 1, 2, 3), i64v(1<<62, 1<<62)), nil},
	{"slice backward", 13, node("Slice", 5, 1), ins(list(tensor.Int8, 1, 2, 3, 4), i64v(-1), i64v(-99), i64v(0), i64v(-2)), outs(list(tensor.Int8, 4, 2))},
	{"slice by attributes", 9, node("Slice", 1, 1, "starts", i64s(1), "ends", i64s(1<<60), "axes", i64s(1)), ins(grid()), outs(of(tensor.Int32, dims(2, 2), 2, 3, 5, 6))},
	{"slice start below the axis", 13, node("Slice", 5, 1), ins(list(tensor.Int8, 5), i64v(-9), i64v(-9), i64v(0), i64v(-1)), outs(list(tensor.Int8, 5))},
	{"slice step zero", 13, node("Slice", 5, 1), ins(list(tensor.Int8, 5), i64v(0), i64v(1), i64v(0), i64v(0)), nil},
	{"gather counts from the end", 13, node("Gather", 2, 1, "axis", int64(1)), ins(grid(), list(tensor.Int32, -1, 0)), outs(of(tensor.Int32, dims(2, 2), 3, 1, 6, 4))},
	{"gather strings by a scalar", 13, node("Gather", 2, 1), ins(strs("a", "b"), of(tensor.Int64, nil, 1)), outs(text(nil, "b"))},
	{"gather outside", 13, node("Gather", 2, 1), ins(grid(), list(tensor.Int64, 2)), nil},
	{"gather elements outside", 13, node("GatherElements", 2, 1), ins(grid(), of(tensor.Int64, dims(1, 1), -3)), nil},
	{"gatherND batches", 13, node("GatherND", 2, 1, "batch_dims", int64(1)), ins(grid(), of(tensor.Int64, dims(2, 1), 2, 0)), outs(list(tensor.Int32, 3, 4))},
	{"scatter keeps uint64", 18, node("ScatterElements", 3, 1, "reduction", "max"), ins(u64(1, 1<<63+1), i64v(0, 1), u64(1<<63, 5)), outs(u64(1<<63, 1<<63+1))},
	{"scatter adds half floats", 18, node("ScatterND", 3, 1, "reduction", "add"),
		ins(list(tensor.Float16, 1, 2), of(tensor.Int64, dims(2, 1), 0, 0), list(tensor.Float16, 0.5, 0.25)), outs(list(tensor.Float16, 1.75, 2))},
	{"scatter strings", 11, node("ScatterElements", 3, 1), ins(strs("a", "b"), i64v(1), strs("c")), outs(strs("a", "c"))},
	{"scatter unknown reduction", 18, node("ScatterND", 3, 1, "reduction", "xor"), ins(list(tensor.Int8, 1), of(tensor.Int64, dims(1, 1), 0), list(tensor.Int8, 1)), nil},
	{"tensor scatter wraps", 24, node("TensorScatter", 3, 1, "mode", "circular"),
		ins(of(tensor.Int8, dims(1, 3, 1), 1, 2, 3), of(tensor.Int8, dims(1, 2, 1), 8, 9), i64v(5)), outs(of(tensor.Int8, dims(1, 3, 1), 9, 2, 8))},
	{"pad int4 at the edge", 21, node("Pad", 2, 1, "mode", "edge"), ins(i4(dims(3), 1, -2, 3), i64v(1, 1)), outs(i4(dims(5), 1, 1, -2, 3, 3))},
	{"pad strings", 13, node("Pad", 2, 1), ins(strs("a"), i64v(1, 0)), outs(strs("", "a"))},
	{"pad by attributes", 10, node("Pad", 1, 1, "pads", i64s(0, 1), "value", float32(2)), ins(vec(1)), outs(vec(1, 2))},
	{"pad reflects more than once", 13, node("Pad", 2, 1, "mode", "reflect"), ins(list(tensor.Int8, 1, 2, 3), i64v(0, 5)), outs(list(tensor.Int8, 1, 2, 3, 2, 1, 2, 3, 2))},
	{"pad wraps what a negative pad leaves", 19, node("Pad", 2, 1, "mode", "wrap"), ins(list(tensor.Int8, 1, 2, 3), i64v(-1, 3)), outs(list(tensor.Int8, 2, 3, 2, 3, 2))},
	{"pad nothing at the edge", 13, node("Pad", 2, 1, "mode", "edge"), ins(list(tensor.Int8), i64v(1, 0)), nil},
	{"tile", 13, node("Tile", 2, 1), ins(of(tensor.Int8, dims(1, 2), 1, 2), i64v(2, 2)), outs(of(tensor.Int8, dims(2, 4), 1, 2, 1, 2, 1, 2, 1, 2))},
	{"tile negative", 13, node("Tile", 2, 1), ins(list(tensor.Int8, 1), i64v(-1)), nil},
	{"expand both ways", 13, node("Expand", 2, 1), ins(of(tensor.Int8, dims(2, 1), 1, 2), i64v(1, 2)), outs(of(tensor.Int8, dims(2, 2), 1, 1, 2, 2))},
	{"expand to nothing", 13, node("Expand", 2, 1), ins(list(tensor.Int8, 1), i64v(0)), outs(list(tensor.Int8))},
	{"compress flattened", 11, node("Compress", 2, 1), ins(grid(), list(tensor.Bool, 0, 1, 0, 1)), outs(list(tensor.Int32, 2, 4))},
	{"onehot negative and outside", 11, node("OneHot", 3, 1), ins(i64v(-1, 3), i64v(3), list(tensor.Int8, 0, 9)), outs(of(tensor.Int8, dims(2, 3), 0, 0, 9, 0, 0, 0))},
	{"nonzero of a scalar", 13, node("NonZero", 1, 1), ins(of(tensor.Int8, nil, 4)), outs(of(tensor.Int64, dims(0, 1)))},
	{"top of equal ones", 11, node("TopK", 2, 2), ins(list(tensor.Int8, 3, 5, 5, 1), i64v(3)), outs(list(tensor.Int8, 5, 5, 3), i64v(1, 2, 0))},
	{"smallest", 11, node("TopK", 2, 2, "largest", int64(0)), ins(u64(1<<63, 2, 7), i64v(2)), outs(u64(2, 7), i64v(1, 2))},
	{"top by attribute", 9, node("TopK", 1, 2, "k", int64(1)), ins(vec(1, 2)), outs(vec(2), i64v(1))},
	{"top too many", 11, node("TopK", 2, 2), ins(vec(1, 2), i64v(3)), nil},
	{"unique strings in order of appearance", 11, node("Unique", 1, 4, "sorted", int64(0)), ins(strs("b", "a", "b")),
		outs(strs("b", "a"), i64v(0, 1), i64v(0, 1, 0), i64v(2, 1))},
	{"unique columns", 11, node("Unique", 1, 4, "axis", int64(1)), ins(of(tensor.Int8, dims(2, 3), 2, 1, 2, 0, 5, 0)),
		outs(of(tensor.Int8, dims(2, 2), 1, 2, 5, 0), i64v(1, 0), i64v(1, 0, 1), i64v(1, 2))},

	{"eye below", 9, node("EyeLike", 1, 1, "k", int64(-1), "dtype", int64(tensor.Int8)), ins(grid()), outs(of(tensor.Int8, dims(2, 3), 0, 0, 0, 1, 0, 0))},
	{"constant of int4", 21, node("ConstantOfShape", 1, 1, "value", i4(dims(1), -3)), ins(i64v(3)), outs(i4(dims(3), -3, -3, -3))},
	{"constant of a negative shape", 9, node("ConstantOfShape", 1, 1), ins(i64v(-1)), nil},
	{"constant strings", 13, node("Constant", 0, 1, "value_strings", []string{"a", "b"}), nil, outs(strs("a", "b"))},
	{"constant sparse", 13, node("Constant", 0, 1, "sparse_value",
		&graph.Sparse{Values: vec(7), Indices: i64v(2), Shape: dims(2, 2)}), nil, outs(f32(dims(2, 2), 0, 0, 7, 0))},
	{"constant of nothing", 13, node("Constant", 0, 1), nil, nil},
	{"trilu far away", 14, node("Trilu", 2, 1), ins(grid(), of(tensor.Int64, nil, -1<<40)), outs(grid())},
	{"trilu below", 14, node("Trilu", 1, 1, "upper", int64(0)), ins(grid()), outs(of(tensor.Int32, dims(2, 3), 1, 0, 0, 4, 5, 0))},
	{"reverse by batch", 10, node("ReverseSequence", 2, 1, "batch_axis", int64(0), "time_axis", int64(1)), ins(grid(), i64v(2, 3)), outs(of(tensor.Int32, dims(2, 3), 2, 1, 3, 6, 5, 4))},
	{"reverse too long", 10, node("ReverseSequence", 2, 1), ins(grid(), i64v(3, 0, 0)), nil},
	{"crop and pad", 18, node("CenterCropPad", 2, 1), ins(grid(), i64v(3, 2)), outs(of(tensor.Int32, dims(3, 2), 1, 2, 4, 5, 0, 0))},
	{"depth to space", 13, node("DepthToSpace", 1, 1, "blocksize", int64(2), "mode", "CRD"), ins(of(tensor.Int8, dims(1, 4, 1, 1), 1, 2, 3, 4)), outs(of(tensor.Int8, dims(1, 1, 2, 2), 1, 2, 3, 4))},
	{"depth does not divide", 13, node("DepthToSpace", 1, 1, "blocksize", int64(2)), ins(of(tensor.Int8, dims(1, 3, 1, 1), 1, 2, 3)), nil},
	{"shape from the end", 15, node("Shape", 1, 1, "start", int64(-1), "end", int64(99)), ins(grid()), outs(i64v(3))},
	{"strings join", 20, node("StringConcat", 2, 1), ins(strs("a", "b"), strs("x")), outs(strs("ax", "bx"))},
	{"strings split at white space", 20, node("StringSplit", 1, 2, "maxsplit", int64(1)), ins(strs(" a  b c ", "")), outs(text(dims(2, 2), "a", "b c", "", ""), i64v(2, 0))},
	{"strings split at a word", 20, node("StringSplit", 1, 2, "delimiter", ","), ins(strs("a,,b")), outs(text(dims(1, 3), "a", "", "b"), i64v(3))},
	{"stop words in any case", 10, node("StringNormalizer", 1, 1, "stopwords", []string{"THE"}, "case_change_action", "UPPER"), ins(strs("the", "cat")), outs(strs("CAT"))},
	{"only stop words", 10, node("StringNormalizer", 1, 1, "stopwords", []string{"the"}), ins(text(dims(1, 1), "the")), outs(text(dims(1, 1), ""))},
	{"pattern from end to end", 20, node("RegexFullMatch", 1, 1, "pattern", "a|ab"), ins(strs("ab", "abc")), outs(list(tensor.Bool, 1, 0))},
	{"pattern wrong", 20, node("RegexFullMatch", 1, 1, "pattern", "a("), ins(strs("ab")), nil},
	{"words that skip", 9, node("TfIdfVectorizer", 1, 1, "mode", "TFIDF", "min_gram_length", int64(2), "max_gram_length", int64(2), "max_skip_count", int64(1),
		"ngram_counts", i64s(0, 1), "ngram_indexes", i64s(0, 1), "pool_strings", []string{"a", "a", "b"}, "weights", []float32{1, 0.5}),
		ins(strs("a", "x", "b", "a", "b")), outs(vec(0, 1))},
}

func TestDataCases(t *testing.T) {
	for _, c := range dataCases {
		t.Run(c.name, func(t *testing.T) { c.check(t) })
	}
}

// TestTooLarge wants requests for huge results to be refused before they are met.
func TestTooLarge(t *testing.T) {
	huge := i64v(1<<20, 1<<20, 1<<10)
	for _, c := range []dataCase{
		{"Expand", 13, node("Expand", 2, 1), ins(list(tensor.Int8, 1), huge), nil},
		{"Tile", 13, node("Tile", 2, 1), ins(of(tensor.Int8, dims(1, 1, 1), 1), huge), nil},
		{"ConstantOfShape", 9, node("ConstantOfShape", 1, 1), ins(huge), nil},
		{"Pad", 13, node("Pad", 2, 1), ins(of(tensor.Int8, dims(1, 1), 1), i64v(1<<30, 1<<30, 0, 0)), nil},
		{"OneHot", 11, node("OneHot", 3, 1), ins(tensor.New(tensor.Int64, 1<<10), of(tensor.Int64, nil, 1<<30), list(tensor.Int8, 0, 1)), nil},
		{"CenterCropPad", 18, node("CenterCropPad", 2, 1), ins(of(tensor.Int8, dims(1, 1), 1), i64v(1<<30, 1<<30)), nil},
		{"ConstantOfShape of nothing", 9, node("ConstantOfShape", 1, 1), ins(i64v(1<<40, 0)), nil},
		{"Pad of nothing", 13, node("Pad", 2, 1), ins(of(tensor.Int8, dims(0, 1)), i64v(0, 1<<30, 0, 0)), nil},
		{"Tile of nothing", 13, node("Tile", 2, 1), ins(of(tensor.Int8, dims(0, 1)), i64v(1, 1<<40)), nil},
		{"two bits", 25, node("ConstantOfShape", 1, 1, "value", list(tensor.Int2, 1)), ins(i64v(1 << 32)), nil},
	} {
		m, feed := modelOf(c.node, c.opset, c.in)
		if _, err := Run(m, feed, Options{}); fault.KindOf(err) != fault.Limit {
			t.Errorf("%s: error %v", c.name, err)
		}
	}
}

// TestSparseInitializers writes those out in full that fit, of every width, and refuses one that a
// few bytes say is huge.
func TestSparseInitializers(t *testing.T) {
	run := func(values *tensor.Tensor, shape ...int) (*tensor.Tensor, error) {
		m, _ := modelOf(node("Identity", 1, 1), 21, nil)
		m.Graph.AddConst(&graph.Const{Name: "a", Sparse: &graph.Sparse{Values: values, Indices: i64v(2), Shape: shape}})
		out, err := Run(m, nil, Options{})
		return out["p"], err
	}
	for _, c := range []struct{ values, want *tensor.Tensor }{
		{vec(7), f32(dims(2, 2), 0, 0, 7, 0)}, {list(tensor.Int4, -3), i4(dims(2, 2), 0, 0, -3, 0)}, {strs("a"), text(dims(2, 2), "", "", "a", "")},
	} {
		got, err := run(c.values, 2, 2)
		if err != nil || got.String() != c.want.String() || !slices.Equal(got.Raw, c.want.Raw) || !slices.Equal(got.Str, c.want.Str) {
			t.Errorf("%s: %v %v", c.values, got, err)
		}
	}
	if _, err := run(vec(7), 1<<40); fault.KindOf(err) != fault.Limit {
		t.Errorf("2^40 elements: error %v", err)
	}
}
