package op

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A fuzzer makes nodes whose signature is right and whose values are odd.
type fuzzer struct {
	*rand.Rand
	types map[string]string // bound type variables
	rank  int               // that most operands have
}

var oddInts = []int64{-1, 0, 1, 2, 3, 4, 5, 7, -2, -3, 16, 255, 1 << 20, 1 << 31, 1 << 40, math.MaxInt64, math.MinInt64, math.MinInt64 + 1}
var oddFloats = []float32{0, 1, -1, 0.5, 2, -0.25, 1e-7, 1e9, 3e38, float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))}
var oddStrings = []string{
	"", "?", "constant", "reflect", "edge", "wrap", "linear", "nearest", "cubic", "bilinear", "NOTSET", "SAME_UPPER", "SAME_LOWER",
	"VALID", "DCR", "CRD", "add", "mul", "max", "min", "none", "mean", "sum", "forward", "reverse", "bidirectional", "TF", "IDF", "TFIDF",
	"LOWER", "UPPER", "ij,jk->ik", "...i->i...", "ii->i", "a(b", "circular", "zeros", "border", "reflection", "asymmetric", "align_corners",
	"half_pixel", "tf_crop_and_resize", "floor", "ceil", "avg", "Relu", "Tanh", "Sigmoid", "tanh", "stretch", "not_larger", "up", "down", "SUM",
}

func pickOne[T any](f *fuzzer, list []T) T { return list[f.IntN(len(list))] }

// oddInt is small three times out of four.
func (f *fuzzer) oddInt() int64 {
	if f.IntN(4) > 0 {
		return int64(f.IntN(6)) - 1
	}
	return pickOne(f, oddInts)
}

func (f *fuzzer) shape() []int {
	rank := f.rank
	if f.IntN(4) == 0 {
		rank = f.IntN(6)
	}
	s := make([]int, rank)
	for i := range s {
		s[i] = 1 + f.IntN(4)
		if f.IntN(12) == 0 {
			s[i] = 0
		}
	}
	return s
}

func (f *fuzzer) tensor(d tensor.DType) *tensor.Tensor {
	shape := f.shape()
	if d.IsInt() && f.IntN(2) == 0 {
		shape = []int{1 + f.IntN(5)}[:f.IntN(2)]
	}
	t := tensor.New(d, shape...)
	for i := range t.Str {
		t.Str[i] = pickOne(f, oddStrings)
	}
	for i := range t.Raw {
		t.Raw[i] = byte(f.IntN(256))
	}
	switch {
	case d == tensor.Bool:
		for i := range t.Raw {
			t.Raw[i] &= 1
		}
	case d == tensor.Float32:
		for i, v := 0, tensor.Of[float32](t); i < len(v); i++ {
			v[i] = pickOne(f, oddFloats)
		}
	case d.IsInt() && d.Bits() >= 8:
		v := make([]int64, t.Len())
		for i := range v {
			v[i] = f.oddInt()
		}
		t, _ = fromInts(d, v, shape)
	}
	return t
}

// value makes a value of a type by its ONNX name: "float", "seq(tensor(float))".
func (f *fuzzer) value(name string) *tensor.Tensor {
	if inner, ok := strings.CutPrefix(name, "optional("); ok {
		v := f.value(strings.TrimSuffix(inner, ")"))
		if f.IntN(2) == 0 {
			return tensor.NewOptional(v.DType, nil)
		}
		return tensor.NewOptional(v.DType, v)
	}
	if inner, ok := strings.CutPrefix(name, "seq("); ok {
		d, _ := tensor.ParseDType(strings.Trim(strings.TrimPrefix(inner, "tensor"), "()"))
		s := tensor.NewSequence(d)
		for range f.IntN(3) {
			s.Items = append(s.Items, f.tensor(d))
		}
		return s
	}
	d, ok := tensor.ParseDType(strings.Trim(strings.TrimPrefix(name, "tensor"), "()"))
	if !ok {
		d = tensor.Float32
	}
	return f.tensor(d)
}

// operand makes a value for a formal parameter.
func (f *fuzzer) operand(s *Schema, p Param) *tensor.Tensor {
	set, isVar := s.Vars[p.Type]
	if !isVar {
		return f.value(p.Type)
	}
	if f.types[p.Type] == "" || p.Mixed {
		f.types[p.Type] = pickOne(f, set)
		if slices.Contains(set, "float") && f.IntN(2) == 0 {
			f.types[p.Type] = "float"
		}
	}
	return f.value(f.types[p.Type])
}

func (f *fuzzer) attr(kind string) any {
	n := f.IntN(5)
	switch kind {
	case "int":
		return f.oddInt()
	case "float":
		return pickOne(f, oddFloats)
	case "string":
		return pickOne(f, oddStrings)
	case "ints":
		list := make([]int64, n)
		for i := range list {
			list[i] = f.oddInt()
		}
		return list
	case "floats":
		list := make([]float32, n)
		for i := range list {
			list[i] = pickOne(f, oddFloats)
		}
		return list
	case "strings":
		list := make([]string, n)
		for i := range list {
			list[i] = pickOne(f, oddStrings)
		}
		return list
	case "tensor":
		return f.tensor(pickOne(f, []tensor.DType{tensor.Float32, tensor.Int64, tensor.String, tensor.Int4, tensor.Bool}))
	case "sparse_tensor":
		return &graph.Sparse{Values: tensor.Float32s([]float32{1, 2}, 2), Indices: f.tensor(tensor.Int64), Shape: f.shape()}
	case "graph":
		return f.body()
	case "type_proto":
		return graph.Unranked(tensor.Float32)
	}
	return nil
}

// body is a subgraph that passes some of its inputs on.
func (f *fuzzer) body() *graph.Graph {
	g := &graph.Graph{Name: "body"}
	for i := range f.IntN(5) {
		g.In = append(g.In, &graph.Value{Name: fmt.Sprintf("b%d", i)})
	}
	g.SetConst("k", tensor.Wrap(tensor.Bool, []bool{f.IntN(3) == 0}))
	for range f.IntN(4) {
		name := "k"
		if len(g.In) > 0 && f.IntN(3) > 0 {
			name = pickOne(f, g.In).Name
		}
		g.Out = append(g.Out, &graph.Value{Name: name})
	}
	return g
}

// model wraps one odd node of operator o into a model, and returns it with its inputs.
func (f *fuzzer) model(o *Op) (*graph.Model, map[string]*tensor.Tensor) {
	f.types, f.rank = map[string]string{}, f.IntN(5)
	s := pickOne(f, o.Schemas)
	n := &graph.Node{Op: o.Name, Domain: o.Domain}
	in := map[string]*tensor.Tensor{}
	g := &graph.Graph{Name: "g", Nodes: []*graph.Node{n}}
	for _, p := range s.In {
		count := 1
		if p.Variadic {
			count = f.IntN(4)
		}
		for range count {
			name := fmt.Sprintf("x%d", len(n.In))
			if p.Optional && f.IntN(3) == 0 {
				name = ""
			} else {
				in[name] = f.operand(s, p)
				g.In = append(g.In, &graph.Value{Name: name, Type: graph.Type{}})
			}
			n.In = append(n.In, name)
		}
	}
	for i := range max(len(s.Out), f.IntN(3)) {
		if i < len(s.Out) || len(s.Out) > 0 && s.Out[len(s.Out)-1].Variadic {
			n.Out = append(n.Out, fmt.Sprintf("y%d", i))
		}
	}
	for _, a := range s.Attrs {
		if a.Required || f.IntN(2) == 0 {
			n.SetAttr(a.Name, f.attr(a.Kind))
		}
	}
	m := &graph.Model{Graph: g, Opsets: []graph.Opset{{Domain: o.Domain, Version: max(s.Since, 7)}}}
	for _, name := range n.Out {
		g.Out = append(g.Out, &graph.Value{Name: name})
	}
	return m, in
}

// checkWhole says whether a tensor has exactly the bytes that its shape asks for.
func checkWhole(t *tensor.Tensor) error {
	for _, it := range t.Items {
		if err := checkWhole(it); err != nil {
			return err
		}
	}
	if t.Kind != tensor.Dense {
		return nil
	}
	n, err := tensor.CheckedElements(t.Shape)
	if err != nil || !t.DType.Valid() {
		return fmt.Errorf("%s: %v", t, err)
	}
	if t.DType == tensor.String && len(t.Str) != n || t.DType != tensor.String && len(t.Raw) != t.DType.ByteLen(n) {
		return fmt.Errorf("%s has %d bytes and %d strings", t, len(t.Raw), len(t.Str))
	}
	return nil
}

// try infers and runs one odd model. It returns what is wrong with that.
func try(m *graph.Model, in map[string]*tensor.Tensor) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	start := time.Now()
	known := map[string]graph.Type{}
	for name, t := range in {
		known[name] = graph.TypeOf(t)
	}
	facts, inferErr := Infer(m, known)
	open, openErr := Infer(m, nil)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond) // for endless loops
	defer cancel()
	out, err := Run(m, in, Options{Context: ctx})
	if d := time.Since(start); d > 2*time.Second {
		return fmt.Errorf("takes %v", d)
	}
	if err != nil {
		if fault.KindOf(err) == fault.Internal && !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("unclassified error: %w", err)
		}
		return nil
	}
	for name, t := range out {
		if err := checkWhole(t); err != nil {
			return fmt.Errorf("output %s: %w", name, err)
		}
		if inferErr != nil || openErr != nil {
			return fmt.Errorf("runs, but inference fails: %v; %v", inferErr, openErr)
		}
		for _, f := range []Fact{facts[name], open[name]} {
			if t.Kind == tensor.Dense && !f.Type.Accepts(graph.TypeOf(t)) {
				return fmt.Errorf("output %s is %s, inferred %s", name, t, f.Type)
			}
		}
	}
	return nil
}

// TestOddArguments runs every operator on odd shapes, values and attributes: errors are
// classified, nothing panics or grows without bound, and results agree with inference.
func TestOddArguments(t *testing.T) {
	defer func(n int) { sizeLimit = n }(sizeLimit)
	sizeLimit = 1 << 22
	for _, o := range All {
		name := strings.TrimPrefix(o.Domain+"."+o.Name, ".")
		t.Run(name, func(t *testing.T) {
			if len(o.Schemas) == 0 {
				t.Fatal("has no signature")
			}
			f := &fuzzer{Rand: rand.New(rand.NewPCG(1, 2))}
			for i := range 200 {
				m, in := f.model(o)
				if err := try(m, in); err != nil {
					var types []string
					for _, x := range m.Graph.Nodes[0].In {
						if in[x] != nil {
							types = append(types, in[x].String())
						}
					}
					t.Fatalf("try %d, opset %d, inputs %v: %v", i, m.Opsets[0].Version, types, err)
				}
			}
		})
	}
}
