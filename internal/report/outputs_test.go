package report

import (
	"math"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

func TestOutputs(t *testing.T) {
	values := []*graph.Value{{Name: "class"}, {Name: "index"}, {Name: "boxes"}, {Name: "gone"}}
	a := map[string]*tensor.Tensor{"class": tensor.Float32s([]float32{1, 3}, 2), "index": tensor.Vector(1), "boxes": tensor.Float32s([]float32{4}, 1)}
	b := map[string]*tensor.Tensor{"class": tensor.Float32s([]float32{1, 2}, 2), "index": tensor.Vector(0), "boxes": tensor.Float32s([]float32{5}, 1)}
	var d Diffs
	if agree := d.Add(values, a, b); agree != 1 || d.Len() != 3 || d.MaxAbs() != 1 {
		t.Errorf("agree %d, %d elements, %v", agree, d.Len(), d.MaxAbs())
	}
	if want := 10 * math.Log10(10.0/1); math.Abs(d.SQNR()-want) > 1e-12 || d.SQNR() != d[0].SQNR() || d.Cosine() != d[0].Cosine() {
		t.Errorf("%.3f dB, the worst output has %.3f", d.SQNR(), want)
	}
	half := func(bits ...uint16) *tensor.Tensor { return tensor.Wrap(tensor.Float16, bits, len(bits)) }
	var h Diffs
	h.Add(values[2:3], map[string]*tensor.Tensor{"boxes": half(0x3c00, 0x4000)}, map[string]*tensor.Tensor{"boxes": half(0x3c00, 0x3c00)})
	if h.Len() != 2 || h.MaxAbs() != 1 {
		t.Errorf("in 16 bits: %d elements, %v", h.Len(), h.MaxAbs())
	}
	b["class"] = tensor.Float32s([]float32{3, 1}, 2)
	if d.Add(values, a, b) != 0 {
		t.Error("the largest elements differ")
	}
}

// TestWholeOutputs compares numbers that are no floats where a network has no others, such as classes or the bytes of an image.
func TestWholeOutputs(t *testing.T) {
	outs := []*graph.Value{{Name: "class"}, {Name: "odd"}}
	sample := func(class int64, odd bool) map[string]*tensor.Tensor {
		return map[string]*tensor.Tensor{"class": tensor.Vector(class), "odd": tensor.Wrap(tensor.Bool, []bool{odd}, 1)}
	}
	var d Diffs
	if d.Add(outs, sample(3, true), sample(3, true)) != 1 || d.SQNR() != Exact || d.Len() != 2 {
		t.Errorf("equal: %.1f dB of %d elements", d.SQNR(), d.Len())
	}
	if d.Add(outs, sample(400, true), sample(3, true)) != 0 || math.Abs(d.SQNR()-10*math.Log10(2)) > 1e-9 || d.MaxAbs() != 1 {
		t.Errorf("another class, one of two: %.3f dB, largest difference %v", d.SQNR(), d.MaxAbs())
	}
	var image Diffs
	bytes := func(v ...byte) map[string]*tensor.Tensor {
		return map[string]*tensor.Tensor{"class": tensor.Wrap(tensor.Uint8, v, len(v))}
	}
	if image.Add(outs[:1], bytes(30, 40), bytes(30, 45)) != 0 || math.Abs(image.SQNR()-20) > 1e-9 || image.MaxAbs() != 5 {
		t.Errorf("bytes: %.3f dB, largest difference %v", image.SQNR(), image.MaxAbs())
	}
	var text Diffs
	words := map[string]*tensor.Tensor{"class": tensor.Strings([]string{"cat"}, 1)}
	if text.Add(outs[:1], words, words); text.Len() != 0 {
		t.Errorf("%d words are compared as numbers", text.Len())
	}
}

// TestSmallOutputs holds what pixels and probabilities come to together: neither hides the other.
func TestSmallOutputs(t *testing.T) {
	outs := []*graph.Value{{Name: "boxes"}, {Name: "scores"}, {Name: "empty"}}
	sample := func(box, score, empty float32) map[string]*tensor.Tensor {
		return map[string]*tensor.Tensor{"boxes": tensor.Float32s([]float32{box}, 1), "scores": tensor.Float32s([]float32{score}, 1), "empty": tensor.Float32s([]float32{empty}, 1)}
	}
	var one, two, all Diffs
	one.Add(outs, sample(300, 0.8, 0), sample(301, 0.4, 0))
	two.Add(outs, sample(400, 0.001, 0), sample(401, 0.002, 0))
	all.Merge(one)
	all.Merge(two)
	db := func(signal, noise float64) float64 { return 10 * math.Log10(signal/noise) }
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-4 {
			t.Errorf("%s: %.5f dB, want %.5f", what, got, want)
		}
	}
	near("scores of both", all.SQNR(), db(0.64+1e-6, 0.16+1e-6))
	near("scores of the first", one.Within(all), db((0.64+1e-6)/2, 0.16))
	near("boxes of the second", two.Within(all), db((9e4+16e4)/2, 1))
	near("the second by itself", two.SQNR(), 0)

	var noisy Diffs
	noisy.Add(outs, sample(300, 0.5, 0), sample(300, 0.5, 3))
	near("noise where nothing was", noisy.SQNR(), db(9e4+0.25, 9))

	var single Diffs
	single.Add(outs[1:2], sample(0, 0.001, 0), sample(0, 0.002, 0))
	near("a single output", single.Within(all[1:2]), 0)
}

// TestOutputsApart leaves out outputs of other sizes, and claims no likeness where nothing else is left.
func TestOutputsApart(t *testing.T) {
	outs := []*graph.Value{{Name: "y"}, {Name: "z"}}
	long, short := tensor.Float32s([]float32{1, 2, 3}, 3), tensor.Float32s([]float32{1, 2}, 2)
	var d Diffs
	if d.Add(outs, map[string]*tensor.Tensor{"y": long}, map[string]*tensor.Tensor{"y": short}) != 0 || d.Apart() != 1 || d.SQNR() != -Exact || d.Cosine() != 0 {
		t.Errorf("%d apart, %.1f dB, cosine %v", d.Apart(), d.SQNR(), d.Cosine())
	}
	var both Diffs
	both.Add(outs, map[string]*tensor.Tensor{"y": long, "z": short}, map[string]*tensor.Tensor{"y": short, "z": short})
	if both.Merge(d); both.Apart() != 2 || both.Len() != 2 || both.SQNR() != Exact || both.Cosine() != 1 {
		t.Errorf("%d apart, %d elements, %.1f dB, cosine %v", both.Apart(), both.Len(), both.SQNR(), both.Cosine())
	}
}
