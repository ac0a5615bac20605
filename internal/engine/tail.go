package engine

// A tail is what a product does to its sums: add a number for each channel, then the activation.
type tail struct {
	bias []float32 // nil: none
	act  activation
}

// A product is the spec of a node that multiplies by constant weights and ends in a tail.
type product interface {
	tailOf() *tail
	clone() product
	channels() int
	channelAxis(rank int) int
	scale(by []float32) // multiplies the weights of each channel
	operands() int      // how many operands there are without a residual
	residual() bool     // whether one more may be added to the sums
	late() bool         // or to what the activation makes of them
}

// clone copies a tail so that it can be changed.
func (t tail) clone() tail {
	t.act.then = append([]function(nil), t.act.then...)
	return t
}

// addBias adds a number to each channel.
func (t *tail) addBias(row []float32) {
	sum := make([]float32, len(row))
	copy(sum, row)
	for i, b := range t.bias {
		sum[i] += b
	}
	t.bias = sum
}

// channelRow reads a constant that is broadcast along every dimension of shape but axis.
func channelRow(v *value, shape []int, axis int) ([]float32, bool) {
	if v == nil || v.konst == nil || len(v.shape) > len(shape) {
		return nil, false
	}
	for i, d := range padShape(v.shape, len(shape)) {
		if d != 1 && i != axis {
			return nil, false
		}
	}
	return rowOf(&value{dtype: v.dtype, known: v.known, konst: v.konst}, shape[axis])
}
