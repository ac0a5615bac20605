package engine

import "lowbit/internal/tensor"

// A cumulation adds up n elements that lie inner apart.
type cumulation struct {
	n, inner           int
	exclusive, reverse bool
}

// lowerCumSum emits CumSum, floats in float64 as the operator's definition does.
func lowerCumSum(lw *lowerer, n *node) bool {
	x, y := n.in[0], n.out[0]
	axis, ok := intsOf(n.in[1])
	add := map[tensor.DType]func(c *cumulation, dst, x *tensor.Tensor, from, to int){
		tensor.Float32: cumulate[float32, float64], tensor.Int32: cumulate[int32, int32], tensor.Int64: cumulate[int64, int64],
	}[x.dtype]
	if !ok || len(axis) != 1 || add == nil || x.elems() == 0 || !sameShape(x.shape, y.shape) {
		return false
	}
	a := axis[0]
	if a < 0 {
		a += len(x.shape)
	}
	if a < 0 || a >= len(x.shape) {
		return false
	}
	c := &cumulation{n: x.shape[a], inner: tensor.Elements(x.shape[a+1:]), exclusive: n.onnx.Bool("exclusive", false), reverse: n.onnx.Bool("reverse", false)}
	src, dst, lines := lw.use(x, rowMajor), lw.make(y, rowMajor), x.elems()/x.shape[a]
	parts := lw.partsFor(float64(x.elems())*functionNanos, lines)
	lw.emit(&step{node: n, kernel: x.dtype.String() + " CumSum", parts: parts, in: []*slot{src}, out: []*slot{dst}, run: func(f *frame, part int) error {
		add(c, f.vals[dst.id], f.vals[src.id], lines*part/parts, lines*(part+1)/parts)
		return nil
	}})
	return true
}

// cumulate adds up the lines from to to-1 in numbers of type A.
func cumulate[T, A float32 | float64 | int32 | int64](c *cumulation, dst, src *tensor.Tensor, from, to int) {
	x, y := tensor.Of[T](src), tensor.Of[T](dst)
	for line := from; line < to; line++ {
		at, step := line/c.inner*c.n*c.inner+line%c.inner, c.inner
		if c.reverse {
			at, step = at+(c.n-1)*step, -step
		}
		var sum A
		for range c.n {
			next := sum + A(x[at])
			if y[at] = T(next); c.exclusive {
				y[at] = T(sum)
			}
			sum, at = next, at+step
		}
	}
}
