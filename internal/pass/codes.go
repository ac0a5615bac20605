package pass

import (
	"errors"
	"fmt"

	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

// store adds a value's parameters, and a constant's codes, in the main graph, once.
func (q *qdq) store(v *plan.Value) (operand, error) {
	if ops, ok := q.stored[v.As]; ok {
		return ops, nil
	}
	ops, err := q.spelt(v, q.setter(q.m.Graph))
	if err == nil {
		q.stored[v.As] = ops
	}
	return ops, err
}

// spelt adds a value's parameters, and a constant's codes, to where set puts them.
func (q *qdq) spelt(v *plan.Value, set func(name string, t *tensor.Tensor)) (operand, error) {
	if len(v.Params) == 0 {
		return operand{}, fault.Invalidf(fmt.Sprintf("value %q", v.As), "has no parameters")
	}
	var ops operand
	elem, shape := tensor.Int32, []int{}
	if f := format.Lookup(v.Format); f != nil {
		elem = f.Elem
	}
	if v.Role == plan.RoleActivation || v.Role == plan.RoleConstant {
		elem = flowing(format.Lookup(v.Format))
	}
	if v.Role != plan.RoleActivation {
		t := q.find(v.Name)
		codes, err := q.codesOf(v)
		if err != nil {
			return operand{}, err
		}
		ops.codes = q.used.added(v.As + "_q")
		set(ops.codes, codes)
		shape = v.Block.ParamShape(t.Shape)
	}
	scale := make([]float32, len(v.Params))
	zero := make([]int64, len(v.Params))
	for i, p := range v.Params {
		scale[i], zero[i] = p.Scale, int64(p.Zero)
	}
	ops.scale = q.used.added(v.As + "_scale")
	set(ops.scale, tensor.Wrap(tensor.Float32, scale, shape...))
	if v.Role != plan.RoleBias && !elem.IsFloat() { // where it is left out, it is zero and costs no bytes
		zeros, err := format.FromInts(elem, zero, shape...)
		if err != nil {
			return operand{}, err
		}
		ops.zero = q.used.added(v.As + "_zp")
		set(ops.zero, zeros)
	}
	return ops, nil
}

// setter returns what adds initializers to a graph of the model.
func (q *qdq) setter(g *graph.Graph) func(name string, t *tensor.Tensor) {
	return func(name string, t *tensor.Tensor) { g.SetConst(name, q.m.Shelved(t)) }
}

// inFormat returns a constant in the format of its line.
func (q *qdq) inFormat(v *plan.Value) (*weight.Coded, error) {
	t := q.find(v.Name)
	if !isFloat(t) {
		return nil, unfit(v, errNoFloat)
	}
	defer q.m.Forget(t)
	c, err := weight.Encode(t, format.Lookup(v.Format), v.Block, v.Params)
	return c, unfit(v, err)
}

// codesOf is [Encode] of the constant of v.
func (q *qdq) codesOf(v *plan.Value) (*tensor.Tensor, error) {
	t := q.find(v.Name)
	defer q.m.Forget(t)
	codes, err := Encode(t, v)
	return codes, unfit(v, err)
}

// unfit says which value a constant is not right for.
func unfit(v *plan.Value, err error) error {
	if err == nil {
		return nil
	}
	return fault.Invalidf(fmt.Sprintf("value %q", v.As), "%v", err)
}

var errNoFloat = errors.New("is not a float constant of the model")

// Encode returns the codes of a float constant as the network of plan value v stores them.
func Encode(t *tensor.Tensor, v *plan.Value) (*tensor.Tensor, error) {
	if !isFloat(t) {
		return nil, errNoFloat
	}
	if n := tensor.Elements(v.Block.ParamShape(t.Shape)); n != len(v.Params) {
		return nil, fmt.Errorf("has %d parameters, %s by %s needs %d", len(v.Params), t, v.Block, n)
	}
	if v.Role != plan.RoleBias {
		f := format.Lookup(v.Format)
		if v.Role == plan.RoleWeight {
			return f.QuantizeTensor(t, v.Block, v.Params)
		}
		list, err := f.QuantizeCodes(t, v.Block, v.Params)
		if err != nil {
			return nil, err
		}
		return format.FromInts(flowing(f), list, t.Shape...)
	}
	codes := tensor.New(tensor.Int32, t.Shape...)
	out := tensor.Of[int32](codes)
	for i, e := range tensor.Of[float32](t) {
		out[i] = format.Int32.Code(float64(e), v.Params[min(i, len(v.Params)-1)])
	}
	return codes, nil
}

// flowing is the element type of the codes of a value that flows.
func flowing(f *format.Format) tensor.DType {
	switch {
	case f.Bits >= 8:
		return f.Elem
	case f.Lo < 0:
		return tensor.Int8
	}
	return tensor.Uint8
}

// find returns the constant of that name in any graph of the model.
func (q *qdq) find(name string) *tensor.Tensor {
	for g := range q.m.Graph.Graphs() {
		if t := g.ConstTensor(name); t != nil {
			return t
		}
	}
	return nil
}
