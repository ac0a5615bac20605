package tensor

import (
	"testing"
	"unsafe"
)

func TestClassOf(t *testing.T) {
	sizes := map[int]int{}
	for n := leastSpare; n < 1<<18; n++ {
		class, size := classOf(n)
		if size < n || size > n+n/classSteps {
			t.Fatalf("%d bytes get %d", n, size)
		}
		if c, s := classOf(size); c != class || s != size {
			t.Fatalf("%d bytes of class %d are of class %d", size, class, c)
		}
		if s, ok := sizes[class]; ok && s != size {
			t.Fatalf("class %d has %d and %d bytes", class, s, size)
		}
		sizes[class] = size
	}
	if class, _ := classOf(1 << 56); class >= len(spare) {
		t.Fatalf("class %d", class)
	}
}

// TestRecycle hands over memory until some comes back: only what Scratch made, and only once.
func TestRecycle(t *testing.T) {
	begin := func(x *Tensor) *byte { return unsafe.SliceData(x.Raw) }
	back := false
	for range 100 { // the collector may take it
		x := Scratch(Float32, 100, 100)
		if x.Len() != 10000 || len(x.Raw) != 40000 || uintptr(unsafe.Pointer(begin(x)))%64 != 0 {
			t.Fatalf("%s of %d bytes at %p", x, len(x.Raw), begin(x))
		}
		at := begin(x)
		Recycle(map[string]*Tensor{"x": x, "none": nil})
		if x.Raw != nil {
			t.Fatal("a recycled tensor keeps its memory")
		}
		Recycle(map[string]*Tensor{"x": x})
		y, z := Scratch(Uint8, 39000), Scratch(Uint8, 39000)
		if begin(y) == begin(z) {
			t.Fatal("memory was handed out twice")
		}
		back = back || begin(y) == at
	}
	if !back {
		t.Error("no memory came back")
	}
	scratch := Scratch(Float32, 5000)
	kept := Keep(map[string]*Tensor{"x": scratch, "y": New(Float32, 5000)})
	kept["clone"], kept["view"], kept["new"] = scratch.Clone(), scratch.Reshape(50, 100), New(Float32, 50, 100)
	Recycle(kept)
	for name, x := range kept {
		if len(x.Raw) != 20000 {
			t.Errorf("%s was recycled", name)
		}
	}
	if begin(kept["x"]) != begin(scratch) {
		t.Error("kept tensors are others")
	}
	if s := Scratch(String, 2); len(s.Str) != 2 {
		t.Error("strings")
	}
}
