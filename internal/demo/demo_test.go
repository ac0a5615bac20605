package demo

import (
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"
	"testing"

	"lowbit/internal/onnx"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// TestImagesAreTheSameEverywhere pins the pixels of a seed: they must not depend on the machine.
func TestImagesAreTheSameEverywhere(t *testing.T) {
	h := sha256.New()
	for i := range 200 {
		pixels, label := Image(1, i)
		h.Write(append(pixels, byte(label)))
	}
	const want = "6973efcb366118bf9825384038aa2c73b5a357f8ce4c8cdeace2ec3a6cc5a3a1"
	if got := hex.EncodeToString(h.Sum(nil)); got != want {
		t.Errorf("images of seed 1 have the hash %s, want %s", got, want)
	}
}

func TestImages(t *testing.T) {
	const n = 1000
	x, labels := Images(7, n)
	if x.String() != "float[1000,1,32,32]" || len(labels) != n {
		t.Fatalf("%v with %d labels", x, len(labels))
	}
	v := tensor.Of[float32](x)
	if slices.Min(v) != -1 || slices.Max(v) != 1 {
		t.Errorf("pixels from %v to %v", slices.Min(v), slices.Max(v))
	}
	seen := map[int]int{}
	for _, l := range labels {
		seen[l]++
	}
	for class := range Classes {
		if seen[class] < 8 { // 28 expected, with a deviation of 5
			t.Errorf("%c was drawn %d times", Classes[class], seen[class])
		}
	}
	pixels, label := Image(7, 9)
	if labels[9] != label || v[9*Side*Side+100] != Normalize(pixels[100]) {
		t.Error("image 9 differs when it is drawn by itself")
	}
	if again, _ := Image(8, 9); slices.Equal(again, pixels) {
		t.Error("two seeds draw the same image")
	}
}

// square returns a ring around the pixels from lo to hi, in either direction.
func square(lo, hi int, clockwise bool) []point {
	ring := []point{{lo, lo}, {hi, lo}, {hi, hi}, {lo, hi}}
	if !clockwise {
		slices.Reverse(ring)
	}
	return ring
}

func TestRasterize(t *testing.T) {
	const full = lines * unit
	at := func(c *[Side * Side]int, x, y int) int { return c[y*Side+x] }
	c := rasterize(outline{square(2*unit+unit/2, 6*unit, true)})
	for _, r := range []struct{ x, y, want int }{
		{1, 3, 0}, {2, 3, full / 2}, {2, 2, full / 4}, {3, 3, full}, {5, 5, full}, {6, 5, 0}, {3, 6, 0},
	} {
		if got := at(c, r.x, r.y); got != r.want {
			t.Errorf("pixel (%d,%d) is covered by %d of %d, want %d", r.x, r.y, got, full, r.want)
		}
	}
	hole := rasterize(outline{square(unit, 8*unit, true), square(3*unit, 5*unit, false)})
	same := rasterize(outline{square(unit, 8*unit, true), square(3*unit, 5*unit, true)})
	if at(hole, 4, 4) != 0 || at(hole, 2, 2) != full || at(same, 4, 4) != full {
		t.Errorf("a hole is covered by %d, a ring wound twice by %d", at(hole, 4, 4), at(same, 4, 4))
	}
	beyond := rasterize(outline{square(-40*unit, 40*unit, true)})
	for i, v := range beyond {
		if v != full {
			t.Fatalf("pixel %d of an outline around all is covered by %d", i, v)
		}
	}
	slanted := rasterize(outline{{{0, 0}, {8 * unit, 8 * unit}, {0, 8 * unit}}})
	sum := 0
	for _, v := range slanted {
		sum += v
	}
	if area := float64(sum) / full; math.Abs(area-32) > 0.1 {
		t.Errorf("a triangle of 32 pixels covers %v", area)
	}
}

func TestOutlines(t *testing.T) {
	rings := map[byte]int{'0': 3, '1': 1, '8': 3, 'A': 2, 'B': 3, 'C': 1, 'L': 1}
	regular := outlines()[0]
	for class := range Classes {
		o := regular[class]
		if want, ok := rings[Classes[class]]; ok && len(o) != want {
			t.Errorf("%c has %d contours, want %d", Classes[class], len(o), want)
		}
		low, high := 0, 0
		for _, ring := range o {
			for _, p := range ring {
				low, high = min(low, p.y), max(high, p.y)
			}
		}
		if h := float64(high-low) / unit; h < 0.9*glyphHeight || h > 1.3*glyphHeight || low+high > 1 || low+high < -1 {
			t.Errorf("%c reaches from %d to %d", Classes[class], low, high)
		}
	}
}

func TestBlurKeepsInk(t *testing.T) {
	var c [Side * Side]int
	c[10*Side+10] = 1 << 16
	blur(&c)
	if c[10*Side+10] != 1<<14 || c[10*Side+11] != 1<<13 || c[11*Side+9] != 1<<12 {
		t.Errorf("a dot becomes %v %v %v", c[10*Side+10], c[10*Side+11], c[11*Side+9])
	}
}

func TestModel(t *testing.T) {
	if n := len(Model()); n > 300_000 {
		t.Errorf("the model takes %d bytes", n)
	}
	m, err := onnx.Decode(Model(), onnx.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	in, out := m.Graph.Required(), m.Graph.Out
	if len(in) != 1 || in[0].Name != Input || in[0].Type.String() != "float[N,1,32,32]" {
		t.Errorf("inputs %v", in)
	}
	if len(out) != 1 || out[0].Name != Output || out[0].Type.String() != "float[N,36]" {
		t.Errorf("outputs %v", out)
	}
	count := map[string]int{}
	for _, n := range m.Graph.Nodes {
		count[n.Op]++
	}
	if count["BatchNormalization"] != count["Conv"] || count["Conv"] == 0 {
		t.Errorf("operators %v", count)
	}
}

// TestModelReads lets the reference evaluation read images that the network has not seen. It gets
// 97 of 100 right on average; fewer than 57 of 64 would happen once in a thousand times.
func TestModelReads(t *testing.T) {
	m, err := onnx.Decode(Model(), onnx.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	const n = 64
	x, labels := Images(3, n)
	out, err := op.Run(m, map[string]*tensor.Tensor{Input: x}, op.Options{})
	if err != nil {
		t.Fatal(err)
	}
	scores := tensor.Of[float32](out[Output])
	right := 0
	for i, l := range labels {
		row := scores[i*len(Classes) : (i+1)*len(Classes)]
		if row[l] == slices.Max(row) {
			right++
		}
	}
	if right < 57 {
		t.Errorf("%d of %d images are read right", right, n)
	}
}
