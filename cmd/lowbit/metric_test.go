package main

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
	"testing"

	"lowbit"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/graph"
	"lowbit/internal/recipe"
	"lowbit/internal/tensor"
)

// TestMetricWords holds that recipes know the metrics that there are.
func TestMetricWords(t *testing.T) {
	if names := metricNames(); !slices.Equal(names, recipe.Metrics) {
		t.Errorf("metrics %v, in recipes %v", names, recipe.Metrics)
	}
}

// TestSurprise scores tokens by hand: the next one has probability 1/2, then 1/8.
func TestSurprise(t *testing.T) {
	outs := []*graph.Value{{Name: "logits"}}
	big := float32(math.Log(7)) // one word of eight then has half of the probability
	scores := func() map[string]*tensor.Tensor {
		x := make([]float32, 3*8)
		x[5] = big
		return map[string]*tensor.Tensor{"logits": tensor.Float32s(x, 1, 3, 8)}
	}
	ids := func(list ...int64) *tensor.Tensor { return tensor.Int64s(list, 1, len(list)) }
	s := &dataset.Sample{Name: "text", Inputs: map[string]*tensor.Tensor{"tokens": ids(1, 5, 2)}}
	sum, n, err := surprise(outs, scores(), s, 0)
	if want := math.Log(2) + math.Log(8); err != nil || n != 2 || math.Abs(sum-want) > 1e-6 {
		t.Errorf("%g of %g (%v), want %g of 2", sum, n, err, want)
	}
	s.Inputs["mask"] = ids(1, 1, 1)
	if _, _, err := surprise(outs, scores(), s, 0); err == nil || !strings.Contains(err.Error(), "feeds no tokens") {
		t.Errorf("two inputs that could be tokens: %v", err)
	}
	s.Inputs["input_ids"] = s.Inputs["tokens"]
	if got, _, err := surprise(outs, scores(), s, 0); err != nil || got != sum {
		t.Errorf("input_ids: %g, %v", got, err)
	}
	s.Inputs["input_ids"] = ids(1, 8, 2)
	if _, _, err := surprise(outs, scores(), s, 0); err == nil || !strings.Contains(err.Error(), "outside") {
		t.Errorf("a token that the model does not score: %v", err)
	}
	flat := map[string]*tensor.Tensor{"logits": tensor.Float32s(make([]float32, 8), 1, 8)}
	if _, _, err := surprise(outs, flat, s, 0); err == nil || !strings.Contains(err.Error(), "logits") {
		t.Errorf("a classifier: %v", err)
	}
}

// TestMetricsInJSON writes metrics that no JSON number holds.
func TestMetricsInJSON(t *testing.T) {
	b, err := json.Marshal(writable(map[string]float64{"mse": math.NaN(), "ppl": math.Inf(1), "top1": 0.5}))
	if want := `{"mse":null,"ppl":1.7976931348623157e+308,"top1":0.5}`; err != nil || string(b) != want {
		t.Errorf("%s, %v; want %s", b, err, want)
	}
}

// TestDoctorInJSON writes a diagnosis by scores that no JSON number holds.
func TestDoctorInJSON(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	d := &lowbit.Diagnosis{Score: &[2]float64{0.5, nan}, Causes: []lowbit.Cause{{Scores: &[2]float64{inf, nan}}}, Fixed: &lowbit.Fixed{Score: inf}}
	out := diagnosed(d, &metricTable[2], 1)
	if _, err := json.Marshal(out); err != nil || out.Metric.Float != 0.5 || out.Metric.Quantized != math.MaxFloat64 || *out.Causes[0].Metric != math.MaxFloat64 || *out.Fixed.Metric != math.MaxFloat64 {
		t.Errorf("%+v: %v", out, err)
	}
}
