package op

import "lowbit/internal/graph"

// headDims returns (N,heads,rows,size) of an operand of rank 3 or 4; nil where the rank is not known.
func headDims(f Fact, count int) ([]graph.Dim, error) {
	switch {
	case !f.Ranked:
		return nil, nil
	case len(f.Shape) == 4:
		return f.Shape, nil
	case len(f.Shape) != 3:
		return nil, invalidf("%s, 3 or 4 dimensions are needed", f.Type)
	case count < 1 || f.Shape[2].IsKnown() && f.Shape[2].Size%count != 0:
		return nil, invalidf("%s does not split into %d heads", f.Type, count)
	}
	return []graph.Dim{f.Shape[0], graph.Known(count), f.Shape[1], divDims(f.Shape[2], graph.Known(count))}, nil
}

func inferAttention(c *Inference) ([]Fact, error) {
	q, k, v := c.Input(0), c.Input(1), c.Input(2)
	out := []graph.Type{graph.Unranked(q.DType), graph.Unranked(k.DType), graph.Unranked(v.DType), graph.Unranked(q.DType)}
	count := c.Int("kv_num_heads", 0)
	dq, err := headDims(q, c.Int("q_num_heads", 0))
	if err != nil {
		return nil, err
	}
	dk, err := headDims(k, count)
	if err != nil {
		return nil, err
	}
	dv, err := headDims(v, count)
	if err != nil || dq == nil || dk == nil || dv == nil {
		return Typed(out...), err
	}
	keys := dk[2]
	if c.Has(4) {
		keys = graph.Unknown
		if p := c.Input(4); p.Ranked && len(p.Shape) == 4 {
			keys = addDims(p.Shape[2], dk[2], 1)
		}
	}
	y := []graph.Dim{dq[0], dq[1], dq[2], dv[3]}
	if len(q.Shape) == 3 {
		y = []graph.Dim{dq[0], dq[2], mulDims(dq[1], dv[3])}
	}
	out[0] = graph.OfDims(q.DType, y)
	out[1] = graph.OfDims(k.DType, []graph.Dim{dk[0], dk[1], keys, dk[3]})
	out[2] = graph.OfDims(v.DType, []graph.Dim{dv[0], dv[1], keys, dv[3]})
	out[3] = graph.OfDims(q.DType, []graph.Dim{dq[0], dq[1], dq[2], keys})
	return Typed(out...), nil
}
