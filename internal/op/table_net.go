package op

// qdqPool is how operators that average activations are quantized.
var qdqPool = Quant{In: []Role{Act}, Output: true, Integer: "com.microsoft:QLinearAveragePool"}

// netOps are products, convolutions, pooling, normalization, recurrence, attention, losses.
var netOps = []*Op{
	{Name: "MatMul", Infer: inferMatMul, Eval: evalMatMul,
		Quant: Quant{In: []Role{Act, Weight}, Axis: -1, Output: true, Integer: "QLinearMatMul"}},
	{Name: "Gemm", Infer: inferGemm, Eval: evalGemm,
		Quant: Quant{In: []Role{Act, Weight, Bias}, AxisOf: gemmAxis, Output: true, FloatOut: true, Integer: "com.microsoft:QGemm"}},
	{Name: "Einsum", Infer: inferEinsum, Eval: evalEinsum},
	{Name: "Det", Infer: inferDet, Eval: evalDet},
	{Name: "Conv", Infer: inferConv, Eval: evalConv,
		Quant: Quant{In: []Role{Act, Weight, Bias}, Output: true, Integer: "QLinearConv"}},
	{Name: "ConvTranspose", Infer: inferConvTranspose, Eval: evalConvTranspose,
		Quant: Quant{In: []Role{Act, Weight, Bias}, Axis: 1, Output: true}},
	{Name: "MaxPool", Infer: inferPool, Eval: evalMaxPool,
		Quant: Quant{In: []Role{Act}, Share: true, Output: true, Integer: "MaxPool"}},
	{Name: "AveragePool", Infer: inferPool, Eval: evalAveragePool, Quant: qdqPool},
	{Name: "LpPool", Infer: inferPool, Eval: evalLpPool},
	{Name: "GlobalAveragePool", Infer: inferGlobalPool, Eval: globalPool(meanOfPlane),
		Quant: Quant{In: []Role{Act}, Output: true, Integer: "com.microsoft:QLinearGlobalAveragePool"}},
	{Name: "GlobalMaxPool", Infer: inferGlobalPool, Eval: globalPool(maxOfPlane), Quant: Quant{In: []Role{Act}, Share: true, Output: true}},
	{Name: "GlobalLpPool", Infer: inferGlobalPool, Eval: globalPool(normOfPlane)},
	{Name: "BatchNormalization", Infer: inferBatchNorm, Eval: evalBatchNorm},
	{Name: "InstanceNormalization", Infer: inferSame, Eval: evalInstanceNorm},
	{Name: "GroupNormalization", Infer: inferSame, Eval: evalGroupNorm},
	{Name: "LayerNormalization", Infer: inferLayerNorm, Eval: evalLayerNorm},
	{Name: "RMSNormalization", Infer: inferRMSNorm, Eval: evalRMSNorm},
	{Name: "LpNormalization", Infer: inferSame, Eval: evalLpNorm},
	{Name: "MeanVarianceNormalization", Infer: inferSame, Eval: evalMeanVariance},
	{Name: "LRN", Infer: inferSame, Eval: evalLRN},
	{Name: "Resize", Infer: inferResize, Eval: evalResize,
		Quant: Quant{In: []Role{Act, Float}, Output: true}},
	{Name: "Upsample", Infer: inferUpsample, Eval: evalUpsample,
		Quant: Quant{In: []Role{Act, Float}, Output: true}},
	{Name: "RNN", Infer: inferRecurrent(rnnCell), Eval: evalRecurrent(rnnCell)},
	{Name: "GRU", Infer: inferRecurrent(gruCell), Eval: evalRecurrent(gruCell)},
	{Name: "LSTM", Infer: inferRecurrent(lstmCell), Eval: evalRecurrent(lstmCell)},
	{Name: "NonMaxSuppression", Infer: inferNMS, Eval: evalNMS},
	{Name: "NegativeLogLikelihoodLoss", Infer: inferLoss, Eval: evalNLLLoss},
	{Name: "SoftmaxCrossEntropyLoss", Infer: inferLoss, Eval: evalCrossEntropy},
}
