package engine

import (
	"math"
	"slices"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// An intTail says how integer sums leave a product: as codes of to, or as floats where there is none.
// The sum of column j means sum·scale[j].
type intTail struct {
	x      affine    // of the left side
	scale  []float64 // by column: x.scale times the weight's
	bias   []int32   // by column; nil: none
	shift  []float32 // a bias by column that is no multiple of the scales; nil: none
	to     *affine
	lo, hi int32 // codes
}

// An intConv says what an "int conv" node computes: a convolution of uint8 codes with int8 weights.
type intConv struct {
	convShape
	weight *tensor.Tensor // int8, (O, C/group, KH, KW)
	intTail
}

// An intGemm says what an "int gemm" node computes: rows of uint8 codes times an int8 matrix.
type intGemm struct {
	weight *tensor.Tensor // int8
	order  kernel.Order
	k, n   int
	intTail
}

// intProducts turns products of dequantized codes and dequantized constants into integer products.
func intProducts(g *net) {
	for _, n := range g.nodes {
		rule, ok := intRules[n.kind]
		if !ok || !n.static() || n.out[0].elems() == 0 || n.in[0].elems() == 0 {
			continue
		}
		x, a, ok := g.codesOf(n.in[0])
		if !ok || x.konst != nil || !n.in[0].is(tensor.Float32) {
			continue
		}
		spec, tail, ok := rule(n, a)
		if !ok {
			continue
		}
		at := tail.follow(n)
		if l, ok := landingOf(at.out[0]); ok && tail.roundShift(l.to) {
			at, tail.to, tail.lo, tail.hi = l.node, &l.to, l.lo, l.hi
		}
		at.onnx, at.version = n.onnx, n.version
		at.become(spec.kind(), spec, x)
	}
	g.sweep()
}

type intSpec interface {
	kind() string
	dynamic() (kind string, spec dynamicProduct) // with a left side whose scale is found in each run
}

func (*intConv) kind() string { return "int conv" }
func (*intGemm) kind() string { return "int gemm" }

// intRules reads the products that have an integer form; a is the meaning of the left side.
var intRules = map[string]func(n *node, a affine) (intSpec, *intTail, bool){
	"Conv":   intConvOf,
	"MatMul": intMatMulOf,
	"Gemm":   intGemmOf,
}

func intConvOf(n *node, a affine) (intSpec, *intTail, bool) {
	w, scale, ok := weightCodes(n.in[1], 0)
	if !ok {
		return nil, nil, false
	}
	shape, ok := convShapeOf(n, w.Shape)
	if b := n.input(2); !ok || b != nil && !sameShape(b.shape, []int{shape.o}) {
		return nil, nil, false
	}
	s := &intConv{convShape: shape}
	s.weight = s.seeing(w)
	ok = s.fill(a, scale, shape.o, n.input(2))
	return s, &s.intTail, ok
}

func intMatMulOf(n *node, a affine) (intSpec, *intTail, bool) {
	w, scale, ok := weightCodes(n.in[1], 1)
	if !ok || len(w.Shape) != 2 || len(n.in[0].shape) < 2 {
		return nil, nil, false
	}
	s := &intGemm{weight: w, k: w.Shape[0], n: w.Shape[1], order: kernel.Order{N: 1, K: w.Shape[1]}}
	ok = s.fill(a, scale, s.n, nil)
	return s, &s.intTail, ok
}

func intGemmOf(n *node, a affine) (intSpec, *intTail, bool) {
	trans := n.onnx.Bool("transB", false)
	axis := 1
	if trans {
		axis = 0
	}
	w, scale, ok := weightCodes(n.in[1], axis)
	if !ok || n.onnx.Bool("transA", false) || n.onnx.Float("alpha", 1) != 1 || n.onnx.Float("beta", 1) != 1 {
		return nil, nil, false
	}
	s := &intGemm{weight: w, k: w.Shape[0], n: w.Shape[1], order: kernel.Order{N: 1, K: w.Shape[1]}}
	if trans {
		s.k, s.n, s.order = s.n, s.k, kernel.Order{N: w.Shape[1], K: 1}
	}
	ok = s.fill(a, scale, s.n, n.input(2))
	return s, &s.intTail, ok
}

// fill sets what the scales and the bias say of n columns.
func (t *intTail) fill(a affine, scale []float32, n int, bias *value) bool {
	if len(scale) != 1 && len(scale) != n {
		return false
	}
	t.x, t.scale = a, make([]float64, n)
	for j := range t.scale {
		t.scale[j] = float64(a.scale) * float64(scale[j%len(scale)])
	}
	if bias == nil {
		return true
	}
	if d := bias.def; biasCodes(d) && len(bias.shape) == 1 && bias.elems() == n && t.scalesAre(tensor.Of[float32](d.in[1].konst)) {
		t.bias = tensor.Of[int32](d.in[0].konst)
		return true
	}
	var ok bool
	t.shift, ok = rowOf(bias, n)
	return ok
}

// follow takes over what multiplies each channel of the result of n, and adds to it, by constants, and returns the
// last node that does.
func (t *intTail) follow(n *node) *node {
	axis := len(n.out[0].shape) - 1
	if n.kind == "Conv" {
		axis = 1
	}
	for {
		y := n.out[0]
		c := y.single()
		if c == nil || !c.static() || !sameShape(c.out[0].shape, y.shape) || !t.takes(c, y, axis) {
			return n
		}
		n = c
	}
}

// takes makes c, which reads y, part of t; it is false where c is something else.
func (t *intTail) takes(c *node, y *value, axis int) bool {
	switch c.kind {
	case "Add", "Mul":
		row, ok := channelRow(other(c, y), y.shape, axis)
		if ok = ok && c.formal == 2; ok && c.kind == "Add" {
			t.add(row)
		} else if ok {
			t.multiply(row)
		}
		return ok
	case "BatchNormalization":
		f, shift, ok := normOf(c, y.shape[1])
		if ok = ok && axis == 1 && c.in[0] == y && !c.onnx.Bool("training_mode", false); ok {
			t.multiply(f)
			t.add(shift)
		}
		return ok
	}
	return false
}

// add adds a number to each column.
func (t *intTail) add(row []float32) {
	shift := slices.Clone(row)
	for j := range shift {
		if t.bias != nil {
			shift[j] += float32(float64(t.bias[j]) * t.scale[j])
		}
		if t.shift != nil {
			shift[j] += t.shift[j]
		}
	}
	t.bias, t.shift = nil, shift
}

// multiply multiplies each column by a number.
func (t *intTail) multiply(row []float32) {
	t.shift = slices.Clone(t.shift)
	for j, v := range row {
		t.scale[j] *= float64(v)
		if t.shift != nil {
			t.shift[j] *= v
		}
	}
}

// fineSums is how many steps of sums a step of codes must hold for a bias to be rounded to the former.
const fineSums = 16

// roundShift makes whole steps of the sums of a bias, for sums that leave as codes of a meaning; it
// fails where these steps are too coarse for that, or too many.
func (t *intTail) roundShift(to affine) bool {
	if t.shift == nil {
		return true
	}
	codes := make([]int32, len(t.shift))
	for j, v := range t.shift {
		q := math.RoundToEven(float64(v) / t.scale[j])
		if !(math.Abs(q) < 1<<31) || math.Abs(t.scale[j])*fineSums > float64(to.scale) {
			return false
		}
		codes[j] = int32(q)
	}
	t.bias, t.shift = codes, nil
	return true
}

// scalesAre says whether s holds the scales of the sums, as float32 rounds them.
func (t *intTail) scalesAre(s []float32) bool {
	for j, want := range t.scale {
		if len(s) == 0 || !(math.Abs(float64(s[j%len(s)])-want) <= 1e-6*math.Abs(want)) {
			return false
		}
	}
	return len(s) == 1 || len(s) == len(t.scale)
}

// biasCodes says whether d gives a constant row of int32 codes their meaning, with zero points of 0 alone.
func biasCodes(d *node) bool {
	if d == nil || d.kind != "DequantizeLinear" || !d.in[0].is(tensor.Int32) || d.in[0].konst == nil || d.in[1].konst == nil || !d.in[1].is(tensor.Float32) {
		return false
	}
	if axis, ok := scaledAxis(d); len(d.in[1].shape) > 0 && !(ok && axis == 0 && sameShape(d.in[1].shape, d.in[0].shape)) {
		return false
	}
	z := d.input(2)
	if z == nil {
		return true
	}
	list, ok := intsOf(z)
	return ok && sameShape(z.shape, d.in[1].shape) && !slices.ContainsFunc(list, func(c int) bool { return c != 0 })
}

// weightCodes reads constant weights that a DQ node gives: codes with the zero point taken off, and
// their scales, one or one for each index of axis.
func weightCodes(v *value, axis int) (*tensor.Tensor, []float32, bool) {
	d := v.def
	if d == nil || d.kind != "DequantizeLinear" || d.in[0].konst == nil || d.in[1].konst == nil || !d.in[1].is(tensor.Float32) {
		return nil, nil, false
	}
	w, scale := d.in[0], tensor.Of[float32](d.in[1].konst)
	if at, ok := scaledAxis(d); len(scale) > 1 && (!ok || at != axis || len(scale) != w.shape[axis]) || d.onnx.Int("block_size", 0) != 0 || slices.ContainsFunc(scale, func(v float32) bool { return !finite(v) }) {
		return nil, nil, false
	}
	if w.dtype.Bits() > 8 || w.elems() == 0 || len(w.shape) < 2 {
		return nil, nil, false
	}
	zeros := []int{0}
	if z := d.input(2); z != nil {
		var ok bool
		if zeros, ok = intsOf(z); !ok || !zeroFits(z, d.in[1]) {
			return nil, nil, false
		}
	}
	t, ok := centred(w.konst, zeros, axis)
	return t, scale, ok
}

// centred takes the zero points off, one for all codes or one for each index of axis; it fails where a
// difference does not fit in int8.
func centred(codes *tensor.Tensor, zeros []int, axis int) (*tensor.Tensor, bool) {
	if !slices.ContainsFunc(zeros, func(z int) bool { return z != zeros[0] }) {
		zeros = zeros[:1]
	}
	switch codes.DType {
	case tensor.Int8:
		if len(zeros) == 1 && zeros[0] == 0 {
			return codes, true
		}
		return centredOf(tensor.Of[int8](codes), codes.Shape, zeros, axis)
	case tensor.Uint8:
		return centredOf(tensor.Of[uint8](codes), codes.Shape, zeros, axis)
	}
	list, err := codes.Ints()
	if err != nil {
		return nil, false
	}
	return centredOf(list, codes.Shape, zeros, axis)
}

func centredOf[T int8 | uint8 | int64](codes []T, shape, zeros []int, axis int) (*tensor.Tensor, bool) {
	t := tensor.New(tensor.Int8, shape...)
	dst := tensor.Of[int8](t)
	ok := true
	eachZero(shape, zeros, axis, func(at, n, zero int) {
		to := dst[at:][:n]
		for i, c := range codes[at:][:n] {
			v := int(c) - zero
			ok = ok && v == int(int8(v))
			to[i] = int8(v)
		}
	})
	return t, ok
}

// eachZero calls f for each run of elements that share a zero point, one for all or one for each index
// of axis: where it begins, and how many they are.
func eachZero(shape, zeros []int, axis int, f func(at, n, zero int)) {
	size := tensor.Elements(shape)
	if len(zeros) == 1 {
		f(0, size, zeros[0])
		return
	}
	each := tensor.Elements(shape[axis+1:])
	for at := 0; at < size; at += each {
		f(at, each, zeros[at/each%len(zeros)])
	}
}
