package report

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A replay shows fixed values and returns the last as output y.
type replay struct {
	values []shown
	err    error
}

func (r replay) RunWatch(_ context.Context, _ map[string]*tensor.Tensor, watch func(string, *tensor.Tensor)) (map[string]*tensor.Tensor, error) {
	var last *tensor.Tensor
	for _, v := range r.values {
		last = tensor.Float32s(slices.Clone(v.x), len(v.x))
		watch(v.name, last)
		clear(tensor.Of[float32](last)[1:]) // values may be overwritten after they were shown
		copy(tensor.Of[float32](last), v.x)
	}
	return map[string]*tensor.Tensor{"y": last}, r.err
}

func (replay) Close() {}

func TestComparison(t *testing.T) {
	pair := Pair{
		A:       replay{values: []shown{{"h", []float32{1, 2}}, {"only", []float32{1}}, {"sized", []float32{1}}, {"y", []float32{1, 2}}}},
		B:       replay{values: []shown{{"h_q", []float32{1, 1}}, {"new", []float32{1}}, {"sized", []float32{1, 2}}, {"y", []float32{2, 1}}}},
		Outputs: []*graph.Value{{Name: "y"}},
		NameInB: map[string]string{"h": "h_q"},
	}
	var c Comparison
	for range 3 {
		if err := c.Add(context.Background(), pair, nil); err != nil {
			t.Fatal(err)
		}
	}
	if c.Samples != 3 || c.Agree != 0 || c.Outputs.Len() != 6 {
		t.Errorf("%d samples, %d agree, %d elements", c.Samples, c.Agree, c.Outputs.Len())
	}
	if got := strings.Join(slices.Sorted(maps.Keys(c.Layers)), " "); got != "h y" || c.Layers["h"].Len() != 6 || c.Layers["h"].MaxAbs() != 1 {
		t.Errorf("layers %s: %+v", got, c.Layers["h"])
	}
	pair.ReadB = func(string, *tensor.Tensor) []float32 { return nil }
	var none Comparison
	if err := none.Add(context.Background(), pair, nil); err != nil || len(none.Layers) != 0 {
		t.Errorf("values that cannot be read: %v (%v)", none.Layers, err)
	}
	for _, p := range []Pair{{A: replay{err: errors.New("a fails")}, B: pair.B}, {A: pair.A, B: replay{err: errors.New("b fails")}}} {
		if err := c.Add(context.Background(), p, nil); err == nil || c.Samples != 3 {
			t.Errorf("a network that fails: %v, %d samples", err, c.Samples)
		}
	}
}

// TestAxesAreLabelled holds charts to say what their axes are.
func TestAxesAreLabelled(t *testing.T) {
	ranges, err := Ranges("r", [][2]float64{{-1, 1}}, [][2]float64{{-1, 0.9}})
	if err != nil {
		t.Fatal(err)
	}
	hist, err := Histogram("h", Hist{Lo: -1, Hi: 1, Before: []uint64{1, 20}, After: []uint64{2, 19}})
	if err != nil {
		t.Fatal(err)
	}
	for chart, labels := range map[string][]string{ranges: {"layer", "smallest to largest"}, hist: {"number", "how often, powers of ten"}} {
		for _, want := range labels {
			if !strings.Contains(chart, ">"+want+"<") {
				t.Errorf("no axis is called %q", want)
			}
		}
	}
}

func TestPage(t *testing.T) {
	s := Section{Heading: "Variants <1>", Text: "a & b", Header: []string{"name", "dB"}, Rows: [][]string{{"<script>", "12"}}}
	chart, err := Bars("SQNR", "dB", []string{"int8", "int4"}, []float64{30.5, -2})
	if err != nil {
		t.Fatal(err)
	}
	s.AddPlot(chart)
	page := Page{Title: "Report \"x\"", Lead: "lead", Sections: []Section{s}}
	var b, again bytes.Buffer
	if err := page.WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	if err := page.WriteHTML(&again); err != nil || !bytes.Equal(b.Bytes(), again.Bytes()) {
		t.Error("the same page is written in two ways")
	}
	text := b.String()
	for _, want := range []string{"Variants &lt;1&gt;", "a &amp; b", "&lt;script&gt;", "<svg", "int8", "</svg>"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing", want)
		}
	}
	if !strings.Contains(text, ",sans-serif!important") || !strings.Contains(text, "font-family:Liberation Sans") {
		t.Error("where the charts' font is missing, none like it is named")
	}
	for _, bad := range []string{"<script", "http://", "https://", "<?xml"} {
		if strings.Contains(strings.ReplaceAll(strings.ReplaceAll(text, "http://www.w3.org/2000/svg", ""), "http://www.w3.org/1999/xlink", ""), bad) {
			t.Errorf("%q is in the page", bad)
		}
	}
}

// TestChartsOfLongNames leaves room beside names that are longer than a chart is wide.
func TestChartsOfLongNames(t *testing.T) {
	long := "model/" + strings.Repeat("very_long/", 300) + "Conv:0"
	rows := []LayerRow{{Name: long, SQNR: 20, Hist: Hist{Hi: 1, Before: []uint64{1}, After: []uint64{1}}, Alone: new(float64)}}
	sections, err := Layers("h", "", rows)
	if err != nil {
		t.Fatal(err)
	}
	charts := 0
	for _, s := range sections {
		for _, chart := range append(s.Plots, s.Small...) {
			if charts++; strings.Contains(string(chart), strings.Repeat("very_long/", 10)) {
				t.Errorf("a chart of %q shows the whole name", s.Heading)
			}
		}
	}
	if last := sections[len(sections)-1]; charts != 4 || last.Rows[0][0] != long {
		t.Errorf("%d charts; the table has %q", charts, last.Rows[0][0])
	}
}

// TestChartsOfEqualValues draws ratios of equal values as high as the others go, and names the true ones.
func TestChartsOfEqualValues(t *testing.T) {
	if got := drawn([]float64{40, Exact, -Exact, 12}); !slices.Equal(got, []float64{40, 40, leastDrawn, 12}) {
		t.Errorf("drawn %v", got)
	}
	if got := drawn([]float64{Exact, Exact}); !slices.Equal(got, []float64{equalDrawn, equalDrawn}) {
		t.Errorf("drawn %v", got)
	}
	chart, err := Line("l", "dB", []string{"good", "broken"}, []float64{40, -Exact}, 1)
	if err != nil || !strings.Contains(chart, "broken (-999.0 dB)") {
		t.Errorf("the lowest ratio is not told (%v)", err)
	}
}

func TestRange(t *testing.T) {
	if got := Range([2]float64{-1, 2.5}, []uint64{0, 3}); got != "-1 … 2.5" {
		t.Error(got)
	}
	for _, none := range [][]uint64{nil, {0, 0}} {
		if got := Range([2]float64{}, none); got != "none finite" {
			t.Error(got)
		}
	}
}
