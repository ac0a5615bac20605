package report

import "testing"

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 samples", 1: "1 sample", 2: "2 samples"} {
		if got := Count(n, "sample"); got != want {
			t.Errorf("%s, not %s", got, want)
		}
	}
}

func TestPercent(t *testing.T) {
	for share, want := range map[float64]string{0: "0.0 %", 1: "100.0 %", 0.5: "50.0 %", 0.9994: "99.9 %", 0.9996: "99.96 %", 0.99999: "99.999 %", 0.0004: "0.04 %"} {
		if got := Percent(share); got != want {
			t.Errorf("%g: %s, not %s", share, got, want)
		}
	}
}
