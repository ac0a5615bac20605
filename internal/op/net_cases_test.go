package op

import "lowbit/internal/tensor"

// netCases are small enough to check by hand.
var netCases = []netCase{
	{name: "matmul vectors", node: node("MatMul", 2, 1), in: []*tensor.Tensor{vec(1, 2, 3), vec(4, 5, 6)}, want: []float32{32}, shape: []int{}},
	{name: "matmul row", node: node("MatMul", 2, 1), in: []*tensor.Tensor{vec(1, 2), ramp(0, 2, 3)}, want: []float32{6, 9, 12}, shape: []int{3}},
	{name: "matmul int32 wraps", node: node("MatMul", 2, 1),
		in:   []*tensor.Tensor{tensor.Wrap(tensor.Int32, []int32{1 << 30, 3}, 1, 2), tensor.Wrap(tensor.Int32, []int32{4, 5}, 2, 1)},
		want: []float32{15}, shape: []int{1, 1}},
	{name: "matmul scalar", node: node("MatMul", 2, 1), in: []*tensor.Tensor{tensor.Scalar(1), vec(1)}},
	{name: "gemm column bias", node: node("Gemm", 3, 1, "transA", int64(1), "alpha", float32(2), "beta", float32(10)),
		in: []*tensor.Tensor{ramp(1, 2, 2), ramp(0, 2, 1), tensor.Float32s([]float32{1, 2}, 2, 1)}, want: []float32{16, 28}},
	{name: "gemm bias too large", node: node("Gemm", 3, 1), in: []*tensor.Tensor{ramp(1, 1, 2), ramp(0, 2, 1), vec(1, 2)}},
	{name: "conv 1-d groups", node: node("Conv", 3, 1, "group", int64(2)),
		in:   []*tensor.Tensor{ramp(0, 1, 2, 4), tensor.Float32s([]float32{1, -1, 2, 1}, 2, 1, 2), vec(0, 100)},
		want: []float32{-1, -1, -1, 113, 116, 119}, shape: []int{1, 2, 3}},
	{name: "conv group does not divide", node: node("Conv", 2, 1, "group", int64(3)), in: []*tensor.Tensor{ramp(0, 1, 2, 4), ramp(0, 2, 1, 2)}},
	{name: "conv kernel too large", node: node("Conv", 2, 1), in: []*tensor.Tensor{ramp(0, 1, 1, 4), ramp(0, 1, 1, 5)}},
	{name: "maxpool ties keep the first", node: node("MaxPool", 1, 2, "kernel_shape", i64s(2)),
		in: []*tensor.Tensor{tensor.Float32s([]float32{1, 1, 0}, 1, 1, 3)}, want: []float32{1, 1}},
	{name: "maxpool huge kernel", node: node("MaxPool", 1, 1, "kernel_shape", i64s(1<<40)), in: []*tensor.Tensor{ramp(0, 1, 1, 4)}},
	{name: "averagepool counts what it sees", node: node("AveragePool", 1, 1, "kernel_shape", i64s(2), "pads", i64s(1, 0)),
		in: []*tensor.Tensor{ramp(4, 1, 1, 2)}, want: []float32{4, 4.5}},
	{name: "batchnorm training", opset: 15, node: node("BatchNormalization", 5, 3, "training_mode", int64(1), "epsilon", float32(0)),
		in: []*tensor.Tensor{tensor.Float32s([]float32{1, 3}, 2, 1), vec(2), vec(1), vec(0), vec(1)}, want: []float32{-1, 3}},
}
