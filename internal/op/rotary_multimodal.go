package op

import (
	"slices"

	"lowbit/internal/tensor"
)

// evalMRotary is RotaryEmbedding of ONNX Runtime with three positions for each row, of time, height and width: position_ids
// (3,N,rows). mrope_section says how many of the angles each position chooses, in runs or in turns.
func evalMRotary(c *Call) ([]*tensor.Tensor, error) {
	x, ids := c.In[0], c.In[1]
	table, err := newRotaryTable(c.In[2], c.In[3], false)
	if err != nil {
		return nil, err
	}
	which, err := rotarySections(c.Ints("mrope_section"), table.half, c.Int("mrope_layout", 0))
	if err != nil {
		return nil, err
	}
	if x.Rank() < 3 || ids.Rank() != 3 {
		return nil, invalidf("input %v and position_ids %v", x.Shape, ids.Shape)
	}
	rows := x.Shape[x.Rank()-2]
	if err := wantShape("position_ids", ids, 3, x.Shape[0], rows); err != nil {
		return nil, err
	}
	at, err := indices(ids)
	if err != nil {
		return nil, err
	}
	count := x.Shape[0] * rows
	own := []*tensor.Tensor{tensor.New(tensor.Float64, count, table.half), tensor.New(tensor.Float64, count, table.half)}
	for r := range count {
		for k, w := range which {
			p := at[w*count+r]
			if p < 0 || p >= table.rows {
				return nil, invalidf("position %d, the caches hold %d", p, table.rows)
			}
			tensor.Of[float64](own[0])[r*table.half+k] = table.cos[p*table.half+k]
			tensor.Of[float64](own[1])[r*table.half+k] = table.sin[p*table.half+k]
		}
	}
	places := make([]int64, count)
	for i := range places {
		places[i] = int64(i)
	}
	turned := *c
	turned.In = []*tensor.Tensor{x, tensor.Vector(places...).Reshape(x.Shape[0], rows), own[0], own[1]}
	return evalRotaryContrib(&turned)
}

// rotarySections returns which of the three positions chooses each angle.
func rotarySections(sections []int, half, layout int) ([]int, error) {
	if len(sections) != 3 || slices.Min(sections) < 0 || slices.Max(sections) > half || sections[0]+sections[1]+sections[2] != half {
		return nil, invalidf("mrope_section %v of %d angles", sections, half)
	}
	which := make([]int, half)
	switch layout {
	case 0:
		for i := range which {
			for k := 0; k < 2 && i >= sections[0]+k*sections[1]; k++ {
				which[i] = k + 1
			}
		}
	case 1:
		for k := 1; k < 3; k++ {
			for i := k; i < min(half, 3*sections[k]); i += 3 {
				which[i] = k
			}
		}
	default:
		return nil, invalidf("mrope_layout %d", layout)
	}
	return which, nil
}
