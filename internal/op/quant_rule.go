package op

import (
	"fmt"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// padsNonZero refuses a Pad whose value is not zero: it may lie outside of the range of its input,
// whose parameters the output keeps.
func padsNonZero(n *graph.Node, constant func(name string) *tensor.Tensor) string {
	if n.Str("mode", "constant") != "constant" || len(n.In) < 3 || n.In[2] == "" {
		return ""
	}
	t := constant(n.In[2])
	if t == nil || t.DType != tensor.Float32 {
		return "the value that it pads with flows"
	}
	for _, v := range tensor.Of[float32](t) {
		if v != 0 {
			return fmt.Sprintf("it pads with %v", v)
		}
	}
	return ""
}

// leavesRange refuses a Resize whose results may lie outside of the range of its input.
func leavesRange(n *graph.Node, _ func(name string) *tensor.Tensor) string {
	switch {
	case n.Str("mode", "nearest") == "cubic":
		return "cubic interpolation leaves the range of its input"
	case n.Str("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
		return "it fills in a value outside of its input"
	}
	return ""
}

// Pads says whether a pooling node may pad its input.
func Pads(n *graph.Node) bool {
	auto := n.Str("auto_pad", "NOTSET")
	return auto != "NOTSET" && auto != "VALID" || slices.ContainsFunc(n.Ints("pads"), func(p int) bool { return p != 0 })
}

// countsBeyond tells of an AveragePool that counts padding and may see more than it: ONNX Runtime's integer
// form counts that too (QLinearAveragePool, 1.32).
func countsBeyond(n *graph.Node, _ func(name string) *tensor.Tensor) string {
	if n.Bool("ceil_mode", false) && n.Bool("count_include_pad", false) && Pads(n) {
		return "it counts padding, and ceil_mode looks beyond it"
	}
	return ""
}
