package pass_test

import (
	"context"
	"maps"
	"strings"
	"testing"

	"lowbit/internal/conform"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/pass"
	"lowbit/internal/tensor"
	"lowbit/internal/testdata"
)

// rewritten prepares a case's model, writes it for the newest opset where there is a way, and
// evaluates that.
func rewritten(ctx context.Context, m *graph.Model, in map[string]*tensor.Tensor) (map[string]*tensor.Tensor, error) {
	c := pass.Clone(m)
	if err := pass.Prepare(c); err != nil && fault.KindOf(err) == fault.Unsupported {
		c = pass.Clone(m)
	} else if err != nil {
		return nil, err
	}
	up := pass.Clone(c)
	if err := pass.Upgrade(up, pass.NewestOpset); err == nil {
		c = up
	} else if fault.KindOf(err) != fault.Unsupported {
		return nil, err
	}
	in = maps.Clone(in)
	maps.DeleteFunc(in, func(name string, _ *tensor.Tensor) bool {
		return c.Graph.Input(name) == nil && m.Graph.Const(name) != nil
	})
	return conform.Reference(ctx, c, in)
}

// TestConformance holds that no rewrite changes what any conformance case computes.
func TestConformance(t *testing.T) {
	for _, folder := range [][]string{{"onnx-conformance", "node"}, {"onnx-conformance", "simple"}, {"onnx-conformance", "pytorch-operator"}, {"onnx-ops-burn"}} {
		t.Run(strings.Join(folder, "/"), func(t *testing.T) {
			cases, err := conform.Find(testdata.Dir(t, folder...))
			if err != nil {
				t.Fatal(err)
			}
			rep, err := conform.Run(context.Background(), cases, conform.Options{Runner: rewritten})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range rep.Cases {
				if r.Outcome == conform.Failed {
					t.Errorf("%s: %s", r.Name, r.Message)
				}
			}
			t.Logf("%d passed, %d failed, %d skipped", rep.Passed, rep.Failed, rep.Skipped)
			if rep.Passed == 0 {
				t.Error("no case passed")
			}
		})
	}
}
