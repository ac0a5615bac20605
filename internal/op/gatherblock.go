package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A codeTable reads codes smaller than a byte, or as wide as one, by what they stand for.
type codeTable struct {
	raw    []byte
	bits   int
	values []float64 // by code
}

// codeTableOf reads a tensor's elements, of an unsigned byte those of some bits that it holds.
func codeTableOf(t *tensor.Tensor, bits int) (*codeTable, error) {
	if t.DType != tensor.Uint8 {
		bits = t.DType.Bits()
	}
	c := &codeTable{raw: t.Raw, bits: bits}
	for i := range 1 << bits {
		c.values = append(c.values, float64(i))
	}
	if t.DType == tensor.Uint8 {
		return c, nil
	}
	all := make([]byte, 1<<bits)
	for i := range all {
		all[i] = byte(i)
	}
	var err error
	c.values, err = floats(tensor.Pack(t.DType, all, len(all)))
	return c, err
}

func (c *codeTable) at(i int) float64 {
	per := 8 / c.bits
	return c.values[c.raw[i/per]>>(i%per*c.bits)&byte(1<<c.bits-1)]
}

// read sets y to what codes from number i on stand for, less a zero point, times a scale.
func (c *codeTable) read(y []float64, i int, zero, scale float64) {
	bit, mask := i*c.bits, byte(1<<c.bits-1)
	for j := range y {
		y[j] = float64(c.values[c.raw[bit>>3]>>(bit&7)&mask]-zero) * scale
		bit += c.bits
	}
}

// A gatherBlocks is the geometry of GatherBlockQuantized: slices along one axis of a table of codes, which share scales by
// block along another.
type gatherBlocks struct {
	shape           []int // of the table, in codes
	gather, axis    int
	block, perBytes int
}

// newGatherBlocks reads the attributes for a table of some shape, nil where that is not known, and type.
func newGatherBlocks(n *graph.Node, shape []int, d tensor.DType) (*gatherBlocks, error) {
	g := &gatherBlocks{shape: slices.Clone(shape), block: n.Int("block_size", 128), perBytes: 1}
	bits := n.Int("bits", 4)
	var err error
	if g.gather, err = axisOf(n.Int("gather_axis", 0), len(shape)); err != nil {
		return nil, err
	}
	if g.axis, err = axisOf(n.Int("quantize_axis", 1), len(shape)); err != nil {
		return nil, err
	}
	if d == tensor.Uint8 {
		if bits != 2 && bits != 4 && bits != 8 {
			return nil, unsupportedf("codes of %d bits", bits)
		}
		if g.perBytes = 8 / bits; g.gather != 0 || g.perBytes > 1 && g.axis == 0 {
			return nil, invalidf("gather_axis %d and quantize_axis %d of packed bytes", g.gather, g.axis)
		}
		g.shape[len(shape)-1] *= g.perBytes
	}
	whole := g.block == 0 && d.IsFloat()
	if !whole && (g.block < 16 || g.block&(g.block-1) != 0 || g.block > maxStep) {
		return nil, invalidf("block_size %d", g.block)
	}
	if whole {
		g.block = max(1, g.shape[g.axis])
	}
	return g, nil
}

// scaleShape is the shape of the scales.
func (g *gatherBlocks) scaleShape() []int {
	shape := slices.Clone(g.shape)
	shape[g.axis] = (shape[g.axis] + g.block - 1) / g.block
	return shape
}

// zeroRows returns the zero points and the length of their rows, which fill whole bytes where these are packed.
func (g *gatherBlocks) zeroRows(t *tensor.Tensor, bits int) (*codeTable, int, error) {
	shape := g.scaleShape()
	last := len(shape) - 1
	row := (shape[last] + g.perBytes - 1) / g.perBytes * g.perBytes
	shape[last] = row / g.perBytes
	if err := wantShape("zero_points", t, shape...); err != nil {
		return nil, 0, err
	}
	zero, err := codeTableOf(t, bits)
	return zero, row, err
}

// evalGatherBlockQuantized gathers codes and says what they stand for; indices outside the table give zeros.
func evalGatherBlockQuantized(c *Call) ([]*tensor.Tensor, error) {
	data, bits := c.In[0], c.Int("bits", 4)
	if err := wantRank("data", data.Shape, 1); err != nil {
		return nil, err
	}
	g, err := newGatherBlocks(c.Node, data.Shape, data.DType)
	if err != nil {
		return nil, err
	}
	at, err := indices(c.In[1])
	if err != nil {
		return nil, err
	}
	codes, err := codeTableOf(data, bits)
	if err != nil {
		return nil, err
	}
	scales, err := g.scales(c.In[2], data.DType)
	if err != nil {
		return nil, err
	}
	zeroOf := func(int) float64 { return 0 }
	if z := c.Input(3); z != nil {
		zero, row, err := g.zeroRows(z, bits)
		if err != nil {
			return nil, err
		}
		blocks := g.scaleShape()[len(g.shape)-1]
		zeroOf = func(i int) float64 { return zero.at(i/blocks*row + i%blocks) }
	} else if data.DType == tensor.Uint8 {
		zeroOf = func(int) float64 { return float64(int(1) << (bits - 1)) }
	}
	shape := slices.Concat(g.shape[:g.gather], c.In[1].Shape, g.shape[g.gather+1:])
	if _, err := sized(shape); err != nil {
		return nil, err
	}
	y := make([]float64, 0, tensor.Elements(shape))
	n, inner := g.shape[g.gather], tensor.Elements(g.shape[g.gather+1:])
	for o := range tensor.Elements(g.shape[:g.gather]) {
		for _, k := range at {
			if k < -n || k >= n {
				y = y[:len(y)+inner]
				continue
			}
			first := (o*n + (k+n)%n) * inner
			for p := first; p < first+inner; {
				b, end := g.blockOf(p, first+inner)
				at := len(y)
				y = y[:at+end-p]
				codes.read(y[at:], p, zeroOf(b), scales[b])
				p = end
			}
		}
	}
	return one(fromFloats(c.In[2].DType, y, shape))
}

// scales returns a scale for each block. Of tables of floats those along axes of 1 hold for all.
func (g *gatherBlocks) scales(t *tensor.Tensor, d tensor.DType) ([]float64, error) {
	want := g.scaleShape()
	if d.IsFloat() && len(t.Shape) == len(want) {
		alone := slices.Clone(want)
		for i, n := range t.Shape {
			if n == 1 && i != g.axis {
				alone[i] = 1
			}
		}
		if err := wantShape("scales", t, alone...); err != nil {
			return nil, err
		}
		var err error
		if t, err = strided(t, want, 0, broadcastStrides(alone, want)); err != nil {
			return nil, err
		}
	}
	if err := wantShape("scales", t, want...); err != nil {
		return nil, err
	}
	return floats(t)
}

// blockOf is the number of the block of code p, and where codes up to last leave it.
func (g *gatherBlocks) blockOf(p, last int) (block, end int) {
	inner, n := tensor.Elements(g.shape[g.axis+1:]), g.shape[g.axis]
	o, k := p/inner/n, p/inner%n
	block = (o*((n+g.block-1)/g.block)+k/g.block)*inner + p%inner
	if inner > 1 {
		return block, p + 1
	}
	return block, min(last, p+min(n-k, g.block-k%g.block))
}

func inferGatherBlockQuantized(c *Inference) ([]Fact, error) {
	data, at, d := c.Input(0), c.Input(1), c.Input(2).DType
	if !data.Ranked || !at.Ranked || len(data.Shape) == 0 {
		return Typed(graph.Unranked(d)), nil
	}
	sizes := make([]int, len(data.Shape))
	for i, x := range data.Shape {
		sizes[i] = max(0, x.Size)
	}
	g, err := newGatherBlocks(c.Node, sizes, data.DType)
	if err != nil {
		return nil, err
	}
	dims := slices.Clone(data.Shape)
	if last := len(dims) - 1; g.perBytes > 1 && dims[last].IsKnown() {
		dims[last] = graph.Known(g.shape[last])
	} else if g.perBytes > 1 {
		dims[last] = graph.Unknown
	}
	return Typed(graph.OfDims(d, slices.Concat(dims[:g.gather], at.Shape, dims[g.gather+1:]))), nil
}
