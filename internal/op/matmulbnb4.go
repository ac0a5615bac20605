package op

import (
	"lowbit/internal/tensor"
)

// bnb4Marks are the values of the 4-bit codes by attribute quant_type: FP4, and NF4, the
// quantiles of a normal distribution (Dettmers et al. 2023, QLoRA, appendix E).
var bnb4Marks = [2][16]float64{
	{0, 0.0625 / 12, 8.0 / 12, 1, 4.0 / 12, 6.0 / 12, 2.0 / 12, 3.0 / 12,
		0, -0.0625 / 12, -8.0 / 12, -1, -4.0 / 12, -6.0 / 12, -2.0 / 12, -3.0 / 12},
	{-1, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453,
		-0.28444138169288635, -0.18477343022823334, -0.09105003625154495, 0,
		0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
		0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1},
}

// evalMatMulBnb4 multiplies A with a weight (N,K) that is flattened into blocks of 4-bit
// codes, the first in the high half of each byte, with the largest magnitude of each block
// beside it. By default the weight is transposed: A (...,K) gives (...,N); else A (...,N) gives (...,K).
func evalMatMulBnb4(c *Call) ([]*tensor.Tensor, error) {
	k, n, block := c.Int("K", 0), c.Int("N", 0), c.Int("block_size", 0)
	kind := c.Int("quant_type", 0)
	if k < 1 || n < 1 || block < 1 || kind < 0 || kind > 1 {
		return nil, invalidf("K %d, N %d, block_size %d, quant_type %d", k, n, block, kind)
	}
	count, err := checkSize(tensor.Float64, []int{n, k})
	if err != nil {
		return nil, err
	}
	absmax, err := floats(c.In[2])
	if err != nil {
		return nil, err
	}
	codes := c.In[1].Raw
	if len(codes) != (count+1)/2 || len(absmax) != (count-1)/block+1 {
		return nil, invalidf("%d bytes of codes and %d magnitudes for %d weights in blocks of %d", len(codes), len(absmax), count, block)
	}
	w := make([]float64, count)
	for i := range w {
		w[i] = bnb4Marks[kind][codes[i/2]>>(4-i%2*4)&15] * absmax[i/block]
	}
	if c.Bool("transB", true) {
		return one(timesWeight(c.In[0], transposed(w, n, k), k, n, nil))
	}
	return one(timesWeight(c.In[0], w, n, k, nil))
}

func inferMatMulBnb4(c *Inference) ([]Fact, error) {
	n := c.Int("N", 0)
	if !c.Bool("transB", true) {
		n = c.Int("K", 0)
	}
	if n < 1 {
		return nil, invalidf("a weight of %d columns", n)
	}
	return inferTimesWeight(c.Input(0), n)
}
