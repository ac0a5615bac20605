package pass

import (
	"cmp"
	"slices"

	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// upgrades lists every change between opsets 7 and 25 that an older node does not already obey
// (ONNX Changelog.md), in the order of opsets.
var upgrades = []upgrade{
	{"BatchNormalization", 9, perChannel},
	{"Scan", 9, refuse("its batch axis and lengths of sequences are gone")},
	{"Upsample", 9, upsampleScales},
	{"Dropout", 10, dropoutMask},
	{"Slice", 10, sliceInputs},
	{"TopK", 10, topKInput},
	{"Upsample", 10, upsampleResize},
	{"Clip", 11, clipInputs},
	{"Pad", 11, padInputs},
	{"Resize", 11, resizeModes},
	{"Scatter", 11, renamed11},
	{"Dropout", 12, dropoutInput},
	{"Resize", 13, halfPixels},
	{"Softmax", 13, coerced},
	{"LogSoftmax", 13, coerced},
	{"Hardmax", 13, coerced},
	{"Squeeze", 13, intsToInput("axes", 1)},
	{"Unsqueeze", 13, intsToInput("axes", 1)},
	{"ReduceSum", 13, intsToInput("axes", 1)},
	{"Split", 13, intsToInput("split", 1)},
	{"BatchNormalization", 14, trainingOutputs},
	{"RoiAlign", 16, unshifted},
	{"ReduceMax", 18, intsToInput("axes", 1)},
	{"ReduceMin", 18, intsToInput("axes", 1)},
	{"ReduceMean", 18, intsToInput("axes", 1)},
	{"ReduceProd", 18, intsToInput("axes", 1)},
	{"ReduceL1", 18, intsToInput("axes", 1)},
	{"ReduceL2", 18, intsToInput("axes", 1)},
	{"ReduceLogSum", 18, intsToInput("axes", 1)},
	{"ReduceLogSumExp", 18, intsToInput("axes", 1)},
	{"ReduceSumSquare", 18, intsToInput("axes", 1)},
	{"Split", 18, splitCount},
	{"GridSample", 20, gridModes},
	{"DFT", 20, dftAxis},
	{"GroupNormalization", 21, refuse("its scale changed from one for each group to one for each channel")},
}

func refuse(why string) func(*upgrader, *graph.Node) ([]*graph.Node, error) {
	return func(*upgrader, *graph.Node) ([]*graph.Node, error) { return nil, fault.Unsupportedf("", "%s", why) }
}

func perChannel(_ *upgrader, n *graph.Node) ([]*graph.Node, error) {
	if n.Int("spatial", 1) == 0 {
		return nil, fault.Unsupportedf("", "statistics for each position of a channel (spatial = 0) are gone from opset 9 on")
	}
	dropAttrs(n, "spatial")
	return []*graph.Node{n}, nil
}

// dropoutMask keeps the type of the mask, which is boolean from opset 10 on.
func dropoutMask(u *upgrader, n *graph.Node) ([]*graph.Node, error) {
	if len(n.Out) < 2 || n.Out[1] == "" {
		return []*graph.Node{n}, nil
	}
	cast := &graph.Node{Op: "Cast", Name: u.used.fresh(n.Out[1] + "_Cast"), In: []string{u.used.fresh(n.Out[1] + "_bool")}, Out: []string{n.Out[1]}}
	cast.SetAttr("to", int64(cmp.Or(u.types[n.In[0]].DType, tensor.Float32)))
	n.Out[1] = cast.In[0]
	return []*graph.Node{n, cast}, nil
}

// halfPixels writes tf_half_pixel_for_nn, which reads position (i+½)/scale, as half_pixel, which
// reads half a pixel before it, with another way to round.
func halfPixels(_ *upgrader, n *graph.Node) ([]*graph.Node, error) {
	const mode = "coordinate_transformation_mode"
	if n.Str(mode, "") != "tf_half_pixel_for_nn" {
		return []*graph.Node{n}, nil
	}
	round := n.Str("nearest_mode", "round_prefer_floor")
	same, ok := map[string]string{"floor": "round_prefer_ceil", "round_prefer_floor": "ceil"}[round]
	if !ok || n.Str("mode", "nearest") != "nearest" {
		return nil, fault.Unsupportedf("", "tf_half_pixel_for_nn with %s is gone from opset 13 on", round)
	}
	n.SetAttr(mode, "half_pixel")
	n.SetAttr("nearest_mode", same)
	return []*graph.Node{n}, nil
}

// unshifted keeps the coordinates of RoiAlign before opset 16.
func unshifted(_ *upgrader, n *graph.Node) ([]*graph.Node, error) {
	n.SetAttr("coordinate_transformation_mode", "output_half_pixel")
	return []*graph.Node{n}, nil
}

func upsampleScales(u *upgrader, n *graph.Node) ([]*graph.Node, error) {
	s := n.Floats("scales")
	setInput(n, 1, u.constant(n, "scales", tensor.Float32s(s, len(s))))
	dropAttrs(n, "scales")
	return []*graph.Node{n}, nil
}

// upsampleResize makes Resize 10, which has the same inputs and modes.
func upsampleResize(_ *upgrader, n *graph.Node) ([]*graph.Node, error) {
	n.Op = "Resize"
	return []*graph.Node{n}, nil
}

// resizeModes writes out what Resize 10 always did: asymmetric coordinates, rounded down along axes
// that grow and up along those that shrink. Scales that nobody knows yet count as growth.
func resizeModes(u *upgrader, n *graph.Node) ([]*graph.Node, error) {
	scales := n.In[1]
	round := "floor"
	if t := u.types[scales].Value; isFloat(t) {
		v := tensor.Of[float32](t)
		grows, shrinks := slices.ContainsFunc(v, func(s float32) bool { return s > 1 }), slices.ContainsFunc(v, func(s float32) bool { return s < 1 })
		if grows && shrinks && n.Str("mode", "nearest") == "nearest" {
			return nil, fault.Unsupportedf("", "nearest neighbours by scales above and below 1, which round in two ways, are gone from opset 11 on")
		}
		if shrinks {
			round = "ceil"
		}
	}
	n.In = []string{n.In[0], u.constant(n, "roi", tensor.Float32s(nil, 0)), scales}
	n.SetAttr("coordinate_transformation_mode", "asymmetric")
	n.SetAttr("nearest_mode", round)
	return []*graph.Node{n}, nil
}

func sliceInputs(u *upgrader, n *graph.Node) ([]*graph.Node, error) {
	for i, attr := range []string{"starts", "ends", "axes"} {
		if _, err := intsToInput(attr, 1+i)(u, n); err != nil {
			return nil, err
		}
	}
	return []*graph.Node{n}, nil
}

func topKInput(u *upgrader, n *graph.Node) ([]*graph.Node, error) {
	setInput(n, 1, u.constant(n, "k", tensor.Vector(int64(n.Int("k", 1)))))
	dropAttrs(n, "k")
	return []*graph.Node{n}, nil
}

// scalar adds a constant of the element type of the node's first input.
func (u *upgrader) scalar(n *graph.Node, what string, v float32) (string, error) {
	d := u.types[n.In[0]].DType
	if d == tensor.Undefined {
		d = tensor.Float32
	}
	t, err := format.FromFloats(d, []float64{float64(v)}, false)
	if err != nil {
		return "", fault.Invalidf("", "%v", err)
	}
	return u.constant(n, what, t), nil
}

func clipInputs(u *upgrader, n *graph.Node) ([]*graph.Node, error) {
	for i, attr := range []string{"min", "max"} {
		if !n.Has(attr) {
			continue
		}
		name, err := u.scalar(n, attr, n.Float(attr, 0))
		if err != nil {
			return nil, err
		}
		setInput(n, 1+i, name)
	}
	dropAttrs(n, "min", "max")
	return []*graph.Node{n}, nil
}

func padInputs(u *upgrader, n *graph.Node) ([]*graph.Node, error) {
	if _, err := intsToInput("pads", 1)(u, n); err != nil {
		return nil, err
	}
	if v := n.Float("value", 0); v != 0 {
		name, err := u.scalar(n, "value", v)
		if err != nil {
			return nil, err
		}
		setInput(n, 2, name)
	}
	dropAttrs(n, "value")
	return []*graph.Node{n}, nil
}

func renamed11(_ *upgrader, n *graph.Node) ([]*graph.Node, error) {
	n.Op = "ScatterElements"
	return []*graph.Node{n}, nil
}

func dropoutInput(u *upgrader, n *graph.Node) ([]*graph.Node, error) {
	if n.Has("ratio") {
		name, err := u.scalar(n, "ratio", n.Float("ratio", 0.5))
		if err != nil {
			return nil, err
		}
		setInput(n, 1, name)
	}
	dropAttrs(n, "ratio")
	return []*graph.Node{n}, nil
}

// coerced keeps the meaning of Softmax before opset 13: the axes from the given one on count as
// one. Where that is more than the last axis the value is flattened around the operator.
func coerced(u *upgrader, n *graph.Node) ([]*graph.Node, error) {
	axis := n.Int("axis", 1)
	rank, ok := u.rank(n.In[0])
	if ok && axis < 0 {
		axis += rank
	}
	if ok && axis == rank-1 {
		n.SetAttr("axis", int64(-1))
		return []*graph.Node{n}, nil
	}
	if !ok && axis < 0 {
		return nil, fault.Unsupportedf("", "axis %d of a value of unknown rank", axis)
	}
	base := n.Out[0]
	flat, soft, shape := u.used.fresh(base+"_flat"), u.used.fresh(base+"_coerced"), u.used.fresh(base+"_shape")
	x, y := n.In[0], n.Out[0]
	n.In[0], n.Out[0] = flat, soft
	n.SetAttr("axis", int64(-1))
	flatten := &graph.Node{Op: "Flatten", Name: u.used.fresh(base + "_Flatten"), In: []string{x}, Out: []string{flat}}
	flatten.SetAttr("axis", int64(axis))
	return []*graph.Node{
		flatten, n,
		{Op: "Shape", Name: u.used.fresh(base + "_Shape"), In: []string{x}, Out: []string{shape}},
		{Op: "Reshape", Name: u.used.fresh(base + "_Reshape"), In: []string{soft, shape}, Out: []string{y}},
	}, nil
}

// trainingOutputs drops the statistics outputs, which opset 14 gives another meaning.
func trainingOutputs(_ *upgrader, n *graph.Node) ([]*graph.Node, error) {
	if len(n.Out) > 1 && anyNamed(n.Out[1:]) {
		return nil, fault.Unsupportedf("", "its statistics outputs are for training")
	}
	n.Out = n.Out[:1]
	return []*graph.Node{n}, nil
}

func splitCount(_ *upgrader, n *graph.Node) ([]*graph.Node, error) {
	if len(n.In) < 2 || n.In[1] == "" {
		n.SetAttr("num_outputs", int64(len(n.Out)))
	}
	return []*graph.Node{n}, nil
}

func gridModes(_ *upgrader, n *graph.Node) ([]*graph.Node, error) {
	if to, ok := map[string]string{"bilinear": "linear", "bicubic": "cubic"}[n.Str("mode", "bilinear")]; ok {
		n.SetAttr("mode", to)
	}
	return []*graph.Node{n}, nil
}

func dftAxis(u *upgrader, n *graph.Node) ([]*graph.Node, error) {
	setInput(n, 2, u.constant(n, "axis", tensor.Int64s([]int64{int64(n.Int("axis", 1))})))
	dropAttrs(n, "axis")
	return []*graph.Node{n}, nil
}
