package dataset

import (
	"math"

	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/tensor"
)

// convert returns t with element type d. Numbers must stay what they are: floats do not become
// integers, and integers must fit.
func convert(t *tensor.Tensor, d tensor.DType) (*tensor.Tensor, error) {
	switch {
	case d == t.DType || d == tensor.Undefined:
		return t, nil
	case t.DType.Class() == tensor.ClassString || d.Class() == tensor.ClassString,
		t.DType.Class() == tensor.ClassComplex || d.Class() == tensor.ClassComplex:
		return nil, fault.Invalidf("", "%s data where the model wants %s", t.DType, d)
	case d.IsFloat() && t.DType.IsFloat():
		v, err := format.Floats(t)
		if err != nil {
			return nil, err
		}
		return format.FromFloats(d, v, false, t.Shape...)
	case t.DType.IsFloat() && d == tensor.Uint8:
		return bytesOf(t)
	case t.DType.IsFloat():
		return nil, fault.Invalidf("", "%s data where the model wants %s", t.DType, d).
			WithHint("round the data yourself if that is what you want")
	}
	v, err := t.Ints()
	if err != nil {
		return nil, fault.Invalidf("", "%v", err)
	}
	out, err := format.FromInts(d, v, t.Shape...)
	if err != nil || d.IsFloat() {
		return out, err
	}
	return out, sameInts(v, out)
}

// bytesOf returns floats that are the whole numbers 0 to 255 as bytes.
func bytesOf(t *tensor.Tensor) (*tensor.Tensor, error) {
	v, err := format.Floats(t)
	if err != nil {
		return nil, err
	}
	out := tensor.New(tensor.Uint8, t.Shape...)
	for i, x := range v {
		if out.Raw[i] = uint8(min(max(x, 0), 255)); float64(out.Raw[i]) != x {
			return nil, fault.Invalidf("", "%v where the model wants bytes", x)
		}
	}
	return out, nil
}

func sameInts(want []int64, t *tensor.Tensor) error {
	got, err := t.Ints()
	if err != nil {
		return err
	}
	for i, v := range want {
		if got[i] != v {
			return fault.Invalidf("", "%d does not fit in %s", v, t.DType)
		}
	}
	return nil
}

// checkFinite refuses a sample with a number that no statistic survives.
func checkFinite(s *Sample) error {
	for name, t := range s.Inputs {
		if t.DType != tensor.Float32 {
			continue
		}
		for i, v := range tensor.Of[float32](t) {
			if v-v != 0 {
				return fault.Invalidf(s.Name, "input %q holds %v at element %d", name, v, i)
			}
		}
	}
	return nil
}

// Range returns the smallest and the largest number among a sample's inputs; false where it has
// none. Photographs that were not normalised show here as 0 and 255.
func (s *Sample) Range() (lo, hi float64, ok bool) {
	lo, hi = math.Inf(1), math.Inf(-1)
	for _, t := range s.Inputs {
		v, err := format.Floats(t)
		if err != nil {
			continue
		}
		for _, x := range v {
			lo, hi, ok = min(lo, x), max(hi, x), true
		}
	}
	return lo, hi, ok
}
