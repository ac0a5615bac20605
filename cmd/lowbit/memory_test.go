package main

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"testing"

	"lowbit"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/plan"
	"lowbit/internal/recipe"
	"lowbit/internal/repair"
	"lowbit/internal/tensor"
)

func TestSaturation(t *testing.T) {
	const most = math.MaxInt64
	for _, c := range []struct{ got, want int64 }{
		{times(3, 4), 12}, {times(1<<40, 1<<40), most}, {times(most, 1), most}, {times(0, most), 0}, {times(1<<32, 1<<31), most},
		{sum(1, 2), 3}, {sum(most, 1), most}, {sum(most-1, 1), most},
		{valueBytes(graph.Of(tensor.Float32, 2, 3)), 24}, {valueBytes(graph.Of(tensor.Int4, 8)), 8},
		{valueBytes(graph.Of(tensor.Float32, 1<<40, 1<<40)), most / 8}, {valueBytes(graph.Unranked(tensor.Float32)), 0},
	} {
		if c.got != c.want {
			t.Errorf("%d, want %d", c.got, c.want)
		}
	}
}

// TestPeak counts by hand what is alive in a chain with one value that lives long.
func TestPeak(t *testing.T) {
	m, err := graph.ParseText(`<ir_version: 8, opset_import: ["" : 17]>
g (float[256] x) => (float[256] y) {
  a = Relu(x)
  b = Relu(a)
  wide = Concat<axis = 0>(b, b, b, b)
  s = ReduceSum<keepdims = 1>(wide)
  y = Add(a, s)
}`)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := op.Infer(m, nil)
	if err != nil {
		t.Fatal(err)
	}
	// a and b of 1 KiB each, and wide of 4 KiB, are alive together.
	if got := peak(m.Graph, facts); got != 6<<10 {
		t.Errorf("peak is %d bytes, want %d", got, 6<<10)
	}
}

// TestAdmitRepairs asks static quantization for less memory where nothing is repaired, and no copy of the float network stands
// beside the file, and quantization without data for what its largest tensor takes.
func TestAdmitRepairs(t *testing.T) {
	g := &graph.Graph{Name: "g"}
	g.In = []*graph.Value{{Name: "x", Type: graph.Of(tensor.Float32, 1, 2048)}}
	g.Out = []*graph.Value{{Name: "y", Type: graph.Of(tensor.Float32, 1, 2048)}}
	g.SetConst("w", tensor.New(tensor.Float32, 2048, 2048)) // 16 MiB
	g.Nodes = []*graph.Node{{Op: "MatMul", In: []string{"x", "w"}, Out: []string{"y"}}}
	m := lowbit.FromGraph(&graph.Model{IR: 8, Opsets: []graph.Opset{{Version: 17}}, Graph: g}, "m.onnx")
	d, err := lowbit.OpenData("random:normal", lowbit.DataOptions{Samples: 2}, m)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	q := &quantizing{app: &app{threads: 1}, model: m, recipe: &recipe.Recipe{}, set: plan.Settings{Mode: plan.Weights}}
	for memory, ok := range map[int64]bool{3*16<<20 + memoryFloor: true, 3*16<<20 + memoryFloor - 1: false} {
		q.memory = size(memory)
		if err := q.admit(); runtime.GOOS == "linux" && (err == nil) != ok {
			t.Errorf("without data, with %d bytes: %v", memory, err)
		}
	}
	for _, c := range []struct {
		fix    []string
		copies int64
	}{{[]string{repair.None}, 3}, {[]string{"auto"}, 4}} {
		q := &quantizing{app: &app{threads: 1}, model: m, recipe: &recipe.Recipe{Fix: c.fix}, set: plan.Settings{Mode: plan.Static}}
		q.opt.Data = d
		for memory, ok := range map[int64]bool{(1+c.copies)*16<<20 + memoryFloor + 2<<20: true, (1+c.copies)*16<<20 + memoryFloor - 1: false} {
			q.memory = size(memory)
			if err := q.admit(); (err == nil) != ok {
				t.Errorf("fix %v with %d bytes: %v", c.fix, memory, err)
			}
		}
	}
}

func TestNeed(t *testing.T) {
	a := &app{memory: 64 << 20}
	for _, c := range []struct {
		bytes int64
		ok    bool
	}{{0, true}, {40 << 20, true}, {41 << 20, false}, {math.MaxInt64, false}} {
		err := a.need("x", c.bytes)
		if (err == nil) != c.ok || err != nil && fault.KindOf(err) != fault.Limit {
			t.Errorf("%d bytes: %v", c.bytes, err)
		}
	}
	if err := (&app{}).need("x", math.MaxInt64); err != nil {
		t.Errorf("without a limit: %v", err)
	}
}

// heldMain is lowbit, which says in the end how many bytes it held at most.
func heldMain() {
	code := Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	fmt.Println(peakMemory())
	os.Exit(code)
}

// TestMemoryIsKnown wants figures that a test process cannot be without.
func TestMemoryIsKnown(t *testing.T) {
	now, most, total := residentMemory(), peakMemory(), totalMemory()
	if now < 1<<20 || most < now/2 || total != 0 && total < now {
		t.Errorf("now %d, at most %d, of %d bytes", now, most, total)
	}
}
