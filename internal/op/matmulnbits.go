package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A nbits is a weight (N,K) in blocks of codes along K, packed low bits first, each block with
// its scale and zero point.
type nbits struct {
	k, n, block, bits, blocks int
}

// nbitsOf reads the geometry from the attributes.
func nbitsOf(node *graph.Node) (*nbits, error) {
	w := &nbits{k: node.Int("K", 0), n: node.Int("N", 0), block: node.Int("block_size", 0), bits: node.Int("bits", 4)}
	if w.k < 1 || w.n < 1 || w.block < 16 || w.block&(w.block-1) != 0 || w.block > maxStep {
		return nil, invalidf("K %d, N %d, block_size %d", w.k, w.n, w.block)
	}
	if w.bits != 2 && w.bits != 4 && w.bits != 8 {
		return nil, unsupportedf("weights of %d bits", w.bits)
	}
	w.blocks = (w.k-1)/w.block + 1
	_, err := checkSize(tensor.Float64, []int{w.n, w.k})
	return w, err
}

// code returns the i-th code of a packed row.
func (w *nbits) code(row []byte, i int) float64 {
	per := 8 / w.bits
	return float64(row[i/per] >> (i % per * w.bits) & byte(1<<w.bits-1))
}

// rowBytes is how many bytes the codes of a row take.
func (w *nbits) rowBytes() int { return w.blocks * w.block * w.bits / 8 }

// check finds whatever fault weights would find with its operands.
func (w *nbits) check(c *Call) error {
	codes, scales, zero := c.In[1], c.In[2], c.Input(3)
	if len(codes.Raw) != w.n*w.rowBytes() {
		return invalidf("%d bytes of codes, %d are needed", len(codes.Raw), w.n*w.rowBytes())
	}
	if scales.Len() != w.n*w.blocks {
		return invalidf("%d scales, %d are needed", scales.Len(), w.n*w.blocks)
	}
	if zero != nil && zero.DType == tensor.Uint8 && len(zero.Raw) != w.n*w.zeroBytes() {
		return invalidf("%d bytes of zero points, %d are needed", len(zero.Raw), w.n*w.zeroBytes())
	}
	if zero != nil && zero.DType != tensor.Uint8 && zero.Len() != w.n*w.blocks {
		return invalidf("%d zero points, %d are needed", zero.Len(), w.n*w.blocks)
	}
	if !scales.DType.IsFloat() || zero != nil && zero.DType != tensor.Uint8 && !zero.DType.IsFloat() {
		return unsupportedf("scales of %s", scales.DType)
	}
	if !c.Has(4) {
		return nil
	}
	_, err := w.groups(c.In[4])
	return err
}

// zeroBytes is how many bytes the packed zero points of a row take.
func (w *nbits) zeroBytes() int { return (w.blocks*w.bits + 7) / 8 }

// weights returns the real weights, transposed to (K,N). Inputs of the call: A, codes
// (N,blocks,block·bits/8), scales, zero points (packed, or of A's type), block of each row of K.
func (w *nbits) weights(c *Call) ([]float64, error) {
	if err := w.check(c); err != nil {
		return nil, err
	}
	codes, perRow := c.In[1].Raw, w.rowBytes()
	s, err := floats(c.In[2])
	if err != nil {
		return nil, err
	}
	zero, err := w.zeroPoints(c.Input(3))
	if err != nil {
		return nil, err
	}
	group, err := w.groups(c.Input(4))
	if err != nil {
		return nil, err
	}
	out := make([]float64, w.k*w.n)
	for j := range w.n {
		row := codes[j*perRow:][:perRow]
		for i := range w.k {
			at := j*w.blocks + group[i]
			out[i*w.n+j] = s[at] * (w.code(row, i) - zero[at])
		}
	}
	return out, nil
}

// zeroPoints returns one number for each block; check has looked at their count.
func (w *nbits) zeroPoints(t *tensor.Tensor) ([]float64, error) {
	count := w.n * w.blocks
	if t == nil {
		z := make([]float64, count)
		fill(z, float64(int(1)<<(w.bits-1)))
		return z, nil
	}
	if t.DType != tensor.Uint8 {
		return floats(t)
	}
	z := make([]float64, 0, count)
	for j := range w.n {
		for b := range w.blocks {
			z = append(z, w.code(t.Raw[j*w.zeroBytes():], b))
		}
	}
	return z, nil
}

// groups returns the block of each row of K. (Where they are given, ONNX Runtime 1.32 leaves out packed zero points and
// reads codes of 2 bits as of 4, though blocks that are given as they are change nothing.)
func (w *nbits) groups(t *tensor.Tensor) ([]int, error) {
	list := make([]int, w.k)
	for i := range list {
		list[i] = i / w.block
	}
	if t == nil {
		return list, nil
	}
	given, err := indices(t)
	if err != nil {
		return nil, err
	}
	if len(given) < w.k {
		return nil, invalidf("g_idx has %d elements, %d are needed", len(given), w.k)
	}
	for _, g := range given[:w.k] {
		if g < 0 || g >= w.blocks {
			return nil, invalidf("g_idx %d of %d blocks", g, w.blocks)
		}
	}
	return given[:w.k], nil
}

// evalMatMulNBits multiplies A (...,K) with a weight of few bits. An empty weight counts as zero.
func evalMatMulNBits(c *Call) ([]*tensor.Tensor, error) {
	w, err := nbitsOf(c.Node)
	if err != nil {
		return nil, err
	}
	if c.Int("weight_prepacked", 0) != 0 {
		return nil, unsupportedf("weights in a device's own layout")
	}
	var weights []float64
	if c.In[1].Len() == 0 {
		weights = make([]float64, w.k*w.n)
	} else if weights, err = w.weights(c); err != nil {
		return nil, err
	}
	return one(timesWeight(c.In[0], weights, w.k, w.n, c.Input(5)))
}

// timesWeight multiplies a (...,k) with real weights (k,n) and adds a bias (n), which may be nil.
func timesWeight(a *tensor.Tensor, weights []float64, k, n int, bias *tensor.Tensor) (*tensor.Tensor, error) {
	s, err := newMatmul(a.Shape, []int{k, n})
	if err != nil {
		return nil, err
	}
	if err := wantShape("bias", bias, n); err != nil {
		return nil, err
	}
	in, err := floatsOf(a, bias)
	if err != nil {
		return nil, err
	}
	y := multiply(s, in[0], weights)
	if bias != nil {
		for i := range y {
			y[i] += in[1][i%n]
		}
	}
	return fromFloats(a.DType, y, s.out)
}

func inferMatMulNBits(c *Inference) ([]Fact, error) {
	w, err := nbitsOf(c.Node)
	if err != nil {
		return nil, err
	}
	return inferTimesWeight(c.Input(0), w.n)
}

// inferTimesWeight replaces the last dimension by n.
func inferTimesWeight(a Fact, n int) ([]Fact, error) {
	if !a.Ranked {
		return Typed(graph.Unranked(a.DType)), nil
	}
	if len(a.Shape) == 0 {
		return nil, invalidf("a scalar has no product")
	}
	dims := slices.Clone(a.Shape)
	dims[len(dims)-1] = graph.Known(n)
	return Typed(graph.OfDims(a.DType, dims)), nil
}
