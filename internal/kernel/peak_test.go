package kernel

import "testing"

func TestPeak(t *testing.T) {
	for _, l := range Levels() {
		f, i := l.PeakF32(), l.PeakU8S8()
		if l == Generic {
			if f != (Peak{}) || i != (Peak{}) {
				t.Errorf("generic has peaks %v, %v", f, i)
			}
			continue
		}
		// Any core does more than one vector in ten cycles of a slow clock.
		if f.GOPS < 1 || i.GOPS < 1 {
			t.Errorf("%v: peaks %v, %v are too low", l, f, i)
		}
		b := l.PeakBF16()
		if l.TilesBF16() && b.GOPS < f.GOPS {
			t.Errorf("%v: the peak of bf16, %v, is below that of f32, %v", l, b, f)
		}
		t.Logf("%v: %v %v %v", l, f, i, b)
	}
}
