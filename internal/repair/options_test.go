package repair

import (
	"context"
	"strings"
	"testing"
)

func TestPick(t *testing.T) {
	for word, want := range map[string]string{
		"bias": "", "bias=once": "", "smooth": "", "smooth=0.85": "", "smooth=1": "",
		"bais": "there is no repair", "bias=twice": "takes bias=once", "smooth=2": "takes smooth=ALPHA",
		"smooth=": "takes", "gptq=1": "has no options",
	} {
		r, err := Pick(word)
		switch {
		case want == "" && (err != nil || r.Name != word || r.Run == nil || r.Doc == ""):
			t.Errorf("%s: %v %v", word, r, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v", word, err)
		}
	}
}

// TestBiasOnce corrects each layer by itself, behind weights of four bits: the outputs come nearer, if not
// as near as by correcting layer after layer.
func TestBiasOnce(t *testing.T) {
	j, float, fresh := coarse(t)
	before := sqnr(t, float, j.quantized(t), fresh)
	once, err := Pick("bias=once")
	if err != nil {
		t.Fatal(err)
	}
	out, err := once.Run(context.Background(), j)
	if err != nil {
		t.Fatal(err)
	}
	after := sqnr(t, float, j.quantized(t), fresh)
	t.Logf("%.1f → %.1f dB: %v", before, after, out.Changes)
	if after < before+0.5 {
		t.Errorf("%.1f dB before, %.1f after: %v", before, after, out.Changes)
	}
}

// TestDeadLane has a lane that nothing activates: a factor for it would only swell what a clamp holds back.
func TestDeadLane(t *testing.T) {
	f := smoothing([]float64{0, 4, 0.25}, []float64{1, 1, 4}, 0.5)
	for i, want := range []float64{1, 0.5, 4} {
		if f[i] != want {
			t.Errorf("lane %d: factor %g, want %g", i, f[i], want)
		}
	}
}
