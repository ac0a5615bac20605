package engine

import (
	"context"
	"maps"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// storedProducts is a row of products by stored matrices of several sizes.
func storedProducts(t *testing.T) *maker {
	k := newMaker(11)
	width := 256
	x := k.input(k.floats(2, width))
	for _, n := range []int{512, 256, 768, 256, 1024} {
		x = k.node("MatMul", []string{x, k.coded(t, format.Int4, format.Block{Kind: format.Group, Size: 32}, width, n)})
		width = n
	}
	k.output(x)
	return k
}

// TestPackOnThreads packs several matrices with any number of threads: the bits are the same, and none of the threads is left.
func TestPackOnThreads(t *testing.T) {
	k := storedProducts(t)
	y := k.node("MatMul", []string{k.m.Graph.Out[0].Name, k.constant(k.floats(1024, 100))})
	k.output(k.node("MatMul", []string{y, k.constant(k.floats(100, 300))}))
	before := runtime.NumGoroutine()
	var first map[string]*tensor.Tensor
	for _, threads := range []int{1, 2, 5} {
		s, err := Compile(k.m, Options{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		out, err := s.Run(context.Background(), k.in)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = out
		}
		for name, y := range out {
			if string(y.Raw) != string(first[name].Raw) {
				t.Errorf("%s differs with %d threads", name, threads)
			}
		}
		s.Close()
	}
	settle(t, before)
}

// TestPackedForms packs each weight in the one form that its product or convolution then takes.
func TestPackedForms(t *testing.T) {
	convs := []struct {
		out, in, window, group, stride int64
	}{{16, 3, 3, 1, 1}, {64, 16, 1, 1, 1}, {64, 64, 3, 1, 1}, {64, 64, 3, 1, 2}, {64, 1, 3, 64, 1}, {64, 8, 3, 8, 1}, {128, 64, 5, 1, 1}, {4, 128, 3, 1, 1}, {1, 4, 1, 1, 1}}
	k := newMaker(12)
	x := k.input(k.floats(1, 3, 32, 32))
	for _, c := range convs {
		w := k.constant(k.floats(int(c.out), int(c.in), int(c.window), int(c.window)))
		p := c.window / 2
		x = k.node("Conv", []string{x, w}, "group", c.group, "strides", []int64{c.stride, c.stride}, "pads", []int64{p, p, p, p})
	}
	x = k.node("MatMul", []string{k.node("Flatten", []string{x}), k.constant(k.floats(256, 300))})
	k.output(k.node("MatMul", []string{x, k.coded(t, format.Int4, format.Block{Kind: format.Group, Size: 40}, 300, 260)}))
	k.checkFloat(t)
	for _, l := range levels() {
		s := k.compile(t, Options{Threads: 2, Level: &l})
		if len(s.packs.rows) != len(convs)+2 {
			t.Errorf("%s: %d convolutions and two products have %d packed weights: %v", l, len(convs), len(s.packs.rows), slices.Collect(maps.Keys(s.packs.rows)))
		}
	}
}

// codedProducts are convolutions and a product of codes, of which each has an int8 weight, by scales that are known or found in
// each run.
func codedProducts(dynamic bool) (k *maker, weights int) {
	convs := []struct {
		out, in, window, group, stride int
	}{{16, 3, 3, 1, 1}, {64, 16, 1, 1, 1}, {64, 64, 3, 1, 1}, {64, 64, 3, 1, 2}, {64, 1, 3, 64, 1}, {64, 8, 3, 8, 1}, {128, 64, 5, 1, 1}, {16, 128, 3, 1, 1}, {4, 16, 1, 1, 1}}
	k = newMaker(13)
	coded := func(x string) string {
		if dynamic {
			return x
		}
		return k.quantized(x, 0.05, 120, tensor.Uint8)
	}
	x := k.input(k.floats(1, 3, 32, 32))
	product := func(op string, attrs []any, axis int, shape ...int) {
		if dynamic {
			k.n++
			q, s, z := k.name(), k.name(), k.name()
			k.m.Graph.Nodes = append(k.m.Graph.Nodes, &graph.Node{Op: "DynamicQuantizeLinear", In: []string{x}, Out: []string{q, s, z}})
			sums := k.node(op+"Integer", []string{q, k.constant(k.codes(tensor.Int8, -100, 100, shape...)), z}, attrs...)
			x = k.node("Mul", []string{k.node("Cast", []string{sums}, "to", int64(tensor.Float32)), k.node("Mul", []string{s, k.scalar(0.001)})})
			return
		}
		w, _ := k.weight(axis, true, shape...)
		x = k.node(op, []string{coded(x), w}, attrs...)
	}
	for _, c := range convs {
		p := int64(c.window / 2)
		attrs := []any{"group", int64(c.group), "strides", []int64{int64(c.stride), int64(c.stride)}, "pads", []int64{p, p, p, p}}
		product("Conv", attrs, 0, c.out, c.in, c.window, c.window)
	}
	x = k.node("Flatten", []string{x})
	product("MatMul", nil, 1, 1024, 70)
	k.output(coded(x))
	return k, len(convs) + 1
}

// TestPackedCodes packs each weight of codes in the one form that its product or convolution then takes, and tells of one that cannot
// be read.
func TestPackedCodes(t *testing.T) {
	for _, dynamic := range []bool{false, true} {
		k, weights := codedProducts(dynamic)
		for _, l := range levels() {
			s := k.compile(t, Options{Threads: 2, Level: &l})
			if len(s.packs.rows) != weights {
				t.Errorf("%s: %d products have %d packed weights: %v", l, weights, len(s.packs.rows), slices.Collect(maps.Keys(s.packs.rows)))
			}
		}
		_, err := Compile(k.m, Options{Threads: 2, Release: func([]byte) { panic("the file is gone") }})
		if fault.KindOf(err) != fault.Internal {
			t.Errorf("error is %v", err)
		}
	}
}

// TestPackFails tells of a matrix that cannot be read, whoever packs it, each time, and leaves no thread.
func TestPackFails(t *testing.T) {
	k := storedProducts(t)
	before := runtime.NumGoroutine()
	for _, threads := range []int{1, 3} {
		fails := true
		opt := Options{Threads: threads, Release: func([]byte) {
			if fails {
				panic("the file is gone")
			}
		}}
		if _, err := Compile(k.m, opt); fault.KindOf(err) != fault.Internal || !strings.Contains(err.Error(), "the file is gone") {
			t.Errorf("%d threads: error is %v", threads, err)
		}
	}
	settle(t, before)
}

// settle waits until no more goroutines run than before.
func settle(t *testing.T, before int) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines run, %d before", runtime.NumGoroutine(), before)
		}
	}
}
