package kernel

// Unary names an elementwise function of one float32. Results are bit-equal on every machine and
// level; only the payload of a NaN is left open. NaN gives NaN but where no comparison holds.
type Unary uint8

// The unary operations. The ones that take parameters p and q are called with [Level.UnaryWith].
// The errors are the largest found against float64, in units in the last place or absolute.
const (
	Relu        Unary = iota // x < 0 ? 0 : x, so -0 stays -0
	Neg                      // −x
	Abs                      // |x|
	Square                   // x²
	Sqrt                     // √x, correctly rounded
	Reciprocal               // 1/x, correctly rounded
	Floor                    // toward −∞
	Ceil                     // toward +∞
	Round                    // to nearest, half to even
	Exp                      // eˣ; 1 ulp
	Log                      // ln x, −∞ at ±0, NaN below; 0.9 ulp
	Tanh                     // hyperbolic tangent; 2.6 ulp
	Erf                      // error function; 2.3 ulp
	Sigmoid                  // 1/(1+e⁻ˣ); 2.4 ulp
	Gelu                     // x/2·(1+erf(x/√2)); 1.5 ulp or 3e-7
	GeluTanh                 // x/2·(1+tanh(√(2/π)·(x+0.044715·x³))); 5e-7
	Silu                     // x·sigmoid(x); 3 ulp
	HardSwish                // x·clamp(x/6+½, 0, 1); 3e-7
	Softplus                 // ln(1+eˣ); 1.7 ulp
	Softsign                 // x/(1+|x|); 1.5 ulp
	Mish                     // x·tanh(softplus(x)); 4.5 ulp
	Sin                      // sine of radians; 1.5 ulp or 1e-7
	Cos                      // cosine of radians; 1.5 ulp or 1e-7
	Tan                      // tangent of radians; 3.9 ulp
	Asin                     // arc sine, NaN beyond ±1; 1.9 ulp
	Acos                     // arc cosine, NaN beyond ±1; 1.2 ulp
	Atan                     // arc tangent; 1.5 ulp
	Sinh                     // hyperbolic sine; 1.6 ulp
	Cosh                     // hyperbolic cosine; 1.5 ulp
	Asinh                    // the inverse of Sinh; 3.6 ulp
	Acosh                    // the inverse of Cosh, NaN below 1; 2.6 ulp
	Atanh                    // the inverse of Tanh, ±∞ at ±1, NaN beyond; 1.3 ulp
	Clamp                    // min(max(x, p), q)
	Elu                      // x > 0 ? q·x : p·(eˣ−1), with eˣ−1 to 1 ulp; Elu has q = 1, Selu p = α·γ and q = γ
	Celu                     // x > 0 ? x : p·(e^(x·q)−1), with q = 1/p; 2 ulp
	HardSigmoid              // clamp(p·x+q, 0, 1)
	Threshold                // x > p ? x : 0, so 0 of NaN
	Shrink                   // x < −q ? x+p : x > q ? x−p : 0, so 0 of NaN
	ScaleShift               // x·p + q
	SubTwo                   // (x − p) − q
	numUnary                 // how many there are
)

type unaryRow struct {
	name string
	ref  func(dst, x []float32, p, q float32)
}

var unaryRows = [numUnary]unaryRow{
	Relu:        {"Relu", each(reluOne)},
	Neg:         {"Neg", each(negOne)},
	Abs:         {"Abs", each(absOne)},
	Square:      {"Square", each(squareOne)},
	Sqrt:        {"Sqrt", each(sqrtOne)},
	Reciprocal:  {"Reciprocal", each(reciprocalOne)},
	Floor:       {"Floor", each(floorOne)},
	Ceil:        {"Ceil", each(ceilOne)},
	Round:       {"Round", each(roundOne)},
	Exp:         {"Exp", each(expOne)},
	Log:         {"Log", each(logOne)},
	Tanh:        {"Tanh", each(tanhOne)},
	Erf:         {"Erf", each(erfOne)},
	Sigmoid:     {"Sigmoid", each(sigmoidOne)},
	Gelu:        {"Gelu", each(geluOne)},
	GeluTanh:    {"GeluTanh", each(geluTanhOne)},
	Silu:        {"Silu", each(siluOne)},
	HardSwish:   {"HardSwish", each(hardSwishOne)},
	Softplus:    {"Softplus", each(softplusOne)},
	Softsign:    {"Softsign", each(softsignOne)},
	Mish:        {"Mish", each(mishOne)},
	Sin:         {"Sin", each(sinOne)},
	Cos:         {"Cos", each(cosOne)},
	Tan:         {"Tan", each(tanOne)},
	Asin:        {"Asin", each(asinOne)},
	Acos:        {"Acos", each(acosOne)},
	Atan:        {"Atan", each(atanOne)},
	Sinh:        {"Sinh", each(sinhOne)},
	Cosh:        {"Cosh", each(coshOne)},
	Asinh:       {"Asinh", each(asinhOne)},
	Acosh:       {"Acosh", each(acoshOne)},
	Atanh:       {"Atanh", each(atanhOne)},
	Clamp:       {"Clamp", eachWith(clampOne)},
	Elu:         {"Elu", eachWith(eluOne)},
	Celu:        {"Celu", eachWith(celuOne)},
	HardSigmoid: {"HardSigmoid", eachWith(hardSigmoidOne)},
	Threshold:   {"Threshold", eachWith(thresholdOne)},
	Shrink:      {"Shrink", eachWith(shrinkOne)},
	ScaleShift:  {"ScaleShift", eachWith(scaleShiftOne)},
	SubTwo:      {"SubTwo", eachWith(subTwoOne)},
}

// unaryFn is an assembly body for n elements; p and q as in [Level.UnaryWith].
type unaryFn func(dst, x *float32, n int, p, q float32)

// String returns the name of the operation.
func (op Unary) String() string { return unaryRows[op].name }

// Unary sets dst[i] = op(x[i]). x has the length of dst, and dst may be x itself.
func (l Level) Unary(op Unary, dst, x []float32) { l.UnaryWith(op, dst, x, 0, 0) }

// UnaryWith sets dst[i] = op(x[i]) with the parameters that [Clamp] and those behind it
// name; the other operations take no notice of them.
func (l Level) UnaryWith(op Unary, dst, x []float32, p, q float32) {
	x = x[:len(dst)]
	if f, ok := unaryAsm[op].pick(l); ok && (op != Sin && op != Cos && op != Tan || l.within(x, sinMost)) {
		spans(len(dst), callMax, func(i, n int) { f(&dst[i], &x[i], n, p, q) })
		return
	}
	unaryRows[op].ref(dst, x, p, q)
}

// within says whether all of x is of that size at most; it is false where one is NaN.
func (l Level) within(x []float32, most float32) bool {
	if len(x) == 0 {
		return true
	}
	lo, hi := l.MinMax(x)
	return lo >= -most && hi <= most
}

// stripFn is an assembly body for rows of cols elements, at most a vector; pitch is in bytes.
type stripFn func(x *float32, rows, pitch, cols int, p, q float32)

// UnaryRows sets x[i*pitch+j] = op(x[i*pitch+j]) for the first cols elements of each of some rows; p and q as
// in [Level.UnaryWith].
func (l Level) UnaryRows(op Unary, x []float32, rows, cols, pitch int, p, q float32) {
	if rows < 1 || cols < 1 {
		return
	}
	x = x[:(rows-1)*pitch+cols]
	if cols == pitch {
		l.UnaryWith(op, x, x, p, q)
		return
	}
	f, lanes := stripAsm[op].strip(l)
	if lanes == 0 {
		for i := 0; i < len(x); i += pitch {
			l.UnaryWith(op, x[i:i+cols], x[i:i+cols], p, q)
		}
		return
	}
	for j := 0; j < cols; j += lanes {
		spans(rows, callMax/lanes, func(i, n int) { f(&x[i*pitch+j], n, pitch*4, min(lanes, cols-j), p, q) })
	}
}

// affineFn is an assembly body of [Level.AffineRows] for n elements of one row.
type affineFn func(dst, x, scale, shift *float32, n int, lo, hi float32)

// AffineRows sets dst[r][c] = clamp(x[r][c]·scale[c] + shift[c], lo, hi) for rows of len(scale)
// elements: BatchNormalization in NHWC with an activation. No clamp is lo = −∞, hi = +∞.
// The product is rounded before the sum. dst may be x itself.
func (l Level) AffineRows(dst, x, scale, shift []float32, lo, hi float32) {
	x, shift = x[:len(dst)], shift[:len(scale)]
	t := getScratch()
	defer t.free()
	scale, shift = tile(t.x[:], scale, len(dst)), tile(t.y[:], shift, len(dst))
	f, ok := affineAsm.pick(l)
	spans(len(dst), len(scale), func(i, n int) {
		if ok {
			f(&dst[i], &x[i], &scale[0], &shift[0], n, lo, hi)
			return
		}
		for j, v := range x[i : i+n] {
			dst[i+j] = clampOne(float32(v*scale[j])+shift[j], lo, hi)
		}
	})
}

func each(f func(float32) float32) func(dst, x []float32, p, q float32) {
	return func(dst, x []float32, _, _ float32) {
		for i := range dst {
			dst[i] = f(x[i])
		}
	}
}

func eachWith(f func(x, p, q float32) float32) func(dst, x []float32, p, q float32) {
	return func(dst, x []float32, p, q float32) {
		for i := range dst {
			dst[i] = f(x[i], p, q)
		}
	}
}
