package doctor

import "testing"

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
