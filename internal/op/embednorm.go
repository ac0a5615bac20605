package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalEmbedLayerNorm normalizes the sum of the rows that tokens, positions and segments take from their
// tables. Inputs: input_ids (N,L), segment_ids, tables of words, positions and segments (rows,H), gamma,
// beta (H), mask (N,L), position_ids (N,L) or (1,L). Outputs: the result (N,L,H), the tokens that the mask
// counts (N), the sum.
func evalEmbedLayerNorm(c *Call) ([]*tensor.Tensor, error) {
	ids, words := c.In[0], c.In[2]
	if ids.Rank() != 2 || words.Rank() != 2 {
		return nil, invalidf("input_ids %v and word_embedding %v, 2 dimensions are needed", ids.Shape, words.Shape)
	}
	batch, length, hidden := ids.Shape[0], ids.Shape[1], words.Shape[1]
	shape := []int{batch, length, hidden}
	if _, err := sized(shape); err != nil {
		return nil, err
	}
	if c.Has(1) != c.Has(4) {
		return nil, invalidf("segment_ids and segment_embedding go together")
	}
	for _, i := range []int{5, 6} {
		if err := wantShape("gamma or beta", c.In[i], hidden); err != nil {
			return nil, err
		}
	}
	sum := make([]float64, batch*length*hidden)
	for _, table := range []struct{ rows, ids int }{{2, 0}, {3, 8}, {4, 1}} {
		if err := addRows(sum, shape, c.Input(table.rows), c.Input(table.ids)); err != nil {
			return nil, err
		}
	}
	counts, err := countMask(c, batch, length)
	if err != nil {
		return nil, err
	}
	d := words.DType
	total, err := fromFloats(d, sum, shape)
	if err != nil {
		return nil, err
	}
	standardize(sum, hidden, float64(c.Float("epsilon", 1e-12)))
	if err := affine(sum, shape, c.In[5], c.In[6]); err != nil {
		return nil, err
	}
	y, err := fromFloats(d, sum, shape)
	return []*tensor.Tensor{y, counts, total}, err
}

// addRows adds to the rows of sum (N,L,H) those of a table that ids (N,L) or (1,L) name, or their places in
// the sample where there are none.
func addRows(sum []float64, shape []int, table, ids *tensor.Tensor) error {
	if table == nil {
		return nil
	}
	length, hidden := shape[1], shape[2]
	if table.Rank() != 2 || table.Shape[1] != hidden {
		return invalidf("an embedding of shape %v, rows of %d are needed", table.Shape, hidden)
	}
	v, err := floats(table)
	if err != nil {
		return err
	}
	at := make([]int, length)
	for i := range at {
		at[i] = i
	}
	if ids != nil {
		if !slices.Equal(ids.Shape, shape[:2]) && !slices.Equal(ids.Shape, []int{1, length}) {
			return invalidf("ids of shape %v, %v is needed", ids.Shape, shape[:2])
		}
		if at, err = indices(ids); err != nil {
			return err
		}
	}
	for r := range shape[0] * length {
		id := at[r%len(at)]
		if id < 0 || id >= table.Shape[0] {
			return invalidf("row %d of an embedding of %d", id, table.Shape[0])
		}
		addScaled(sum[r*hidden:][:hidden], v[id*hidden:][:hidden], 1, 1)
	}
	return nil
}

// countMask returns how many elements of each row of the mask are one; zeros where there is no mask.
func countMask(c *Call, batch, length int) (*tensor.Tensor, error) {
	out := tensor.New(tensor.Int32, batch)
	mask := c.Input(7)
	if mask == nil {
		return out, nil
	}
	if err := wantShape("mask", mask, batch, length); err != nil {
		return nil, err
	}
	x, err := ints(mask)
	if err != nil {
		return nil, err
	}
	for i, v := range x {
		if v == 1 {
			tensor.Of[int32](out)[i/length]++
		}
	}
	return out, nil
}

func inferEmbedLayerNorm(c *Inference) ([]Fact, error) {
	ids, words := c.Input(0), c.Input(2)
	y, counts := unknownDims(3), unknownDims(1)
	if ids.Ranked && len(ids.Shape) == 2 {
		copy(y, ids.Shape)
		counts[0] = ids.Shape[0]
	}
	if words.Ranked && len(words.Shape) == 2 {
		y[2] = words.Shape[1]
	}
	t := graph.OfDims(words.DType, y)
	return Typed(t, graph.OfDims(ids.DType, counts), t), nil
}
