package op

import (
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// chain builds a model whose inputs are float tensors with the shapes that typed reads.
func chain(opset int, in map[string]string, nodes ...*graph.Node) *graph.Model {
	g := &graph.Graph{Name: "g", Nodes: nodes}
	for _, name := range []string{"x", "y", "z"} {
		if s, ok := in[name]; ok {
			g.In = append(g.In, &graph.Value{Name: name, Type: typed(s)})
		}
	}
	for i, v := range []int64{-1, 0, 1, 2, 12, 64} {
		g.SetConst([]string{"m1", "k0", "k1", "k2", "k12", "k64"}[i], tensor.Vector(v))
		g.SetConst([]string{"sm1", "s0", "s1", "s2", "s12", "s64"}[i], tensor.Int64s([]int64{v}))
	}
	g.SetConst("bool", tensor.Wrap(tensor.Bool, []bool{true}))
	return &graph.Model{Graph: g, Opsets: []graph.Opset{{Version: opset}}}
}

// TestSymbolicShapes follows dynamic dimensions through the idioms of exporters. Each case is
// read by its last value, "out".
func TestSymbolicShapes(t *testing.T) {
	shape := call("Shape", names{"x"}, names{"shape"})
	batch := call("Gather", names{"shape", "s0"}, names{"n"})
	batch1 := call("Unsqueeze", names{"n", "k0"}, names{"n1"})
	for _, c := range []struct {
		name  string
		in    map[string]string
		nodes []*graph.Node
		want  string
	}{
		{"view(n, -1) of PyTorch", map[string]string{"x": "N,64,7,7"}, []*graph.Node{shape, batch, batch1,
			call("Concat", names{"n1", "m1"}, names{"to"}, "axis", int64(0)), call("Reshape", names{"x", "to"}, names{"out"})}, "float[N,3136]"},
		{"heads of a transformer", map[string]string{"x": "N,T,768"}, []*graph.Node{shape, batch, batch1,
			call("Gather", names{"shape", "s1"}, names{"t"}), call("Unsqueeze", names{"t", "k0"}, names{"t1"}),
			call("Concat", names{"n1", "t1", "k12", "k64"}, names{"to"}, "axis", int64(0)), call("Reshape", names{"x", "to"}, names{"r"}),
			call("Transpose", names{"r"}, names{"out"}, "perm", i64s(0, 2, 1, 3))}, "float[N,12,T,64]"},
		{"batch and heads as one", map[string]string{"x": "N,12,T,64"}, []*graph.Node{shape, batch,
			call("Mul", names{"n", "s12"}, names{"nh"}), call("Unsqueeze", names{"nh", "k0"}, names{"nh1"}),
			call("Concat", names{"nh1", "m1", "k64"}, names{"to"}, "axis", int64(0)), call("Reshape", names{"x", "to"}, names{"out"})}, "float[12*N,T,64]"},
		{"strided slice of TensorFlow", map[string]string{"x": "N,3,5"}, []*graph.Node{shape,
			call("Slice", names{"shape", "k0", "k1", "k0"}, names{"n1"}), call("Squeeze", names{"n1", "k0"}, names{"n0"}),
			call("Unsqueeze", names{"n0", "k0"}, names{"again"}), call("Concat", names{"again", "m1"}, names{"to"}, "axis", int64(0)),
			call("Reshape", names{"x", "to"}, names{"out"})}, "float[N,15]"},
		{"expand with -1", map[string]string{"x": "N,T", "y": "1,1,T"}, []*graph.Node{shape, batch, batch1,
			call("Concat", names{"n1", "m1", "m1"}, names{"want"}, "axis", int64(0)),
			call("Shape", names{"want"}, names{"rank"}), call("ConstantOfShape", names{"rank"}, names{"ones"}, "value", tensor.Vector(1)),
			call("Mul", names{"ones", "m1"}, names{"minus"}), call("Equal", names{"want", "minus"}, names{"eq"}),
			call("Where", names{"eq", "ones", "want"}, names{"to"}), call("Expand", names{"y", "to"}, names{"out"})}, "float[N,1,T]"},
		{"concat of past and present", map[string]string{"x": "N,8,P,64", "y": "N,8,T,64"}, []*graph.Node{
			call("Concat", names{"x", "y"}, names{"out"}, "axis", int64(2))}, "float[N,8,P+T,64]"},
		{"positions behind a past", map[string]string{"x": "N,P", "y": "N,T"}, []*graph.Node{shape,
			call("Gather", names{"shape", "s1"}, names{"p"}), call("Shape", names{"y"}, names{"other"}), call("Gather", names{"other", "s1"}, names{"t"}),
			call("Add", names{"p", "t"}, names{"all"}), call("Range", names{"p", "all", "s1"}, names{"r"}), call("Cast", names{"r"}, names{"out"}, "to", int64(1))}, "float[T]"},
		{"positions of one row behind a past", map[string]string{"x": "N,P"}, []*graph.Node{shape,
			call("Gather", names{"shape", "s1"}, names{"p"}), call("Add", names{"p", "s12"}, names{"all"}),
			call("Range", names{"p", "all", "s1"}, names{"r"}), call("Cast", names{"r"}, names{"out"}, "to", int64(1))}, "float[12]"},
		{"positions backward", map[string]string{"x": "N,P"}, []*graph.Node{shape,
			call("Gather", names{"shape", "s1"}, names{"p"}), call("Add", names{"p", "s12"}, names{"all"}),
			call("Range", names{"all", "p", "sm1"}, names{"r"}), call("Cast", names{"r"}, names{"out"}, "to", int64(1))}, "float[12]"},
		{"positions of a past of that size", map[string]string{"x": "2,12"}, []*graph.Node{shape,
			call("Gather", names{"shape", "s1"}, names{"p"}), call("Range", names{"p", "s64", "s2"}, names{"r"}), call("Cast", names{"r"}, names{"out"}, "to", int64(1))}, "float[26]"},
		{"sum of dimensions", map[string]string{"x": "N,T"}, []*graph.Node{shape, call("Split", names{"shape"}, names{"a", "b"}, "axis", int64(0)),
			call("Add", names{"a", "b"}, names{"s"}), call("ConstantOfShape", names{"s"}, names{"out"})}, "float[N+T]"},
		{"flatten and back", map[string]string{"x": "N,T,8"}, []*graph.Node{shape,
			call("Concat", names{"m1", "k64"}, names{"flat"}, "axis", int64(0)), call("Reshape", names{"x", "flat"}, names{"f"}),
			call("Reshape", names{"f", "shape"}, names{"out"})}, "float[N,T,8]"},
		{"tile", map[string]string{"x": "N,T"}, []*graph.Node{shape, batch, batch1, call("Concat", names{"k1", "n1"}, names{"r"}, "axis", int64(0)),
			call("Tile", names{"x", "r"}, names{"out"})}, "float[N,N*T]"},
		{"slice up to another length", map[string]string{"x": "N,T,8", "y": "N,P,8"}, []*graph.Node{shape, call("Gather", names{"shape", "k1"}, names{"t"}),
			call("Concat", names{"y", "x"}, names{"yx"}, "axis", int64(1)), call("Slice", names{"yx", "t", "big", "k1"}, names{"out"})}, "float[N,P,8]"},
		{"pad", map[string]string{"x": "N,T"}, []*graph.Node{call("Concat", names{"k0", "k2", "k0", "m1"}, names{"p"}, "axis", int64(0)),
			call("Pad", names{"x", "p"}, names{"out"})}, "float[N,T+1]"},
		{"range", map[string]string{"x": "N,T"}, []*graph.Node{shape, call("Gather", names{"shape", "s1"}, names{"t"}),
			call("Range", names{"s0", "t", "s1"}, names{"r"}), call("Cast", names{"r"}, names{"out"}, "to", int64(1))}, "float[T]"},
		{"space to depth", map[string]string{"x": "N,3,4*H,8"}, []*graph.Node{call("SpaceToDepth", names{"x"}, names{"out"}, "blocksize", int64(2))}, "float[N,12,2*H,4]"},
		{"one hot", map[string]string{"x": "N,T"}, []*graph.Node{call("OneHot", names{"x", "k12", "two"}, names{"out"}, "axis", int64(1))}, "float[N,12,T]"},
		{"branches that agree on the batch", map[string]string{"x": "N,4"}, []*graph.Node{
			call("ReduceMax", names{"x"}, names{"mx"}, "keepdims", int64(0)), call("Cast", names{"mx"}, names{"c"}, "to", int64(9)),
			call("If", names{"c"}, names{"out"}, "then_branch", body(nil, names{"a"}, call("Relu", names{"x"}, names{"a"})),
				"else_branch", body(nil, names{"b"}, call("Concat", names{"x", "x"}, names{"b"}, "axis", int64(1))))}, "float[N,u0]"},
		{"loop over the steps", map[string]string{"x": "N,T"}, []*graph.Node{shape, call("Gather", names{"shape", "s1"}, names{"t"}),
			call("Loop", names{"t", "", "x"}, names{"last", "out"}, "body", body(names{"i", "c", "s"}, names{"go", "s2", "y2"},
				call("Identity", names{"bool"}, names{"go"}), call("Relu", names{"s"}, names{"s2"}), call("Exp", names{"s"}, names{"y2"})))}, "float[T,N,T]"},
		{"loop that grows", map[string]string{"x": "N,4"}, []*graph.Node{
			call("Loop", names{"s12", "", "x"}, names{"out"}, "body", body(names{"i", "c", "s"}, names{"go", "s2"},
				call("Identity", names{"bool"}, names{"go"}), call("Concat", names{"s", "x"}, names{"s2"}, "axis", int64(1))))}, "float[N,u0]"},
		{"scan", map[string]string{"x": "T,N,4", "y": "N,4"}, []*graph.Node{
			call("Scan", names{"y", "x"}, names{"last", "out"}, "num_scan_inputs", int64(1), "scan_output_axes", i64s(1),
				"body", body(names{"s", "v"}, names{"s2", "o"}, call("Add", names{"s", "v"}, names{"s2"}), call("Relu", names{"s2"}, names{"o"})))}, "float[N,T,4]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := chain(17, c.in, c.nodes...)
			m.Graph.SetConst("big", tensor.Vector(1<<62))
			m.Graph.SetConst("two", tensor.Float32s([]float32{0, 1}, 2))
			facts, err := Infer(m, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got := facts["out"].Type.String(); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
}

// TestInferFunctions follows shapes through a model's own function, its attribute and the
// input that a call leaves out.
func TestInferFunctions(t *testing.T) {
	f := &graph.Function{Name: "F", Domain: "my", In: names{"a", "b"}, Out: names{"r"}, AttrNames: names{"axis"}, Opsets: []graph.Opset{{Version: 17}},
		Nodes: []*graph.Node{call("Clip", names{"a", "b"}, names{"c"}), {Op: "Flatten", In: names{"c"}, Out: names{"r"}, Attrs: []*graph.Attr{{Name: "axis", Ref: "axis"}}}}}
	n := call("F", names{"x"}, names{"out"}, "axis", int64(2))
	n.Domain = "my"
	m := chain(17, map[string]string{"x": "N,3,4,5"}, n)
	m.Opsets = append(m.Opsets, graph.Opset{Domain: "my", Version: 1})
	m.Functions = []*graph.Function{f}
	facts, err := Infer(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := facts["out"].Type.String(); got != "float[3*N,20]" {
		t.Errorf("out is %s", got)
	}
}

// TestLeftOutInside calls a function without the input that a branch inside it reads.
func TestLeftOutInside(t *testing.T) {
	f := &graph.Function{Name: "F", Domain: "my", In: names{"a", "low"}, Out: names{"r"}, Opsets: []graph.Opset{{Version: 17}}, Nodes: []*graph.Node{
		call("Constant", nil, names{"yes"}, "value", tensor.Wrap(tensor.Bool, []bool{true})),
		call("If", names{"yes"}, names{"r"}, "then_branch", body(nil, names{"p"}, call("Clip", names{"a", "low"}, names{"p"})),
			"else_branch", body(nil, names{"q"}, call("Neg", names{"a"}, names{"q"})))}}
	n := call("F", names{"x"}, names{"out"})
	n.Domain = "my"
	m := chain(17, map[string]string{"x": "2"}, n)
	m.Opsets = append(m.Opsets, graph.Opset{Domain: "my", Version: 1})
	m.Functions = []*graph.Function{f}
	if facts, err := Infer(m, nil); err != nil || facts["out"].Type.String() != "float[2]" {
		t.Errorf("inferred %s, %v", facts["out"].Type, err)
	}
	out, err := Run(m, map[string]*tensor.Tensor{"x": vec(-1, 2)}, Options{Outputs: names{"out"}})
	if err != nil || tensor.Of[float32](out["out"])[0] != -1 {
		t.Errorf("%v, %v", out["out"], err)
	}
}

// TestInferIsBounded gives inference loops within loops, whose bodies it visits more than once.
func TestInferIsBounded(t *testing.T) {
	inner := body(names{"i", "c", "s"}, names{"go", "s2"}, call("Identity", names{"bool"}, names{"go"}), call("Concat", names{"s", "s"}, names{"s2"}, "axis", int64(0)))
	for range 40 {
		inner = body(names{"i", "c", "s"}, names{"go", "s2"}, call("Identity", names{"bool"}, names{"go"}),
			call("Loop", names{"k2", "", "s"}, names{"s1"}, "body", inner), call("Concat", names{"s1", "s1"}, names{"s2"}, "axis", int64(0)))
	}
	m := chain(17, map[string]string{"x": "N,4"}, call("Loop", names{"k2", "", "x"}, names{"out"}, "body", inner))
	facts, err := Infer(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	if f := facts["out"]; f.DType != tensor.Undefined && f.DType != tensor.Float32 {
		t.Errorf("out is %s", f.Type)
	}
}

// TestCropByScales finds the shape of a region that is cropped and scaled, and leaves that of a region unknown open.
func TestCropByScales(t *testing.T) {
	n := node("Resize", 3, 1, "mode", "linear", "coordinate_transformation_mode", "tf_crop_and_resize")
	x, roi, scales := ramp(0, 1, 2, 8, 8), vec(0, 0, 0.25, 0, 1, 1, 0.75, 0.5), vec(1, 1, 3, 1.5)
	for i, want := range []string{"float[u0,u1,u2,u3]", "float[1,2,12,6]"} {
		m, _ := modelOf(n, 19, ins(x, roi, scales))
		m.Graph.SetConst(n.In[2], scales)
		if i == 1 {
			m.Graph.SetConst(n.In[1], roi)
		}
		facts, err := Infer(m, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := facts[n.Out[0]].Type.String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// TestInferOpen assumes of a slice what was the same in two runs, and no more.
func TestInferOpen(t *testing.T) {
	nodes := []*graph.Node{call("Shape", names{"x"}, names{"shape"}), call("Gather", names{"shape", "k0"}, names{"p"}, "axis", int64(0)),
		call("Add", names{"p", "k2"}, names{"end"}), call("Slice", names{"y", "p", "end", "k0"}, names{"part"}),
		call("Slice", names{"y", "k0", "p", "k0"}, names{"before"}), call("Neg", names{"part"}, names{"out"})}
	m := chain(17, map[string]string{"x": "P,3", "y": "9,4"}, nodes...)
	var runs []Facts
	for _, x := range []string{"4,3", "5,3"} {
		f, err := Infer(m, map[string]graph.Type{"x": typed(x), "y": typed("9,4")})
		if err != nil {
			t.Fatal(err)
		}
		runs = append(runs, f)
	}
	facts, assumed, err := InferOpen(m, map[string]graph.Type{"x": typed("P,3"), "y": typed("9,4")}, runs...)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"part": "float[2,4]", "out": "float[2,4]"} {
		if got := facts[name].Type.String(); got != want {
			t.Errorf("%s is %s, not %s", name, got, want)
		}
	}
	if len(assumed) != 1 || !assumed["part"] || facts["before"].Shape[0].IsKnown() {
		t.Errorf("assumed %v, and the part before is %s", assumed, facts["before"].Type)
	}
}
