package kernel

import "testing"

func TestPeak(t *testing.T) {
	for _, l := range Levels() {
		f, i, s := l.PeakF32(), l.PeakU8S8(), l.PeakBits()
		if l == Generic {
			if f != (Peak{}) || i != (Peak{}) || s != (Peak{}) {
				t.Errorf("generic has peaks %v, %v, %v", f, i, s)
			}
			continue
		}
		// Any core does more than one vector in ten cycles of a slow clock.
		if f.GOPS < 1 || i.GOPS < 1 {
			t.Errorf("%v: peaks %v, %v are too low", l, f, i)
		}
		if s.GOPS < f.GOPS {
			t.Errorf("%v: the peak of signs, %v, is below that of f32, %v", l, s, f)
		}
		b := l.PeakBF16()
		if l.TilesBF16() && b.GOPS < f.GOPS {
			t.Errorf("%v: the peak of bf16, %v, is below that of f32, %v", l, b, f)
		}
		if f.Random < 1 || i.Random < 1 {
			t.Errorf("%v: peaks %v, %v of random numbers are too low", l, f, i)
		}
		t.Logf("%v: %v %v %v %v", l, f, i, b, s)
	}
}
