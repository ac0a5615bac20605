package pass

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

// contribForms write ONNX Runtime's own operators that find the scale of their input while running.
var contribForms = map[string]func(s *spreader, n *graph.Node) bool{
	"MatMulIntegerToFloat": func(s *spreader, n *graph.Node) bool {
		return s.product(n, s.flowing(operand{n.In[0], input(n, 2), input(n, 4)}), operand{n.In[1], input(n, 3), input(n, 5)}, input(n, 6))
	},
	"DynamicQuantizeMatMul": func(s *spreader, n *graph.Node) bool {
		return s.product(n, s.dynamic(n.In[0]), operand{n.In[1], input(n, 2), input(n, 3)}, input(n, 4))
	},
	"DynamicQuantizeLSTM": (*spreader).recurrence,
	"QAttention":          (*spreader).attention,
}

// contrib writes an operator of ONNX Runtime's that computes on codes, and says whether it could.
func (s *spreader) contrib(n *graph.Node) bool {
	form := contribForms[n.Op]
	return form != nil && n.Domain == weight.Microsoft && s.constant(input(n, 1)) != nil && form(s, n)
}

// dynamic rounds a value over its own range, as DynamicQuantizeLinear does.
func (s *spreader) dynamic(name string) string {
	x := operand{s.used.fresh(name + "_q"), s.used.fresh(name + "_scale"), s.used.fresh(name + "_zp")}
	s.out = append(s.out, &graph.Node{Op: "DynamicQuantizeLinear", Name: s.used.fresh(name + "_DynamicQ"), In: []string{name}, Out: []string{x.codes, x.scale, x.zero}})
	return s.back(x, none)
}

// product writes MatMul, and Add where there is a bias. Those of its nodes that were written already and
// stay without a reader do no harm.
func (s *spreader) product(n *graph.Node, x string, w operand, bias string) bool {
	t := s.constant(w.codes)
	if t.Rank() == 0 {
		return false
	}
	c := t.Shape[t.Rank()-1]
	if scale := s.constant(w.scale); scale == nil || scale.Len() != 1 && scale.Len() != c {
		return false
	}
	f := &graph.Node{Op: "MatMul", Name: n.Name, Doc: n.Doc, In: []string{x, s.back(s.vectors(w, c), func(rank int) int { return rank - 1 })}, Out: n.Out}
	s.out = append(s.out, f)
	if bias != "" {
		f.Out = []string{s.used.fresh(n.Out[0] + "_scaled")}
		s.out = append(s.out, &graph.Node{Op: "Add", Name: s.used.fresh(n.Name + "_Add"), In: []string{f.Out[0], bias}, Out: n.Out})
	}
	return true
}

// attention writes Attention of ONNX Runtime, whose weights have a scale for each column or one.
func (s *spreader) attention(n *graph.Node) bool {
	w := operand{n.In[1], input(n, 4), input(n, 7)}
	t, scale := s.constant(w.codes), s.constant(w.scale)
	if t.Rank() != 2 || scale == nil || scale.Len() != 1 && scale.Len() != t.Shape[1] {
		return false
	}
	x := s.flowing(operand{n.In[0], input(n, 3), input(n, 6)})
	f := &graph.Node{Op: "Attention", Domain: weight.Microsoft, Name: n.Name, Doc: n.Doc, Attrs: n.Attrs, Out: n.Out}
	f.In = []string{x, s.back(s.vectors(w, t.Shape[1]), func(int) int { return 1 }), input(n, 2), input(n, 5), input(n, 8)}
	for f.In[len(f.In)-1] == "" {
		f.In = f.In[:len(f.In)-1]
	}
	s.out = append(s.out, f)
	return true
}

// recurrence writes LSTM with weights (D,4H,K) behind DequantizeLinear; the states between its steps are
// not rounded.
func (s *spreader) recurrence(n *graph.Node) bool {
	f := &graph.Node{Op: "LSTM", Name: n.Name, Doc: n.Doc, Attrs: n.Attrs, In: slices.Clone(n.In[:min(len(n.In), 8)]), Out: n.Out}
	for i := 1; i <= 2; i++ {
		codes, scale, zero := s.constant(input(n, i)), s.constant(input(n, 6+2*i)), s.constant(input(n, 7+2*i))
		if codes == nil || codes.Rank() != 3 || codes.DType != tensor.Int8 && codes.DType != tensor.Uint8 || scale == nil || zero == nil || zero.Len() != scale.Len() {
			return false
		}
		dirs, rows := codes.Shape[0], codes.Shape[2]
		axis := 0 // one scale for each direction
		if scale.Len() == dirs*rows && rows > 1 {
			axis = 1
		}
		if axis == 1 && dirs > 1 || axis == 0 && scale.Len() != dirs {
			return false
		}
		shape := []int{}
		if scale.Len() > 1 {
			shape = []int{scale.Len()}
		}
		w := operand{s.newConst(n.In[i]+"_gates", turned(codes)), s.newConst(n.In[6+2*i]+"_vector", scale.Reshape(shape...)), s.newConst(n.In[7+2*i]+"_vector", zero.Reshape(shape...))}
		f.In[i] = s.back(w, func(int) int { return axis })
	}
	f.In[0] = s.dynamic(n.In[0])
	s.out = append(s.out, f)
	return true
}
