package op

import (
	"math"
	"strconv"
	"strings"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A casting says how values become elements of another type.
type casting struct {
	to       tensor.DType
	saturate bool   // beyond an 8-bit float: its largest value, not infinity or NaN
	round    string // to a power of two: up, down or nearest
}

func castingOf(n *graph.Node, to tensor.DType) casting {
	return casting{to: to, saturate: n.Bool("saturate", true), round: n.Str("round_mode", "up")}
}

// Cast converts the elements of a dense tensor as the operator of that name does where no attribute says otherwise. Of
// type to already, it is returned as it is.
func Cast(t *tensor.Tensor, to tensor.DType) (*tensor.Tensor, error) {
	if !to.Valid() {
		return nil, invalidf("element type %d is none", to)
	}
	return casting{to: to, saturate: true, round: "up"}.apply(t)
}

func evalCast(c *Call) ([]*tensor.Tensor, error) {
	to, err := dtypeAttr(c.Node, "to", tensor.Undefined)
	if err != nil {
		return nil, err
	}
	return one(castingOf(c.Node, to).apply(c.In[0]))
}

func evalCastLike(c *Call) ([]*tensor.Tensor, error) {
	return one(castingOf(c.Node, c.In[1].DType).apply(c.In[0]))
}

// apply converts t. Integers keep their low bits, real numbers become integers toward zero.
func (k casting) apply(t *tensor.Tensor) (*tensor.Tensor, error) {
	if _, err := checkSize(k.to, t.Shape); err != nil {
		return nil, err
	}
	switch {
	case t.DType == k.to:
		return t, nil
	case t.DType == tensor.String:
		return k.parse(t)
	case k.to == tensor.String:
		return toStrings(t)
	case isWhole(t.DType) && (isWhole(k.to) || k.to == tensor.Float32):
		v, err := ints(t)
		if err != nil {
			return nil, err
		}
		if k.to == tensor.Float32 {
			return wholeToFloat32(t, v), nil
		}
		return fromInts(k.to, v, t.Shape)
	}
	x, err := floats(t)
	if err != nil {
		return nil, err
	}
	return k.store(x, t.Shape)
}

func isWhole(d tensor.DType) bool { return d.IsInt() || d == tensor.Bool }

// wholeToFloat32 rounds once; by way of float64 large numbers would be rounded twice.
func wholeToFloat32(t *tensor.Tensor, v []int64) *tensor.Tensor {
	out := tensor.New(tensor.Float32, t.Shape...)
	y := tensor.Of[float32](out)
	for i, n := range v {
		y[i] = float32(n)
		if t.DType == tensor.Uint64 {
			y[i] = float32(uint64(n))
		}
	}
	return out
}

// store rounds real numbers to the type that k names.
func (k casting) store(x []float64, shape []int) (*tensor.Tensor, error) {
	if k.to == tensor.Float8E8M0 {
		t, err := format.FromFloatsE8M0(x, k.round, k.saturate, shape...)
		if err != nil {
			return nil, invalidf("%v", err)
		}
		return t, nil
	}
	if k.to == tensor.Float16 || k.to == tensor.BFloat16 { // saturate is for narrower types
		return fromFloats(k.to, x, shape)
	}
	t, err := format.FromFloats(k.to, x, k.saturate, shape...)
	if err != nil {
		return nil, invalidf("%v", err)
	}
	return t, nil
}

// parse reads numbers written as text; INF and NaN are accepted in any case.
func (k casting) parse(t *tensor.Tensor) (*tensor.Tensor, error) {
	if isWhole(k.to) {
		v := make([]int64, len(t.Str))
		for i, s := range t.Str {
			n, err := parseWhole(strings.TrimSpace(s))
			if err != nil {
				return nil, invalidf("element %d, %q, is not a whole number", i, s)
			}
			v[i] = n
		}
		return fromInts(k.to, v, t.Shape)
	}
	x := make([]float64, len(t.Str))
	for i, s := range t.Str {
		v, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if err != nil && !math.IsInf(v, 0) {
			return nil, invalidf("element %d, %q, is not a number", i, s)
		}
		x[i] = v
	}
	return k.store(x, t.Shape)
}

// parseWhole reads an integer, or truncates a decimal. NaN is none.
func parseWhole(s string) (int64, error) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, nil
	}
	if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		return int64(n), nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if v != v {
		err = strconv.ErrSyntax
	}
	return int64(clamp(v, math.MinInt64, math.MaxInt64-1024)), err
}

// toStrings writes numbers in the shortest way that reads back the same.
func toStrings(t *tensor.Tensor) (*tensor.Tensor, error) {
	text := make([]string, t.Len())
	if t.DType == tensor.Uint64 {
		for i, v := range tensor.Of[uint64](t) {
			text[i] = strconv.FormatUint(v, 10)
		}
		return tensor.Strings(text, t.Shape...), nil
	}
	if isWhole(t.DType) {
		v, err := ints(t)
		if err != nil {
			return nil, err
		}
		for i, n := range v {
			text[i] = strconv.FormatInt(n, 10)
		}
		return tensor.Strings(text, t.Shape...), nil
	}
	x, err := floats(t)
	if err != nil {
		return nil, err
	}
	bits := 32
	if t.DType == tensor.Float64 {
		bits = 64
	}
	for i, v := range x {
		text[i] = numberText(v, bits)
	}
	return tensor.Strings(text, t.Shape...), nil
}

// numberText writes a real number of the given precision plainly, or in scientific notation
// where that needs many zeros.
func numberText(v float64, bits int) string {
	switch {
	case v != v:
		return "NaN"
	case math.IsInf(v, 1):
		return "INF"
	case math.IsInf(v, -1):
		return "-INF"
	}
	if a := math.Abs(v); a != 0 && (a < 1e-4 || a >= 1e16) {
		return strconv.FormatFloat(v, 'e', -1, bits)
	}
	return strconv.FormatFloat(v, 'f', -1, bits)
}

// inferCast changes the element type; integer vectors keep what is known of their elements.
func inferCast(c *Inference) ([]Fact, error) {
	t := c.Input(0).Type
	var err error
	if t.DType, err = dtypeAttr(c.Node, "to", tensor.Undefined); err != nil {
		return nil, err
	}
	if t.DType == tensor.Undefined {
		return nil, invalidf("attribute \"to\" names no element type")
	}
	return keepElems(c.Input(0), t), nil
}

func inferCastLike(c *Inference) ([]Fact, error) {
	t := c.Input(0).Type
	t.DType = c.Input(1).DType
	return keepElems(c.Input(0), t), nil
}

// evalBitCast reads the same bits as another type of the same width.
func evalBitCast(c *Call) ([]*tensor.Tensor, error) {
	to, err := bitCastType(c.Node, c.In[0].DType)
	if err != nil {
		return nil, err
	}
	out := *c.In[0]
	out.DType = to
	return one(&out, nil)
}

func bitCastType(n *graph.Node, from tensor.DType) (tensor.DType, error) {
	to, err := dtypeAttr(n, "to", tensor.Undefined)
	if err != nil {
		return 0, err
	}
	if to.Bits() == 0 || from != tensor.Undefined && to.Bits() != from.Bits() {
		return 0, invalidf("%s cannot be read as %s, which is not of the same width", from, to)
	}
	return to, nil
}

func inferBitCast(c *Inference) ([]Fact, error) {
	t := c.Input(0).Type
	to, err := bitCastType(c.Node, t.DType)
	t.DType = to
	return Typed(t), err
}
