package pass

import (
	"math"

	"lowbit/internal/format"
	"lowbit/internal/graph"
)

// Dequantize makes a float network of one that is quantized with QuantizeLinear and
// DequantizeLinear, so that it can be quantized in another way: the pairs on activations go, and
// constants of few bits are stored as the numbers that their codes stand for.
// Operators on codes stay as they are.
func Dequantize(m *graph.Model) error {
	if _, err := Unquantize(m); err != nil {
		return err
	}
	decode(m, func(*format.Format) bool { return true })
	fold(m, math.MaxInt/2, func(n *graph.Node) bool { return n.Op == "DequantizeLinear" })
	return Unused.Run(m)
}
