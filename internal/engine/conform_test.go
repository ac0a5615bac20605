package engine

import (
	"context"
	"path/filepath"
	"testing"

	"lowbit/internal/conform"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
	"lowbit/internal/testdata"
)

// TestConformance runs the ONNX cases on the engine. A case that the reference evaluation passes must
// pass here too.
func TestConformance(t *testing.T) {
	for _, set := range []string{"onnx-conformance/node", "onnx-conformance/simple", "onnx-conformance/pytorch-operator", "onnx-ops-burn"} {
		t.Run(filepath.Base(set), func(t *testing.T) {
			cases, err := conform.Find(testdata.Dir(t, set))
			if err != nil {
				t.Fatal(err)
			}
			opt := conform.Options{Runner: runOnce}
			if _, err := conform.Run(context.Background(), cases, withEach(t, opt)); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func withEach(t *testing.T, opt conform.Options) conform.Options {
	opt.Each = func(r conform.Result) {
		if r.Outcome == conform.Failed {
			t.Errorf("%s: %s", r.Name, r.Message)
		}
	}
	return opt
}

func runOnce(ctx context.Context, m *graph.Model, in map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	s, err := Compile(m, Options{Threads: 2})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	return s.Run(ctx, in)
}
