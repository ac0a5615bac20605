package doctor

import (
	"context"
	"testing"

	"lowbit/internal/graph"
)

// TestMaterial asks more of a finding the healthier the network is.
func TestMaterial(t *testing.T) {
	for _, c := range []struct {
		what           string
		total          float64
		alone, without float64
		want           bool
	}{
		{"half of the noise of a healthy network", 25, 27, 28.5, true},
		{"a part of the noise of a healthy network", 25, 30, 26, false},
		{"a part of the noise of a doubtful network", 19, 23, 19.6, true},
		{"hardly any of the noise of a doubtful network", 19, 23, 19.1, false},
		{"what alone makes a doubtful network one", 19, 19.5, 19.1, true},
		{"a share of the noise of a sick network", 12, 23, 12.1, true},
		{"less than a share of the noise of a sick network", 12, 45, 12.1, false},
	} {
		e := &exam{Job: &Job{}, net: &net{sites: make([]*site, 10)}, total: c.total, d: &Diagnosis{}}
		if got := e.material(&finding{alone: c.alone, without: c.without}); got != c.want {
			t.Errorf("%s: %v", c.what, got)
		}
	}
}

// TestRankPreparationFirst puts samples that were prepared otherwise in front of a worse fault where they alone make a
// network sick, by whatever the causes are ranked, and behind it where they do not.
func TestRankPreparationFirst(t *testing.T) {
	for _, c := range []struct {
		what  string
		plant func(s *sketch)
		first bool
	}{
		{"clipped", func(s *sketch) { s.x /= 3 }, true},
		{"rounded", func(s *sketch) { s.positive, s.samplesBy, s.x, s.lo, s.h = true, 4, 1, 0, s.h*4 }, false},
	} {
		for _, scored := range []bool{false, true} {
			s := plain()
			scaleAll(s.sw, 150)
			c.plant(s)
			j := s.job(t)
			if scored {
				j.Score = scoreOf(j)
			}
			d := j.examined(t)
			at := map[string]int{}
			for i, f := range d.Causes {
				at[f.Cause] = i + 1
			}
			m, r := at["calibration mismatch"], at["rounding below bits"]
			if m == 0 || r == 0 || (m < r) != c.first {
				t.Errorf("%s, by a metric %v: %+v", c.what, scored, d.Causes)
				continue
			}
			mismatch, rounding := d.Causes[m-1], d.Causes[r-1]
			if rounding.Alone >= mismatch.Alone || mismatch.Alone < healthySQNR != c.first {
				t.Errorf("%s: alone %.1f dB, and the rounding %.1f dB", c.what, mismatch.Alone, rounding.Alone)
			}
			if scored && (mismatch.Scores == nil || rounding.Scores == nil || rounding.Scores[0] >= mismatch.Scores[0]) {
				t.Errorf("%s: scores %v and %v", c.what, mismatch.Scores, rounding.Scores)
			}
		}
	}
}

// scoreOf measures a network by the noise of its outputs: one where there is none.
func scoreOf(j *Job) func(ctx context.Context, m *graph.Model) (float64, error) {
	return func(ctx context.Context, m *graph.Model) (float64, error) {
		e := &exam{Job: j, few: j.Samples}
		if err := e.answer(ctx); err != nil {
			return 0, err
		}
		db, err := e.measure(ctx, m)
		return 1 / (1 + noise(db)), err
	}
}
