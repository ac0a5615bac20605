package graph

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"lowbit/internal/fault"
	"lowbit/internal/tensor"
)

// node makes a node from "out1,out2 = Op(in1,in2)".
func node(text string) *Node {
	out, rest, _ := strings.Cut(text, " = ")
	op, in, _ := strings.Cut(strings.TrimSuffix(rest, ")"), "(")
	n := &Node{Op: op}
	if in != "" {
		n.In = strings.Split(in, ",")
	}
	if out != "" {
		n.Out = strings.Split(out, ",")
	}
	return n
}

func nodes(texts ...string) []*Node {
	var list []*Node
	for _, s := range texts {
		list = append(list, node(s))
	}
	return list
}

func values(names ...string) []*Value {
	var list []*Value
	for _, n := range names {
		list = append(list, &Value{Name: n})
	}
	return list
}

func model(g *Graph) *Model {
	return &Model{IR: 8, Opsets: []Opset{{"", 17}}, Graph: g}
}

// with returns n with a subgraph.
func with(n *Node, name string, g *Graph) *Node {
	n.SetAttr(name, g)
	return n
}

func TestCheckAccepts(t *testing.T) {
	sub := &Graph{Nodes: nodes("s = Add(x,late)"), Out: values("s")}
	g := &Graph{
		In:    values("x", "w"), // w has an initializer too, as in files of IR 3
		Out:   values("y", "w", "y"),
		Nodes: append(nodes("late = Neg(a)", "a = Relu(x)", "y,,z = Split(a,,w)"), with(node("i = If(a)"), "then_branch", sub)),
	}
	// Names that come later outside, and inputs, may be used again inside.
	again := &Graph{In: values("a"), Nodes: nodes("end = Neg(a)"), Out: values("end")}
	g.Nodes = append(g.Nodes, with(node("j = Loop(a)"), "body", again), node("end = Neg(j)"))
	g.SetConst("w", tensor.Scalar(1))
	if found := Check(model(g), Limits{}); found.Len() != 0 {
		t.Fatal(found)
	}
}

func TestCheckRefuses(t *testing.T) {
	loop := &Graph{Nodes: nodes("s = Add(x,t)", "t = Neg(s)"), Out: values("s")}
	unknown := &Graph{Nodes: nodes("s = Add(x,nowhere)"), Out: values("s")}
	shadow := &Graph{Nodes: nodes("a = Neg(x)"), Out: values("a")}
	two := node("y = Relu(x)")
	two.Attrs = []*Attr{{Name: "k", Value: int64(1)}, {Name: "k", Value: int64(2)}}
	ref := node("y = Relu(x)")
	ref.Attrs = []*Attr{{Name: "k", Ref: "alpha"}}
	foreign := node("y = Relu(x)")
	foreign.Domain = "elsewhere"
	for _, c := range []struct {
		name string
		g    *Graph
		want string
	}{
		{"input twice", &Graph{In: values("x", "x")}, `graph.input[1] "x": a second input`},
		{"input without a name", &Graph{In: values("")}, "graph.input[0]: an input without a name"},
		{"no operator", &Graph{Nodes: []*Node{{Out: []string{"y"}}}}, "graph.node[0]: a node without an operator"},
		{"output twice", &Graph{In: values("x"), Nodes: nodes("y = Relu(x)", "y = Neg(x)")}, `graph.node[1]: output "y" is already`},
		{"output named as input", &Graph{In: values("x"), Nodes: nodes("x = Relu(x)")}, `output "x" is already`},
		{"unknown input", &Graph{In: values("x"), Nodes: nodes("y = Add(x,b)")}, `input "b" is made by no node`},
		{"unknown output", &Graph{Out: values("y")}, `graph.output[0] "y": no node`},
		{"cycle", &Graph{Nodes: nodes("a = Neg(b)", "b = Neg(a)")}, "waits for its own result"},
		{"own input", &Graph{Nodes: nodes("a = Neg(a)")}, "waits for its own result"},
		{"domain", &Graph{In: values("x"), Nodes: []*Node{foreign}}, `operator Relu of domain "elsewhere"`},
		{"attribute twice", &Graph{In: values("x"), Nodes: []*Node{two}}, `graph.node[0].attribute[1] "k": a second attribute`},
		{"reference", &Graph{In: values("x"), Nodes: []*Node{ref}}, `refers to "alpha"`},
		{"cycle in a subgraph", &Graph{In: values("x"), Nodes: []*Node{with(node("i = If(x)"), "b", loop)}},
			`graph.node[0].attribute[0] "b".node[`},
		{"unknown in a subgraph", &Graph{In: values("x"), Nodes: []*Node{with(node("i = If(x)"), "b", unknown)}}, `input "nowhere"`},
		{"shadowing", &Graph{In: values("x"), Nodes: []*Node{node("a = Relu(x)"), with(node("i = If(x)"), "b", shadow)}}, `output "a" is already`},
		{"cycle through a subgraph", &Graph{In: values("x"), Nodes: []*Node{
			with(node("i = If(x)"), "b", &Graph{Nodes: nodes("s = Neg(after)"), Out: values("s")}), node("after = Relu(i)")}}, "waits for its own"},
	} {
		found := Check(model(c.g), Limits{})
		if found.Len() == 0 || !strings.Contains(found.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, found, c.want)
		}
		if fault.KindOf(found) != fault.Invalid {
			t.Errorf("%s: kind %d", c.name, fault.KindOf(found))
		}
	}
}

func TestCheckManyAttributes(t *testing.T) {
	n := node("y = Relu(x)")
	for i := range 40 {
		n.Attrs = append(n.Attrs, &Attr{Name: fmt.Sprint("a", i), Value: int64(i)})
	}
	g := &Graph{In: values("x"), Nodes: []*Node{n}}
	if found := Check(model(g), Limits{}); found.Len() != 0 {
		t.Fatal(found)
	}
	n.Attrs[39].Name = "a3"
	if found := Check(model(g), Limits{}); found.Len() != 1 {
		t.Fatalf("got %v, want one fault", found)
	}
}

// chain returns n functions of which each calls the next twice, and the last is an Identity.
func chain(n int) []*Function {
	var list []*Function
	for i := range n {
		next := fmt.Sprint("f", i+1)
		if i == n-1 {
			next = "Identity"
		}
		f := &Function{Name: fmt.Sprint("f", i), Domain: "l", In: []string{"x"}, Out: []string{"z"},
			Opsets: []Opset{{"", 17}, {"l", 1}}, Nodes: nodes("y = "+next+"(x)", "z = "+next+"(y)")}
		if i < n-1 {
			f.Nodes[0].Domain, f.Nodes[1].Domain = "l", "l"
		}
		list = append(list, f)
	}
	return list
}

func TestCheckFunctions(t *testing.T) {
	call := node("y = f0(x)")
	call.Domain = "l"
	m := model(&Graph{In: values("x"), Nodes: []*Node{call}})
	for _, c := range []struct {
		name  string
		funcs []*Function
		want  string
		kind  fault.Kind
	}{
		{"short chain", chain(10), "", 0},
		{"2^40 nodes", chain(40), "nodes once its functions are written out", fault.Limit},
		{"deep chain", chain(200), "more than 100 deep", fault.Limit},
		{"same name twice", append(chain(2), chain(1)...), "a second function", fault.Invalid},
		{"no name", append(chain(1), &Function{}), "a function without a name", fault.Invalid},
		{"output of nothing", append(chain(1), &Function{Name: "g", Out: []string{"q"}}), "no node or input makes", fault.Invalid},
		{"input twice", append(chain(1), &Function{Name: "g", In: []string{"q", "q"}}), "a second input", fault.Invalid},
	} {
		m.Functions = c.funcs
		err := Check(m, Limits{}).Err()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		} else if err != nil && fault.KindOf(err) != c.kind {
			t.Errorf("%s: kind %d, want %d", c.name, fault.KindOf(err), c.kind)
		}
	}
	m.Functions = chain(3)
	back := node("w = f0(x)")
	back.Domain = "l"
	m.Functions[2].Nodes = append(m.Functions[2].Nodes, back)
	if err := Check(m, Limits{}).Err(); err == nil || !strings.Contains(err.Error(), "calls itself") {
		t.Errorf("recursion: got %v", err)
	}
}

func TestCheckScales(t *testing.T) {
	f := func(v ...float32) *tensor.Tensor { return tensor.Float32s(v, len(v)) }
	half := func(v uint16) *tensor.Tensor { return tensor.Wrap(tensor.Float16, []uint16{v}, 1) }
	for _, c := range []struct {
		scale *tensor.Tensor
		zero  tensor.DType
		want  string
	}{
		{f(0.5, 1e-38, math.MaxFloat32), tensor.Int8, ""},
		{f(1, 0), tensor.Int8, "not a positive number at element 1"},
		{f(-1), tensor.Int8, "not a positive number at element 0"},
		{f(float32(math.Copysign(0, -1))), tensor.Int8, "not a positive number"},
		{f(float32(math.NaN())), tensor.Int8, "not a positive number"},
		{f(float32(math.Inf(1))), tensor.Int8, "not a positive number"},
		{half(0x3c00), tensor.Int8, ""},
		{half(0x7c00), tensor.Int8, "not a positive number"},
		{half(0x8001), tensor.Int8, "not a positive number"},
		{tensor.Wrap(tensor.BFloat16, []uint16{0x7f80}, 1), tensor.Int8, "not a positive number"},
		{tensor.Wrap(tensor.BFloat16, []uint16{0x3f80}, 1), tensor.Int8, ""},
		{tensor.Wrap(tensor.Float64, []float64{math.Inf(1)}, 1), tensor.Int8, "not a positive number"},
		{f(1), tensor.Uint8, `zero point "z" is uint8, the values are int8`},
	} {
		g := &Graph{Nodes: nodes("y = DequantizeLinear(q,s,z)"), In: []*Value{{Name: "q"}}}
		if c.zero != tensor.Int8 {
			g.SetConst("q", tensor.New(tensor.Int8, 1))
		}
		g.SetConst("s", c.scale)
		g.SetConst("z", tensor.New(c.zero, 1))
		err := Check(model(g), Limits{}).Err()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%v: got %v, want %q", c.scale, err, c.want)
		}
	}
}

// TestCheckForeignScales leaves operators alone that only share a name with ONNX's.
func TestCheckForeignScales(t *testing.T) {
	for domain, want := range map[string]bool{"": false, "com.microsoft": false, "acme": true} {
		n := node("y = DequantizeLinear(q,s)")
		n.Domain = domain
		g := &Graph{Nodes: []*Node{n}, In: []*Value{{Name: "q"}}}
		g.SetConst("s", tensor.Float32s([]float32{-1}, 1))
		m := model(g)
		m.SetOpset(domain, 21)
		if err := Check(m, Limits{}).Err(); (err == nil) != want {
			t.Errorf("domain %q: %v", domain, err)
		}
	}
}

// TestCheckStoredScales takes any finite scale of stored codes.
func TestCheckStoredScales(t *testing.T) {
	for _, c := range []struct {
		scale float32
		ok    bool
	}{{1, true}, {-1, true}, {0, true}, {float32(math.Inf(-1)), false}, {float32(math.NaN()), false}} {
		g := &Graph{Nodes: nodes("y = DequantizeLinear(q,s)")}
		g.SetConst("q", tensor.New(tensor.Int8, 16))
		g.SetConst("s", tensor.Float32s([]float32{c.scale}, 1))
		err := Check(model(g), Limits{}).Err()
		if c.ok != (err == nil) || err != nil && !strings.Contains(err.Error(), "not a finite number at element 0") {
			t.Errorf("%g: got %v", c.scale, err)
		}
	}
}
