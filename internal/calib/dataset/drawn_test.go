package dataset

import (
	"bytes"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"lowbit/internal/fault"
	"lowbit/internal/tensor"
)

// TestDrawnInputs draws for every kind of input.
func TestDrawnInputs(t *testing.T) {
	in := inputs(input("nchw", tensor.Float32, 1, 3, 20, 32), input("nhwc", tensor.Float32, -1, 16, 16, 1),
		input("bytes", tensor.Uint8, 1, 3, 8, 8), input("state", tensor.Float32, 1, 2, 4, 4), input("stack", tensor.Float32, 2, 1, 33, 16), input("ids", tensor.Int64, 1, 9))
	s := open(t, None, Options{Inputs: in, Seed: 3})
	if s.Len() != defaultDrawn || len(s.Info().Warnings) != 4 || s.Info().Preprocess != nil {
		t.Errorf("%d samples, %v, %v", s.Len(), s.Info().Warnings, s.Info().Preprocess)
	}
	if w := strings.Join(s.Info().Warnings, " "); !strings.Contains(w, `"state"`) || strings.Contains(w, `"nchw"`) {
		t.Errorf("warnings: %s", w)
	}
	a := sample(t, s, 4)
	for name, want := range map[string]string{"nchw": "[1 3 20 32]", "nhwc": "[1 16 16 1]", "bytes": "[1 3 8 8]", "state": "[1 2 4 4]", "stack": "[2 1 33 16]", "ids": "[1 9]"} {
		if got := tensor.FormatShape(a.Inputs[name].Shape); strings.ReplaceAll(got, ",", " ") != want && got != strings.ReplaceAll(want, " ", ",") {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	again := sample(t, open(t, None, Options{Inputs: in, Seed: 3, Samples: 9}), 4)
	other := sample(t, open(t, None, Options{Inputs: in, Seed: 4}), 4)
	for name, x := range a.Inputs {
		if !bytes.Equal(x.Raw, again.Inputs[name].Raw) {
			t.Errorf("%s is drawn anew in another number of samples", name)
		}
		if name != "ids" && bytes.Equal(x.Raw, other.Inputs[name].Raw) {
			t.Errorf("%s does not depend on the seed", name)
		}
	}
	_, err := Open(None, Options{})
	refused(t, "without a model", err, fault.Invalid)
}

// TestDrawnPreprocess keeps to the pre-processing that is given.
func TestDrawnPreprocess(t *testing.T) {
	in := inputs(input("x", tensor.Float32, 1, 3, -1, -1))
	pre := &Preprocess{Scale: 1.0 / 255, Crop: 40, Color: "BGR", Layout: "NCHW"}
	s := open(t, None, Options{Inputs: in, Preprocess: pre})
	x := sample(t, s, 0).Inputs["x"]
	if s.Info().Preprocess == nil || len(s.Info().Warnings) != 1 || x.Shape[2] != 40 {
		t.Errorf("%v %v %v", s.Info().Preprocess, s.Info().Warnings, x.Shape)
	}
	for _, v := range tensor.Of[float32](x) {
		if v < 0 || v > 1 {
			t.Fatalf("pixel %v", v)
		}
	}
}

// TestSceneStatistics holds drawn images against what is known of photographs: neighbours are much
// alike, distant pixels less so; differences between neighbours have heavy tails; the mean power at
// each octave falls like 1/f² in two dimensions, so that differences grow slowly with distance.
func TestSceneStatistics(t *testing.T) {
	const side = 128
	var square [8]float64
	var fourth, n float64
	mean, power := 0.0, 0.0
	for i := range 12 {
		img := drawScene(rand.NewPCG(1, uint64(i)), side, side)
		at := func(x, y int) float64 { return float64(img.pix[3*(y*side+x)+1]) / 255 }
		for y := range side {
			for x := range side - 64 {
				mean += at(x, y)
				power += at(x, y) * at(x, y)
				n++
				for k := range 7 {
					d := at(x+1<<k, y) - at(x, y)
					square[k] += d * d
					if k == 0 {
						fourth += d * d * d * d
					}
				}
			}
		}
	}
	mean /= n
	variance := power/n - mean*mean
	if math.Abs(mean-0.5) > 0.08 || variance < 0.03 || variance > 0.1 {
		t.Errorf("mean %.3f, variance %.4f", mean, variance)
	}
	if r := 1 - square[0]/n/(2*variance); r < 0.85 {
		t.Errorf("neighbours correlate by %.3f", r)
	}
	if r := 1 - square[6]/n/(2*variance); r > 0.6 {
		t.Errorf("pixels 64 apart correlate by %.3f", r)
	}
	if kurtosis := fourth * n / (square[0] * square[0]); kurtosis < 6 {
		t.Errorf("differences of neighbours have a kurtosis of %.1f", kurtosis)
	}
	for k := range 5 {
		if growth := square[k+1] / square[k]; growth < 1 || growth > 2.6 {
			t.Errorf("from %d to %d pixels apart, differences grow by %.2f", 1<<k, 2<<k, growth)
		}
	}
}
