package conform

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"lowbit/internal/testdata"
)

// runFolder runs the cases of a data folder on the reference and reports failures by operator.
func runFolder(t *testing.T, elem ...string) *Report {
	t.Helper()
	cases, err := Find(testdata.Dir(t, elem...))
	if err != nil {
		t.Fatal(err)
	}
	rep, err := Run(context.Background(), cases, Options{})
	if err != nil {
		t.Fatal(err)
	}
	byOp := map[string][]string{}
	for _, r := range rep.Cases {
		if r.Outcome == Failed {
			ops := strings.Join(r.Ops[:min(3, len(r.Ops))], " ")
			byOp[ops] = append(byOp[ops], fmt.Sprintf("%s: %s", r.Name, r.Message))
		}
	}
	for _, ops := range slices.Sorted(maps.Keys(byOp)) {
		t.Errorf("%s\n\t%s", ops, strings.Join(byOp[ops], "\n\t"))
	}
	t.Logf("%d passed, %d failed, %d skipped", rep.Passed, rep.Failed, rep.Skipped)
	return rep
}

func TestNode(t *testing.T)     { runFolder(t, "onnx-conformance", "node") }
func TestSimple(t *testing.T)   { runFolder(t, "onnx-conformance", "simple") }
func TestOperator(t *testing.T) { runFolder(t, "onnx-conformance", "pytorch-operator") }
func TestExports(t *testing.T)  { runFolder(t, "onnx-ops-burn") }
