package conform

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"lowbit/internal/npz"
	"lowbit/internal/onnx"
	"lowbit/internal/tensor"
	"lowbit/internal/testdata"
)

// modelTolerance allows for another order of summation: 1e-4 of an output's largest value.
var modelTolerance = Tolerance{Rel: 1e-3, Scale: 1e-4}

// modelFiles lists the real models: folder and file.
func modelFiles(t *testing.T) [][2]string {
	t.Helper()
	b, err := os.ReadFile(testdata.Dir(t, "models", "info.json"))
	if err != nil {
		t.Fatal(err)
	}
	var list []struct{ Dir, File string }
	if err := json.Unmarshal(b, &list); err != nil {
		t.Fatal(err)
	}
	var out [][2]string
	for _, m := range list {
		out = append(out, [2]string{m.Dir, m.File})
	}
	return out
}

func readArrays(t *testing.T, path string) map[string]*tensor.Tensor {
	t.Helper()
	list, err := npz.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*tensor.Tensor{}
	for _, a := range list {
		out[a.Name] = a.Tensor
	}
	return out
}

// TestModels runs the real models on the reference and compares with ONNX Runtime's answers.
func TestModels(t *testing.T) {
	for _, m := range modelFiles(t) {
		t.Run(m[0], func(t *testing.T) {
			dir := testdata.Dir(t, "models", m[0])
			f, err := onnx.Open(filepath.Join(dir, m[1]), onnx.Limits{AllowHardlinks: true})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			in := readArrays(t, filepath.Join(dir, "input.npz"))
			got, err := Reference(context.Background(), f.Model, in)
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range readArrays(t, filepath.Join(dir, "output.npz")) {
				if got[name] == nil {
					t.Errorf("output %q is missing", name)
				} else if err := Compare(got[name], want, modelTolerance); err != nil {
					t.Errorf("output %q: %v", name, err)
				}
			}
		})
	}
}
