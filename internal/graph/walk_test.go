package graph

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"lowbit/internal/tensor"
)

func outs(list []*Node) string {
	var s []string
	for _, n := range list {
		s = append(s, n.Out[0])
	}
	return strings.Join(s, " ")
}

func TestSort(t *testing.T) {
	for _, c := range []struct {
		in   []*Node
		want string
	}{
		{nodes("a = F(x)", "b = F(a)", "c = F(x)"), "a b c"},
		{nodes("c = F(b)", "d = F(x)", "b = F(a)", "a = F(x)"), "d a b c"},
		{nodes("d = F(c)", "c = F(x)", "b = F(x)", "a = F(b,d)"), "c d b a"},
		{append(nodes("z = F(x)"), with(node("i = If(x)"), "b", &Graph{Nodes: nodes("s = F(late)"), Out: values("s")}),
			node("late = F(x)")), "z late i"},
		{nil, ""},
	} {
		g := &Graph{Nodes: c.in}
		if err := g.Sort(); err != nil {
			t.Fatal(err)
		}
		if got := outs(g.Nodes); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestSortInside(t *testing.T) {
	inner := &Graph{Nodes: nodes("b = F(a)", "a = F(x)"), Out: values("b")}
	f := &Function{Name: "f", Nodes: nodes("q = F(p)", "p = F(x)")}
	m := model(&Graph{In: values("x"), Nodes: []*Node{with(node("i = Loop(x)"), "body", inner)}})
	m.Functions = []*Function{f}
	if err := m.Sort(); err != nil {
		t.Fatal(err)
	}
	if got := outs(inner.Nodes) + ", " + outs(f.Nodes); got != "a b, p q" {
		t.Errorf("got %q", got)
	}
}

func TestSortCycle(t *testing.T) {
	g := &Graph{Nodes: nodes("a = F(x)", "b = F(a,d)", "c = F(b)", "d = F(c)", "e = F(d)")}
	err := g.Sort()
	if err == nil || !strings.Contains(err.Error(), "waits for its own result") {
		t.Fatalf("got %v", err)
	}
	for _, outside := range []string{`"a"`, `"e"`} {
		if strings.Contains(err.Error(), outside) {
			t.Errorf("%v names a node outside the cycle", err)
		}
	}
	if got := outs(g.Nodes); got != "a b c d e" {
		t.Errorf("the order changed to %q", got)
	}
}

func TestSortLong(t *testing.T) {
	const n = 100_000
	g := &Graph{}
	for i := n; i > 0; i-- {
		g.Nodes = append(g.Nodes, &Node{Op: "F", In: []string{fmt.Sprint(i - 1)}, Out: []string{fmt.Sprint(i)}})
	}
	if err := g.Sort(); err != nil {
		t.Fatal(err)
	}
	for i, n := range g.Nodes {
		if n.Out[0] != fmt.Sprint(i+1) {
			t.Fatalf("node %d makes %s", i, n.Out[0])
		}
	}
}

func TestWalk(t *testing.T) {
	deep := &Graph{Nodes: nodes("d = F(x,s,o)"), Out: values("d")}
	inner := &Graph{In: values("o"), Nodes: []*Node{node("s = F(x,k)"), with(node("j = If(s)"), "b", deep)}, Out: values("j", "a")}
	inner.SetConst("k", tensor.Scalar(1))
	outer := with(node("i = Loop(x)"), "b", inner)
	outer.SetAttr("more", []*Graph{{Nodes: nodes("m = F(y)"), Out: values("m")}})
	g := &Graph{In: values("x"), Nodes: []*Node{node("a = F(x,x)"), node("y = F(x)"), outer}, Out: values("i", "y")}

	var seen []string
	for in, n := range g.AllNodes() {
		seen = append(seen, n.Out[0])
		if (n.Out[0] == "d") != (in == deep) {
			t.Errorf("%s reported in another graph", n.Out[0])
		}
	}
	if got := strings.Join(seen, " "); got != "a y i s j d m" {
		t.Errorf("nodes: %q", got)
	}
	if got := len(slices.Collect(g.Graphs())); got != 4 {
		t.Errorf("%d graphs, want 4", got)
	}
	for range g.AllNodes() {
		break // stopping early must not go on
	}
	if got := strings.Join(outer.Captures(), " "); got != "x a y" {
		t.Errorf("captures: %q", got)
	}
	if got := strings.Join((&Node{Op: "If"}).Free(inner), " "); got != "x o a" {
		t.Errorf("captures of a branch, which is fed nothing: %q", got)
	}

	x := g.Index()
	if x.Producer("y") != g.Nodes[1] || x.Producer("x") != nil || x.Producer("s") != nil {
		t.Error("wrong producer")
	}
	want := []Use{{g.Nodes[0], 0}, {g.Nodes[0], 1}, {g.Nodes[1], 0}, {outer, 0}, {outer, -1}}
	if !slices.Equal(x.Uses("x"), want) {
		t.Errorf("uses of x: %v", x.Uses("x"))
	}
	if !x.IsOutput("y") || x.IsOutput("a") || x.OnlyUse("a") != nil || x.OnlyUse("y") != nil {
		t.Error("a is read by a subgraph and y is an output: neither has one reader only")
	}
	g2 := &Graph{In: values("x"), Nodes: nodes("a = F(x)", "b = F(a)"), Out: values("b")}
	if g2.Index().OnlyUse("a") != g2.Nodes[1] {
		t.Error("b alone reads a")
	}
}

func TestSparse(t *testing.T) {
	idx := func(shape []int, v ...int64) *tensor.Tensor { return tensor.Int64s(v, shape...) }
	two := tensor.Float32s([]float32{5, 6}, 2)
	for _, c := range []struct {
		s    Sparse
		want string
	}{
		{Sparse{Values: two, Indices: idx([]int{2}, 1, 5), Shape: []int{2, 3}}, ""},
		{Sparse{Values: two, Indices: idx([]int{2, 2}, 0, 1, 1, 2), Shape: []int{2, 3}}, ""},
		{Sparse{Values: two, Indices: idx([]int{2}, 1, 6), Shape: []int{2, 3}}, "outside"},
		{Sparse{Values: two, Indices: idx([]int{2}, -1, 5), Shape: []int{2, 3}}, "outside"},
		{Sparse{Values: two, Indices: idx([]int{2, 2}, 0, 1, 0, 3), Shape: []int{2, 3}}, "outside"},
		{Sparse{Values: two, Indices: idx([]int{2, 2}, 0, 1, -1, 2), Shape: []int{2, 3}}, "outside"},
		{Sparse{Values: two, Indices: idx([]int{2}, 5, 1), Shape: []int{2, 3}}, "not above"},
		{Sparse{Values: two, Indices: idx([]int{2}, 1, 1), Shape: []int{2, 3}}, "not above"},
		{Sparse{Values: two, Indices: idx([]int{1}, 1), Shape: []int{2, 3}}, "shape"},
		{Sparse{Values: two, Indices: idx([]int{2, 1}, 1, 2), Shape: []int{2, 3}}, "shape"},
		{Sparse{Values: two, Indices: tensor.Float32s([]float32{1, 2}, 2), Shape: []int{9}}, "not int64"},
		{Sparse{Values: two.Reshape(1, 2), Indices: idx([]int{2}, 1, 2), Shape: []int{9}}, "not [n]"},
		{Sparse{Values: two, Indices: idx([]int{2}, 1, 2), Shape: []int{1 << 40, 1 << 40}}, "too many"},
	} {
		err := c.s.Check()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: got %v, want %q", c.s, err, c.want)
		}
		if c.want != "" {
			continue
		}
		d, err := c.s.Dense(1000)
		if err != nil || !slices.Equal(tensor.Of[float32](d), []float32{0, 5, 0, 0, 0, 6}) {
			t.Errorf("dense: %v (%v)", d, err)
		}
		if _, err := c.s.Dense(23); err == nil {
			t.Error("24 bytes are above a limit of 23")
		}
	}
	packed := Sparse{Values: tensor.Pack(tensor.Int4, []byte{7, 9}, 2), Indices: idx([]int{2}, 0, 3), Shape: []int{4}}
	if d, err := packed.Dense(100); err != nil || string(tensor.Unpack(d)) != "\x07\x00\x00\xf9" {
		t.Errorf("packed: %v (%v)", d, err)
	}
	words := Sparse{Values: tensor.Strings([]string{"a"}, 1), Indices: idx([]int{1}, 1), Shape: []int{2}}
	if d, err := words.Dense(100); err != nil || d.Str[0] != "" || d.Str[1] != "a" {
		t.Errorf("strings: %v (%v)", d, err)
	}
}
