package lowbit

import (
	"context"
	"path/filepath"
	"testing"

	"lowbit/internal/calib/dataset"
	"lowbit/internal/plan"
	"lowbit/internal/quantize"
	"lowbit/internal/testdata"
)

// TestQuantizeMobileNet is the main job from end to end: open, calibrate, quantize, write, read back.
func TestQuantizeMobileNet(t *testing.T) {
	m, err := Open(testdata.Dir(t, "models/mobilenetv2/mobilenetv2.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	pre, err := dataset.LoadPreprocess("imagenet")
	if err != nil {
		t.Fatal(err)
	}
	src, err := dataset.Open(testdata.Dir(t, "imagenet-nips2017-256"), dataset.Options{Inputs: m.Graph().Graph.Required(), Preprocess: pre, Samples: 4, Labels: testdata.Dir(t, "imagenet-nips2017-256/labels.txt")})
	if err != nil {
		t.Fatal(err)
	}
	set, err := plan.Default("W8A8")
	if err != nil {
		t.Fatal(err)
	}
	r, err := QuantizeBy(context.Background(), m, quantize.Options{Settings: set, Data: src})
	if err != nil {
		t.Fatal(err)
	}
	if r.Gate.SQNR < 15 {
		t.Errorf("SQNR %.2f dB on the calibration samples", r.Gate.SQNR)
	}
	path := filepath.Join(t.TempDir(), "q.onnx")
	if err := r.Model.Save(path, SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	q, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	before, _ := m.Bytes()
	after, _ := q.Bytes()
	if ratio := float64(after) / float64(before); ratio > 0.275 {
		t.Errorf("the file is %.2f %% of the float one", 100*ratio)
	}
}
