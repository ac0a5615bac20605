package engine

import "lowbit/internal/tensor"

// tableLimit is how many bytes a code of a stored constant may pick from a table: eight floats.
const tableLimit = 32

// findStored looks up stored codes in the tables of what they mean: Gather from a constant by codes
// that Cast widens. The indices, eight times as large as four-bit codes, are never made.
func findStored(g *net) {
	for _, n := range g.nodes {
		if n.kind != "Gather" || !n.static() || n.in[0].konst == nil || n.in[1].def == nil || n.onnx.Int("axis", 0) != 0 {
			continue
		}
		c := n.in[1].def
		if c.kind != "Cast" || c.in[0].konst == nil || !(n.in[1].is(tensor.Int32) || n.in[1].is(tensor.Int64)) {
			continue
		}
		if t := pick(n.in[0].konst, c.in[0].konst, n.out[0]); t != nil {
			n.out[0].konst, n.out[0].def, n.out = t, nil, nil
			g.kill(n)
		}
	}
	g.sweep()
}

// pick returns the rows of a table that codes name, as the tensor that y is; nil where they name none.
func pick(table, codes *tensor.Tensor, y *value) *tensor.Tensor {
	var list []byte
	switch {
	case codes.DType == tensor.Uint8:
		list = codes.Raw
	case codes.DType == tensor.Uint4 || codes.DType == tensor.Uint2:
		list = tensor.Unpack(codes)
	default:
		return nil
	}
	if table.Rank() == 0 || table.Shape[0] == 0 || y.pinned || !movable(table.DType) {
		return nil
	}
	row := len(table.Raw) / table.Shape[0]
	if row > tableLimit || row == 0 {
		return nil
	}
	t := tensor.New(table.DType, y.shape...)
	for i, c := range list {
		if int(c) >= table.Shape[0] {
			return nil // the definition of the operator says what is wrong
		}
		copy(t.Raw[i*row:(i+1)*row], table.Raw[int(c)*row:])
	}
	return t
}
