package op

import (
	"math"
	"slices"

	"lowbit/internal/tensor"
)

// evalNGramRepeatBlock gives scores (N,words) with minus infinity for each word that would end a run of ngram_size words which
// stands in input_ids (N,L) already.
func evalNGramRepeatBlock(c *Call) ([]*tensor.Tensor, error) {
	ids, scores, size := c.In[0], c.In[1], c.Int("ngram_size", 0)
	if ids.Rank() != 2 || scores.Rank() != 2 || ids.Shape[0] != scores.Shape[0] || size < 1 {
		return nil, invalidf("input_ids %v and scores %v, runs of %d", ids.Shape, scores.Shape, size)
	}
	at, err := ints(ids)
	if err != nil {
		return nil, err
	}
	v, err := floats(scores)
	if err != nil {
		return nil, err
	}
	y, length, words := slices.Clone(v), ids.Shape[1], int64(scores.Shape[1])
	for n := range ids.Shape[0] {
		row := at[n*length:][:length]
		for i := size; i <= length; i++ {
			end := row[i-1]
			if !slices.Equal(row[i-size:i-1], row[length-size+1:]) {
				continue
			}
			if end < 0 || end >= words {
				return nil, invalidf("word %d of %d", end, words)
			}
			y[int64(n)*words+end] = math.Inf(-1)
		}
	}
	return one(fromFloats(scores.DType, y, scores.Shape))
}

func inferScores(c *Inference) ([]Fact, error) { return Typed(c.Input(1).Type), nil }
