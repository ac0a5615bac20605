package op

import (
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// padSource returns where position i of a padded axis takes its value from in an axis of size
// n; -1 means the constant.
var padSource = map[string]func(i, n int) int{
	"constant": func(i, n int) int {
		if i < 0 || i >= n {
			return -1
		}
		return i
	},
	"edge":    func(i, n int) int { return max(0, min(i, n-1)) },
	"reflect": mirror,
	"wrap":    func(i, n int) int { return ((i % n) + n) % n },
}

// mirror reflects i at both ends of an axis, without repeating the end itself.
func mirror(i, n int) int {
	if n == 1 {
		return 0
	}
	period := 2 * (n - 1)
	i = ((i % period) + period) % period
	return min(i, period-i)
}

func evalPad(c *Call) ([]*tensor.Tensor, error) {
	x := c.In[0]
	lo, hi, err := padsOf(c)
	if err != nil {
		return nil, err
	}
	mode := c.Str("mode", "constant")
	source := padSource[mode]
	if source == nil {
		return nil, invalidf("mode %q is not known", mode)
	}
	shape := slices.Clone(x.Shape)
	for i := range shape {
		shape[i] += lo[i] + hi[i]
		if _, left := keptRange(x.Shape[i], lo[i], shape[i]); mode != "constant" && left <= 0 && shape[i] > 0 {
			return nil, invalidf("axis %d has nothing to repeat", i)
		}
	}
	value, err := padValue(c)
	if err != nil {
		return nil, err
	}
	dst, err := newCells(x.DType, shape)
	if err != nil {
		return nil, err
	}
	padInto(dst, shape, x, lo, source, value)
	return []*tensor.Tensor{dst.tensor(x.DType, shape)}, nil
}

// padInto fills dst from x, whose first element stands at position lo. What lies outside dst is
// cut off before source repeats anything.
func padInto(dst cells, shape []int, x *tensor.Tensor, lo []int, source func(i, n int) int, value cells) {
	if tensor.Elements(shape) == 0 {
		return
	}
	src, own := cellsOf(x), strides(x.Shape)
	rows, last := []int{0}, len(shape)-1
	for k := range shape {
		from := make([]int, shape[k])
		cut, left := keptRange(x.Shape[k], lo[k], shape[k])
		for i := range from {
			if from[i] = source(i-max(lo[k], 0), left); from[i] >= 0 {
				from[i] = (from[i] + cut) * own[k]
			}
		}
		if k < last {
			rows = padRows(rows, from)
			continue
		}
		for r, pos := range rows {
			padRow(dst, r*len(from), src, pos, from, value)
		}
	}
	if last < 0 {
		dst.copy(0, src, 0, 1)
	}
}

// keptRange returns how many elements are cut off the start of an axis of size n that stands at
// position lo of a result of the given size, and how many are left.
func keptRange(n, lo, size int) (cut, left int) {
	cut = max(-lo, 0)
	return cut, n - cut - max(n+lo-size, 0)
}

// padRows continues the positions of rows by one axis; -1 stands for a row of padding.
func padRows(rows, from []int) []int {
	out := make([]int, 0, len(rows)*len(from))
	for _, r := range rows {
		for _, p := range from {
			if r < 0 || p < 0 {
				out = append(out, -1)
			} else {
				out = append(out, r+p)
			}
		}
	}
	return out
}

// padRow writes one row of the last axis, in runs of neighbours.
func padRow(dst cells, at int, src cells, pos int, from []int, value cells) {
	if pos < 0 {
		dst.fill(at, len(from), value, 0)
		return
	}
	for i := 0; i < len(from); {
		n := 1
		if from[i] < 0 {
			for i+n < len(from) && from[i+n] < 0 {
				n++
			}
			dst.fill(at+i, n, value, 0)
		} else {
			for i+n < len(from) && from[i+n] == from[i]+n {
				n++
			}
			dst.copy(at+i, src, pos+from[i], n)
		}
		i += n
	}
}

// padsOf returns the padding before and after each axis.
func padsOf(c *Call) (lo, hi []int, err error) {
	pads, err := listArg(c, 1, "pads")
	if err != nil {
		return nil, nil, err
	}
	axes, err := listArg(c, 3, "axes")
	if err != nil {
		return nil, nil, err
	}
	return spreadPads(pads, axes, c.In[0].Shape)
}

// spreadPads assigns pads (all befores, then all afters) to the axes of a shape.
func spreadPads(pads, axes, shape []int) (lo, hi []int, err error) {
	rank := len(shape)
	if axes, err = axesOf(axes, rank); err != nil {
		return nil, nil, err
	}
	if len(pads) != 2*len(axes) {
		return nil, nil, invalidf("%d pads for %d axes", len(pads), len(axes))
	}
	lo, hi = make([]int, rank), make([]int, rank)
	for i, a := range axes {
		lo[a], hi[a] = pads[i], pads[i+len(axes)]
		for _, p := range []int{lo[a], hi[a]} {
			if p > maxBytes || p < -maxBytes {
				return nil, nil, invalidf("padding %d is out of range", p)
			}
		}
		if shape[a]+lo[a]+hi[a] < 0 {
			return nil, nil, invalidf("padding %d and %d leaves nothing of dimension %d", lo[a], hi[a], shape[a])
		}
	}
	return lo, hi, nil
}

// padValue returns the constant that fills the border, as one element of the data's type.
func padValue(c *Call) (cells, error) {
	d := c.In[0].DType
	if c.Has(2) {
		v := c.In[2]
		if v.Len() != 1 || v.DType != d {
			return cells{}, invalidf("the padding value is %s", v)
		}
		return cellsOf(v), nil
	}
	if v := c.Float("value", 0); v != 0 {
		t, err := fromFloats(d, []float64{float64(v)}, nil)
		if err != nil {
			return cells{}, err
		}
		return cellsOf(t), nil
	}
	return cellsOf(tensor.New(d)), nil
}

func inferPad(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	if !x.Ranked {
		return Typed(graph.Unranked(x.DType)), nil
	}
	pads, ok := inferList(c, 1, "pads")
	axes, okAxes := inferList(c, 3, "axes")
	if !ok || !okAxes {
		return Typed(graph.OfDims(x.DType, unknownDims(len(x.Shape)))), nil
	}
	sizes := make([]int, len(x.Shape))
	for i, d := range x.Shape {
		sizes[i] = maxBytes
		if d.IsKnown() {
			sizes[i] = d.Size
		}
	}
	lo, hi, err := spreadPads(pads, axes, sizes)
	if err != nil {
		return nil, err
	}
	dims := slices.Clone(x.Shape)
	for i, d := range dims {
		if add := lo[i] + hi[i]; d.IsKnown() {
			dims[i] = graph.Known(d.Size + add)
		} else if add != 0 {
			dims[i] = addDims(d, graph.Known(max(add, -add)), add/max(add, -add))
		}
	}
	return Typed(graph.OfDims(x.DType, dims)), nil
}
