package doctor

import (
	"context"
	"slices"
	"strings"
	"testing"
)

// TestBestIsGoodEnough tries finer and finer scales of a value whose scale is too coarse: the first that takes away nine
// tenths of what goes with it is taken, unless the network stays sick with it.
func TestBestIsGoodEnough(t *testing.T) {
	for _, c := range []struct {
		what        string
		coarse      float32 // by what the file's scale is too large
		by          []float32
		share, upTo float64 // what the first remedy takes away
		want        int
	}{
		{"not all, but enough", 8, []float32{0.26, 1. / 8}, 0.91, 0.97, 0},
		{"too little", 8, []float32{0.42, 1. / 8}, 0.75, 0.88, 1},
		{"enough, but sick", 128, []float32{0.22, 1. / 128}, 0.91, 0.97, 1},
	} {
		s := plain()
		s.h *= c.coarse
		e := screened(t, s)
		at := slices.IndexFunc(e.sites, func(s *site) bool { return s.kind == acts && s.unit.name == "a" && s.from != "x" })
		if at < 0 {
			t.Fatal("no site behind a")
		}
		h := e.sites[at]
		f := &finding{unit: h.unit, sites: []*site{h}}
		f.row = &row{mend: func(*exam, *finding) (list []remedy) {
			for _, by := range c.by {
				p := h.params
				p.Scale *= by
				list = append(list, remedy{c: changes{h: {format: h.format, params: p}}})
			}
			return append(list, e.keep(f)...)
		}}
		list := f.row.mend(e, f)
		var left []float64
		for _, ch := range append([]changes{{}}, list[0].c, list[1].c, off(h)) {
			db, err := e.variant(context.Background(), ch)
			if err != nil {
				t.Fatal(err)
			}
			left = append(left, noise(db))
		}
		if share := (left[0] - left[1]) / (left[0] - left[3]); share < c.share || share > c.upTo || left[2] >= left[1] {
			t.Errorf("%s: the first remedy takes away %.3f of the noise, and leaves %.3g; the second %.3g", c.what, share, left[1], left[2])
		}
		pick, err := e.best(context.Background(), f, changes{})
		if err != nil || pick == nil {
			t.Fatal(pick, err)
		}
		if want := list[c.want].c[h]; pick.c[h].params != want.params || pick.c[h].off {
			t.Errorf("%s: took %+v, not %+v", c.what, pick.c[h], want)
		}
	}
}

// screened examines a sketch as far as its screening.
func screened(t *testing.T, s *sketch) *exam {
	t.Helper()
	j := s.job(t)
	n, err := newNet(j.Float, j.Quantized)
	if err != nil {
		t.Fatal(err)
	}
	e := &exam{Job: j, net: n, few: j.Samples, branches: map[*unit][]string{}, d: &Diagnosis{}}
	if err := e.compareAll(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := e.screen(context.Background()); err != nil {
		t.Fatal(err)
	}
	return e
}

// TestTellOfRest says where the noise of a network lies that stays sick: in its activations or in its weights.
func TestTellOfRest(t *testing.T) {
	for _, c := range []struct {
		what  string
		plant func(s *sketch)
		fixed *Fixed
		want  string
	}{
		{"activations", func(s *sketch) { s.h *= 100 }, nil, "activations of 16 bits"},
		{"weights", func(s *sketch) { scaleAll(s.sw, 150) }, &Fixed{SQNR: 5}, "finer weights"},
		{"mended", func(s *sketch) { scaleAll(s.sw, 150) }, &Fixed{SQNR: 30}, ""},
		{"nothing", func(*sketch) {}, nil, ""},
	} {
		s := plain()
		c.plant(s)
		e := screened(t, s)
		e.d.Fixed = c.fixed
		if err := e.tellOfRest(context.Background()); err != nil {
			t.Fatal(err)
		}
		if told := strings.Join(e.d.Warnings, "\n"); told == "" != (c.want == "") || !strings.Contains(told, c.want) {
			t.Errorf("%s: %q, want %q", c.what, told, c.want)
		}
	}
}
