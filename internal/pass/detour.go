package pass

import (
	"math"

	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// detours sends a value that flows through a format that QuantizeLinear does not know, by the
// family of the format.
var detours = map[format.Kind]func(w *weaver, v *plan.Value, from, to string) []*graph.Node{
	format.Floating:    (*weaver).castPair,
	format.Signs:       (*weaver).sign,
	format.Logarithmic: (*weaver).exponent,
}

func (w *weaver) detour(v *plan.Value, f *format.Format, from, to string) ([]*graph.Node, error) {
	make := detours[f.Kind]
	if make == nil || f.Scaled() && f.Kind == format.Floating {
		return nil, fault.Unsupportedf("", "value %q: format %s is for weights only", v.As, v.Format)
	}
	return make(w, v, from, to), nil
}

// castPair rounds a value to a 16-bit float and back.
func (w *weaver) castPair(v *plan.Value, from, to string) []*graph.Node {
	code := w.used.added(v.As + "_q")
	there := &graph.Node{Op: "Cast", Name: w.used.added(v.As + "_Q"), In: []string{from}, Out: []string{code}}
	there.SetAttr("to", int64(format.Lookup(v.Format).Elem))
	back := &graph.Node{Op: "Cast", Name: w.used.added(v.As + "_DQ"), In: []string{code}, Out: []string{to}}
	back.SetAttr("to", int64(tensor.Float32))
	return []*graph.Node{there, back}
}

// sign gives each element the scale with its own sign, that of zero being plus.
func (w *weaver) sign(v *plan.Value, from, to string) []*graph.Node {
	plus, minus, zero := w.used.added(v.As+"_scale"), w.used.added(v.As+"_minus"), w.used.added(v.As+"_zero")
	w.m.Graph.SetConst(plus, tensor.Scalar(v.Params[0].Scale))
	w.m.Graph.SetConst(minus, tensor.Scalar(-v.Params[0].Scale))
	w.m.Graph.SetConst(zero, tensor.Scalar(0))
	code := w.used.added(v.As + "_q")
	return []*graph.Node{
		{Op: "Less", Name: w.used.added(v.As + "_Q"), In: []string{from, zero}, Out: []string{code}},
		{Op: "Where", Name: w.used.added(v.As + "_DQ"), In: []string{code, minus, plus}, Out: []string{to}},
	}
}

// exponent rounds the logarithm of each magnitude and confines it to the exponents of the format:
// sign·2^clip(round(log2|x|)). Of zero only the sign, which is zero, is left.
func (w *weaver) exponent(v *plan.Value, from, to string) []*graph.Node {
	f := format.Lookup(v.Format)
	lo, hi := f.Exponents()
	step := f.ExponentStep()
	base := math.Log2(float64(v.Params[0].Scale))
	var nodes []*graph.Node
	node := func(op string, in ...string) string {
		name := w.used.added(v.As + "_" + op)
		nodes = append(nodes, &graph.Node{Op: op, Name: name, In: in, Out: []string{name}})
		return name
	}
	number := func(what string, x float64) string {
		name := w.used.added(v.As + "_" + what)
		w.m.Graph.SetConst(name, tensor.Scalar(float32(x)))
		return name
	}
	steps := node("Mul", node("Log", node("Abs", from)), number("steps", 1/(math.Ln2*step)))
	e := node("Clip", node("Round", steps), number("min", (base+lo)/step), number("max", (base+hi)/step))
	if step != 1 {
		e = node("Mul", e, number("step", step))
	}
	node("Mul", node("Pow", number("two", 2), e), node("Sign", from))
	nodes[len(nodes)-1].Out[0] = to
	return nodes
}
