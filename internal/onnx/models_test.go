package onnx_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"lowbit/internal/fault"
	"lowbit/internal/onnx"
	"lowbit/internal/testdata"
)

// modelFiles lists the .onnx files below a folder of the test data.
func modelFiles(t testing.TB, dir string) []string {
	var list []string
	err := filepath.WalkDir(testdata.Dir(t, dir), func(path string, e fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".onnx") {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// roundTrip opens a model, writes it, and compares what protobuf's own decoder reads from both.
func roundTrip(t *testing.T, path string) {
	t.Helper()
	f, err := onnx.Open(path, onnx.Limits{})
	if err != nil {
		t.Error(err)
		return
	}
	defer f.Close()
	written, err := onnx.Encode(f.Model)
	if err != nil {
		t.Errorf("%s: %v", path, err)
		return
	}
	original, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := difference(t, inNodeOrder(t, original, f.Model), written); diff != "" {
		t.Errorf("%s: %s", path, diff)
	}
}

// difference compares two models up to the forms that normalize makes equal.
func difference(t testing.TB, a, b []byte) string {
	t.Helper()
	x, err := oracle(a)
	if err != nil {
		t.Fatal(err)
	}
	y, err := oracle(b)
	if err != nil {
		return "what was written is not a model: " + err.Error()
	}
	normalize(x)
	normalize(y)
	if proto.Equal(x, y) {
		return ""
	}
	return "the models differ"
}

func TestRoundTripModels(t *testing.T) {
	for _, path := range modelFiles(t, "models") {
		roundTrip(t, path)
	}
}

func TestRoundTripConformance(t *testing.T) {
	files := modelFiles(t, "onnx-conformance")
	if len(files) < 942 {
		t.Fatalf("%d conformance models, want at least 942", len(files))
	}
	for _, path := range files {
		roundTrip(t, path)
	}
}

// What is not a model is refused as such, and models with operators of other domains open.
func TestForeignFiles(t *testing.T) {
	entries, err := os.ReadDir(testdata.Dir(t, "hostile", "not-onnx"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		_, err := onnx.Open(testdata.Dir(t, "hostile", "not-onnx", e.Name()), onnx.Limits{})
		if fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", e.Name(), err)
		}
	}
	for _, dir := range []string{"jikechao-bug-triggers", "unsupported-domain-ort-extensions", "unsupported-domain-sklearn"} {
		for _, path := range modelFiles(t, filepath.Join("hostile", dir)) {
			roundTrip(t, path)
		}
	}
}
