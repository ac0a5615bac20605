package op

import (
	"slices"

	"lowbit/internal/graph"
)

// A Part is one of the operators that a fused node stands for.
type Part struct {
	Op, Domain string
	In         []Source
	Attrs      []*graph.Attr
	Out        int // which output of the node is its result; -1: none
}

// A Source of a part is one input of the fused node, the result of an earlier part, or a number.
type Source struct {
	Input, Part int // -1: not that
	Number      float32
}

// parts collects the operators that n stands for.
type parts struct {
	n     *graph.Node
	opset int // of the default domain
	list  []Part
}

func inputs(from, to int) []Source {
	var list []Source
	for i := from; i < to; i++ {
		list = append(list, Source{Input: i, Part: -1})
	}
	return list
}

// add appends an operator whose result no output of n is, and returns it.
func (p *parts) add(name string, in []Source, attrs ...*graph.Attr) Source {
	p.list = append(p.list, Part{Op: name, In: in, Attrs: attrs, Out: -1})
	return Source{Input: -1, Part: len(p.list) - 1}
}

// end returns the operators, the last of which gives the first output of n.
func (p *parts) end() []Part {
	p.list[len(p.list)-1].Out = 0
	return p.list
}

// kept are the attributes of n but those named.
func (p *parts) kept(but ...string) []*graph.Attr {
	return slices.DeleteFunc(slices.Clone(p.n.Attrs), func(a *graph.Attr) bool { return slices.Contains(but, a.Name) })
}

// given is how many inputs of n there are, up to a number.
func (p *parts) given(most int) int { return min(most, len(p.n.In)) }

// activate applies the function that n names to x, and says whether it is known, with all its parameters.
func (p *parts) activate(x Source, params []float32) bool {
	name := p.n.Str("activation", "")
	if name == "" {
		return true
	}
	a, ok := fusedActivations[name]
	if !ok || len(params) < len(a.params) {
		return false
	}
	in := []Source{x}
	var attrs []*graph.Attr
	for i, param := range a.params {
		if name == "Clip" && p.opset >= 11 {
			in = append(in, Source{Input: -1, Part: -1, Number: params[i]})
		} else {
			attrs = append(attrs, &graph.Attr{Name: param, Value: params[i]})
		}
	}
	p.add(name, in, attrs...)
	return true
}

func convParts(p *parts, _ func(i int) []int) bool {
	y := p.add("Conv", inputs(0, p.given(3)), p.kept("activation", "activation_params")...)
	if len(p.n.In) > 3 && p.n.In[3] != "" {
		y = p.add("Add", []Source{y, {Input: 3, Part: -1}})
	}
	return p.activate(y, p.n.Floats("activation_params"))
}

func gemmParts(p *parts, _ func(i int) []int) bool {
	y := p.add("Gemm", inputs(0, p.given(3)), p.kept("activation", "activation_alpha", "activation_beta", "activation_gamma")...)
	return p.activate(y, gemmActivation(p.n))
}

// matMulParts takes operands apart whose rank is known.
func matMulParts(p *parts, shape func(i int) []int) bool {
	in := inputs(0, 2)
	for i, side := range []string{"A", "B"} {
		swap, batch := p.n.Bool("trans"+side, false), p.n.Bool("transBatch"+side, false)
		if !swap && !batch {
			continue
		}
		t := shape(i)
		if t == nil {
			return false
		}
		var perm []int64
		for _, axis := range fusedOrder(len(t), swap, batch) {
			perm = append(perm, int64(axis))
		}
		in[i] = p.add("Transpose", []Source{in[i]}, &graph.Attr{Name: "perm", Value: perm})
	}
	y := p.add("MatMul", in)
	if alpha := p.n.Float("alpha", 1); alpha != 1 {
		p.add("Mul", []Source{y, {Input: -1, Part: -1, Number: alpha}})
	}
	return true
}

// vector says whether a shape, where it is known, is that of a vector along the last axis of x.
func vector(shape, x []int) bool {
	return shape == nil || len(shape) == 1 && (len(x) == 0 || shape[0] == x[len(x)-1])
}

// biasedParts is a sum and a function of it, which has no bias of its own then.
func biasedParts(name string) func(p *parts, shape func(i int) []int) bool {
	return func(p *parts, shape func(i int) []int) bool {
		if len(p.n.In) < 2 || p.n.In[1] == "" || !vector(shape(1), shape(0)) {
			return false
		}
		p.add(name, []Source{p.add("Add", inputs(0, 2))})
		p.list[1].Domain = microsoft
		return true
	}
}

// quickParts is x times the sigmoid of alpha·x.
func quickParts(p *parts, _ func(i int) []int) bool {
	x := inputs(0, 1)
	arg := x
	if alpha := p.n.Float("alpha", 1.702); alpha != 1 {
		arg = []Source{p.add("Mul", []Source{x[0], {Input: -1, Part: -1, Number: alpha}})}
	}
	p.add("Mul", []Source{x[0], p.add("Sigmoid", arg)})
	return true
}

// skipParts is the sum, or the two, and the normalization, which opset since brought to the standard. Of the inputs
// behind the second, those before bias are its scale and shift.
func skipParts(norm string, bias, since int) func(p *parts, shape func(i int) []int) bool {
	return func(p *parts, shape func(i int) []int) bool {
		n := p.n
		for i := 2; i < len(n.In); i++ {
			if n.In[i] != "" && !vector(shape(i), shape(0)) {
				return false
			}
		}
		if p.opset < since || slices.ContainsFunc(n.Out[min(1, len(n.Out)):min(3, len(n.Out))], func(o string) bool { return o != "" }) {
			return false
		}
		sum := p.add("Add", inputs(0, 2))
		if len(n.In) > bias && n.In[bias] != "" {
			sum = p.add("Add", []Source{sum, {Input: bias, Part: -1}})
		}
		if len(n.Out) > 3 && n.Out[3] != "" {
			p.list[sum.Part].Out = 3
		}
		in := append([]Source{sum}, inputs(2, p.given(bias))...)
		p.add(norm, in, &graph.Attr{Name: "axis", Value: int64(-1)}, &graph.Attr{Name: "epsilon", Value: n.Float("epsilon", 1e-12)})
		return true
	}
}

// IsNumber says whether s is a number, which is float32: operators of other types take no such.
func (s Source) IsNumber() bool { return s.Input < 0 && s.Part < 0 }

// Parts returns the operators that a fused node stands for, in order: nil where it is none, or has options
// that they lack. opset is the version of the default domain that they are of, shape tells that of input i, nil where
// it is not known.
func Parts(n *graph.Node, opset int, shape func(i int) []int) []Part {
	o := Lookup(n.Domain, n.Op)
	if o == nil || o.parts == nil || len(n.Out) == 0 || n.Out[0] == "" {
		return nil
	}
	if s := o.Schema(1); s == nil || s.CheckNode(n) != nil {
		return nil
	}
	p := &parts{n: n, opset: opset}
	if !o.parts(p, shape) {
		return nil
	}
	return p.end()
}
