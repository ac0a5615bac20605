package graph

import (
	"math"
	"strings"
	"testing"

	"lowbit/internal/tensor"
)

// sample uses every construct of the syntax, written as Text writes it.
const sample = `<ir_version: 10, opset_import: ["" : 21, "com.microsoft" : 1], producer_name: "a \"b\" \\ c", producer_version: "1", domain: "d", model_version: 3, doc_string: "hi", metadata_props: ["k" : "v", "" : ""]>
"my graph" (float[N,3,?] x, seq(int64[]) s, float scalar, float[] "u/r", optional(seq(float[2])) o, sparse_tensor(float["a b",2]) sp, map(int64, float[2]) mp, opaque() op) => (float[N] y, untyped) <
  float[2] w = {1.5, -0.002},
  int64[0] e = {},
  float16[2] h = {1, 15360},
  int4[3] q = {1, 2, -3},
  uint2[2] q2 = {3, 0},
  float8e4m3fn[1] f8 = {255},
  float4e2m1[3] f4 = {15, 0, 1},
  bool[2] b = {1, 0},
  string[2] st = {"a", "b\"\\"},
  double d = {1},
  float[2,2] "w/x" = {inf, -inf, nan, -0},
  complex64[1] c = {1, -2.5},
  complex128[1] cc = {1e-300, 2},
  uint64[1] big = {18446744073709551615},
  int8[1] small = {-128},
  float z,
  "seq"
> {
  ["n/1"] "a/b" = com.microsoft.Foo <k: ints = [], f: float = 1, g = 1e-05, fs: floats = [1, 2.5], s = "x", ss = ["a", "b"], n: float = nan> (x, "", w)
  y, "", z2 = Split <t = float[2] {1, 2}, named = int64 "t/n" {7}, ts: tensors = [float {1}, int8[1] {-2}], ty = float[2], tys: type_protos = [float[2], seq(float[])], i = -3, "odd name" = 1> (x)
  untyped = If <then_branch = g1 () => (c2) <
    float k = {2}
  > {
    c2 = Identity (x)
  }, else_branch = "" () => (float c3) {
    c3 = If <then_branch = deep () => (x) {
    }> (b)
  }, list: graphs = [a () => () {
  }, b () => () {
  }]> (b)
   = "odd domain".Sink:v2 ()
  a1 = loc.f:v2 <alpha = 0.5> (x, scalar)
}
<domain: "loc", overload: "v2", opset_import: ["" : 21]>
f <alpha, beta: float = 1> (x1, x2) => (yy) <float[N] t> {
  yy = Elu <alpha: float = @alpha> (x1)
}
`

func TestTextRoundTrip(t *testing.T) {
	m, err := ParseText(sample)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Text(TextOptions{}); got != sample {
		t.Errorf("got\n%s", firstDifference(got, sample))
	}
	if n := m.Graph.Nodes[0]; n.Domain != "com.microsoft" || n.Op != "Foo" || n.Name != "n/1" || n.In[1] != "" || len(n.In) != 3 {
		t.Errorf("first node: %+v", n)
	}
	if w := tensor.Of[float32](m.Graph.ConstTensor("w/x")); !math.IsInf(float64(w[0]), 1) || w[2] == w[2] || !math.Signbit(float64(w[3])) {
		t.Errorf("w/x holds %v", w)
	}
	if f := m.Functions[0]; f.Nodes[0].Attrs[0].Ref != "alpha" || f.Nodes[0].Attrs[0].RefType != 1 || len(f.AttrNames) != 1 || f.Attrs[0].Value != float32(1) {
		t.Errorf("function: %+v", f)
	}
}

// firstDifference shows the lines around the first that differs.
func firstDifference(got, want string) string {
	a, b := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[i] + "\nwant\n" + b[i]
		}
	}
	return got
}

// TestParseTextForms reads what the syntax allows beside what Text writes.
func TestParseTextForms(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"g () => () {}", "<ir_version: 0, opset_import: []>\ng () => () {\n}\n"},
		{"# words\ng (float[N, 3] x) => (x)\n<float w={1}> { y = F (x) <a=1, b=[1,2.5]>}", `<ir_version: 0, opset_import: []>
g (float[N,3] x) => (x) <
  float w = {1}
> {
  y = F <a = 1, b: floats = [1, 2.5]> (x)
}
`},
		{"g (float w = {1}) => () { y, , z = F (, x) }", `<ir_version: 0, opset_import: []>
g (float w) => () <
  float w = {1}
> {
  y, "", z = F ("", x)
}
`},
	} {
		m, err := ParseText(c.in)
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		if got := m.Text(TextOptions{}); got != c.want {
			t.Errorf("%s gives\n%s\nwant\n%s", c.in, got, c.want)
		}
	}
}

func TestParseTextErrors(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"", "line 1: a name expected, not the end"},
		{"g (float[2] w = {1}) => () {}", "1 elements for float[2]"},
		{"g (float[N] w = {1}) => () {}", `initializer "w" needs a tensor type of known shape`},
		{"g () => ()\n{ y = F(x }", `line 2: ")" expected, not "}"`},
		{"g () => () { y = F <a = []> (x) }", "an empty list needs a type"},
		{"g () => () { y = F <a = [1, \"b\"]> (x) }", "a list of several types"},
		{"g () => () { y = F <a: number = 1> (x) }", `"number" is no type of attribute`},
		{"g () => () { y = F <a = @b> (x) }", `the reference to "b" needs a type`},
		{"g () => () { y = F <a = 1.2.3> (x) }", `"1.2.3" is not a number`},
		{"g () => () <int8 w = {128}> {}", "128 is not in the range of int8"},
		{"g () => () <uint4 w = {-1}> {}", "-1 is not in the range of uint4"},
		{"g () => () <bool w = {2}> {}", "2 is not in the range of bool"},
		{"g () => () <float[-1] w = {}> {}", "a dimension of -1"},
		{"g () => () <float[9999999999,9999999999] w = {}> {}", "too many elements"},
		{"g () => () <float[2] w = {...}> {}", "left out"},
		{"g () => () <float[1] w = [\"location\": \"f\"]> {}", "elements in braces expected"},
		{"<when: 1> g () => () {}", `unknown field "when"`},
		{"<domain: \"d> g () => () {}", "without its closing quote"},
		{"g (" + strings.Repeat("seq(", 200), "nests deeper than 100"},
		{strings.Repeat("g () => () { y = F <a = ", 200), "nests deeper than 100"},
	} {
		if _, err := ParseText(c.in); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60s: got %v, want %q", c.in, err, c.want)
		}
	}
}

func TestTextElides(t *testing.T) {
	g := &Graph{Name: "g"}
	g.SetConst("large", tensor.New(tensor.Float32, 3))
	g.SetConst("small", tensor.New(tensor.Float32, 2))
	g.AddConst(&Const{Name: "sparse", Sparse: &Sparse{Values: tensor.Float32s([]float32{5}, 1), Indices: tensor.Int64s([]int64{1}, 1), Shape: []int{2}}})
	g.AddConst(&Const{Name: "huge", Sparse: &Sparse{Values: tensor.Float32s(nil, 0), Indices: tensor.Int64s(nil, 0), Shape: []int{1 << 20, 1 << 20}}})
	got := model(g).Text(TextOptions{Elide: 2})
	for _, want := range []string{"float[3] large = {...}", "float[2] small = {0, 0}", "float[2] sparse = {0, 5}", "float[1048576,1048576] huge = {...}"} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
}

func FuzzParseText(f *testing.F) {
	f.Add(sample)
	f.Add("g () => () { y = F <a = (x) => (y) {}> (x) }")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := ParseText(text)
		if err != nil {
			return
		}
		once := m.Text(TextOptions{})
		again, err := ParseText(once)
		if err != nil {
			t.Fatalf("%v in\n%s", err, once)
		}
		if twice := again.Text(TextOptions{}); twice != once {
			t.Fatalf("not the same twice: %s", firstDifference(twice, once))
		}
	})
}
