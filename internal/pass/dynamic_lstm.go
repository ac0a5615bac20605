package pass

import (
	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

// DynamicContrib is Dynamic, with ONNX Runtime's own operator for an LSTM, whose products are of codes too.
// There is none for a GRU, which reads its weights through DequantizeLinear.
func DynamicContrib(m *graph.Model, p *plan.Plan) error {
	q := newQDQ(m, p)
	found := false
	for g := range m.Graph.Graphs() {
		for _, n := range g.Nodes {
			ok, err := q.lstm(n)
			if err != nil {
				return fault.At(n.Label(), err)
			}
			found = found || ok
		}
	}
	if found {
		m.SetOpset(weight.Microsoft, 1)
	}
	return q.dynamic()
}

// lstm turns an LSTM whose weights the plan stores in codes of 8 bits into DynamicQuantizeLSTM, and says whether
// it did: X, W (D,I,4H), R (D,H,4H), what LSTM reads besides, and scale and zero point of either weight, (D) or (D,4H).
func (q *qdq) lstm(n *graph.Node) (bool, error) {
	row := q.nodes[plan.NodeName(n)]
	if row == nil || n.Op != "LSTM" || graph.CanonicalDomain(n.Domain) != "" || n.Int("layout", 0) != 0 || len(row.Inputs) < 3 {
		return false, nil
	}
	in := append(make([]string, 0, 12), n.In...)
	for len(in) < 12 {
		in = append(in, "")
	}
	for _, as := range row.Inputs[1:3] {
		if !q.gates(q.values[as]) {
			return false, nil
		}
	}
	for i := 1; i <= 2; i++ {
		v := q.values[row.Inputs[i]]
		codes, err := q.codesOf(v)
		if err != nil {
			return false, err
		}
		scale, zero, err := gateParams(codes, v)
		if err != nil {
			return false, err
		}
		in[i] = q.constant(v.As+"_gates", turned(codes))
		in[6+2*i], in[7+2*i] = q.constant(v.As+"_scale", scale), q.constant(v.As+"_zp", zero)
	}
	delete(q.nodes, plan.NodeName(n))
	n.Domain, n.Op, n.In = weight.Microsoft, "DynamicQuantizeLSTM", in
	return true, nil
}

// gates says whether a weight is stored in codes of 8 bits, with one scale for the tensor or a row of the gates.
func (q *qdq) gates(v *plan.Value) bool {
	if v == nil || v.Role != plan.RoleWeight || v.Block.Kind == format.Group || v.Block.Kind == format.Channel && v.Block.Axis != 1 {
		return false
	}
	f, t := format.Lookup(v.Format), q.find(v.Name)
	return f != nil && f.Kind == format.Linear && (f.Elem == tensor.Int8 || f.Elem == tensor.Uint8) && t != nil && t.Rank() == 3
}

// gateParams returns the scales and zero points of codes (D,4H,K): one for each direction, or for each row of the
// gates of each.
func gateParams(codes *tensor.Tensor, v *plan.Value) (scale, zero *tensor.Tensor, err error) {
	shape := codes.Shape[:1]
	if len(v.Params) > 1 {
		shape = codes.Shape[:2]
	}
	n := tensor.Elements(shape)
	scales, zeros := make([]float32, n), make([]int64, n)
	for i := range n {
		p := v.Params[i%len(v.Params)]
		scales[i], zeros[i] = p.Scale, int64(p.Zero)
	}
	zero, err = format.FromInts(codes.DType, zeros, shape...)
	return tensor.Float32s(scales, shape...), zero, err
}
