package pass

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// What rows are quantized to: uint8 about 128, so that one zero point serves all rows, as integer
// products want it, and only the scale is the row's own.
const (
	rowTop  = 127
	rowZero = 128
	rowTiny = 0x1p-100 // of the scale of a row of zeros
)

// A rowKey is an activation and the axis that its rows run along, -1 or -2.
type rowKey struct {
	name string
	axis int
}

// rows returns an activation (…,M,K) quantized row by row, with scales (…,M,1), and the nodes that
// make it, if it is new: s = max|x|/127 and codes clip(round(x/s)+128, 1, 255). Its rows run along
// an axis: what is multiplied from the left has those of its transpose, -2.
func (d *dynamic) rows(name string, axis int) (operand, []*graph.Node) {
	key := rowKey{name, axis}
	if in, ok := d.byRow[key]; ok {
		return in, nil
	}
	in := operand{d.used.added(name + "_q"), d.used.added(name + "_scale"), d.constant(name+"_zp", tensor.Wrap(tensor.Uint8, []uint8{rowZero}))}
	d.byRow[key] = in
	value := func(what string) string { return d.used.added(name + "_" + what) }
	node := func(op, out string, in ...string) *graph.Node {
		return &graph.Node{Op: op, Name: d.used.added(name + "_" + op), In: in, Out: []string{out}}
	}
	mag, top, step, ratio, whole, code, kept := value("abs"), value("amax"), value("step"), value("ratio"), value("round"), value("code"), value("kept")
	most := node("ReduceMax", top, mag)
	if d.m.Opset("") >= 18 {
		most.In = append(most.In, d.constant(name+"_axes", tensor.Int64s([]int64{int64(axis)}, 1)))
	} else {
		most.SetAttr("axes", []int64{int64(axis)})
	}
	scalar := func(what string, v float32) string { return d.constant(name+"_"+what, tensor.Scalar(v)) }
	cast := node("Cast", in.codes, kept)
	cast.SetAttr("to", int64(tensor.Uint8))
	return in, []*graph.Node{
		node("Abs", mag, name), most,
		node("Div", step, top, scalar("top", rowTop)),
		node("Max", in.scale, step, scalar("tiny", rowTiny)),
		node("Div", ratio, name, in.scale),
		node("Round", whole, ratio),
		node("Add", code, whole, scalar("zero", rowZero)),
		node("Clip", kept, code, scalar("least", rowZero-rowTop), scalar("most", rowZero+rowTop)),
		cast,
	}
}
