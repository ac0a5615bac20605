package main

import (
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/tensor"
)

// towerSide is the number of rows and columns of the matrices of a tower, towerHeight that of its matrices.
const towerSide, towerHeight = 2048, 20

// writeTower writes rows of an embedding that are multiplied by one matrix after the other, all in a data file with its checksum.
func writeTower(t *testing.T, path string) {
	t.Helper()
	m, err := graph.ParseText(`<ir_version: 8, opset_import: ["" : 17]>
g (int64[N] i) => (float[N,2048] y) {
  x0 = Gather (table, i)
}`)
	if err != nil {
		t.Fatal(err)
	}
	rng, w := rand.New(rand.NewPCG(1, 2)), tensor.New(tensor.Float32, towerSide, towerSide)
	for i, x := 0, tensor.Of[float32](w); i < len(x); i++ {
		x[i] = rng.Float32() - 0.5
	}
	matrix := func(name string) string {
		m.Graph.SetConst(name, w.Reshape(towerSide, towerSide))
		return name
	}
	matrix("table")
	x := "x0"
	for i := range towerHeight {
		next := "x" + strconv.Itoa(i+1)
		if i == towerHeight-1 {
			next = "y"
		}
		m.Graph.Nodes = append(m.Graph.Nodes, &graph.Node{Op: "MatMul", In: []string{x, matrix("w" + strconv.Itoa(i))}, Out: []string{next}})
		x = next
	}
	if err := onnx.Save(path, m, onnx.SaveOptions{ExternalAbove: 1}); err != nil {
		t.Fatal(err)
	}
}

// TestQuantizeMemory quantizes a model of 352 MB without data, and wants no more held than three of its largest tensors,
// the program, and what the collector leaves.
func TestQuantizeMemory(t *testing.T) {
	if raced {
		t.Skip("the race detector takes memory of its own")
	}
	if testing.Short() {
		t.Skip("writes half a gigabyte")
	}
	dir := t.TempDir()
	writeTower(t, filepath.Join(dir, "net.onnx"))
	const most = 3*4*towerSide*towerSide + 64<<20
	for _, args := range [][]string{{"--mode", "dynamic"}, {"--mode", "weights"}, {"--scheme", "FP16"}} {
		b, err := program(dir, "lowbit-held", append([]string{"quantize", "net.onnx", "-o", "out.onnx", "--force", "-q"}, args...)...).Output()
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		lines := strings.Fields(string(b))
		held, err := strconv.Atoi(lines[len(lines)-1])
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%v: %d MB of %d", args, held>>20, most>>20)
		if held > most {
			t.Errorf("%v: %d bytes were held, want at most %d", args, held, most)
		}
	}
	if list := temporary(t, dir); len(list) > 0 {
		t.Errorf("%v are left", list)
	}
}
