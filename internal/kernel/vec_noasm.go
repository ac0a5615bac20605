//go:build !amd64 || purego

package kernel

var (
	binaryAsm [numBinary]variants[binaryFn]
	unaryAsm  [numUnary]variants[unaryFn]
	affineAsm variants[affineFn]
	stripAsm  [numUnary]variants[stripFn]

	addStripAsm variants[addStripFn]
)
var (
	reduceAsm      [numReduce]variants[reduceFn]
	minMaxAsm      variants[minMaxFn]
	expSumAsm      variants[expSumFn]
	expSumStoreAsm variants[expSumFn]
	softmaxAsm     variants[softmaxFn]
	layerNormAsm   variants[layerNormFn]
	turnHalvesAsm  variants[turnFn]
	turnPairsAsm   variants[turnFn]

	quantU8Asm    variants[quantFn[uint8]]
	quantS8Asm    variants[quantFn[int8]]
	quantU16Asm   variants[quantFn[uint16]]
	quantS16Asm   variants[quantFn[int16]]
	dequantU8Asm  variants[dequantFn[uint8]]
	dequantS8Asm  variants[dequantFn[int8]]
	dequantU16Asm variants[dequantFn[uint16]]
	dequantS16Asm variants[dequantFn[int16]]

	qaddU8Asm variants[qbinaryFn]
	qmulU8Asm variants[qbinaryFn]

	qsumU8Asm   variants[qsumFn]
	qfusedU8Asm variants[qfusedFn]

	lut8Asm       variants[lut8Fn]
	flipSignAsm   variants[bytesFn]
	decodeF16Asm  variants[decodeHalfFn]
	decodeBF16Asm variants[decodeHalfFn]
	encodeF16Asm  variants[encodeHalfFn]
	encodeBF16Asm variants[encodeHalfFn]

	maxPoolF32Asm variants[poolFn[float32, float32]]
	maxPoolU8Asm  variants[poolFn[uint8, uint8]]
	sumPoolF32Asm variants[poolFn[float32, float32]]
	sumPoolU8Asm  variants[poolFn[uint8, int32]]
	meanU8Asm     variants[meanFn]
)

var (
	transposeAsm      [9]variants[transposeBody]
	joinAsm, splitAsm [9]variants[pixelFn]

	joinPairsAsm, splitPairsAsm [9]variants[pixelFn]
)

var (
	lerpAsm variants[lerpFn]
	scanAsm variants[scanFn]
	histAsm variants[histFn]
)

func (l Level) sumRowsFast([]float32, []float32, []int32, []float32) bool { return false }

func (l Level) dotRowsFast(*rowDots, int, int) bool { return false }
