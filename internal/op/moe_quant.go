package op

import "lowbit/internal/tensor"

// An expertCodes is the codes of the weights of all experts (experts,rows,cols), packed low bits first, with a scale for
// each row, or for each block of it.
type expertCodes struct {
	*expertLayer
	bits, blocks       int
	codes, points      *tensor.Tensor // points nil: the middle code
	scales             []float64
	pointRow, pointAll int // bytes of the zero points of a row, where there are blocks, and of an expert
}

// evalQMoE is MoE with weights of codes. Inputs: input, router_probs, weights, scales and biases of the first layer, those of
// the second and of a third, zero points of the three, router_weights. Shares that are the softmax of the scores are normalized
// whatever the attribute says, as ONNX Runtime 1.32 does it on CPU.
func evalQMoE(c *Call) ([]*tensor.Tensor, error) {
	for i := 15; i < len(c.In); i++ {
		if c.Has(i) {
			return nil, unsupportedf("scales besides those of weights")
		}
	}
	switch {
	case c.Str("quant_type", "int") != "int" || c.In[2].DType != tensor.Uint8 || c.In[5].DType != tensor.Uint8:
		return nil, unsupportedf("quant_type %q", c.Str("quant_type", "int"))
	case c.Has(8) || c.Has(9) || c.Has(10) || c.Has(13):
		return nil, unsupportedf("a third layer")
	}
	bits := c.Int("expert_weight_bits", 4)
	if b := c.Int("fc1_expert_weight_bits", bits); b != bits || c.Int("fc2_expert_weight_bits", bits) != bits || bits != 2 && bits != 4 && bits != 8 {
		return nil, unsupportedf("weights of %d and %d bits", b, c.Int("fc2_expert_weight_bits", bits))
	}
	m, err := newMixture(c, c.Input(14), !c.Has(14) || c.Bool("normalize_routing_weights", false))
	if err != nil {
		return nil, err
	}
	if err := m.layers(c.In[2], c.In[5], c.Input(4), c.Input(7), 8/bits); err != nil {
		return nil, err
	}
	for i, l := range []*expertLayer{&m.first, &m.second} {
		e := &expertCodes{expertLayer: l, bits: bits, codes: c.In[2+3*i], points: c.Input(11 + i)}
		if err := e.read(c.Input(3+3*i), m.count, c.Int("block_size", 0)); err != nil {
			return nil, err
		}
		l.weights = e.weights
	}
	return m.compute(c.In[0].DType, c.In[0].Shape)
}

// read checks scales and zero points against the layer.
func (e *expertCodes) read(scales *tensor.Tensor, count, block int) error {
	if scales == nil || !scales.DType.IsFloat() {
		return invalidf("weights without scales")
	}
	e.blocks = 1
	shape, points := []int{count, e.rows}, []int{count, bytesOf(e.rows, e.bits)}
	if block > 0 {
		if e.cols%block != 0 {
			return invalidf("rows of %d weights in blocks of %d", e.cols, block)
		}
		e.blocks = e.cols / block
		e.pointRow = bytesOf(e.blocks, e.bits)
		shape, points = append(shape, e.blocks), []int{count, e.rows, e.pointRow}
	}
	if err := wantShape("scales", scales, shape...); err != nil {
		return err
	}
	if err := wantShape("zero points", e.points, points...); err != nil {
		return err
	}
	e.pointAll = tensor.Elements(points[1:])
	var err error
	e.scales, err = floats(scales)
	return err
}

// bytesOf is how many bytes hold a number of codes.
func bytesOf(count, bits int) int { return (count*bits + 7) / 8 }

// weights returns the real weights of an expert.
func (e *expertCodes) weights(expert int) []float64 {
	w := &nbits{bits: e.bits}
	y, size := make([]float64, e.rows*e.cols), e.cols*e.bits/8
	for r := range e.rows {
		row := e.codes.Raw[(expert*e.rows+r)*size:][:size]
		for i := range e.cols {
			b := i * e.blocks / e.cols
			y[r*e.cols+i] = (w.code(row, i) - e.point(w, expert, r, b)) * e.scales[(expert*e.rows+r)*e.blocks+b]
		}
	}
	return y
}

// point is the zero point of a block of row r.
func (e *expertCodes) point(w *nbits, expert, r, b int) float64 {
	if e.points == nil {
		return float64(int(1) << (e.bits - 1))
	}
	all := e.points.Raw[expert*e.pointAll:]
	if e.pointRow > 0 {
		return w.code(all[r*e.pointRow:], b)
	}
	return w.code(all, r)
}
