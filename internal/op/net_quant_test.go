package op

import "testing"

// TestWeightAxis holds the output-channel axis where an attribute may decide it.
func TestWeightAxis(t *testing.T) {
	for _, c := range []struct {
		op   string
		attr int64
		want int
	}{{"Conv", 0, 0}, {"ConvTranspose", 0, 1}, {"MatMul", 0, -1}, {"Gemm", 0, 1}, {"Gemm", 1, 0}, {"LSTM", 0, -2}} {
		n := node(c.op, 2, 1, "transB", c.attr)
		if got := Lookup("", c.op).Quant.WeightAxis(n); got != c.want {
			t.Errorf("%s transB=%d: axis %d, want %d", c.op, c.attr, got, c.want)
		}
	}
}
