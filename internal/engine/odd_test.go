package engine

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"testing"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// TestOddNetworks changes one constant, attribute or operand of random networks of codes: the engine gives
// what the definitions of the operators give, or refuses what they refuse, and never panics.
func TestOddNetworks(t *testing.T) {
	tries := 1500
	if testing.Short() {
		tries = 200
	}
	r := rand.New(rand.NewPCG(9, 9))
	for i := range tries {
		k := grown(uint64(i), 6, 3)
		what := k.spoil(r)
		if err := k.agree(); err != nil {
			t.Errorf("network %d with %s: %v", i, what, err)
		}
	}
}

func oneOf[T any](r *rand.Rand, list ...T) T { return list[r.IntN(len(list))] }

func oddInt(r *rand.Rand) int64 {
	return oneOf[int64](r, -2, -1, 0, 1, 2, 3, 5, 100, math.MaxInt64, math.MinInt64)
}

// spoil changes a network in one place, and tells which.
func (k *maker) spoil(r *rand.Rand) string {
	consts := k.m.Graph.Consts()
	c, n := consts[r.IntN(len(consts))], oneOf(r, k.m.Graph.Nodes...)
	switch {
	case r.IntN(2) == 0:
		t := spoilt(r, c.Tensor)
		k.m.Graph.SetConst(c.Name, t)
		return fmt.Sprintf("constant %s as %s", c.Name, t)
	case len(n.Attrs) > 0:
		a := oneOf(r, n.Attrs...)
		n.SetAttr(a.Name, spoiltAttr(r, a.Value))
		return fmt.Sprintf("%s %s: %s = %v", n.Op, n.Out[0], a.Name, n.Attr(a.Name).Value)
	default:
		n.In = slices.Clone(n.In)
		n.In[r.IntN(len(n.In))] = c.Name
		return fmt.Sprintf("%s of %v", n.Op, n.In)
	}
}

// spoilt returns a copy of a constant of another shape, or with another element.
func spoilt(r *rand.Rand, t *tensor.Tensor) *tensor.Tensor {
	n := t.Len()
	if n == 0 || r.IntN(3) == 0 {
		d := tensor.New(t.DType, oneOf(r, []int{1}, nil, []int{n}, []int{n, 1}, []int{1, n}, []int{max(n-1, 0)}, append(slices.Clone(t.Shape), 1), []int{0})...)
		copy(d.Raw, t.Raw)
		return d
	}
	t = t.Clone()
	at := r.IntN(n)
	switch t.DType {
	case tensor.Float32:
		tensor.Of[float32](t)[at] = oneOf[float32](r, 0, -1, -1e-3, 1e-40, 1e-38, 0.5, 1e30)
	case tensor.Int64:
		tensor.Of[int64](t)[at] = oddInt(r)
	case tensor.Int32:
		tensor.Of[int32](t)[at] = oneOf[int32](r, 0, 1, -1000, 1<<24)
	default:
		t.Raw[at] = oneOf[byte](r, 0, 1, 127, 128, 255)
	}
	return t
}

func spoiltAttr(r *rand.Rand, v any) any {
	list, ok := v.([]int64)
	if !ok {
		return oddInt(r)
	}
	list = slices.Clone(list)
	list[r.IntN(len(list))] = oddInt(r)
	return list[r.IntN(len(list)+3)/(len(list)+2):]
}

// agree says where the engine and the definitions differ: in whether they refuse the network, or in more
// than one in fifty of the results by more than a twentieth of the largest: ties of codes may fall to either
// side, and later nodes spread that.
func (k *maker) agree() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	want, refused := op.Run(k.m, k.in, op.Options{})
	s, err := Compile(k.m, Options{Threads: 2})
	var got map[string]*tensor.Tensor
	if err == nil {
		defer s.Close()
		got, err = s.Run(context.Background(), k.in)
	}
	switch {
	case err != nil && (refused == nil || fault.KindOf(err) == fault.Internal):
		return fmt.Errorf("fails: %w", err)
	case err == nil && refused != nil:
		return fmt.Errorf("runs, but by definition: %w", refused)
	}
	for name, w := range want {
		if g := got[name]; g.String() != w.String() || apart(asFloats(g), asFloats(w))*50 > w.Len() {
			return fmt.Errorf("%s is %s %v, not %s %v", name, g, asFloats(g), w, asFloats(w))
		}
	}
	return nil
}

// apart counts the numbers that differ by more than a twentieth of the largest wanted one.
func apart(got, want []float32) (count int) {
	top := 0.0
	for _, v := range want {
		if !math.IsInf(float64(v), 0) {
			top = max(top, math.Abs(float64(v)))
		}
	}
	for i, w := range want {
		g := got[i]
		if g != w && (g == g || w == w) && !(math.Abs(float64(g)-float64(w)) <= top/20) {
			count++
		}
	}
	return count
}

// TestBranchWithInputs runs an If whose branches declare as inputs what they read from outside.
func TestBranchWithInputs(t *testing.T) {
	k := newMaker(1)
	branch := func(op string) *graph.Graph {
		return &graph.Graph{
			In:    []*graph.Value{{Name: "x"}},
			Nodes: []*graph.Node{{Op: op, In: []string{"x"}, Out: []string{op}}},
			Out:   []*graph.Value{{Name: op}},
		}
	}
	cond := k.input(tensor.Wrap(tensor.Bool, []bool{false}))
	x := &graph.Node{Op: "Abs", In: []string{k.input(k.floats(2, 3))}, Out: []string{"x"}}
	k.m.Graph.Nodes = append(k.m.Graph.Nodes, x)
	k.output(k.node("If", []string{cond}, "then_branch", branch("Exp"), "else_branch", branch("Neg")))
	k.checkFloat(t)
}
