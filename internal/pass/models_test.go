package pass_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"lowbit/internal/engine"
	"lowbit/internal/graph"
	"lowbit/internal/npz"
	"lowbit/internal/onnx"
	"lowbit/internal/pass"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
	"lowbit/internal/testdata"
)

// TestModelsUpgraded prepares real networks, writes them for newer opsets, and holds them against
// the outputs that ONNX Runtime gave for the files as they are.
func TestModelsUpgraded(t *testing.T) {
	root := testdata.Dir(t, "models")
	dirs, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dirs {
		paths, err := filepath.Glob(filepath.Join(root, d.Name(), "*.onnx"))
		if err != nil || len(paths) != 1 {
			continue
		}
		for _, opset := range []int{13, pass.NewestOpset} {
			t.Run(fmt.Sprintf("%s to %d", d.Name(), opset), func(t *testing.T) { upgradedModel(t, paths[0], opset) })
		}
	}
}

func upgradedModel(t *testing.T, path string, opset int) {
	f, err := onnx.Open(path, onnx.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m := pass.Clone(f.Model)
	if err := pass.Prepare(m); err != nil {
		t.Fatal(err)
	}
	if err := pass.Upgrade(m, opset); err != nil {
		t.Fatal(err)
	}
	if l := graph.Check(m, graph.Limits{}); l.Len() > 0 {
		t.Fatal(l)
	}
	s, err := engine.Compile(m, engine.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := s.Run(context.Background(), arrays(t, filepath.Join(filepath.Dir(path), "input.npz")))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range arrays(t, filepath.Join(filepath.Dir(path), "output.npz")) {
		if got[name] == nil || got[name].String() != want.String() {
			t.Errorf("%s is %v, not %v", name, got[name], want)
			continue
		}
		var diff report.Diff
		diff.Add(report.Floats(want), report.Floats(got[name]))
		if want.DType == tensor.Float32 && diff.SQNR() < 60 {
			t.Errorf("%s: %.1f dB", name, diff.SQNR())
		}
	}
}

func arrays(t *testing.T, path string) map[string]*tensor.Tensor {
	t.Helper()
	list, err := npz.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]*tensor.Tensor{}
	for _, a := range list {
		m[a.Name] = a.Tensor
	}
	return m
}
