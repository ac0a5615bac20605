package lowbit

import (
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"slices"
	"testing"

	"lowbit/internal/calib/dataset"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/plan"
	"lowbit/internal/quantize"
	"lowbit/internal/tensor"
	"lowbit/internal/testdata"
)

// held is how many bytes of the heap are in use.
func held() int64 {
	runtime.GC()
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	return int64(s[0].Value.Uint64())
}

// TestCalibrationMemory holds what is in use during calibration against the model, the largest activations, and 64 KB for each
// value, whatever the number of samples.
func TestCalibrationMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("calibrates on 1,100 images")
	}
	m, err := Open(testdata.Dir(t, "models/mobilenetv2/mobilenetv2.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	allowed, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	input := m.graph.Graph.Required()[0].Name
	facts, err := op.Infer(m.graph, map[string]graph.Type{input: graph.Of(tensor.Float32, 1, 3, 224, 224)})
	if err != nil {
		t.Fatal(err)
	}
	bytes := func(names []string) (n int64) {
		for _, name := range names {
			if shape, ok := facts[name].Static(); ok && m.graph.Graph.Const(name) == nil {
				n += int64(facts[name].DType.ByteLen(tensor.Elements(shape)))
			}
		}
		return n
	}
	var largest int64
	for _, n := range m.graph.Graph.Nodes {
		largest = max(largest, bytes(slices.Concat(n.In, n.Out)))
		allowed += int64(len(n.Out)) * 64 << 10
	}
	allowed += largest
	for _, samples := range []int{100, 1000} {
		src := dataset.New(dataset.Info{Form: "made", Path: "noise", Total: samples}, func(i int) (*dataset.Sample, error) {
			x, rng := tensor.New(tensor.Float32, 1, 3, 224, 224), rand.New(rand.NewPCG(uint64(i), 1))
			for k, v := 0, tensor.Of[float32](x); k < len(v); k++ {
				v[k] = rng.Float32()
			}
			return &dataset.Sample{Inputs: map[string]*tensor.Tensor{input: x}}, nil
		})
		set, err := plan.Default("W8A8")
		if err != nil {
			t.Fatal(err)
		}
		before, most, calls := held(), int64(0), 0
		_, err = QuantizeBy(t.Context(), m, quantize.Options{Settings: set, Data: src, Fix: []string{"none"}, Threads: 1, Progress: func(stage string, done, _ int) {
			if stage == "calibrate" && done%10 == 1 {
				most = max(most, held()-before)
				calls++
			}
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d samples: %.1f MB of %.1f", samples, float64(most)/1e6, float64(allowed)/1e6)
		if most > allowed || calls < samples/16 {
			t.Errorf("%d samples: %d bytes are in use, asked %d times, %d are allowed", samples, most, calls, allowed)
		}
	}
}
