package op

import "lowbit/internal/graph"

const microsoft = "com.microsoft"

// contribOps are operators of the com.microsoft domain that quantizers and ONNX Runtime's optimizers of
// transformers write, and one that these write in the default domain.
var contribOps = []*Op{
	{Domain: microsoft, Name: "QuantizeLinear", Infer: inferQuantizeLinear, Eval: evalQuantizeLinear},
	{Domain: microsoft, Name: "DequantizeLinear", Infer: inferDequantizeLinear, Eval: evalDequantizeLinear},
	{Domain: microsoft, Name: "QLinearAdd", Infer: inferQLinearBinary, Eval: qlinearBinary(addArith.f)},
	{Domain: microsoft, Name: "QLinearMul", Infer: inferQLinearBinary, Eval: qlinearBinary(mulArith.f)},
	{Domain: microsoft, Name: "QLinearConcat", Infer: inferQLinearConcat, Eval: evalQLinearConcat},
	{Domain: microsoft, Name: "QLinearSigmoid", Infer: inferSame, Eval: qlinearUnary(func(*graph.Node) func(float64) float64 { return sigmoid })},
	{Domain: microsoft, Name: "QLinearLeakyRelu", Infer: inferSame, Eval: qlinearUnary(leakyRelu)},
	{Domain: microsoft, Name: "QLinearSoftmax", Infer: inferSame, Eval: evalQLinearSoftmax},
	{Domain: microsoft, Name: "QLinearWhere", Infer: inferQLinearWhere, Eval: evalQLinearWhere},
	{Domain: microsoft, Name: "QLinearConv", Infer: inferChannelsLast(inferQLinearConv), Eval: channelsLast(evalQLinearConv)},
	{Domain: microsoft, Name: "NhwcMaxPool", Infer: inferChannelsLast(inferPool), Eval: channelsLast(evalNhwcMaxPool)},
	{Domain: microsoft, Name: "QLinearAveragePool", Infer: inferChannelsLast(inferPool), Eval: qlinearPool(evalAveragePool)},
	{Domain: microsoft, Name: "QLinearGlobalAveragePool", Infer: inferChannelsLast(inferGlobalPool), Eval: qlinearPool(globalPool(meanOf))},
	{Domain: microsoft, Name: "QGemm", Infer: inferQGemm, Eval: evalQGemm},
	{Domain: microsoft, Name: "MatMulIntegerToFloat", Infer: inferMatMulIntegerToFloat, Eval: evalMatMulIntegerToFloat},
	{Domain: microsoft, Name: "DynamicQuantizeMatMul", Infer: inferDynamicQuantizeMatMul, Eval: evalDynamicQuantizeMatMul},
	{Domain: microsoft, Name: "DynamicQuantizeLSTM", Infer: inferDynamicQuantizeLSTM, Eval: evalDynamicQuantizeLSTM},
	{Domain: microsoft, Name: "MatMulNBits", Infer: inferMatMulNBits, Eval: evalMatMulNBits},
	{Domain: microsoft, Name: "GatherBlockQuantized", Infer: inferGatherBlockQuantized, Eval: evalGatherBlockQuantized},
	{Domain: microsoft, Name: "MatMulBnb4", Infer: inferMatMulBnb4, Eval: evalMatMulBnb4},
	{Domain: microsoft, Name: "FusedConv", Infer: inferConv, Eval: evalFusedConv, parts: convParts},
	{Domain: microsoft, Name: "FusedGemm", Infer: inferGemm, Eval: evalFusedGemm, parts: gemmParts},
	{Domain: microsoft, Name: "FusedMatMul", Infer: inferFusedMatMul, Eval: evalFusedMatMul, parts: matMulParts},
	{Domain: microsoft, Name: "Gelu", Infer: inferSame, Eval: biased(geluErf), Quant: computes},
	{Domain: microsoft, Name: "BiasGelu", Infer: inferSame, Eval: biased(geluErf), parts: biasedParts("Gelu")},
	{Domain: microsoft, Name: "FastGelu", Infer: inferSame, Eval: biased(fastGelu), parts: biasedParts("FastGelu")},
	{Domain: microsoft, Name: "QuickGelu", Infer: inferSame, Eval: activation(quickGelu), parts: quickParts},
	{Domain: microsoft, Name: "SkipLayerNormalization", Infer: inferSkipLayerNormalization, Eval: evalSkipLayerNormalization, parts: skipParts("LayerNormalization", 4, 17)},
	{Domain: microsoft, Name: "SkipSimplifiedLayerNormalization", Infer: inferSkipLayerNormalization, Eval: evalSkipSimplifiedLayerNormalization, parts: skipParts("SimplifiedLayerNormalization", 3, 0)},
	{Name: "SimplifiedLayerNormalization", Infer: inferSimplifiedLayerNorm, Eval: evalRMSNorm},
	{Domain: microsoft, Name: "EmbedLayerNormalization", Infer: inferEmbedLayerNorm, Eval: evalEmbedLayerNorm},
	{Domain: microsoft, Name: "QEmbedLayerNormalization", Infer: inferQEmbedLayerNorm, Eval: evalQEmbedLayerNorm},
	{Domain: microsoft, Name: "RotaryEmbedding", Infer: inferSame, Eval: evalRotaryContrib},
	{Domain: microsoft, Name: "Attention", Infer: inferProjectedAttention, Eval: evalProjectedAttention},
	{Domain: microsoft, Name: "QAttention", Infer: inferQAttention, Eval: evalQAttention},
	{Domain: microsoft, Name: "MultiHeadAttention", Infer: inferMultiHeadAttention, Eval: evalMultiHeadAttention},
	{Domain: microsoft, Name: "MoE", Infer: inferSame, Eval: evalMoE},
	{Domain: microsoft, Name: "QMoE", Infer: inferSame, Eval: evalQMoE},
	{Domain: microsoft, Name: "GroupQueryAttention", Infer: inferGroupQueryAttention, Eval: evalGroupQueryAttention},
}
