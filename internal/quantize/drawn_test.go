package quantize

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"lowbit/internal/calib/dataset"
	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/testdata"
)

// undrawn opens no data for a model.
func undrawn(t *testing.T, m *graph.Model, samples int) *Options {
	t.Helper()
	d, err := dataset.Open(dataset.None, dataset.Options{Inputs: m.Graph.Required(), Samples: samples})
	if err != nil {
		t.Fatal(err)
	}
	return &Options{Data: d, Budget: DefaultBudget, Threads: 2, Tell: func(string) {}, Progress: func(string, int, int) {}}
}

// resnet opens a network whose BatchNormalizations are there.
func resnet(t *testing.T) *graph.Model {
	t.Helper()
	f, err := onnx.Open(testdata.Dir(t, "models", "resnet20-cifar10", "resnet20-cifar10.onnx"), onnx.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f.Model
}

// TestFitDrawn brings drawn images much nearer to what the normalizations of a real network keep.
func TestFitDrawn(t *testing.T) {
	if testing.Short() {
		t.Skip("fits images")
	}
	m := resnet(t)
	o := undrawn(t, m, 16)
	was := o.Data
	d, err := fitDrawn(t.Context(), m, o, nil)
	if err != nil || d.Norms != 19 || d.Reached != 19 || d.Inputs != 16 || d.Note != "" {
		t.Fatalf("%+v, %v", d, err)
	}
	if d.After > d.Before/5 {
		t.Errorf("the distance went from %.3g to %.3g only", d.Before, d.After)
	}
	a, err := was.Sample(7)
	if err != nil {
		t.Fatal(err)
	}
	b, err := o.Data.Sample(7)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a.Inputs["input"].Raw, b.Inputs["input"].Raw) || !drawn(o.Data) || o.Data.Len() != 16 {
		t.Error("the data is as it was")
	}
	if w := d.warnings(); len(w) != 1 || !strings.Contains(w[0], "19 of 19 BatchNormalizations") {
		t.Errorf("told: %q", w)
	}
}

// TestDrawnAsItIs leaves drawn samples alone where there is nothing to fit them to, or no time, and says so.
func TestDrawnAsItIs(t *testing.T) {
	folded, err := graph.ParseText(`<ir_version: 8, opset_import: ["" : 17]>
g (float[1,3,16,16] x) => (float[1,4,16,16] y) <float[4,3,1,1] w = {1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3}> {
  c = Conv (x, w)
  y = Relu (c)
}`)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		m      *graph.Model
		budget time.Duration
		told   string
	}{{folded, DefaultBudget, "folded already"}, {resnet(t), time.Second, "a third of the budget is 0.3 s"}} {
		o := undrawn(t, c.m, 100)
		o.Budget = c.budget
		was := o.Data
		d, err := fitDrawn(t.Context(), c.m, o, nil)
		if err != nil {
			t.Fatal(err)
		}
		if w := strings.Join(d.warnings(), ""); o.Data != was || d.Input != "" || !strings.Contains(w, c.told) {
			t.Errorf("%+v: %s", d, w)
		}
	}
}
