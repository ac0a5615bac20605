package onnx_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"

	"lowbit/internal/fault"
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

// TestShelf moves bytes to a file without a name and reads them there; what has no room stays where it is.
func TestShelf(t *testing.T) {
	const size = 64<<20 + 5
	dir := t.TempDir()
	path := filepath.Join(t.TempDir(), "m.onnx")
	must(t, os.WriteFile(path, bigModel(t, 2<<20), 0o644))
	f, err := onnx.Open(path, onnx.Limits{})
	must(t, err)
	defer f.Close()
	keep, before := f.Shelf(dir), filePages(t)
	var given, got [][]byte
	for i := range 3 {
		given = append(given, bytes.Repeat([]byte{byte(i), 7, 1, 8, 2}, size/5))
		got = append(got, keep(given[i]))
		if &got[i][0] == &given[i][0] {
			t.Fatalf("bytes %d stay in memory", i)
		}
	}
	if after := filePages(t); after-before > size/2 {
		t.Errorf("%d bytes of files are in memory, %d before", after, before)
	}
	for i := range got {
		if !bytes.Equal(got[i], given[i]) {
			t.Errorf("bytes %d have changed", i)
		}
		f.Forget(got[i])
	}
	if after := filePages(t); after-before > size/2 {
		t.Errorf("%d bytes of files are in memory once they are forgotten, %d before", after, before)
	}
	if !bytes.Equal(got[1], given[1]) {
		t.Error("bytes that were forgotten have changed")
	}
	if b := make([]byte, 1000); &keep(b)[0] != &b[0] {
		t.Error("few bytes are moved")
	}
	if names := listing(t, dir); names != "" {
		t.Errorf("%s is in the folder", names)
	}
	for _, step := range []fault.Step{fault.StepCreate, fault.StepWrite} {
		keep = f.Shelf(dir)
		disarm := fault.Arm(func(s fault.Step) error {
			if s == step {
				return syscall.ENOSPC
			}
			return nil
		})
		first := keep(given[0])
		disarm()
		if second := keep(given[1]); &first[0] != &given[0][0] || &second[0] != &given[1][0] {
			t.Errorf("after a fault at %s bytes are elsewhere", step)
		}
	}
	if keep = f.Shelf(filepath.Join(dir, "absent")); &keep(given[0])[0] != &given[0][0] {
		t.Error("a folder that is not there takes bytes")
	}
}
