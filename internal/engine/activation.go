package engine

import (
	"math"
	"strconv"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

var inf = float32(math.Inf(1))

func finite(v float32) bool { return -inf < v && v < inf }

func itoa(n int) string { return strconv.Itoa(n) }

// A function is an elementwise function of one float, as the kernels know it.
type function struct {
	op   kernel.Unary
	p, q float32
}

func (f function) apply(l kernel.Level, dst, x []float32) { l.UnaryWith(f.op, dst, x, f.p, f.q) }

// clamp returns the bounds that f sets, where it is nothing but a clamp.
func (f function) clamp() (lo, hi float32, ok bool) {
	switch f.op {
	case kernel.Relu:
		return 0, inf, true
	case kernel.Clamp:
		return f.p, f.q, f.p < f.q
	}
	return 0, 0, false
}

// An activation is what a product does to its sums before they are stored.
type activation struct {
	lo, hi float32    // a clamp; none where they are equal
	then   []function // further functions, in order
	slope  []float32  // of a PRelu after all that, by channel; nil: none
	plus   bool       // an operand is added to all that
	text   string     // for people
}

func (a *activation) plain() bool {
	return a.lo == a.hi && len(a.then) == 0 && a.slope == nil && !a.plus
}

// closed says whether nothing but an operand can follow.
func (a *activation) closed() bool { return a.slope != nil || a.plus }

// unstored says whether there is more than the store of a product does.
func (a *activation) unstored() bool { return len(a.then) > 0 || a.slope != nil || a.plus }

// add puts f behind what is there.
func (a *activation) add(f function) {
	a.text += "+" + f.op.String()
	if lo, hi, ok := f.clamp(); ok && a.plain() {
		a.lo, a.hi = lo, hi
		return
	}
	a.then = append(a.then, f)
}

// finish applies what a product's store has not done to columns [n0, n1) of rows [m0, m1) of c.
func (a *activation) finish(l kernel.Level, c []float32, ld int, r tile) {
	if !a.unstored() {
		return
	}
	for _, f := range a.then {
		l.UnaryRows(f.op, c[r.m0*ld+r.n0:], r.m1-r.m0, r.n1-r.n0, ld, f.p, f.q)
	}
	if a.slope == nil {
		return
	}
	for m := r.m0; m < r.m1; m++ {
		row := c[m*ld+r.n0 : m*ld+r.n1]
		l.Binary(kernel.PRelu, row, row, a.slope[r.n0:r.n1])
	}
}

// A tile is a part of a matrix: rows [m0, m1) of columns [n0, n1).
type tile struct{ m0, m1, n0, n1 int }

// functionOf returns the function that an ONNX node computes on floats; ok is false where there is none.
func functionOf(n *node) (f function, ok bool) {
	row, ok := functions[n.kind]
	if !ok || !n.input(0).is(tensor.Float32) {
		return f, false
	}
	return row(n)
}

// functions lists the elementwise functions of ONNX that kernels compute.
var functions = map[string]func(n *node) (function, bool){
	"Relu":        fixed(kernel.Relu),
	"Neg":         fixed(kernel.Neg),
	"Abs":         fixed(kernel.Abs),
	"Sqrt":        fixed(kernel.Sqrt),
	"Reciprocal":  fixed(kernel.Reciprocal),
	"Floor":       fixed(kernel.Floor),
	"Ceil":        fixed(kernel.Ceil),
	"Round":       fixed(kernel.Round),
	"Exp":         fixed(kernel.Exp),
	"Log":         fixed(kernel.Log),
	"Tanh":        fixed(kernel.Tanh),
	"Erf":         fixed(kernel.Erf),
	"Sin":         fixed(kernel.Sin),
	"Cos":         fixed(kernel.Cos),
	"Tan":         fixed(kernel.Tan),
	"Asin":        fixed(kernel.Asin),
	"Acos":        fixed(kernel.Acos),
	"Atan":        fixed(kernel.Atan),
	"Sinh":        fixed(kernel.Sinh),
	"Cosh":        fixed(kernel.Cosh),
	"Asinh":       fixed(kernel.Asinh),
	"Acosh":       fixed(kernel.Acosh),
	"Atanh":       fixed(kernel.Atanh),
	"Sigmoid":     fixed(kernel.Sigmoid),
	"HardSwish":   fixed(kernel.HardSwish),
	"Softplus":    fixed(kernel.Softplus),
	"Softsign":    fixed(kernel.Softsign),
	"Mish":        fixed(kernel.Mish),
	"Clip":        clipFunction,
	"Gelu":        geluFunction,
	"Swish":       swishFunction,
	"Elu":         eluFunction,
	"Selu":        seluFunction,
	"Celu":        celuFunction,
	"HardSigmoid": hardSigmoidFunction,
	"Shrink":      shrinkFunction,

	"ThresholdedRelu": thresholdFunction,

	"com.microsoft.Gelu":     fixed(kernel.Gelu),
	"com.microsoft.FastGelu": func(n *node) (function, bool) { return function{op: kernel.GeluTanh}, n.input(1) == nil },
}

func fixed(op kernel.Unary) func(*node) (function, bool) {
	return func(*node) (function, bool) { return function{op: op}, true }
}

func hardSigmoidFunction(n *node) (function, bool) {
	return function{kernel.HardSigmoid, n.onnx.Float("alpha", 0.2), n.onnx.Float("beta", 0.5)}, true
}

func eluFunction(n *node) (function, bool) {
	alpha := n.onnx.Float("alpha", 1)
	return function{kernel.Elu, alpha, 1}, finite(alpha)
}

// celuFunction leaves out slopes whose reciprocal is far from every number that flows.
func celuFunction(n *node) (function, bool) {
	alpha := n.onnx.Float("alpha", 1)
	return function{kernel.Celu, alpha, 1 / alpha}, alpha >= 1e-6 && alpha <= 1e6
}

func shrinkFunction(n *node) (function, bool) {
	return function{kernel.Shrink, n.onnx.Float("bias", 0), n.onnx.Float("lambd", 0.5)}, true
}

func thresholdFunction(n *node) (function, bool) {
	return function{op: kernel.Threshold, p: n.onnx.Float("alpha", 1)}, true
}

func seluFunction(n *node) (function, bool) {
	alpha, gamma := n.onnx.Float("alpha", 1.67326319217681884765625), n.onnx.Float("gamma", 1.05070102214813232421875)
	return function{kernel.Elu, alpha * gamma, gamma}, true
}

func geluFunction(n *node) (function, bool) {
	switch n.onnx.Str("approximate", "none") {
	case "none":
		return function{op: kernel.Gelu}, true
	case "tanh":
		return function{op: kernel.GeluTanh}, true
	}
	return function{}, false
}

func swishFunction(n *node) (function, bool) {
	return function{op: kernel.Silu}, n.onnx.Float("alpha", 1) == 1
}

// clipFunction reads the bounds of Clip: attributes before opset 11, constant operands since.
func clipFunction(n *node) (function, bool) {
	f := function{kernel.Clamp, -inf, inf}
	if n.version < 11 {
		f.p, f.q = n.onnx.Float("min", -inf), n.onnx.Float("max", inf)
		return f, true
	}
	for i, at := range []*float32{&f.p, &f.q} {
		if v := n.input(i + 1); v != nil {
			s, ok := scalar(v)
			if !ok {
				return f, false
			}
			*at = s
		}
	}
	return f, true
}

// scalar returns the one element of a constant float.
func scalar(v *value) (float32, bool) {
	if v == nil || v.konst == nil || !v.is(tensor.Float32) || v.elems() != 1 {
		return 0, false
	}
	return tensor.Of[float32](v.konst)[0], true
}
