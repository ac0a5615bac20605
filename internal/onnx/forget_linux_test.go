package onnx_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"

	"lowbit/internal/onnx"
)

// TestForget gives the memory of a mapped tensor back and reads it again; bytes from elsewhere stay.
func TestForget(t *testing.T) {
	const size = 64 << 20
	path := filepath.Join(t.TempDir(), "m.onnx")
	must(t, os.WriteFile(path, bigModel(t, size), 0o644))
	f, err := onnx.Open(path, onnx.Limits{})
	must(t, err)
	defer f.Close()
	w := f.Model.Graph.ConstTensor("w").Raw
	heap := bytes.Repeat([]byte{7}, 1<<20)
	before := filePages(t)
	f.Forget(heap)
	f.Forget(w[5 : len(w)-3])
	f.Forget(w[:0])
	if after := filePages(t); before-after < size*9/10 {
		t.Errorf("%d bytes of files in memory, %d before", after, before)
	}
	if bytes.Count(heap, []byte{7}) != len(heap) || bytes.Count(w, []byte{0}) != size {
		t.Error("bytes have changed")
	}
}

// filePages is how many bytes of mapped files are in this process's memory.
func filePages(t *testing.T) int {
	b, err := os.ReadFile("/proc/self/status")
	must(t, err)
	m := regexp.MustCompile(`RssFile:\s*(\d+) kB`).FindSubmatch(b)
	if m == nil {
		t.Skip("this kernel does not tell the pages of files")
	}
	n, err := strconv.Atoi(string(m[1]))
	must(t, err)
	return n << 10
}
