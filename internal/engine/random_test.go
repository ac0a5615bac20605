package engine

import (
	"math"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// A sprout is the end that a random network grows from: a value behind Q and DQ, its shape, and one step
// of its codes. Scales keep six bits of what the definitions of the operators give, so that every machine
// makes the same network.
type sprout struct {
	*maker
	x     string
	shape []int
	scale float32
	dtype tensor.DType
	most  int // channels and side lengths stay below
	older []sprout
}

// A growth adds one operator behind the sprout and quantizes the result, or does nothing where the shape
// does not suit.
type growth struct {
	name string
	grow func(s *sprout)
}

var growths = []growth{
	{"conv", (*sprout).conv},
	{"depthwise", (*sprout).depthwise},
	{"gemm", (*sprout).gemm},
	{"Add", func(s *sprout) { s.pair("Add") }},
	{"Mul", func(s *sprout) { s.pair("Mul") }},
	{"Concat", (*sprout).concat},
	{"pool", (*sprout).pool},
	{"GlobalAveragePool", (*sprout).globalPool},
	{"table", (*sprout).table},
	{"Resize", (*sprout).resize},
	{"Transpose", (*sprout).transpose},
}

// plant starts a network with an image of up to most channels and pixels a side, batch included.
func plant(seed uint64, most int, d tensor.DType) *sprout {
	k := newMaker(seed)
	s := &sprout{maker: k, dtype: d, most: most}
	s.shape = []int{1 + k.rng.IntN(3), s.size(), s.size(), s.size()}
	x := tensor.New(tensor.Float32, s.shape...)
	for i := range tensor.Of[float32](x) {
		tensor.Of[float32](x)[i] = float32(k.rng.IntN(1<<12)-1<<11) / 512
	}
	s.become(k.input(x), s.shape...)
	return s
}

// grown is a network of some operators, chosen at random.
func grown(seed uint64, most, operators int) *maker {
	d := tensor.Uint8
	if seed%3 == 2 {
		d = tensor.Int8
	}
	s := plant(seed, most, d)
	for range operators {
		s.older = append(s.older, *s)
		growths[max(0, s.rng.IntN(len(growths)+4)-4)].grow(s) // most often a convolution
	}
	s.output(s.x)
	return s.maker
}

// size is a number from 1 to most, one in four times a small one.
func (s *sprout) size() int {
	if s.rng.IntN(4) == 0 {
		return 1 + s.rng.IntN(min(s.most, 4))
	}
	return 1 + s.rng.IntN(s.most)
}

// become makes a float result the end of the network, quantized so that its numbers fill the codes.
func (s *sprout) become(x string, shape ...int) {
	s.scale, s.shape = s.step(x), shape
	zero := 64 + s.rng.IntN(128)
	if s.rng.IntN(8) == 0 {
		zero = 255 * s.rng.IntN(2)
	}
	if s.dtype == tensor.Int8 {
		zero -= 128
	}
	s.x = s.quantized(x, s.scale, zero, s.dtype)
}

// step is a good distance between the codes of a value: a hundred of them make its largest number.
func (s *sprout) step(x string) float32 {
	out := s.m.Graph.Out
	defer func() { s.m.Graph.Out = out }()
	s.m.Graph.Out = []*graph.Value{{Name: x}}
	got, err := op.Run(s.m, s.in, op.Options{})
	if err != nil {
		panic(err)
	}
	top := float32(1e-3)
	for _, v := range tensor.Of[float32](got[x]) {
		top = max(top, v, -v)
	}
	return math.Float32frombits(math.Float32bits(top/100) &^ (1<<17 - 1))
}

// clipped puts a Relu behind a value, sometimes.
func (s *sprout) clipped(x string) string {
	if s.rng.IntN(3) == 0 {
		return s.node("Relu", []string{x})
	}
	return x
}

// weights adds int8 weights behind DQ, one scale for each of n channels along axis 0 or one in all, and
// an int32 bias.
func (s *sprout) weights(shape ...int) (w, bias string) {
	n, top := 1, 127
	if s.rng.IntN(2) == 0 {
		n = shape[0]
	}
	if s.rng.IntN(2) == 0 {
		top = 64
	}
	scale, product := make([]float32, n), make([]float32, n)
	for i := range scale {
		scale[i] = float32(64+s.rng.IntN(64)) / (1 << 14)
		product[i] = scale[i] * s.scale
	}
	sc, ps := tensor.Float32s(scale, n), tensor.Float32s(product, n)
	z, zb := tensor.New(tensor.Int8, n), tensor.New(tensor.Int32, n)
	if n == 1 {
		sc, ps, z, zb = sc.Reshape(), ps.Reshape(), z.Reshape(), zb.Reshape()
	}
	w = s.node("DequantizeLinear", []string{s.constant(s.codes(tensor.Int8, -top-1, top, shape...)), s.constant(sc), s.constant(z)}, "axis", int64(0))
	b := s.constant(s.codes(tensor.Int32, -5000, 5000, shape[0]))
	bias = s.node("DequantizeLinear", []string{b, s.constant(ps), s.constant(zb)}, "axis", int64(0))
	return w, bias
}

func (s *sprout) conv() {
	c := s.shape[1]
	group := 1
	if s.rng.IntN(3) == 0 {
		for _, g := range []int{2, 3, 5} {
			if c%g == 0 {
				group = g
			}
		}
	}
	o := group * (1 + s.size()/group)
	s.window(o, c/group, group, s.rng.IntN(3) == 0)
}

func (s *sprout) depthwise() { s.window(s.shape[1], 1, s.shape[1], false) }

// window adds a convolution of o filters over cg channels each, with a random window that fits.
func (s *sprout) window(o, cg, group int, pointwise bool) {
	kernel, stride, dilation, pads, out := make([]int64, 2), make([]int64, 2), make([]int64, 2), make([]int64, 4), make([]int, 2)
	for i, side := range s.shape[2:] {
		k, st, d := 1+s.rng.IntN(5), 1+s.rng.IntN(2), 1+s.rng.IntN(2)
		before, after := s.rng.IntN(k), s.rng.IntN(k)
		if pointwise {
			k, before, after = 1, 0, 0
		}
		for (k-1)*d+1 > side+before+after {
			k--
		}
		kernel[i], stride[i], dilation[i], pads[i], pads[i+2] = int64(k), int64(st), int64(d), int64(before), int64(after)
		out[i] = (side+before+after-(k-1)*d-1)/st + 1
	}
	w, b := s.weights(o, cg, int(kernel[0]), int(kernel[1]))
	y := s.node("Conv", []string{s.x, w, b}, "kernel_shape", kernel, "strides", stride, "dilations", dilation, "pads", pads, "group", int64(group))
	s.become(s.clipped(y), s.shape[0], o, out[0], out[1])
}

// gemm multiplies the flattened images by a matrix, and makes an image of the result again.
func (s *sprout) gemm() {
	k, n := tensor.Elements(s.shape[1:]), s.size()
	if k > 4096 {
		return
	}
	s.become(s.node("Flatten", []string{s.x}), s.shape[0], k)
	w, b := s.weights(n, k)
	s.become(s.node("Gemm", []string{s.x, w, b}, "transB", int64(1)), s.shape[0], n)
	s.become(s.node("Reshape", []string{s.x, s.constant(tensor.Vector(0, 0, 1, 1))}), s.shape[0], n, 1, 1)
}

// pair combines the end with an older value of the same shape, or with itself.
func (s *sprout) pair(op string) {
	other := *s
	for _, o := range s.older {
		if slices.Equal(o.shape, s.shape) {
			other = o
		}
	}
	s.become(s.clipped(s.node(op, []string{s.x, other.x})), s.shape...)
}

func (s *sprout) concat() {
	other := *s
	for _, o := range s.older {
		if o.shape[0] == s.shape[0] && slices.Equal(o.shape[2:], s.shape[2:]) {
			other = o
		}
	}
	c := s.shape[1] + other.shape[1]
	if c > 3*s.most {
		return
	}
	s.become(s.node("Concat", []string{s.x, other.x}, "axis", int64(1)), s.shape[0], c, s.shape[2], s.shape[3])
}

func (s *sprout) pool() {
	op := []string{"MaxPool", "AveragePool"}[s.rng.IntN(2)]
	kernel, stride, out := make([]int64, 2), make([]int64, 2), slices.Clone(s.shape)
	for i, side := range s.shape[2:] {
		k, st := 1+s.rng.IntN(min(side, 3)), 1+s.rng.IntN(2)
		kernel[i], stride[i], out[2+i] = int64(k), int64(st), (side-k)/st+1
	}
	s.become(s.node(op, []string{s.x}, "kernel_shape", kernel, "strides", stride), out...)
}

func (s *sprout) globalPool() {
	if s.rng.IntN(3) > 0 {
		return // it leaves little to grow from
	}
	s.become(s.node("GlobalAveragePool", []string{s.x}), s.shape[0], s.shape[1], 1, 1)
}

func (s *sprout) table() {
	y := s.node([]string{"Sigmoid", "Tanh"}[s.rng.IntN(2)], []string{s.x})
	if s.rng.IntN(2) == 0 {
		y = s.node("Mul", []string{s.x, y})
	}
	s.become(y, s.shape...)
}

func (s *sprout) resize() {
	if tensor.Elements(s.shape) > s.most*s.most*s.most {
		return
	}
	by := tensor.Float32s([]float32{1, 1, 2, 2}, 4)
	s.become(s.node("Resize", []string{s.x, "", s.constant(by)}), s.shape[0], s.shape[1], 2*s.shape[2], 2*s.shape[3])
}

func (s *sprout) transpose() {
	n, c, h, w := s.shape[0], s.shape[1], s.shape[2], s.shape[3]
	s.become(s.node("Transpose", []string{s.x}, "perm", []int64{0, 3, 1, 2}), n, w, c, h)
}

// grownFloat is a random network of float operators.
func grownFloat(seed uint64) *maker {
	k := newMaker(seed)
	c, side := 9+k.rng.IntN(40), 8+k.rng.IntN(24)
	x := k.image(1+k.rng.IntN(2), c, side, side)
	for range 4 {
		switch k.rng.IntN(5) {
		case 0:
			o := 8 + k.rng.IntN(60)
			x, c = k.conv3(x, c, o), o
		case 1:
			w := k.constant(k.floats(c, 1, 3, 3))
			x = k.node("Conv", []string{x, w}, "group", int64(c), "pads", []int64{1, 1, 1, 1})
		case 2:
			x = k.node("Mul", []string{x, k.node("Sigmoid", []string{x})})
		case 3:
			x = k.node("Softmax", []string{x}, "axis", int64(1))
		case 4:
			x = k.node("MatMul", []string{x, k.constant(k.floats(side, side))})
		}
	}
	k.output(x, k.node("ReduceMean", []string{x}, "axes", []int64{2, 3}))
	return k
}
