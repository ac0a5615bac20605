package op

// qdqPool is how operators that average activations are quantized.
var qdqPool = Quant{In: []Role{Act}, Output: true, Integer: "com.microsoft:QLinearAveragePool"}

// netOps are products, convolutions, pooling, normalization, recurrence, attention, losses.
var netOps = []*Op{
	{Name: "MatMul", Infer: inferMatMul, Eval: evalMatMul,
		Quant: Quant{In: []Role{Act, Weight}, Axis: -1, Output: true, Integer: "QLinearMatMul"}},
	{Name: "Gemm", Infer: inferGemm, Eval: evalGemm,
		Quant: Quant{In: []Role{Act, Weight, Bias}, AxisOf: gemmAxis, Output: true, FloatOut: true, Integer: "com.microsoft:QGemm"}},
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
	{Name: "Resize", Infer: inferResize, Eval: evalResize,
		Quant: Quant{In: []Role{Act, Float}, Output: true}},
	{Name: "Upsample", Infer: inferUpsample, Eval: evalUpsample,
		Quant: Quant{In: []Role{Act, Float}, Output: true}},
	{Name: "RNN", Infer: inferRecurrent(rnnCell), Eval: evalRecurrent(rnnCell)},
	{Name: "GRU", Infer: inferRecurrent(gruCell), Eval: evalRecurrent(gruCell)},
	{Name: "LSTM", Infer: inferRecurrent(lstmCell), Eval: evalRecurrent(lstmCell)},
}
