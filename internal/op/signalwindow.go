package op

import (
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// signalWindow returns the Eval of a sum of cosines Σ a[k]·cos(2πkn/N) over n = 0 … size-1,
// where N is size for a periodic window and size-1 for a symmetric one.
func signalWindow(a ...float64) func(c *Call) ([]*tensor.Tensor, error) {
	return func(c *Call) ([]*tensor.Tensor, error) {
		d, err := dtypeAttr(c.Node, "output_datatype", tensor.Float32)
		if err != nil {
			return nil, err
		}
		size, err := c.intScalarOf(0)
		if err != nil {
			return nil, err
		}
		shape := []int{int(size)}
		if _, err := checkSize(tensor.Float64, shape); err != nil {
			return nil, err
		}
		period := float64(size)
		if !c.Bool("periodic", true) {
			period = max(1, period-1)
		}
		w := make([]float64, size)
		for n := range w {
			for k, f := range a {
				w[n] += float64(f * math.Cos(2*math.Pi*float64(k)*float64(n)/period))
			}
		}
		return one(fromFloats(d, w, shape))
	}
}

func inferSignalWindow(c *Inference) ([]Fact, error) {
	d, err := dtypeAttr(c.Node, "output_datatype", tensor.Float32)
	if err != nil {
		return nil, err
	}
	n := graph.Unknown
	if size, ok := elemsOf(c.Input(0)); ok && len(size) == 1 {
		n = size[0]
	}
	return Typed(graph.OfDims(d, []graph.Dim{n})), nil
}
