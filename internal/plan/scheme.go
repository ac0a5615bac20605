package plan

import (
	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
)

// A Scheme is how one sort of value is quantized.
type Scheme struct {
	Format   *format.Format
	Block    format.Block    // the axis comes from the operator
	Observer *calib.Observer // nil: of activations that of the settings, of weights the format's own rule
}

// endWeights and endActs are what the first and the last layer keep where the others have a bit
// or two: most of the accuracy hangs on them and little of the work.
var (
	endWeights = Scheme{Format: format.Int8, Block: format.Block{Kind: format.Channel}}
	endActs    = Scheme{Format: format.Uint8}
)

// WeightBlock is the block of weights in format f where none is asked for: the format's own, but
// an output channel where sums of codes are to be scaled back once.
func (m Mode) WeightBlock(f *format.Format) format.Block {
	if b := f.WeightBlock(); m == Weights || b.Kind != format.Group || f.Kind == format.BlockFloat || f.Kind == format.Quantiles {
		return b
	}
	return format.Block{Kind: format.Channel}
}

// ends returns the first and the last node of the graph with constant weights.
func (d *decider) ends() (first, last *graph.Node) {
	for _, n := range d.g.Nodes {
		if !d.isAnchor(n) {
			continue
		}
		if d.weightOf(n, d.quant(n)) < 0 {
			continue
		}
		if first == nil {
			first = n
		}
		last = n
	}
	return first, last
}

// unscaled returns the parameters of values that are stored as they are, nil for a format whose
// scale has to be found.
func (s Scheme) unscaled() []format.Params {
	if s.Format.Scaled() {
		return nil
	}
	return []format.Params{{Scale: 1}}
}

// summable says whether products of codes of the scheme add up in steps of one scale for each
// output channel, so that a bias may be written in that step.
func (s Scheme) summable() bool {
	f := s.Format
	return s.Block.Kind != format.Group && f.Scale == nil && (f.Lo < f.Hi || f.Via == format.Pick)
}

// weightBlock is the block of operand i of a node, its weight. Groups run along what the node sums
// over: the rows of a matrix, or all of a convolution's filter. A stack of matrices whose codes are
// summed has one scale: ONNX Runtime takes a scale for each column of one matrix only (QLinearMatMul,
// MatMulIntegerToFloat, 1.32). So has a matrix to the left of what may be a vector, which leaves no
// columns beside its rows.
func (d *decider) weightBlock(s Scheme, n *graph.Node, q *op.Quant, i int) format.Block {
	t, b := d.constant(n.In[i]), s.Block
	channel := channelAxis(n, q, i, t)
	switch {
	case b.Kind == format.Channel && i == 0 && d.set.Mode == Dynamic && !d.matrices(n.In[1]):
		return format.Block{}
	case b.Kind == format.Channel && t.Rank() > 2 && channel == t.Rank()-1 && d.set.Mode != Weights && s.summable():
		return format.Block{}
	case t.Rank() < 2 || !s.Format.Scaled():
		return format.Block{}
	case b.Kind == format.Channel:
		b.Axis = channel
	case b.Kind == format.Group:
		b.Axis = reductionAxis(weightAxis(n, q, i), t.Rank())
		b.Flat = b.Axis == 1 && t.Rank() > 2 && channel == 0
		b.Size = min(b.Size, b.Fold(t.Shape)[b.Axis])
	}
	return b
}

// reductionAxis is the axis of a weight that its operator sums over: input channels of a
// convolution, rows of a matrix. Channels that are counted from the end are those of a stack of matrices.
func reductionAxis(channel, rank int) int {
	switch channel {
	case 0:
		return 1
	case -1:
		return rank - 2
	case -2:
		return rank - 1
	}
	return 0
}

// Opset is the first default-domain opset that can write constants of a scheme; 0 for float.
func (s Scheme) Opset() int {
	switch {
	case s.Format == nil:
		return 0
	case s.Block.Kind == format.Group:
		return max(21, s.Format.Opset)
	}
	return s.Format.Opset
}

// FlowOpset is the first default-domain opset that can write values of a scheme that flow, and
// constants among them; they take eight bits where they have fewer.
func (s Scheme) FlowOpset() int {
	if s.Format == nil || s.Format.Bits < 8 {
		return 0
	}
	return s.Format.Opset
}

// Opset is the first default-domain opset that can write the plan.
func (p *Plan) Opset() int {
	need := 13
	for _, v := range p.Values {
		s := Scheme{Format: format.Lookup(v.Format), Block: v.Block}
		if v.Role == RoleActivation || v.Role == RoleConstant {
			need = max(need, s.FlowOpset())
		} else {
			need = max(need, s.Opset())
		}
	}
	return need
}
