package op

import (
	"slices"

	"lowbit/internal/tensor"
)

// evalDynamicQuantizeLSTM is LSTM whose products are of codes: those of X are found at once, those of the
// hidden states of a direction anew before each step, both as DynamicQuantizeLinear has it. (ONNX Runtime
// does so on one thread; more of them share the states among them, each with a range of its own.) Inputs: as
// LSTM has them, but the weights are codes (D,I,4H) and (D,H,4H), then scale and zero point of either, one
// for each direction (D) or one for each row of the gates (D,4H).
func evalDynamicQuantizeLSTM(c *Call) ([]*tensor.Tensor, error) {
	in := slices.Clone(c.In[:8])
	var err error
	for i := 1; i <= 2; i++ {
		if in[i], err = gateWeights(c.In[i], c.In[6+2*i], c.In[7+2*i]); err != nil {
			return nil, err
		}
	}
	v, err := newRecurrence(&Call{Node: c.Node, In: in}, lstmCell)
	if err != nil {
		return nil, err
	}
	if v.batchFirst {
		return nil, unsupportedf("layout 1")
	}
	copy(v.in[0], dynamicValues(v.in[0][:v.steps()*v.batch*v.input]))
	v.look = lookAtCodes
	return v.tensors(tensor.Float32)
}

// gateWeights returns codes (D,K,4H) as real numbers (D,4H,K).
func gateWeights(codes, scale, zero *tensor.Tensor) (*tensor.Tensor, error) {
	if codes.Rank() != 3 {
		return nil, invalidf("weights of shape %v, three dimensions are needed", codes.Shape)
	}
	dirs, k, rows := codes.Shape[0], codes.Shape[1], codes.Shape[2]
	for _, s := range [][]int{scale.Shape, zero.Shape} {
		if !slices.Equal(s, []int{dirs}) && !slices.Equal(s, []int{dirs, rows}) {
			return nil, invalidf("scale or zero point of shape %v for weights %v, [%d] or [%d %d] is needed", s, codes.Shape, dirs, dirs, rows)
		}
	}
	v, err := floatsOf(codes, scale, zero)
	if err != nil {
		return nil, err
	}
	t := tensor.New(tensor.Float32, dirs, rows, k)
	w := tensor.Of[float32](t)
	of := func(list []float64, d, row int) float64 { return list[(d*rows+row)*len(list)/(dirs*rows)] }
	for i, code := range v[0] {
		d, row := i/(k*rows), i%rows
		w[(d*rows+row)*k+i/rows%k] = float32((code - of(v[2], d, row)) * of(v[1], d, row))
	}
	return t, nil
}

// dynamicValues returns what is left of x quantized to uint8 over its own range.
func dynamicValues(x []float64) []float64 {
	narrow := make([]float32, len(x))
	for i, v := range x {
		narrow[i] = float32(v)
	}
	codes, scale, zero := dynamicU8(narrow)
	y := make([]float64, len(x))
	for i, c := range codes {
		y[i] = (float64(c) - float64(zero)) * float64(scale)
	}
	return y
}

// lookAtCodes lets the recurrence weight see the hidden states of all sequences quantized together.
func lookAtCodes(states []*state) {
	var all []float64
	for _, s := range states {
		all = append(all, s.h...)
	}
	all = dynamicValues(all)
	for _, s := range states {
		s.seen, all = all[:len(s.h)], all[len(s.h):]
	}
}

func inferDynamicQuantizeLSTM(c *Inference) ([]Fact, error) { return inferRecurrence(c, lstmCell, 1) }
