package op

import (
	"testing"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// TestEvalConstantBounds refuses results that inference knows to be larger than allowed, before anything computes them.
func TestEvalConstantBounds(t *testing.T) {
	n := &graph.Node{Op: "Expand", In: []string{"x", "s"}, Out: []string{"y"}}
	in := []*tensor.Tensor{tensor.Scalar(float32(1)), tensor.Int64s([]int64{10, 100}, 2)}
	if out, err := EvalConstant(n, 17, in, 4000); err != nil || out[0].Len() != 1000 {
		t.Errorf("%v %v", out, err)
	}
	for _, shape := range [][]int64{{1000, 2}, {1 << 40, 1 << 40}} {
		in[1] = tensor.Int64s(shape, 2)
		if _, err := EvalConstant(n, 17, in, 4000); fault.KindOf(err) != fault.Limit {
			t.Errorf("%v: %v", shape, err)
		}
	}
}
