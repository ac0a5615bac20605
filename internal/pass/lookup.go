package pass

import (
	"slices"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// lookUp has a Gather of rows pick codes, and their scales beside them: only what is looked up is multiplied.
func (w *weaver) lookUp(n *graph.Node, v *plan.Value) error {
	t := w.g.ConstTensor(v.Name)
	if t == nil {
		return fault.Invalidf("", "table %q is not a constant of its graph", v.Name)
	}
	ops, stored := w.stored[v.As]
	if !stored {
		codes, err := w.codesOf(v)
		if err != nil {
			return err
		}
		scale := make([]float32, len(v.Params))
		for i, p := range v.Params {
			scale[i] = p.Scale
		}
		shape := slices.Repeat([]int{1}, t.Rank())
		shape[0] = len(scale)
		ops = operand{codes: w.used.added(v.As + "_q"), scale: w.used.added(v.As + "_scale")}
		set := w.setter(w.g)
		set(ops.codes, codes)
		set(ops.scale, tensor.Float32s(scale, shape...))
		w.stored[v.As] = ops
	}
	out := n.Out[0]
	picked, each := w.used.added(out+"_rows"), w.used.added(out+"_row_scale")
	rows := &graph.Node{Op: "Gather", Name: w.used.added(out + "_RowScale"), In: []string{ops.scale, n.In[1]}, Out: []string{each}}
	rows.SetAttr("axis", int64(0))
	cast := &graph.Node{Op: "Cast", Name: w.used.added(out + "_Cast"), In: []string{picked}, Out: []string{w.used.added(out + "_row_codes")}}
	cast.SetAttr("to", int64(tensor.Float32))
	n.In[0], n.Out[0], w.looked[out] = ops.codes, picked, true
	w.after[picked] = []*graph.Node{rows, cast, {Op: "Mul", Name: w.used.added(out + "_Mul"), In: []string{cast.Out[0], each}, Out: []string{out}}}
	return nil
}
