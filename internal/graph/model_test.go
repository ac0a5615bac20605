package graph

import (
	"math"
	"slices"
	"testing"

	"lowbit/internal/tensor"
)

func TestOpsets(t *testing.T) {
	m := &Model{Opsets: []Opset{{"ai.onnx", 13}, {"com.microsoft", 1}}}
	f := &Function{Opsets: []Opset{{"", 17}}}
	if m.Opset("") != 13 || m.Opset("ai.onnx") != 13 || m.Opset("com.microsoft") != 1 || m.Opset("x") != 0 || f.Opset("ai.onnx") != 17 {
		t.Errorf("versions of %v and %v", m.Opsets, f.Opsets)
	}
	m.SetOpset("", 21)
	m.SetOpset("x", 2)
	if want := []Opset{{"ai.onnx", 21}, {"com.microsoft", 1}, {"x", 2}}; !slices.Equal(m.Opsets, want) {
		t.Errorf("got %v, want %v", m.Opsets, want)
	}
}

func TestMeta(t *testing.T) {
	m := &Model{}
	m.SetMeta("a", "1")
	m.SetMeta("b", "2")
	m.SetMeta("a", "3")
	if m.MetaValue("a") != "3" || m.MetaValue("b") != "2" || m.MetaValue("c") != "" || len(m.Meta) != 2 {
		t.Errorf("got %v", m.Meta)
	}
}

func TestFunctionLookup(t *testing.T) {
	a, b := &Function{Name: "F", Domain: "ai.onnx"}, &Function{Name: "F", Overload: "v2"}
	m := &Model{Functions: []*Function{a, b}}
	if m.Function("", "F", "") != a || m.Function("", "F", "v2") != b || m.Function("x", "F", "") != nil {
		t.Error("wrong function")
	}
	a.AttrNames, a.Attrs = []string{"p"}, []*Attr{{Name: "q"}}
	if !a.declares("p") || !a.declares("q") || a.declares("r") {
		t.Error("wrong attributes")
	}
}

func TestConsts(t *testing.T) {
	g := &Graph{In: values("x", "w"), Out: values("y")}
	g.SetConst("w", tensor.Scalar(1))
	g.SetConst("v", tensor.Scalar(2))
	g.SetConst("w", tensor.Scalar(3))
	g.AddConst(&Const{Name: "v", Doc: "new", Tensor: tensor.Scalar(4)})
	if len(g.Consts()) != 2 || g.Consts()[0].Name != "w" || tensor.Of[float32](g.ConstTensor("w"))[0] != 3 {
		t.Errorf("got %v", g.Consts())
	}
	if g.Const("v").Doc != "new" || g.Const("none") != nil || g.ConstTensor("none") != nil {
		t.Error("wrong constant")
	}
	if r := g.Required(); len(r) != 1 || r[0].Name != "x" {
		t.Errorf("required: %v", r)
	}
	if g.Input("w") != g.In[1] || g.Output("y") != g.Out[0] || g.Input("y") != nil {
		t.Error("wrong input or output")
	}
	g.DropConst("w", "none")
	if len(g.Consts()) != 1 || g.Const("w") != nil || len(g.Required()) != 2 {
		t.Errorf("after the removal: %v", g.Consts())
	}
}

func TestAttributes(t *testing.T) {
	sub := &Graph{}
	n := &Node{Op: "Op", Out: []string{"y"}}
	for name, v := range map[string]any{"i": int64(3), "f": float32(0.5), "s": "text", "is": []int64{1, -2}, "fs": []float32{1},
		"ss": []string{"a"}, "t": tensor.Scalar(1), "g": sub} {
		n.SetAttr(name, v)
	}
	n.SetAttr("i", int64(4))
	if n.Int("i", 0) != 4 || n.Int("none", 7) != 7 || n.Int("f", 9) != 9 || n.Float("f", 0) != 0.5 || n.Str("s", "") != "text" {
		t.Error("wrong single value")
	}
	if !n.Bool("i", false) || !n.Bool("none", true) || n.Bool("none", false) || !n.Has("s") || n.Has("none") {
		t.Error("wrong truth value")
	}
	if !slices.Equal(n.Ints("is"), []int{1, -2}) || n.Ints("none") != nil || n.Floats("fs")[0] != 1 || n.Strs("ss")[0] != "a" {
		t.Error("wrong list")
	}
	if n.Tensor("t") == nil || n.Graph("g") != sub || n.Graph("t") != nil || len(n.Subgraphs()) != 1 {
		t.Error("wrong tensor or graph")
	}
	if n.Label() != `Op "y"` || (&Node{Op: "Op", Name: "n", Out: n.Out}).Label() != `Op "n"` || (&Node{Op: "Op"}).Label() != `Op ""` {
		t.Error("wrong label")
	}
}

func TestTypes(t *testing.T) {
	n := Symbol("N")
	image := OfDims(tensor.Float32, []Dim{n, Known(3), Unknown})
	for _, c := range []struct {
		t    Type
		want string
	}{
		{Of(tensor.Int8, 2, 3), "int8[2,3]"},
		{Of(tensor.Float32), "float"},
		{Unranked(tensor.Float32), "float[]"},
		{image, "float[N,3,?]"},
		{SequenceOf(image), "seq(float[N,3,?])"},
		{OptionalOf(SequenceOf(Unranked(tensor.Int64))), "optional(seq(int64[]))"},
		{Type{Kind: MapType, DType: tensor.Int64, Elem: &Type{}}, "map(int64,?)"},
		{Type{Kind: SparseType, DType: tensor.Float32}, "sparse_tensor(float[])"},
		{Type{Kind: OpaqueType}, "opaque"},
	} {
		if got := c.t.String(); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
	if s, ok := Of(tensor.Int8, 2, 3).Static(); !ok || !slices.Equal(s, []int{2, 3}) {
		t.Errorf("static shape %v", s)
	}
	if _, ok := image.Static(); ok {
		t.Error("a symbol is not static")
	}
	if _, ok := Unranked(tensor.Int8).Static(); ok {
		t.Error("an unknown rank is not static")
	}
	if !n.Same(Symbol("N")) || n.Same(Symbol("M")) || Unknown.Same(Unknown) || Known(2).Same(n) || !Known(2).Same(Known(2)) {
		t.Error("wrong comparison of dimensions")
	}
}

func TestJoinAndAccepts(t *testing.T) {
	a := OfDims(tensor.Float32, []Dim{Symbol("N"), Known(3)})
	for _, c := range []struct {
		a, b    Type
		join    string
		accepts bool
	}{
		{a, a, "float[N,3]", true},
		{a, Of(tensor.Float32, 7, 3), "float[?,3]", true},
		{a, Of(tensor.Float32, 7, 4), "float[?,?]", false},
		{a, Of(tensor.Float32, 7), "float[]", false},
		{a, Unranked(tensor.Float32), "float[]", true},
		{a, Of(tensor.Int8, 7, 3), "undefined[?,3]", false},
		{a, SequenceOf(a), "?", false},
		{a, Type{}, "?", true},
		{Type{}, a, "?", true},
		{SequenceOf(a), SequenceOf(Of(tensor.Float32, 1, 3)), "seq(float[?,3])", true},
		{SequenceOf(a), SequenceOf(Of(tensor.Float32, 1, 4)), "seq(float[?,?])", false},
	} {
		if got := Join(c.a, c.b).String(); got != c.join {
			t.Errorf("%v and %v: %s, want %s", c.a, c.b, got, c.join)
		}
		if got := c.a.Accepts(c.b); got != c.accepts {
			t.Errorf("%v accepts %v: %v", c.a, c.b, got)
		}
	}
}

func TestTypeOf(t *testing.T) {
	one, two := tensor.New(tensor.Float32, 1, 3), tensor.New(tensor.Float32, 2, 3)
	for _, c := range []struct {
		v    *tensor.Tensor
		want string
	}{
		{one, "float[1,3]"},
		{tensor.NewSequence(tensor.Float32, one, two), "seq(float[?,3])"},
		{tensor.NewSequence(tensor.Int64), "seq(int64[])"},
		{tensor.NewOptional(tensor.Float32, one), "optional(float[1,3])"},
		{tensor.NewOptional(tensor.Float32, nil), "optional(float[])"},
	} {
		if got := TypeOf(c.v).String(); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func TestPlus(t *testing.T) {
	if plus(1, 2) != 3 || plus(math.MaxInt64, 1) != math.MaxInt64 || plus(math.MaxInt64-1, 5) != math.MaxInt64 {
		t.Error("sums do not stop at the largest number")
	}
}
