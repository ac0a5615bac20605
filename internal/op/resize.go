package op

import (
	"math"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// evalResize covers Resize from opset 10 on: the older form has only mode and scales.
func evalResize(c *Call) ([]*tensor.Tensor, error) {
	rs, s, err := resizing(c)
	if err != nil {
		return nil, err
	}
	return one(resample(c.In[0], rs, s, float64(c.Float("extrapolation_value", 0))))
}

// resizing reads a Resize node.
func resizing(c *Call) ([]resampling, *sampler, error) {
	rs, err := resamplings(c)
	if err != nil {
		return nil, nil, err
	}
	s, err := samplerOf(c.Node, c.Opset)
	return rs, s, err
}

// keeps says whether an axis stays as it is.
func (s *sampler) keeps(r *resampling) bool { return r.in == r.out && r.scale == 1 && !s.crop }

// ResizeSamples returns of a Resize or Upsample node, of whose first operand only the shape counts, what the positions of each
// axis of the result average; nil for axes that stay as they are.
func ResizeSamples(c *Call) ([][]Sample, error) {
	read := resizing
	if c.Op == "Upsample" {
		read = upsampling
	}
	rs, s, err := read(c)
	if err != nil {
		return nil, err
	}
	shape := make([]int, len(rs))
	for i := range rs {
		shape[i] = rs[i].out
	}
	if _, err := checkSize(c.In[0].DType, shape); err != nil {
		return nil, err
	}
	list := make([][]Sample, len(rs))
	for i := range rs {
		if !s.keeps(&rs[i]) {
			list[i] = s.samples(&rs[i])
		}
	}
	return list, nil
}

// samplerOf reads the attributes that choose the interpolation.
func samplerOf(n *graph.Node, opset int) (*sampler, error) {
	coordinates, nearest := n.Str("coordinate_transformation_mode", "half_pixel"), n.Str("nearest_mode", "round_prefer_floor")
	if opset < 11 {
		coordinates, nearest = "asymmetric", ""
	}
	s := &sampler{
		transform: transforms[coordinates], crop: coordinates == "tf_crop_and_resize",
		antialias: n.Bool("antialias", false), excludeOutside: n.Bool("exclude_outside", false),
	}
	if s.transform == nil {
		return nil, invalidf("coordinate_transformation_mode %q", coordinates)
	}
	switch mode := n.Str("mode", "nearest"); mode {
	case "nearest":
		if s.round = roundings[nearest]; s.round == nil || nearest == "" && opset > 10 {
			return nil, invalidf("nearest_mode %q", nearest)
		}
	case "linear", "bilinear":
		s.filter = linearFilter
	case "cubic":
		s.filter = cubicFilter(float64(n.Float("cubic_coeff_a", -0.75)))
	default:
		return nil, invalidf("mode %q", mode)
	}
	return s, nil
}

// resample applies one resampling to each axis, the last axis first. Elements of any type can
// be chosen, only numbers can be averaged.
func resample(x *tensor.Tensor, rs []resampling, s *sampler, outside float64) (*tensor.Tensor, error) {
	shape := make([]int, len(rs))
	plan := make([][]Sample, len(rs))
	for i := range rs {
		shape[i] = rs[i].out
	}
	if _, err := checkSize(x.DType, shape); err != nil {
		return nil, err
	}
	for i := range rs {
		plan[i] = s.samples(&rs[i])
	}
	if s.round != nil && !s.crop {
		return pick(x, plan, shape)
	}
	data, err := floats(x)
	if err != nil {
		return nil, err
	}
	done := slices.Clone(x.Shape)
	for k := len(plan) - 1; k >= 0; k-- {
		if s.keeps(&rs[k]) {
			continue
		}
		done[k] = shape[k]
		if _, err := sized(done); err != nil {
			return nil, err
		}
		data = blendAxis(data, plan[k], tensor.Elements(done[:k]), rs[k].in, tensor.Elements(done[k+1:]))
	}
	if s.crop {
		data = slices.Clone(data)
		extrapolate(data, plan, shape, outside)
	}
	return fromFloats(x.DType, data, shape)
}

// blendAxis computes the samples along the middle axis of x (outer,in,inner).
func blendAxis(x []float64, plan []Sample, outer, in, inner int) []float64 {
	y := make([]float64, outer*len(plan)*inner)
	for o := range outer {
		for i, p := range plan {
			row := y[(o*len(plan)+i)*inner:][:inner]
			for k, at := range p.At {
				addScaled(row, x[(o*in+at)*inner:][:inner], p.Weight[k], 1)
			}
		}
	}
	return y
}

// pick gathers the one element that each output position takes along every axis.
func pick(x *tensor.Tensor, plan [][]Sample, shape []int) (*tensor.Tensor, error) {
	dst, err := newCells(x.DType, shape)
	if err != nil {
		return nil, err
	}
	src, st, last := cellsOf(x), strides(x.Shape), len(shape)-1
	if last < 0 {
		dst.copy(0, src, 0, 1)
		return dst.tensor(x.DType, shape), nil
	}
	columns := make([]int, shape[last])
	for p := range columns {
		columns[p] = plan[last][p].At[0] * st[last]
	}
	idx := make([]int, last)
	for at := 0; at < tensor.Elements(shape); at += len(columns) {
		row := 0
		for k, p := range idx {
			row += plan[k][p].At[0] * st[k]
		}
		for p, from := range columns {
			dst.copy(at+p, src, row+from, 1)
		}
		advance(idx, shape[:last])
	}
	return dst.tensor(x.DType, shape), nil
}

// advance moves idx to the next position of shape in row-major order.
func advance(idx, shape []int) {
	for k := len(idx) - 1; k >= 0; k-- {
		if idx[k]++; idx[k] < shape[k] {
			return
		}
		idx[k] = 0
	}
}

// extrapolate sets every output with a position outside the input along any axis.
func extrapolate(y []float64, plan [][]Sample, shape []int, value float64) {
	idx := make([]int, len(shape))
	for i := range y {
		for k, p := range idx {
			if plan[k][p].Outside {
				y[i] = value
			}
		}
		advance(idx, shape)
	}
}

// A resizeArgs is what a Resize node says of sizes: the axes that its operands are about.
type resizeArgs struct {
	axes   []int
	policy string
	crop   bool
}

func resizeArgsOf(n *graph.Node, rank int) (*resizeArgs, error) {
	a := &resizeArgs{policy: n.Str("keep_aspect_ratio_policy", "stretch")}
	a.crop = n.Str("coordinate_transformation_mode", "") == "tf_crop_and_resize"
	if !slices.Contains([]string{"stretch", "not_larger", "not_smaller"}, a.policy) {
		return nil, invalidf("keep_aspect_ratio_policy %q", a.policy)
	}
	var err error
	a.axes, err = axesOf(n.Ints("axes"), rank)
	return a, err
}

// resizeInputs returns where a Resize node has scales and sizes: opset 10 has no roi in between.
func resizeInputs(opset int) (roi, scales, sizes int) {
	if opset < 11 {
		return -1, 1, -1
	}
	return 1, 2, 3
}

// resamplings reads the operands of a Resize node.
func resamplings(c *Call) ([]resampling, error) {
	x := c.In[0].Shape
	a, err := resizeArgsOf(c.Node, len(x))
	if err != nil {
		return nil, err
	}
	roi, scales, sizes := resizeInputs(c.Opset)
	rs := make([]resampling, len(x))
	for i, d := range x {
		rs[i] = resampling{in: d, out: d, scale: 1, end: 1}
	}
	if err := a.readROI(rs, c.operand(roi)); err != nil {
		return nil, err
	}
	if t := c.operand(sizes); t != nil {
		v, err := indices(t)
		if err != nil {
			return nil, err
		}
		return rs, a.bySizes(rs, v)
	}
	if t := c.operand(scales); t != nil {
		v, err := floats(t)
		if err != nil {
			return nil, err
		}
		return rs, a.byScales(rs, v)
	}
	return nil, invalidf("neither scales nor sizes are given")
}

func (a *resizeArgs) readROI(rs []resampling, t *tensor.Tensor) error {
	if !a.crop {
		return nil
	}
	if t == nil {
		return invalidf("tf_crop_and_resize needs roi")
	}
	v, err := floats(t)
	if err != nil {
		return err
	}
	if len(v) != 2*len(a.axes) {
		return invalidf("roi has %d elements for %d axes", len(v), len(a.axes))
	}
	for i, k := range a.axes {
		rs[k].start, rs[k].end = v[i], v[len(a.axes)+i]
	}
	return nil
}

// bySizes sets the output sizes; those of a policy share one scale. An axis without elements, such as a batch of no
// images, stays one.
func (a *resizeArgs) bySizes(rs []resampling, sizes []int) error {
	if len(sizes) != len(a.axes) {
		return invalidf("%d sizes for %d axes", len(sizes), len(a.axes))
	}
	for i, k := range a.axes {
		if sizes[i] == 0 && rs[k].in == 0 && a.policy == "stretch" {
			rs[k].out, rs[k].scale = 0, 1
			continue
		}
		if sizes[i] < 1 || sizes[i] > maxElements || rs[k].in == 0 {
			return invalidf("size %d of axis %d, whose input is %d", sizes[i], k, rs[k].in)
		}
		rs[k].out, rs[k].scale = sizes[i], float64(sizes[i])/float64(rs[k].in)
	}
	if a.policy == "stretch" || len(a.axes) == 0 {
		return nil
	}
	scale := rs[a.axes[0]].scale
	for _, k := range a.axes {
		if a.policy == "not_larger" {
			scale = min(scale, rs[k].scale)
		} else {
			scale = max(scale, rs[k].scale)
		}
	}
	for _, k := range a.axes {
		rs[k].scale = scale
		rs[k].out = max(1, int(math.Floor(scale*float64(rs[k].in)+0.5)))
	}
	return nil
}

// byScales sets the output sizes to floor(input·scale), of the region of interest where one is
// cropped; float32 as the standard's own shape inference computes it.
func (a *resizeArgs) byScales(rs []resampling, scales []float64) error {
	if len(scales) != len(a.axes) {
		return invalidf("%d scales for %d axes", len(scales), len(a.axes))
	}
	for i, k := range a.axes {
		r := &rs[k]
		if r.scale = scales[i]; !(r.scale > 0 && r.scale <= maxElements) {
			return invalidf("scale %v", scales[i])
		}
		size := float32(r.in) * float32(r.scale)
		if a.crop {
			size = float32(float64(r.in) * (r.end - r.start) * r.scale)
		}
		if !(size >= 0 && size <= maxElements) {
			return invalidf("scale %v makes axis %d of size %v", scales[i], k, size)
		}
		if r.out = int(size); r.in == 0 && r.out > 0 {
			return invalidf("axis %d is empty", k)
		}
	}
	return nil
}
