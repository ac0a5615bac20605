package op

import "lowbit/internal/tensor"

// moves is the part in quantization of operators that only move the values of their first
// input; the other inputs are indices or sizes.
var moves = Quant{In: []Role{Act, Float}, Share: true}

// joins is that of operators whose inputs all flow into one output, under one set of parameters.
var joins = Quant{In: []Role{Act}, Output: true, Integer: "com.microsoft:QLinearConcat"}

// dataOps are operators that move, index and build data, and strings.
var dataOps = []*Op{
	{Name: "CenterCropPad", Eval: evalCenterCropPad, Infer: inferCenterCropPad, Quant: moves},
	{Name: "Compress", Eval: evalCompress, Infer: inferCompress, Quant: moves},
	{Name: "Concat", Eval: evalConcat, Infer: inferConcat, Quant: joins},
	{Name: "Constant", Eval: evalConstant, Infer: inferConstant},
	{Name: "ConstantOfShape", Eval: evalConstantOfShape, Infer: inferConstantOfShape},
	{Name: "DepthToSpace", Eval: evalDepthToSpace, Infer: inferDepthToSpace, Quant: moves},
	{Name: "Expand", Eval: evalExpand, Infer: inferExpand, Quant: moves},
	{Name: "EyeLike", Eval: evalEyeLike, Infer: inferAs("dtype", tensor.Undefined), Quant: Quant{ShapeOnly: true}},
	{Name: "Flatten", Eval: evalFlatten, Infer: inferFlatten, Quant: moves},
	{Name: "Gather", Eval: evalGather, Infer: inferGather, Quant: moves},
	{Name: "GatherElements", Eval: evalGatherElements, Infer: inferGatherElements, Quant: moves},
	{Name: "GatherND", Eval: evalGatherND, Infer: inferGatherND, Quant: moves},
	{Name: "NonZero", Eval: evalNonZero, Infer: inferNonZero},
	{Name: "OneHot", Eval: evalOneHot, Infer: inferOneHot},
	{Name: "Pad", Eval: evalPad, Infer: inferPad, Quant: Quant{In: []Role{Act, Float}, Share: true, Unless: padsNonZero}},
	{Name: "RegexFullMatch", Eval: evalRegexFullMatch, Infer: inferTest},
	{Name: "Reshape", Eval: evalReshape, Infer: inferReshape, Quant: moves},
	{Name: "ReverseSequence", Eval: evalReverseSequence, Infer: inferSame, Quant: moves},
	{Name: "Scatter", Eval: evalScatterElements, Infer: inferSame},
	{Name: "ScatterElements", Eval: evalScatterElements, Infer: inferSame},
	{Name: "ScatterND", Eval: evalScatterND, Infer: inferSame},
	{Name: "Shape", Eval: evalShape, Infer: inferShape, Quant: Quant{ShapeOnly: true}},
	{Name: "Size", Eval: evalSize, Infer: inferSize, Quant: Quant{ShapeOnly: true}},
	{Name: "Slice", Eval: evalSlice, Infer: inferSlice, Quant: moves},
	{Name: "SpaceToDepth", Eval: evalSpaceToDepth, Infer: inferSpaceToDepth, Quant: moves},
	{Name: "Split", Eval: evalSplit, Infer: inferSplit, Quant: moves},
	{Name: "Squeeze", Eval: evalSqueeze, Infer: inferSqueeze, Quant: moves},
	{Name: "StringConcat", Eval: evalStringConcat, Infer: inferStringConcat},
	{Name: "StringNormalizer", Eval: evalStringNormalizer, Infer: inferStringNormalizer},
	{Name: "StringSplit", Eval: evalStringSplit, Infer: inferStringSplit},
	{Name: "TensorScatter", Eval: evalTensorScatter, Infer: inferSame},
	{Name: "TfIdfVectorizer", Eval: evalTfIdfVectorizer, Infer: inferTfIdfVectorizer},
	{Name: "Tile", Eval: evalTile, Infer: inferTile, Quant: moves},
	{Name: "TopK", Eval: evalTopK, Infer: inferTopK},
	{Name: "Transpose", Eval: evalTranspose, Infer: inferTranspose, Quant: moves},
	{Name: "Trilu", Eval: evalTrilu, Infer: inferSame},
	{Name: "Unique", Eval: evalUnique, Infer: inferUnique},
	{Name: "Unsqueeze", Eval: evalUnsqueeze, Infer: inferUnsqueeze, Quant: moves},
}
