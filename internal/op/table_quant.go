package op

// quantOps are the standard quantization operators.
var quantOps = []*Op{
	{Name: "QuantizeLinear", Infer: inferQuantizeLinear, Eval: evalQuantizeLinear},
	{Name: "DequantizeLinear", Infer: inferDequantizeLinear, Eval: evalDequantizeLinear},
	{Name: "DynamicQuantizeLinear", Infer: inferDynamicQuantizeLinear, Eval: evalDynamicQuantizeLinear},
	{Name: "MatMulInteger", Infer: inferMatMulInteger, Eval: evalMatMulInteger},
	{Name: "ConvInteger", Infer: inferConvInteger, Eval: evalConvInteger},
	{Name: "QLinearMatMul", Infer: inferQLinearMatMul, Eval: evalQLinearMatMul},
	{Name: "QLinearConv", Infer: inferQLinearConv, Eval: evalQLinearConv},
}
