package engine

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"lowbit/internal/fault"
	"lowbit/internal/format"
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
