package graph_test

import (
	"os"
	"path/filepath"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/testdata"
)

// TestTextOfModels writes real networks as text and reads them back.
func TestTextOfModels(t *testing.T) {
	dir := testdata.Dir(t, "models")
	paths, err := filepath.Glob(filepath.Join(dir, "*", "*.onnx"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no models: %v", err)
	}
	for _, path := range paths {
		if st, err := os.Stat(path); err != nil || st.Size() > 1<<20 {
			continue // the text of every element takes its time
		}
		t.Run(filepath.Base(filepath.Dir(path)), func(t *testing.T) {
			f, err := onnx.Open(path, onnx.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			text := f.Model.Text(graph.TextOptions{})
			m, err := graph.ParseText(text)
			if err != nil {
				t.Fatal(err)
			}
			if m.Text(graph.TextOptions{}) != text {
				t.Error("reading and writing again gives another text")
			}
			if n := f.Model.Graph.Consts(); len(n) > 0 && string(m.Graph.ConstTensor(n[0].Name).Raw) != string(n[0].Tensor.Raw) {
				t.Errorf("initializer %q changed", n[0].Name)
			}
		})
	}
}
