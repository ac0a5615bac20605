package op

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A mutation changes one thing of a case that works.
type mutation func(r *rand.Rand, n *graph.Node, in []*tensor.Tensor)

var mutations = []mutation{mutateShape, mutateShape, mutateValues, mutateType, mutateAttr, mutateAttr, dropInput}

// some returns the position of an input that is there.
func some(r *rand.Rand, in []*tensor.Tensor) int {
	for {
		if i := r.IntN(len(in)); in[i] != nil {
			return i
		}
	}
}

// mutateShape changes, drops, doubles or empties a dimension of one input.
func mutateShape(r *rand.Rand, _ *graph.Node, in []*tensor.Tensor) {
	i := some(r, in)
	shape := slices.Clone(in[i].Shape)
	k := r.IntN(len(shape) + 1)
	switch {
	case k == len(shape) || r.IntN(4) == 0:
		shape = slices.Insert(shape, k, 1+r.IntN(2))
	case r.IntN(3) == 0:
		shape = slices.Delete(shape, k, k+1)
	default:
		shape[k] = []int{0, 1, shape[k] + 1, 2 * shape[k]}[r.IntN(4)]
	}
	t := tensor.New(in[i].DType, shape...)
	for at := 0; at < len(t.Raw) && len(in[i].Raw) > 0; at += len(in[i].Raw) {
		copy(t.Raw[at:], in[i].Raw)
	}
	in[i] = t
}

var oddNumbers = []float64{0, -1, 2, 7, 0.5, math.NaN(), math.Inf(1), math.Inf(-1), 1e30, -1e30, 1 << 40, -1 << 62}

func mutateValues(r *rand.Rand, _ *graph.Node, in []*tensor.Tensor) {
	i := some(r, in)
	x, err := floats(in[i])
	if err != nil || len(x) == 0 {
		return
	}
	x = slices.Clone(x)
	x[r.IntN(len(x))] = oddNumbers[r.IntN(len(oddNumbers))]
	in[i], _ = fromFloats(in[i].DType, x, in[i].Shape)
}

// mutateType gives one input, or all that share its type, another element type.
func mutateType(r *rand.Rand, _ *graph.Node, in []*tensor.Tensor) {
	i, d := some(r, in), []tensor.DType{tensor.Float16, tensor.BFloat16, tensor.Float64, tensor.Int32, tensor.Uint8, tensor.Bool}[r.IntN(6)]
	old, all := in[i].DType, r.IntN(4) > 0
	for k, t := range in {
		if t == nil || k != i && (!all || t.DType != old) {
			continue
		}
		x, err := floats(t)
		if err != nil {
			continue
		}
		in[k], _ = fromFloats(d, x, t.Shape)
	}
}

var oddWords = []string{
	"", "bogus", "SAME_UPPER", "VALID", "linear", "cubic", "nearest", "none", "max", "reverse", "bidirectional", "border",
	"tf_crop_and_resize", "align_corners", "half_pixel_symmetric", "not_smaller", "ceil", "gated_delta", "silu", "...i,i...", "ij->", "ii",
}

func oddInt(r *rand.Rand) int64 {
	return []int64{0, 1, 2, 3, -1, -2, 1 << 20, 1 << 40, math.MinInt64, math.MaxInt64}[r.IntN(10)]
}

// mutateAttr sets one attribute of the operator to an odd value of the right kind.
func mutateAttr(r *rand.Rand, n *graph.Node, in []*tensor.Tensor) {
	s := Lookup(n.Domain, n.Op).Schemas
	specs := s[len(s)-1].Attrs
	if len(specs) == 0 {
		return
	}
	a := specs[r.IntN(len(specs))]
	length := max(0, len(n.Ints(a.Name)), in[some(r, in)].Rank()-2) + r.IntN(5)/4
	var ints []int64
	var reals []float32
	for range length {
		ints, reals = append(ints, oddInt(r)), append(reals, float32(oddNumbers[r.IntN(len(oddNumbers))]))
	}
	switch a.Kind {
	case "int":
		n.SetAttr(a.Name, oddInt(r))
	case "float":
		n.SetAttr(a.Name, float32(oddNumbers[r.IntN(len(oddNumbers))]))
	case "string":
		n.SetAttr(a.Name, oddWords[r.IntN(len(oddWords))])
	case "ints":
		n.SetAttr(a.Name, ints)
	case "floats":
		n.SetAttr(a.Name, reals)
	case "strings":
		n.SetAttr(a.Name, []string{"Tanh", "Relu"})
	}
}

func dropInput(r *rand.Rand, _ *graph.Node, in []*tensor.Tensor) { in[some(r, in)] = nil }

// TestNetHostile mutates every case that works: each mutant ends in a result of the inferred
// type or in a classified error.
func TestNetHostile(t *testing.T) {
	rounds := 100
	if testing.Short() {
		rounds = 20
	}
	seen := map[string]bool{}
	for i := range netCases {
		c := &netCases[i]
		if c.want == nil {
			continue
		}
		seen[c.node.Op] = true
		t.Run(c.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, uint64(i)))
			for range rounds {
				n, in := c.mutant(r)
				hostileRun(t, n, in, c.version())
			}
		})
	}
	for _, o := range netOps {
		if !seen[o.Name] {
			t.Errorf("%s has no case", o.Name)
		}
	}
}

// mutant returns a copy of the case with one to three changes.
func (c *netCase) mutant(r *rand.Rand) (*graph.Node, []*tensor.Tensor) {
	n, in := *c.node, slices.Clone(c.in)
	n.In, n.Attrs = slices.Clone(n.In), nil
	for _, a := range c.node.Attrs {
		n.SetAttr(a.Name, a.Value)
	}
	for range 1 + r.IntN(3) {
		if slices.ContainsFunc(in, func(t *tensor.Tensor) bool { return t != nil }) {
			mutations[r.IntN(len(mutations))](r, &n, in)
		}
	}
	return &n, in
}

func hostileRun(t *testing.T, n *graph.Node, in []*tensor.Tensor, opset int) {
	t.Helper()
	defer func() {
		if p := recover(); p != nil {
			t.Fatalf("panic: %v\n%s", p, describe(n, in))
		}
	}()
	m, feed := modelOf(n, opset, in)
	facts, inferErr := Infer(m, nil)
	out, err := Run(m, feed, Options{})
	for _, e := range []error{inferErr, err} {
		if e != nil && fault.KindOf(e) == fault.Internal {
			t.Errorf("unclassified error %v\n%s", e, describe(n, in))
		}
	}
	if err != nil {
		return
	}
	if inferErr != nil {
		t.Errorf("runs, but inference says %v\n%s", inferErr, describe(n, in))
		return
	}
	for _, name := range n.Out {
		if f := facts[name].Type; !f.Accepts(graph.TypeOf(out[name])) {
			t.Errorf("output %s is %s, inferred %s\n%s", name, out[name], f, describe(n, in))
		}
	}
}

func describe(n *graph.Node, in []*tensor.Tensor) string {
	s := n.Op
	for _, t := range in {
		if t == nil {
			s += " -"
		} else {
			s += " " + t.String()
		}
	}
	for _, a := range n.Attrs {
		s += fmt.Sprintf(" %s=%v", a.Name, a.Value)
	}
	return s
}
