//go:build amd64 && !purego

package kernel

import "golang.org/x/sys/cpu"

// lut8Asm has VBMI first, which a CPU may lack beside the rest of AVX-512.
var lut8Asm = func() variants[lut8Fn] {
	v := variants[lut8Fn]{{AVX512, 1, lut8VBMI}, {AVX2, 32, lut8AVX2}}
	if !cpu.X86.HasAVX512VBMI {
		v = v[1:]
	}
	return v
}()

// both lists an AVX-512 and an AVX2 body for any number of elements.
func both[F any](avx512, avx2 F) variants[F] {
	return variants[F]{{AVX512, 1, avx512}, {AVX2, 1, avx2}}
}

// eights lists an AVX-512 body for any number of elements and an AVX2 one that takes eights.
func eights[F any](avx512, avx2 F) variants[F] {
	return variants[F]{{AVX512, 1, avx512}, {AVX2, 8, avx2}}
}

var binaryAsm = [numBinary]variants[binaryFn]{
	Add:     both[binaryFn](addAVX512, addAVX2),
	Sub:     both[binaryFn](subAVX512, subAVX2),
	Mul:     both[binaryFn](mulAVX512, mulAVX2),
	Div:     both[binaryFn](divAVX512, divAVX2),
	Min:     both[binaryFn](minAVX512, minAVX2),
	Max:     both[binaryFn](maxAVX512, maxAVX2),
	Pow:     both[binaryFn](powAVX512, powAVX2),
	PRelu:   both[binaryFn](preluAVX512, preluAVX2),
	AddRelu: both[binaryFn](addReluAVX512, addReluAVX2),
}

var unaryAsm = [numUnary]variants[unaryFn]{
	Relu:        both[unaryFn](reluAVX512, reluAVX2),
	Neg:         both[unaryFn](negAVX512, negAVX2),
	Abs:         both[unaryFn](absAVX512, absAVX2),
	Square:      both[unaryFn](squareAVX512, squareAVX2),
	Sqrt:        both[unaryFn](sqrtAVX512, sqrtAVX2),
	Reciprocal:  both[unaryFn](reciprocalAVX512, reciprocalAVX2),
	Floor:       both[unaryFn](floorAVX512, floorAVX2),
	Ceil:        both[unaryFn](ceilAVX512, ceilAVX2),
	Round:       both[unaryFn](roundAVX512, roundAVX2),
	Exp:         both[unaryFn](expAVX512, expAVX2),
	Log:         both[unaryFn](logAVX512, logAVX2),
	Tanh:        both[unaryFn](tanhAVX512, tanhAVX2),
	Erf:         both[unaryFn](erfAVX512, erfAVX2),
	Sigmoid:     both[unaryFn](sigmoidAVX512, sigmoidAVX2),
	Gelu:        both[unaryFn](geluAVX512, geluAVX2),
	GeluTanh:    both[unaryFn](geluTanhAVX512, geluTanhAVX2),
	Silu:        both[unaryFn](siluAVX512, siluAVX2),
	HardSwish:   both[unaryFn](hardSwishAVX512, hardSwishAVX2),
	Softplus:    both[unaryFn](softplusAVX512, softplusAVX2),
	Softsign:    both[unaryFn](softsignAVX512, softsignAVX2),
	Mish:        both[unaryFn](mishAVX512, mishAVX2),
	Sin:         both[unaryFn](sinAVX512, sinAVX2),
	Cos:         both[unaryFn](cosAVX512, cosAVX2),
	Tan:         both[unaryFn](tanAVX512, tanAVX2),
	Asin:        both[unaryFn](asinAVX512, asinAVX2),
	Acos:        both[unaryFn](acosAVX512, acosAVX2),
	Atan:        both[unaryFn](atanAVX512, atanAVX2),
	Sinh:        both[unaryFn](sinhAVX512, sinhAVX2),
	Cosh:        both[unaryFn](coshAVX512, coshAVX2),
	Asinh:       both[unaryFn](asinhAVX512, asinhAVX2),
	Acosh:       both[unaryFn](acoshAVX512, acoshAVX2),
	Atanh:       both[unaryFn](atanhAVX512, atanhAVX2),
	Clamp:       both[unaryFn](clampAVX512, clampAVX2),
	Elu:         both[unaryFn](eluAVX512, eluAVX2),
	Celu:        both[unaryFn](celuAVX512, celuAVX2),
	Threshold:   both[unaryFn](thresholdAVX512, thresholdAVX2),
	Shrink:      both[unaryFn](shrinkAVX512, shrinkAVX2),
	HardSigmoid: both[unaryFn](hardSigmoidAVX512, hardSigmoidAVX2),
	SubTwo:      both[unaryFn](subTwoAVX512, subTwoAVX2),
	ScaleShift:  both[unaryFn](scaleShiftAVX512, scaleShiftAVX2),
}

// strips lists an AVX-512 and an AVX2 body with the columns that they take.
func strips[F any](avx512, avx2 F) variants[F] {
	return variants[F]{{AVX512, 16, avx512}, {AVX2, 8, avx2}}
}

var stripAsm = [numUnary]variants[stripFn]{
	Sigmoid:     strips[stripFn](sigmoidStripAVX512, sigmoidStripAVX2),
	Silu:        strips[stripFn](siluStripAVX512, siluStripAVX2),
	HardSwish:   strips[stripFn](hardSwishStripAVX512, hardSwishStripAVX2),
	HardSigmoid: strips[stripFn](hardSigmoidStripAVX512, hardSigmoidStripAVX2),
	Tanh:        strips[stripFn](tanhStripAVX512, tanhStripAVX2),
	Gelu:        strips[stripFn](geluStripAVX512, geluStripAVX2),
	Mish:        strips[stripFn](mishStripAVX512, mishStripAVX2),
}

var addStripAsm = strips[addStripFn](addStripAVX512, addStripAVX2)

var affineAsm = both[affineFn](affineAVX512, affineAVX2)

var reduceAsm = [numReduce]variants[reduceFn]{
	ReduceSum:       both[reduceFn](sumAVX512, sumAVX2),
	ReduceSumSquare: both[reduceFn](sumSquareAVX512, sumSquareAVX2),
	ReduceL1:        both[reduceFn](l1AVX512, l1AVX2),
	ReduceDeviation: both[reduceFn](deviationAVX512, deviationAVX2),
	ReduceMax:       both[reduceFn](reduceMaxAVX512, reduceMaxAVX2),
	ReduceMin:       both[reduceFn](reduceMinAVX512, reduceMinAVX2),
}

var (
	minMaxAsm      = both[minMaxFn](minMaxAVX512, minMaxAVX2)
	expSumAsm      = both[expSumFn](expSumAVX512, expSumAVX2)
	expSumStoreAsm = both[expSumFn](expSumStoreAVX512, expSumStoreAVX2)
	softmaxAsm     = both[softmaxFn](softmaxAVX512, softmaxAVX2)
	layerNormAsm   = both[layerNormFn](layerNormAVX512, layerNormAVX2)
	turnHalvesAsm  = both[turnFn](turnHalvesAVX512, turnHalvesAVX2)
	turnPairsAsm   = both[turnFn](turnPairsAVX512, turnPairsAVX2)
)

var (
	quantU8Asm    = eights[quantFn[uint8]](quantU8AVX512, quantU8AVX2)
	quantS8Asm    = eights[quantFn[int8]](quantS8AVX512, quantS8AVX2)
	quantU16Asm   = eights[quantFn[uint16]](quantU16AVX512, quantU16AVX2)
	quantS16Asm   = eights[quantFn[int16]](quantS16AVX512, quantS16AVX2)
	dequantU8Asm  = eights[dequantFn[uint8]](dequantU8AVX512, dequantU8AVX2)
	dequantS8Asm  = eights[dequantFn[int8]](dequantS8AVX512, dequantS8AVX2)
	dequantU16Asm = eights[dequantFn[uint16]](dequantU16AVX512, dequantU16AVX2)
	dequantS16Asm = eights[dequantFn[int16]](dequantS16AVX512, dequantS16AVX2)

	qaddU8Asm = eights[qbinaryFn](qaddU8AVX512, qaddU8AVX2)
	qmulU8Asm = eights[qbinaryFn](qmulU8AVX512, qmulU8AVX2)

	qsumU8Asm   = variants[qsumFn]{{AVX512, 64, qsumU8AVX512}, {AVX2, 32, qsumU8AVX2}}
	qfusedU8Asm = variants[qfusedFn]{{AVX512, 64, qfusedU8AVX512}, {AVX2, 32, qfusedU8AVX2}}

	flipSignAsm   = variants[bytesFn]{{AVX512, 64, flipSignAVX512}, {AVX2, 32, flipSignAVX2}}
	decodeF16Asm  = eights[decodeHalfFn](decodeF16AVX512, decodeF16AVX2)
	decodeBF16Asm = eights[decodeHalfFn](decodeBF16AVX512, decodeBF16AVX2)
	encodeF16Asm  = eights[encodeHalfFn](encodeF16AVX512, encodeF16AVX2)
	encodeBF16Asm = eights[encodeHalfFn](encodeBF16AVX512, encodeBF16AVX2)

	maxPoolF32Asm = both[poolFn[float32, float32]](maxPoolF32AVX512, maxPoolF32AVX2)
	maxPoolU8Asm  = eights[poolFn[uint8, uint8]](maxPoolU8AVX512, maxPoolU8AVX2)
	sumPoolF32Asm = both[poolFn[float32, float32]](sumPoolF32AVX512, sumPoolF32AVX2)
	sumPoolU8Asm  = eights[poolFn[uint8, int32]](sumPoolU8AVX512, sumPoolU8AVX2)
	meanU8Asm     = eights[meanFn](meanU8AVX512, meanU8AVX2)
)

var (
	lerpAsm = both[lerpFn](lerpAVX512, lerpAVX2)
	scanAsm = both[scanFn](scanAVX512, scanAVX2)
	histAsm = variants[histFn]{{AVX512, 16, histAVX512}, {AVX2, 8, histAVX2}}
)

// transposeAsm is indexed by the size of an element.
var transposeAsm = [9]variants[transposeBody]{
	1: {{AVX512, 1, transposeBody{64, 16, transpose8AVX512}}, {AVX2, 1, transposeBody{16, 8, transpose8AVX2}}},
	2: {{AVX2, 1, transposeBody{8, 8, transpose16AVX2}}},
	4: {{AVX512, 1, transposeBody{16, 16, transpose32AVX512}}, {AVX2, 1, transposeBody{8, 8, transpose32AVX2}}},
}

// These are indexed by the size of an element.
var (
	joinPairsAsm  = [9]variants[pixelFn]{1: {{AVX2, 16, join2x8AVX2}}, 4: {{AVX2, 8, join2x32AVX2}}}
	splitPairsAsm = [9]variants[pixelFn]{1: {{AVX2, 16, split2x8AVX2}}, 4: {{AVX2, 8, split2x32AVX2}}}

	joinAsm  = [9]variants[pixelFn]{1: {{AVX2, 16, join3x8AVX2}}, 4: {{AVX2, 8, join3x32AVX2}}}
	splitAsm = [9]variants[pixelFn]{1: {{AVX2, 16, split3x8AVX2}}, 4: {{AVX2, 8, split3x32AVX2}}}
)
