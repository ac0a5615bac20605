package onnx_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lowbit/internal/onnx"
	"lowbit/internal/testdata"
)

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

func TestOpenAll(t *testing.T) {
	for _, dir := range []string{"models", "onnx-conformance", "onnx-ops-burn", "hostile"} {
		bad := 0
		files := modelFiles(t, dir)
		for _, p := range files {
			f, err := onnx.Open(p, onnx.Limits{})
			if err != nil {
				bad++
				if bad < 40 {
					t.Log(err)
				}
				continue
			}
			b, err := onnx.Encode(f.Model)
			if err != nil {
				t.Error(err)
			}
			if _, err := onnx.Decode(b, onnx.Limits{}); err != nil {
				t.Error(err)
			}
			f.Close()
		}
		t.Logf("%s: %d of %d refused", dir, bad, len(files))
	}
	_ = os.Stdout
}
