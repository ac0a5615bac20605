package onnx_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"

	"lowbit/internal/onnx"
)

// longModel is a chain of n nodes of two inputs and one attribute.
func longModel(t testing.TB, n int) []byte {
	str := func(b []byte, num protowire.Number, s string) []byte {
		return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), s)
	}
	var g []byte
	for i := range n {
		in := "x"
		if i > 0 {
			in = fmt.Sprint("value_", i-1)
		}
		node := str(str(str(nil, 1, in), 1, "x"), 2, fmt.Sprint("value_", i))
		g = str(g, 1, string(str(str(node, 3, fmt.Sprint("node_", i)), 4, "Add")))
	}
	g = str(g, 11, string(str(nil, 1, "x")))
	return str(build(t, "ir_version: 8 opset_import { version: 17 }"), 7, string(g))
}

// TestOpenMemory holds the memory that opening takes against the limit: 256 bytes for each node,
// and a fixed part, however large the tensors are.
func TestOpenMemory(t *testing.T) {
	dir := t.TempDir()
	const nodes = 100_000
	long, big := filepath.Join(dir, "long.onnx"), filepath.Join(dir, "big.onnx")
	must(t, os.WriteFile(long, longModel(t, nodes), 0o644), os.WriteFile(big, bigModel(t, 64<<20), 0o644))
	for _, c := range []struct {
		path string
		most int64
	}{{long, nodes*256 + 16<<20}, {big, 1 << 20}} {
		before := memory()
		f, err := onnx.Open(c.path, onnx.Limits{})
		must(t, err)
		after := memory()
		kept := int64(after.HeapAlloc) - int64(before.HeapAlloc)
		t.Logf("%s: keeps %d bytes, allocates %d", filepath.Base(c.path), kept, after.TotalAlloc-before.TotalAlloc)
		if kept > c.most {
			t.Errorf("%s: keeps %d bytes, want at most %d", filepath.Base(c.path), kept, c.most)
		}
		must(t, f.Close())
	}
}

// memory returns what is in use once garbage is gone.
func memory() (m runtime.MemStats) {
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m
}

func BenchmarkOpenLong(b *testing.B) {
	m := longModel(b, 100_000)
	b.SetBytes(int64(len(m)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := onnx.Decode(m, onnx.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenBig(b *testing.B) {
	path := filepath.Join(b.TempDir(), "m.onnx")
	must(b, onnx.Save(path, weights(b, 256<<20), onnx.SaveOptions{}))
	for b.Loop() {
		f, err := onnx.Open(path, onnx.Limits{})
		must(b, err, f.Close())
	}
}
