package op

// moves is the part in quantization of operators that only move the values of their first
// input; the other inputs are indices or sizes.
var moves = Quant{In: []Role{Act, Float}, Share: true}

// joins is that of operators whose inputs all flow into one output, under one set of parameters.
var joins = Quant{In: []Role{Act}, Share: true}

// dataOps are operators that move, index and build data, and strings.
var dataOps = []*Op{
	{Name: "Concat", Eval: evalConcat, Infer: inferConcat, Quant: joins},
	{Name: "Constant", Eval: evalConstant, Infer: inferConstant},
	{Name: "ConstantOfShape", Eval: evalConstantOfShape, Infer: inferConstantOfShape},
	{Name: "Flatten", Eval: evalFlatten, Infer: inferFlatten, Quant: moves},
	{Name: "Gather", Eval: evalGather, Infer: inferGather, Quant: moves},
	{Name: "GatherElements", Eval: evalGatherElements, Infer: inferGatherElements, Quant: moves},
	{Name: "GatherND", Eval: evalGatherND, Infer: inferGatherND, Quant: moves},
	{Name: "Pad", Eval: evalPad, Infer: inferPad, Quant: moves},
	{Name: "Reshape", Eval: evalReshape, Infer: inferReshape, Quant: moves},
	{Name: "Shape", Eval: evalShape, Infer: inferShape, Quant: Quant{ShapeOnly: true}},
	{Name: "Size", Eval: evalSize, Infer: inferSize, Quant: Quant{ShapeOnly: true}},
	{Name: "Slice", Eval: evalSlice, Infer: inferSlice, Quant: moves},
	{Name: "Split", Eval: evalSplit, Infer: inferSplit, Quant: moves},
	{Name: "Squeeze", Eval: evalSqueeze, Infer: inferSqueeze, Quant: moves},
	{Name: "Transpose", Eval: evalTranspose, Infer: inferTranspose, Quant: moves},
	{Name: "Unsqueeze", Eval: evalUnsqueeze, Infer: inferUnsqueeze, Quant: moves},
}
