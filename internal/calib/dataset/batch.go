package dataset

import (
	"maps"
	"slices"

	"lowbit/internal/fault"
	"lowbit/internal/tensor"
)

// Batch joins samples along the first axis of each input. Inputs without axes must be equal in
// all samples. One sample is returned as it is.
func Batch(samples []*Sample) (map[string]*tensor.Tensor, error) {
	if len(samples) == 0 {
		return nil, fault.Invalidf("batch", "no samples")
	}
	first := samples[0].Inputs
	if len(samples) == 1 {
		return first, nil
	}
	out := make(map[string]*tensor.Tensor, len(first))
	for _, name := range slices.Sorted(maps.Keys(first)) {
		parts := make([]*tensor.Tensor, len(samples))
		for i, s := range samples {
			if parts[i] = s.Inputs[name]; parts[i] == nil {
				return nil, fault.Invalidf(s.Name, "has no input %q", name)
			}
		}
		t, err := join(parts)
		if err != nil {
			return nil, fault.At(name, err)
		}
		out[name] = t
	}
	return out, nil
}

func join(parts []*tensor.Tensor) (*tensor.Tensor, error) {
	first := parts[0]
	n := 0
	for _, t := range parts {
		same := t.Kind == first.Kind && t.DType == first.DType && t.Rank() == first.Rank() &&
			(t.Rank() == 0 || slices.Equal(t.Shape[1:], first.Shape[1:]))
		if !same || first.Kind != tensor.Dense || first.DType.Bits()%8 != 0 {
			return nil, fault.Invalidf("", "%v and %v do not go into one batch", first, t).
				WithHint("use a batch of 1")
		}
		if t.Rank() > 0 {
			n += t.Shape[0]
		} else if !slices.Equal(t.Raw, first.Raw) || !slices.Equal(t.Str, first.Str) {
			return nil, fault.Invalidf("", "has no batch axis and differs between samples").WithHint("use a batch of 1")
		}
	}
	if first.Rank() == 0 {
		return first, nil
	}
	out := tensor.New(first.DType, append([]int{n}, first.Shape[1:]...)...)
	raw, str := out.Raw, out.Str
	for _, t := range parts {
		raw, str = raw[copy(raw, t.Raw):], str[copy(str, t.Str):]
	}
	return out, nil
}
