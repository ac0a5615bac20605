package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalDynamicQuantizeLinear quantizes to uint8 over the range of x widened to hold zero. All
// zeros have scale 1.
func evalDynamicQuantizeLinear(c *Call) ([]*tensor.Tensor, error) {
	codes, scale, zero := dynamicU8(tensor.Of[float32](c.In[0]))
	return []*tensor.Tensor{
		tensor.Wrap(tensor.Uint8, codes, c.In[0].Shape...),
		tensor.Scalar(scale),
		tensor.Wrap(tensor.Uint8, []uint8{zero}),
	}, nil
}

// dynamicU8 quantizes x to uint8 over its own range.
func dynamicU8(x []float32) (codes []uint8, scale float32, zero uint8) {
	var lo, hi float32
	for _, v := range x {
		lo, hi = min(lo, v), max(hi, v)
	}
	scale = (hi - lo) / 255
	if hi == lo {
		scale = 1
	}
	zero = uint8(saturated(float64(-lo/scale), 0, 0, 255))
	codes = make([]uint8, len(x))
	for i, v := range x {
		codes[i] = uint8(saturated(float64(v/scale), int64(zero), 0, 255))
	}
	return codes, scale, zero
}

func inferDynamicQuantizeLinear(c *Inference) ([]Fact, error) {
	t := c.Input(0).Type
	t.DType = tensor.Uint8
	return Typed(t, graph.Of(tensor.Float32), graph.Of(tensor.Uint8)), nil
}
