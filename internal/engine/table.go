package engine

// lowerings lists for each kind of node the fast paths to try, in order.
var lowerings map[string][]lowering

func init() {
	lowerings = map[string][]lowering{
		"If": {lowerIf}, "Loop": {lowerLoop}, "late": {lowerLate},

		"conv":           {lowerConv},
		"Conv":           {lowerComputedConv},
		"ConvTranspose":  {lowerComputedConvTranspose},
		"gemm":           {lowerFewGemm, lowerGemm},
		"conv transpose": {lowerConvTranspose},
		"matmul":         {lowerMatMul},
		"pick rows":      {lowerPickRows},
		"function":       {lowerFunction},
		"RNN":            {lowerRecurrent}, "LSTM": {lowerRecurrent}, "GRU": {lowerRecurrent}, "com.microsoft.DynamicQuantizeLSTM": {lowerRecurrent},

		"int conv": {lowerIntConv}, "int gemm": {lowerIntGemm}, "int binary": {lowerIntBinary}, "int pool": {lowerIntPool}, "int resize": {lowerIntResize},
		"DynamicQuantizeLinear": {lowerDynamicQuantize}, "dynamic conv": {lowerDynamicConv}, "dynamic gemm": {lowerDynamicGemm}, "add sums": {lowerAddSums},
		"QuantizeLinear": {lowerLinear}, "DequantizeLinear": {lowerLinear},
		"quantize": {lowerQuantize}, "dequantize": {lowerDequantize}, "flip": {lowerFlip}, "table": {lowerTable}, "signs": {lowerSigns}, "log codes": {lowerLogCodes}, "pack codes": {lowerPackCodes}, "unpack codes": {lowerUnpackCodes},

		"narrow": {lowerNarrow}, "widen": {lowerWiden}, "to float8": {lowerToFloat8}, "from float8": {lowerFromFloat8},

		"Add": {lowerBinary, lowerPairs}, "Sub": {lowerBinary, lowerPairs}, "Mul": {lowerBinary, lowerPairs}, "Div": {lowerBinary, lowerPairs},
		"Min": {lowerBinary, lowerPairs}, "Max": {lowerBinary, lowerPairs}, "Pow": {lowerBinary}, "Sum": {lowerBinary}, "PRelu": {lowerBinary},
		"Mod": {lowerPairs}, "BitShift": {lowerPairs}, "BitwiseAnd": {lowerPairs}, "BitwiseOr": {lowerPairs}, "BitwiseXor": {lowerPairs},
		"Equal": {lowerPairs}, "Greater": {lowerPairs}, "GreaterOrEqual": {lowerPairs}, "Less": {lowerPairs}, "LessOrEqual": {lowerPairs},
		"And": {lowerPairs}, "Or": {lowerPairs}, "Xor": {lowerPairs}, "Not": {lowerNot}, "IsNaN": {lowerIsNaN}, "IsInf": {lowerIsInf},
		"Abs": {lowerWholeUnary}, "Neg": {lowerWholeUnary}, "Sign": {lowerWholeUnary}, "BitwiseNot": {lowerWholeUnary}, "Clip": {lowerWholeClip},

		"Softmax": {lowerSoftmax}, "LogSoftmax": {lowerSoftmax}, "layer norm": {lowerLayerNorm}, "BatchNormalization": {lowerNorm}, "InstanceNormalization": {lowerInstanceNorm},
		"GroupNormalization": {lowerGroupNorm}, "MeanVarianceNormalization": {lowerMeanVariance}, "LpNormalization": {lowerLpNorm}, "LRN": {lowerLRN}, "Col2Im": {lowerCol2Im},
		"ReduceMean": {lowerReduce, lowerWholeReduce}, "ReduceSum": {lowerReduce, lowerWholeReduce}, "ReduceMax": {lowerReduce, lowerWholeReduce}, "ReduceMin": {lowerReduce, lowerWholeReduce},
		"ReduceProd": {lowerReduce, lowerWholeReduce}, "ReduceL1": {lowerReduce}, "ReduceL2": {lowerReduce}, "ReduceSumSquare": {lowerReduce},
		"ReduceLogSum": {lowerReduce}, "ReduceLogSumExp": {lowerReduce}, "CumSum": {lowerCumSum},
		"com.microsoft.GroupQueryAttention": {lowerAttention}, "com.microsoft.MultiHeadAttention": {lowerAttention}, "Attention": {lowerAttention}, "attention": {lowerAttention},
		"RotaryEmbedding": {lowerRotary}, "com.microsoft.RotaryEmbedding": {lowerRotary},
		"Hardmax": {lowerSoftmax}, "ArgMax": {lowerArg}, "ArgMin": {lowerArg}, "TopK": {lowerTopK}, "Unique": {lowerUnique},

		"MaxPool": {lowerPool, lowerMaxPoolU8}, "AveragePool": {lowerPool}, "LpPool": {lowerLpPool}, "GlobalLpPool": {lowerGlobalLpPool},
		"GlobalMaxPool": {lowerGlobalPool, lowerMaxPoolU8}, "GlobalAveragePool": {lowerGlobalPool},
		"GridSample": {lowerGridSample}, "RoiAlign": {lowerRoiAlign},
		"deformed columns": {lowerDeformedColumns}, "DFT": {lowerDFT}, "STFT": {lowerSTFT},
		"Where": {lowerWhere},

		"Identity": {lowerIdentity}, "Dropout": {lowerIdentity}, "Cast": {lowerIdentity, lowerCast},
		"Reshape": {lowerReshape}, "Flatten": {lowerReshape}, "Squeeze": {lowerReshape}, "Unsqueeze": {lowerReshape},
		"Transpose": {lowerTranspose}, "Concat": {lowerConcat}, "Slice": {lowerSlice}, "Split": {lowerSplit}, "Expand": {lowerExpand}, "ScatterND": {lowerScatterND, lowerScatterSlices, lowerScatterMerge}, "ScatterElements": {lowerScatterElements}, "Scatter": {lowerScatterElements}, "MaxUnpool": {lowerMaxUnpool}, "TensorScatter": {lowerTensorScatter}, "SpaceToDepth": {lowerSpaceToDepth},
		"com.microsoft.GatherBlockQuantized":    {lowerGatherBlocks},
		"com.microsoft.EmbedLayerNormalization": {lowerEmbed}, "com.microsoft.QEmbedLayerNormalization": {lowerEmbed},
	}
	for kind := range probes {
		lowerings[kind] = append(lowerings[kind], lowerProbe)
	}
	for kind, f := range map[string]lowering{"Gather": lowerGather, "GatherElements": lowerGatherElements, "GatherND": lowerGatherND} {
		lowerings[kind] = append(lowerings[kind], f)
	}
	lowerings["Resize"] = append(lowerings["Resize"], lowerLinearResize, lowerResample, lowerResampleCodes)
	lowerings["Upsample"] = append(lowerings["Upsample"], lowerLinearResize, lowerResample, lowerResampleCodes)
}

// controls lists the kinds whose lowerings do without known shapes.
var controls = map[string]bool{
	"If": true, "Loop": true, "late": true, "Unique": true,
	"com.microsoft.GroupQueryAttention": true, "com.microsoft.MultiHeadAttention": true, "Attention": true, "attention": true,
}

// A pass rewrites the network before it is lowered.
type pass struct {
	name string
	run  func(g *net)
}

// passes lists the rewrites in the order in which they run.
var passes = []pass{
	{"gather what has shapes in the run", gatherLate},
	{"note weights of few bits", noteFewBits},
	{"split weights into parts of eight bits", splitParts},
	{"expand fused operators", expandFused},
	{"simplify", simplify},
	{"compute in float32 on 16-bit floats", findHalves},
	{"expand fused operators on 16-bit floats", expandFused},
	{"look stored codes up", findStored},
	{"find floats of eight bits", findFloat8},
	{"fold constants but those of DQ", func(g *net) { g.fold(storesMeaning) }},
	{"rearrange stored codes", rearrangeStored},
	{"expand operators on codes", expandQOperators},
	{"find rows that are picked", findPickedRows},
	{"expand products whose scale is found in each run", expandDynamic},
	{"multiply computed codes exactly", expandIntMatMuls},
	{"split weights wider than eight bits", splitWide},
	{"expand operators of transformers", expandTransformers},
	{"expand sums of products by equation", expandEinsums},
	{"fold operands in pairs", expandFolds},
	{"gather what deformable convolutions read", expandDeformed},
	{"split sums off products", splitSums},
	{"find signs", findSigns},
	{"find exponents", findExponents},
	{"find functions", findFunctions},
	{"give computed codes a byte each", spreadCodes},
	{"clamp what is quantized", clampCodes},
	{"find codes", findCodes},
	{"merge what quantizes alike", mergeQuantizes},
	{"let products meet codes", meetCodes},
	{"products of codes", intProducts},
	{"products of codes whose scale is found in each run", dynamicProducts},
	{"arithmetic on codes", intBinaries},
	{"averages of codes", intPools},
	{"linear resizes of codes", intResizes},
	{"moves of codes", intMoves},
	{"tables", findTables},
	{"join tables", joinTables},
	{"keep matrices of few bits as they are stored", keepStored},
	{"fold constants", func(g *net) { g.fold(func(*node) bool { return false }) }},
	{"find dynamic products", findDynamic},
	{"find powers", findPowers},
	{"find layer norms", findLayerNorms},
	{"expand Gemms of computed matrices", expandGemms},
	{"find patterns", findPatterns},
	{"find convolutions", findConvs},
	{"put dealt pixels back", undeal},
	{"find transposed convolutions", findConvTransposes},
	{"find products", findGemms},
	{"find products of computed matrices", findMatMuls},
	{"fuse", fuse},
}
