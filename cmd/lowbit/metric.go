package main

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"lowbit/internal/calib/dataset"
	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
)

// A metric is a row of the table of what eval can measure.
type metric struct {
	name, doc string
	labels    bool // it holds outputs against labels
	stored    bool // it holds outputs against stored ones
	low       bool // small values are good
	// add scores one sample: sum and weight of its contribution to the mean.
	add func(outs []*graph.Value, got map[string]*tensor.Tensor, s *dataset.Sample, offset int) (sum, weight float64, err error)
	of  func(mean float64) float64 // what the metric is of the mean; nil: the mean
}

var metricTable = []metric{
	{name: "top1", doc: "share of samples whose label has the largest score", labels: true, add: inTop(1)},
	{name: "top5", doc: "share of samples whose label has one of the five largest scores", labels: true, add: inTop(5)},
	{name: "mse", doc: "mean squared difference from stored outputs", stored: true, low: true, add: squaredError},
	{name: "ppl", doc: "perplexity of a language model on token ids", low: true, add: surprise, of: math.Exp},
}

func metricNames() []string {
	var names []string
	for _, m := range metricTable {
		names = append(names, m.name)
	}
	return names
}

func lookupMetric(name string) (*metric, error) {
	for i, m := range metricTable {
		if m.name == name {
			return &metricTable[i], nil
		}
	}
	return nil, oneOf("--metric", name, metricNames()...)
}

// inTop scores 1 where the label, offset added, is among the k largest of the first output, or is
// the output itself where that is one whole number.
func inTop(k int) func([]*graph.Value, map[string]*tensor.Tensor, *dataset.Sample, int) (float64, float64, error) {
	return func(outs []*graph.Value, got map[string]*tensor.Tensor, s *dataset.Sample, offset int) (float64, float64, error) {
		t := got[outs[0].Name]
		x, err := format.Floats(t)
		if err != nil || t.Kind != tensor.Dense {
			return 0, 0, fault.Invalidf(fmt.Sprintf("output %q", outs[0].Name), "%s holds no scores", t)
		}
		label := s.Label + offset
		hit := report.InTop(x, label, k)
		if t.DType.IsInt() && len(x) == 1 {
			hit = x[0] == float64(label)
		}
		if hit {
			return 1, 1, nil
		}
		return 0, 1, nil
	}
}

// squaredError adds up the squared differences from the sample's stored outputs.
func squaredError(outs []*graph.Value, got map[string]*tensor.Tensor, s *dataset.Sample, _ int) (sum, n float64, err error) {
	for _, v := range outs {
		want := s.Want[v.Name]
		if want == nil {
			continue
		}
		place := fmt.Sprintf("%s: output %q", s.Name, v.Name)
		x, err := format.Floats(got[v.Name])
		if err != nil {
			return 0, 0, fault.Invalidf(place, "%v", err)
		}
		y, err := format.Floats(want)
		if err != nil || len(x) != len(y) {
			return 0, 0, fault.Invalidf(place, "%s is stored, the model gives %s", want, got[v.Name])
		}
		for i := range x {
			sum += (x[i] - y[i]) * (x[i] - y[i])
		}
		n += float64(len(x))
	}
	if n == 0 {
		return 0, 0, fault.Invalidf(s.Name, "holds no stored outputs").WithHint("--metric mse needs ONNX test sets with output_K.pb files")
	}
	return sum, n, nil
}

// surprise adds up −ln p of each token given those before it, from the first output, scores (N,T,V),
// and the tokens (N,T) among the inputs.
func surprise(outs []*graph.Value, got map[string]*tensor.Tensor, s *dataset.Sample, _ int) (sum, n float64, err error) {
	t := got[outs[0].Name]
	x, err := format.Floats(t)
	if err != nil || t.Kind != tensor.Dense || t.Rank() != 3 {
		return 0, 0, fault.Invalidf(fmt.Sprintf("output %q", outs[0].Name), "%s holds no scores of tokens (N,T,V)", t)
	}
	ids, err := tokens(s, t.Shape[:2])
	if err != nil {
		return 0, 0, err
	}
	steps, words := t.Shape[1], t.Shape[2]
	for i := range ids {
		if i%steps == steps-1 {
			continue // nothing follows
		}
		next := ids[i+1]
		if next < 0 || next >= float64(words) {
			return 0, 0, fault.Invalidf(s.Name, "token %g is outside of the %d that the model scores", next, words)
		}
		row := x[i*words:][:words]
		most, total := slices.Max(row), 0.0
		for _, v := range row {
			total += math.Exp(v - most)
		}
		sum += most + math.Log(total) - row[int(next)]
		n++
	}
	return sum, n, nil
}

// tokens finds the token ids of that shape: the input called input_ids, or the only one of whole numbers.
func tokens(s *dataset.Sample, shape []int) ([]float64, error) {
	var found []*tensor.Tensor
	for _, name := range slices.Sorted(maps.Keys(s.Inputs)) {
		t := s.Inputs[name]
		if !t.DType.IsInt() || !slices.Equal(t.Shape, shape) {
			continue
		}
		if name == "input_ids" {
			return format.Floats(t)
		}
		found = append(found, t)
	}
	if len(found) != 1 || shape[1] < 2 {
		return nil, fault.Invalidf(s.Name, "feeds no tokens of shape %s", tensor.FormatShape(shape)).WithHint("--metric ppl reads the next token from the input input_ids, or the only input of whole numbers")
	}
	return format.Floats(found[0])
}
