package op

import (
	"math"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A cut is one axis of a slice: n elements from start on, step apart.
type cut struct{ start, step, n int }

// cutOf clamps the bounds of one axis of size d as the standard says: the start lies inside the
// axis, the end may be one step beyond.
func cutOf(d, start, end, step int) cut {
	clamp := func(v, lo, hi int) int {
		if v < 0 && v >= -d {
			v += d
		} else if v < 0 {
			v = lo
		}
		return max(lo, min(v, hi))
	}
	if d == 0 {
		return cut{0, step, 0}
	}
	if step > 0 {
		start, end = clamp(start, 0, d), clamp(end, 0, d)
	} else {
		start, end = clamp(start, 0, d-1), clamp(end, -1, d-1)
	}
	n := 0
	switch {
	case step > 0 && end > start:
		n = (end-start-1)/step + 1
	case step < 0 && step > math.MinInt && start > end:
		n = (start-end-1)/-step + 1
	case step < 0 && start > end:
		n = 1
	}
	return cut{start, step, n}
}

// A sliceArg is what a slice asks of one axis.
type sliceArg struct{ axis, start, end, step int }

// sliceArgs pairs the bounds of a slice with the axes of a tensor of the given rank.
func sliceArgs(starts, ends, axes, steps []int, rank int) ([]sliceArg, error) {
	if axes == nil {
		axes, _ = axesOf(nil, len(starts))
	}
	if steps == nil {
		steps = slices.Repeat([]int{1}, len(starts))
	}
	if len(ends) != len(starts) || len(axes) != len(starts) || len(steps) != len(starts) {
		return nil, invalidf("%d starts, %d ends, %d axes and %d steps", len(starts), len(ends), len(axes), len(steps))
	}
	axes, err := axesOf(axes, rank)
	if err != nil {
		return nil, err
	}
	out := make([]sliceArg, len(starts))
	for i, a := range axes {
		if steps[i] == 0 {
			return nil, invalidf("step %d is zero", i)
		}
		out[i] = sliceArg{a, starts[i], ends[i], steps[i]}
	}
	return out, nil
}

func evalSlice(c *Call) ([]*tensor.Tensor, error) {
	var arg [4][]int
	for i, name := range [...]string{"starts", "ends", "axes", "steps"} {
		var err error
		if arg[i], err = listArg(c, i+1, name); err != nil {
			return nil, err
		}
	}
	x := c.In[0]
	args, err := sliceArgs(arg[0], arg[1], arg[2], arg[3], x.Rank())
	if err != nil {
		return nil, err
	}
	shape, step, start := slices.Clone(x.Shape), strides(x.Shape), 0
	for _, a := range args {
		k := cutOf(x.Shape[a.axis], a.start, a.end, a.step)
		start += k.start * step[a.axis]
		shape[a.axis] = k.n
		if k.n > 1 {
			step[a.axis] *= k.step
		}
	}
	return one(strided(x, shape, start, step))
}

func inferSlice(c *Inference) ([]Fact, error) {
	x := c.Input(0)
	if !x.Ranked {
		return Typed(graph.Unranked(x.DType)), nil
	}
	var arg [4][]int
	known := true
	for i, name := range [...]string{"starts", "ends", "axes", "steps"} {
		var ok bool
		if arg[i], ok = inferList(c, i+1, name); !ok {
			known = false
		}
	}
	if !known {
		return inferOpenSlice(c, arg[2], arg[3])
	}
	args, err := sliceArgs(arg[0], arg[1], arg[2], arg[3], len(x.Shape))
	if err != nil {
		return nil, err
	}
	dims := slices.Clone(x.Shape)
	for _, a := range args {
		dims[a.axis] = cutDim(dims[a.axis], a)
	}
	if elems, ok := elemsOf(x); ok && len(x.Shape) == 1 && len(args) == 1 && followsElems(x.Type) {
		k := cutOf(len(elems), args[0].start, args[0].end, args[0].step)
		out := make([]graph.Dim, k.n)
		for i := range out {
			out[i] = elems[k.start+i*k.step]
		}
		return []Fact{elemsFact(x.DType, out, false)}, nil
	}
	return Typed(graph.OfDims(x.DType, dims)), nil
}

// cutDim is the size of a slice of an axis of size d, as far as it is known.
func cutDim(d graph.Dim, a sliceArg) graph.Dim {
	end := math.MaxInt32
	switch {
	case d.IsKnown():
		return graph.Known(cutOf(d.Size, a.start, a.end, a.step).n)
	case a.step == 1 && a.start == 0 && a.end >= end, a.step == -1 && a.start == -1 && a.end <= -end:
		return d
	}
	return graph.Unknown
}

// inferOpenSlice is a slice whose bounds are not all constant: a bound that is itself a
// symbolic dimension still gives the size of its axis.
func inferOpenSlice(c *Inference, axes, steps []int) ([]Fact, error) {
	x := c.Input(0)
	dims := slices.Clone(x.Shape)
	starts, ok1 := elemsOf(c.Input(1))
	ends, ok2 := elemsOf(c.Input(2))
	if c.Has(3) && axes == nil || !ok1 || !ok2 || len(starts) != len(ends) {
		return Typed(graph.OfDims(x.DType, unknownDims(len(dims)))), nil
	}
	for i := range starts {
		axis := i
		if axes != nil && i < len(axes) {
			axis = axes[i]
		}
		axis, err := axisOf(axis, len(dims))
		if err != nil {
			return nil, err
		}
		forward := !c.Has(4) || i < len(steps) && steps[i] == 1
		switch d := dims[axis]; {
		case forward && starts[i].Size == 0 && ends[i].Same(d):
		case forward && starts[i].Size == 0 && within(ends[i], d):
			dims[axis] = ends[i]
		case forward && starts[i].Name != "" && neverNegative(starts[i]) && ends[i].Size >= math.MaxInt32:
			dims[axis] = addDims(d, starts[i], -1)
		default:
			dims[axis] = graph.Unknown
		}
	}
	return Typed(graph.OfDims(x.DType, dims)), nil
}

// within says whether an end is certainly no larger than the dimension it cuts.
func within(end, d graph.Dim) bool {
	rest := addDims(d, end, -1)
	return neverNegative(end) && rest.IsKnown()
}
