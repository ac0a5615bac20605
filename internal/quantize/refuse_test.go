package quantize

import (
	"fmt"
	"strings"
	"testing"

	"lowbit/internal/calib/dataset"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// TestNothingToQuantize names the operators that keep a network in float, and the mode that takes it where one does.
func TestNothingToQuantize(t *testing.T) {
	for _, c := range []struct{ text, why, hint string }{
		{`g (float[1,2,4,4] z) => (float[1,2,8,8] y) <float[2,2,2,2] w> {
  a = ConvTranspose <strides = [2, 2]> (z, w)
  y = Tanh (a)
}`, "ConvTranspose: it has no integer form; Tanh: target ort-cpu", "`mode weights`"},
		{`g (float[1,2,4,4] z) => (float[1,2,4,4] y) {
  y = Tanh (z)
}`, "Tanh: target ort-cpu", ""},
	} {
		m, err := graph.ParseText("<ir_version: 8, opset_import: [\"\" : 17]>\n" + c.text)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Graph.Info) > 0 {
			m.Graph.SetConst("w", tensor.Float32s([]float32{1, -2, 3, 4, 5, 6, -7, 8, 9, 1, 2, 3, 4, 5, -6, 7}, 2, 2, 2, 2))
		}
		set, err := plan.Default("W8A8")
		if err != nil {
			t.Fatal(err)
		}
		src, err := dataset.Open("random:normal", dataset.Options{Inputs: m.Graph.Required(), Samples: 4})
		if err != nil {
			t.Fatal(err)
		}
		_, err = Run(t.Context(), m, Options{Settings: set, Data: src})
		if fault.KindOf(err) != fault.Unsupported || !strings.Contains(fmt.Sprint(err), c.why) {
			t.Errorf("%v, want %q", err, c.why)
		}
		if got := fault.HintOf(err); !strings.HasPrefix(got, c.hint) || c.hint == "" && got != "" {
			t.Errorf("hint %q, want %q", got, c.hint)
		}
	}
}
