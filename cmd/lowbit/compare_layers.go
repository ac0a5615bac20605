package main

import (
	"context"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"

	"lowbit"
	"lowbit/internal/atomicfile"
	"lowbit/internal/calib"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/fault"
	"lowbit/internal/kernel"
	"lowbit/internal/report"
)

// spans keeps the ranges and histograms of the values that two models share.
type spans struct {
	level kernel.Level
	by    map[string]*[2]*calib.Stats
}

func newSpans() (*spans, error) {
	level, err := kernel.Best()
	if err != nil {
		return nil, fault.Invalidf("", "%v", err)
	}
	return &spans{level, map[string]*[2]*calib.Stats{}}, nil
}

// see takes in one sample of a value of both models.
func (s *spans) see(name string, x, y []float32) {
	p := s.by[name]
	if p == nil {
		p = &[2]*calib.Stats{calib.NewStats(true), calib.NewStats(true)}
		s.by[name] = p
	}
	p[0].Add(s.level, x)
	p[1].Add(s.level, y)
}

// histBins is how finely histograms are told.
const histBins = 48

// fill writes what was seen of a layer. A model in which no value was finite has a range of zeros and counts none.
func (s *spans) fill(l *layerDifJSON) {
	l.Hist = report.Hist{Before: []uint64{}, After: []uint64{}}
	p := s.by[l.Name]
	if p == nil || !p[0].Seen() && !p[1].Seen() {
		return
	}
	lo, hi := math.Inf(1), math.Inf(-1)
	for i, r := range []*[2]float64{&l.RangeA, &l.RangeB} {
		if p[i].Seen() {
			*r = [2]float64{float64(p[i].Min), float64(p[i].Max)}
			lo, hi = min(lo, r[0]), max(hi, r[1])
		}
	}
	if hi <= lo {
		hi = lo + max(1e-6, math.Abs(lo)) // a constant
	}
	l.Hist = report.Hist{Lo: lo, Hi: hi, Before: p[0].Bins(lo, hi, histBins), After: p[1].Bins(lo, hi, histBins)}
}

// sparkBins is how many characters draw a histogram.
const sparkBins = 12

// spark draws a histogram in one line, heights as logarithms.
func spark(counts []uint64) string {
	if len(counts) == 0 {
		return ""
	}
	sums := make([]float64, sparkBins)
	for i, n := range counts {
		sums[i*sparkBins/len(counts)] += float64(n)
	}
	top := math.Log10(1 + slices.Max(sums))
	var b strings.Builder
	for _, n := range sums {
		b.WriteRune([]rune(" ▁▂▃▄▅▆▇█")[int(math.Ceil(8*math.Log10(1+n)/max(top, 1e-9)))])
	}
	return b.String()
}

// addLosses measures what each layer costs by itself. Where the second model holds nothing quantized that
// can be taken out, or is not made from the first, it tells nothing.
func (a *app) addLosses(ctx context.Context, ma, mb *lowbit.Model, src *dataset.Source, out *compareJSON) error {
	list, err := lowbit.Losses(ctx, ma, mb, lowbit.DiagnoseOptions{Data: src, Threads: a.threads, Progress: a.newProgress().update})
	if err != nil {
		if ctx.Err() != nil || fault.KindOf(err) == fault.Limit {
			return err
		}
		a.warn("the layers' sensitivity is not known: %v", err)
		return nil
	}
	at := map[string]int{}
	for i, l := range out.Layers {
		at[l.Name] = i
	}
	for _, n := range ma.Graph().Graph.Nodes { // by the node's own name too
		if len(n.Out) > 0 {
			if i, ok := at[n.Out[0]]; ok && n.Name != "" {
				if _, taken := at[n.Name]; !taken {
					at[n.Name] = i
				}
			}
		}
	}
	for _, l := range list {
		for _, name := range []string{l.Result, strings.TrimSuffix(l.Result, "_float"), l.Name} {
			if i, ok := at[name]; ok {
				weights, acts := l.Weights, l.Acts
				out.Layers[i].Alone, out.Layers[i].Weights, out.Layers[i].Acts = l.Alone, &weights, &acts
				break
			}
		}
	}
	return nil
}

// comparePage writes a page on a comparison.
func (a *app) comparePage(path, pathA, pathB string, c *compareJSON) error {
	sections, err := compareSections(fmt.Sprintf("%s against %s", filepath.Base(pathB), filepath.Base(pathA)), c)
	if err != nil {
		return err
	}
	page := &report.Page{Title: "lowbit report", Lead: compareLead, Sections: sections}
	return atomicfile.Write(path, func(w io.Writer) error { return page.WriteHTML(w) }, atomicfile.Options{Force: a.force})
}

const compareLead = "How the values of two models differ, layer by layer. SQNR is signal to quantization noise: each 6 dB less is noise of twice the size."

// compareSections are the parts of a page that tell of a comparison.
func compareSections(heading string, c *compareJSON) ([]report.Section, error) {
	var rows []report.LayerRow
	for _, l := range c.Layers {
		rows = append(rows, report.LayerRow{Name: l.Name, SQNR: l.SQNR, Cosine: l.Cosine, MaxAbs: l.MaxAbs, Before: l.RangeA, After: l.RangeB, Hist: l.Hist,
			Alone: l.Alone, Weights: l.Weights, Input: l.Acts})
	}
	text := fmt.Sprintf("Outputs over %s: %.2f dB, cosine %.6f, largest difference %s, the same top class on %s.", report.Count(c.Samples, "sample"), c.SQNR, c.Cosine, report.Largest(c.MaxAbs), report.Percent(c.Agree))
	return report.Layers(heading, text, rows)
}
