package op

import "lowbit/internal/tensor"

// The operands of QEmbedLayerNormalization that are codes, in the order of their scales, which begin at the eighth
// input, and zero points, at the thirteenth.
var embedCodes = []int{2, 3, 4, 5, 6}

const embedScale, embedZero = 8, 13

// evalQEmbedLayerNorm is EmbedLayerNormalization of codes, each table with one scale and zero point.
func evalQEmbedLayerNorm(c *Call) ([]*tensor.Tensor, error) {
	in := make([]*tensor.Tensor, 8)
	copy(in, c.In)
	for k, i := range embedCodes {
		codes, scale, zero := c.Input(i), c.Input(embedScale+k), c.Input(embedZero+k)
		if codes == nil {
			continue
		}
		if scale == nil || zero == nil || scale.Len() != 1 || zero.Len() != 1 {
			return nil, invalidf("codes of shape %v without one scale and one zero point", codes.Shape)
		}
		y, err := evalDequantizeLinear(&Call{Node: c.Node, In: []*tensor.Tensor{codes, scale.Reshape(), zero.Reshape()}})
		if err != nil {
			return nil, err
		}
		in[i] = y[0]
	}
	out, err := evalEmbedLayerNorm(&Call{Node: c.Node, In: in})
	if err != nil {
		return nil, err
	}
	return out[:2], nil
}

func inferQEmbedLayerNorm(c *Inference) ([]Fact, error) {
	d := c.Input(embedScale).DType
	out, err := inferEmbedLayerNorm(c)
	if err != nil {
		return nil, err
	}
	out[0].DType = d
	return out[:2], nil
}
