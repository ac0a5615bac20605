package op

import (
	"math"

	"lowbit/internal/tensor"
)

// What many rows say of quantization, besides moves and joins.
var (
	computes = Quant{In: []Role{Act}, Output: true}        // all operands and the result are worth quantizing
	reduces  = Quant{In: []Role{Act, Float}, Output: true} // the first operand and the result are
	clamps   = Quant{In: []Role{Act, Float}, Output: true, Clamp: true}
	inUnit   = Quant{In: []Role{Act}, Output: true, Fixed: &Fixed{0, 1}}
)

// mathOps are elementwise arithmetic, reductions, casts and random numbers.
var mathOps = []*Op{
	{Name: "Add", Infer: addArith.infer, Eval: addArith.eval, Quant: Quant{In: []Role{Act}, Output: true, Sum: true, Integer: "com.microsoft:QLinearAdd"}},
	{Name: "Sub", Infer: subArith.infer, Eval: subArith.eval, Quant: computes},
	{Name: "Mul", Infer: mulArith.infer, Eval: mulArith.eval, Quant: Quant{In: []Role{Act}, Output: true, Halves: true, Integer: "com.microsoft:QLinearMul"}},
	{Name: "Div", Infer: divArith.infer, Eval: divArith.eval},
	{Name: "Mod", Infer: floorMod.infer, Eval: evalMod},
	{Name: "Pow", Infer: inferZip, Eval: evalPow},
	{Name: "Max", Infer: inferFold, Eval: evalFold(maxArith), Quant: computes},
	{Name: "Min", Infer: inferFold, Eval: evalFold(minArith), Quant: computes},
	{Name: "Sum", Infer: inferFold, Eval: evalFold(addArith), Quant: computes},
	{Name: "Mean", Infer: inferFold, Eval: evalMean, Quant: computes},

	{Name: "Equal", Infer: inferEqual, Eval: isEqual.eval},
	{Name: "Greater", Infer: inferCompare, Eval: isGreater.eval},
	{Name: "GreaterOrEqual", Infer: inferCompare, Eval: isGreaterOrEqual.eval},
	{Name: "Less", Infer: inferCompare, Eval: isLess.eval},
	{Name: "LessOrEqual", Infer: inferCompare, Eval: isLessOrEqual.eval},
	{Name: "And", Infer: inferCompare, Eval: evalAnd},
	{Name: "Or", Infer: inferCompare, Eval: evalOr},
	{Name: "Xor", Infer: inferCompare, Eval: evalXor},
	{Name: "Not", Infer: inferSame, Eval: evalNot},
	{Name: "BitwiseAnd", Infer: andBits.infer, Eval: andBits.eval},
	{Name: "BitwiseOr", Infer: orBits.infer, Eval: orBits.eval},
	{Name: "BitwiseXor", Infer: xorBits.infer, Eval: xorBits.eval},
	{Name: "BitwiseNot", Infer: inferSame, Eval: evalBitwiseNot},
	{Name: "BitShift", Infer: inferZip, Eval: evalBitShift},

	{Name: "Abs", Infer: inferSame, Eval: evalAbs, Quant: computes},
	{Name: "Acos", Infer: inferSame, Eval: elementwise(math.Acos)},
	{Name: "Acosh", Infer: inferSame, Eval: elementwise(math.Acosh)},
	{Name: "Asin", Infer: inferSame, Eval: elementwise(math.Asin)},
	{Name: "Asinh", Infer: inferSame, Eval: elementwise(math.Asinh)},
	{Name: "Atan", Infer: inferSame, Eval: elementwise(math.Atan)},
	{Name: "Atanh", Infer: inferSame, Eval: elementwise(math.Atanh)},
	{Name: "Ceil", Infer: inferSame, Eval: elementwise(math.Ceil)},
	{Name: "Cos", Infer: inferSame, Eval: elementwise(math.Cos)},
	{Name: "Cosh", Infer: inferSame, Eval: elementwise(math.Cosh)},
	{Name: "Erf", Infer: inferSame, Eval: elementwiseInt(math.Erf, erfInt)},
	{Name: "Exp", Infer: inferSame, Eval: elementwise(math.Exp)},
	{Name: "Floor", Infer: inferSame, Eval: elementwise(math.Floor)},
	{Name: "Log", Infer: inferSame, Eval: elementwise(math.Log)},
	{Name: "Neg", Infer: inferSame, Eval: elementwiseInt(func(x float64) float64 { return -x }, func(x int64) int64 { return -x }), Quant: computes},
	{Name: "Reciprocal", Infer: inferSame, Eval: elementwise(func(x float64) float64 { return 1 / x })},
	{Name: "Round", Infer: inferSame, Eval: elementwise(math.RoundToEven)},
	{Name: "Sign", Infer: inferSame, Eval: evalSign},
	{Name: "Sin", Infer: inferSame, Eval: elementwise(math.Sin)},
	{Name: "Sinh", Infer: inferSame, Eval: elementwise(math.Sinh)},
	{Name: "Sqrt", Infer: inferSame, Eval: elementwise(math.Sqrt)},
	{Name: "Tan", Infer: inferSame, Eval: elementwise(math.Tan)},
	{Name: "IsNaN", Infer: inferTest, Eval: evalIsNaN},
	{Name: "IsInf", Infer: inferTest, Eval: evalIsInf},

	{Name: "Celu", Infer: inferSame, Eval: activation(celu), Quant: computes},
	{Name: "Clip", Infer: inferClip, Eval: evalClip, Quant: clamps},
	{Name: "Elu", Infer: inferSame, Eval: activation(elu), Quant: computes},
	{Name: "Gelu", Infer: inferSame, Eval: evalGelu, Quant: computes},
	{Name: "HardSigmoid", Infer: inferSame, Eval: activation(hardSigmoid), Quant: inUnit},
	{Name: "HardSwish", Infer: inferSame, Eval: elementwise(hardSwish), Quant: computes},
	{Name: "LeakyRelu", Infer: inferSame, Eval: activation(leakyRelu), Quant: Quant{In: []Role{Act}, Output: true, Integer: "com.microsoft:QLinearLeakyRelu"}},
	{Name: "Mish", Infer: inferSame, Eval: elementwise(mish), Quant: computes},
	{Name: "PRelu", Infer: inferSame, Eval: evalPRelu, Quant: reduces},
	{Name: "Relu", Infer: inferSame, Eval: elementwiseInt(relu, func(x int64) int64 { return max(x, 0) }), Quant: clamps},
	{Name: "Selu", Infer: inferSame, Eval: activation(selu), Quant: computes},
	{Name: "Shrink", Infer: inferSame, Eval: evalShrink},
	{Name: "Sigmoid", Infer: inferSame, Eval: elementwise(sigmoid), Quant: Quant{In: []Role{Act}, Output: true, Fixed: &Fixed{0, 1}, Integer: "com.microsoft:QLinearSigmoid"}},
	{Name: "Softplus", Infer: inferSame, Eval: elementwise(softplus)},
	{Name: "Softsign", Infer: inferSame, Eval: elementwise(softsign)},
	{Name: "SwiGLU", Infer: inferSame, Eval: evalSwiGLU},
	{Name: "Swish", Infer: inferSame, Eval: activation(swish), Quant: computes},
	{Name: "Tanh", Infer: inferSame, Eval: elementwise(math.Tanh), Quant: Quant{In: []Role{Act}, Output: true, Fixed: &Fixed{-1, 1}}},
	{Name: "ThresholdedRelu", Infer: inferSame, Eval: activation(thresholdedRelu)},
	{Name: "Softmax", Infer: inferSoftmax, Eval: alongAxis(softmaxRow), Quant: Quant{In: []Role{Act}, Output: true, Fixed: &Fixed{0, 1}, Integer: "com.microsoft:QLinearSoftmax"}},
	{Name: "LogSoftmax", Infer: inferSoftmax, Eval: alongAxis(logSoftmaxRow)},
	{Name: "Hardmax", Infer: inferSoftmax, Eval: alongAxis(hardmaxRow)},

	{Name: "ReduceSum", Infer: inferReduce, Eval: reduceSum.eval, Quant: reduces},
	{Name: "ReduceMean", Infer: inferReduce, Eval: reduceMean.eval, Quant: reduces},
	{Name: "ReduceMax", Infer: inferReduce, Eval: reduceMax.eval, Quant: moves},
	{Name: "ReduceMin", Infer: inferReduce, Eval: reduceMin.eval, Quant: moves},
	{Name: "ReduceProd", Infer: inferReduce, Eval: reduceProd.eval},
	{Name: "ReduceL1", Infer: inferReduce, Eval: reduceL1.eval},
	{Name: "ReduceL2", Infer: inferReduce, Eval: reduceL2.eval},
	{Name: "ReduceSumSquare", Infer: inferReduce, Eval: reduceSumSquare.eval},
	{Name: "ReduceLogSum", Infer: inferReduce, Eval: reduceLogSum.eval},
	{Name: "ReduceLogSumExp", Infer: inferReduce, Eval: reduceLogSumExp.eval},
	{Name: "ArgMax", Infer: inferArg, Eval: argMax.eval},
	{Name: "ArgMin", Infer: inferArg, Eval: argMin.eval},

	{Name: "CumSum", Infer: inferSame, Eval: cumSum.eval},
	{Name: "CumProd", Infer: inferSame, Eval: cumProd.eval},

	{Name: "Cast", Infer: inferCast, Eval: evalCast},
	{Name: "CastLike", Infer: inferCastLike, Eval: evalCastLike},
	{Name: "BitCast", Infer: inferBitCast, Eval: evalBitCast},
	{Name: "Identity", Infer: inferIdentity, Eval: evalIdentity, Quant: moves},
	{Name: "Where", Infer: inferWhere, Eval: evalWhere, Quant: Quant{In: []Role{Float, Act, Act}, Output: true}},
	{Name: "Range", Infer: inferRange, Eval: evalRange},
	{Name: "BlackmanWindow", Infer: inferSignalWindow, Eval: signalWindow(0.42, -0.5, 0.08)},
	{Name: "HammingWindow", Infer: inferSignalWindow, Eval: signalWindow(25.0/46, -21.0/46)},
	{Name: "HannWindow", Infer: inferSignalWindow, Eval: signalWindow(0.5, -0.5)},
	{Name: "MelWeightMatrix", Infer: inferMelWeightMatrix, Eval: evalMelWeightMatrix},

	{Name: "Dropout", Infer: inferDropout, Eval: evalDropout, Quant: moves, Random: true},
	{Name: "Bernoulli", Infer: inferAs("dtype", tensor.Undefined), Eval: evalBernoulli, Random: true},
	{Name: "Multinomial", Infer: inferMultinomial, Eval: evalMultinomial, Random: true},
	{Name: "RandomNormal", Infer: inferRandom, Eval: randomShape(drawNormal), Random: true},
	{Name: "RandomNormalLike", Infer: inferAs("dtype", tensor.Undefined), Eval: randomLike(drawNormal), Random: true},
	{Name: "RandomUniform", Infer: inferRandom, Eval: randomShape(drawUniform), Random: true},
	{Name: "RandomUniformLike", Infer: inferAs("dtype", tensor.Undefined), Eval: randomLike(drawUniform), Random: true},
}
