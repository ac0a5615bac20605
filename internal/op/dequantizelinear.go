package op

import "lowbit/internal/tensor"

// evalDequantizeLinear is (x-zero)·scale: the difference rounded to float32, the product to
// the type of the result.
func evalDequantizeLinear(c *Call) ([]*tensor.Tensor, error) {
	x, scale, zero := c.In[0], c.In[1], c.Input(2)
	if err := checkZero(zero, scale); err != nil {
		return nil, err
	}
	g, err := granularityOf(c.Node, x.Shape, scale.Shape)
	if err != nil {
		return nil, err
	}
	to, err := dtypeAttr(c.Node, "output_dtype", tensor.Undefined)
	if err != nil {
		return nil, err
	}
	if to == tensor.Undefined {
		to = scale.DType
	}
	if to == tensor.Float32 {
		if y := dequantizeBytes(g, x, scale, zero); y != nil {
			return []*tensor.Tensor{y}, nil
		}
	}
	s, err := floats(scale)
	if err != nil {
		return nil, err
	}
	z, err := zeros(zero, scale.Len())
	if err != nil {
		return nil, err
	}
	v, err := floats(x)
	if err != nil {
		return nil, err
	}
	y := make([]float64, len(v))
	g.runs(func(lo, hi, k, step int) {
		for i := lo; i < hi; i++ {
			y[i] = float64(float32(v[i]-float64(z[k]))) * s[k]
			k += step
		}
	})
	return one(fromFloats(to, y, x.Shape))
}

// dequantizeBytes is evalDequantizeLinear for codes of eight bits or fewer with float32 scales, whose differences and
// products need no wider numbers; nil for others.
func dequantizeBytes(g granularity, x, scale, zero *tensor.Tensor) *tensor.Tensor {
	codes, signed, ok := tensor.CodeBytes(x)
	if !ok || scale.DType != tensor.Float32 || zero != nil && zero.DType != x.DType {
		return nil
	}
	z, err := zeros(zero, scale.Len())
	if err != nil {
		return nil
	}
	y := tensor.New(tensor.Float32, x.Shape...)
	out, s := tensor.Of[float32](y), tensor.Of[float32](scale)
	g.runs(func(lo, hi, k, step int) {
		for i := lo; i < hi; i++ {
			v := int(codes[i])
			if signed {
				v = int(int8(codes[i]))
			}
			out[i] = float32(v-int(z[k])) * s[k]
			k += step
		}
	})
	return y
}

func inferDequantizeLinear(c *Inference) ([]Fact, error) {
	t := c.Input(0).Type
	d, err := dtypeAttr(c.Node, "output_dtype", tensor.Undefined)
	if d == tensor.Undefined {
		d = c.Input(1).DType
	}
	t.DType = d
	return Typed(t), err
}
