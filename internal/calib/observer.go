package calib

import (
	"fmt"
	"math"
	"strings"

	"lowbit/internal/format"
	"lowbit/internal/kernel"
)

// An Observer is a way to choose the range of a value from its statistics.
type Observer struct {
	Name string
	Also string // another name that it goes by; "" where it has none
	Doc  string
	Hist bool        // needs histograms
	Of   format.Kind // the formats whose activations it observes where none is named; "": none
	// Range returns the interval that the format has to cover.
	Range func(s *Stats, f *format.Format, symmetric bool) (lo, hi float64)
}

// All lists the observers in the order that help prints them.
var All = []*Observer{MinMax, Average, Percentile, Entropy, MSE, IFMR, PNorm, LSQ, IntegerLength}

// Tried lists the observers among which the best is chosen by trial where none is named.
var Tried = []*Observer{MSE, Average, Percentile, MinMax}

// Lookup returns the observer of that name, or nil.
func Lookup(name string) *Observer {
	for _, o := range All {
		if name != "" && (o.Name == name || o.Also == name) {
			return o
		}
	}
	return nil
}

// Own returns the observer that belongs to a format, or nil.
func Own(f *format.Format) *Observer {
	for _, o := range All {
		if f != nil && o.Of != "" && o.Of == f.Kind {
			return o
		}
	}
	return nil
}

// Names lists the observers' names for messages.
func Names() string {
	var s []string
	for _, o := range All {
		s = append(s, o.Name)
	}
	return strings.Join(s, ", ")
}

// FitBlock returns the parameters that the observer chooses for the weights of one block in format f,
// all finite. Formats of eight bits and more stay symmetric; a format with a rule of its own keeps it.
func (o *Observer) FitBlock(x []float32, f *format.Format) format.Params {
	s := NewStats(o.Hist)
	s.Add(kernel.Generic, x)
	if f.Fit != nil || !s.Seen() {
		return f.FitBlock(x)
	}
	p, err := o.Fit(s, f, f.Bits >= 8)
	if err != nil {
		return f.FitBlock(x)
	}
	return p
}

// Fit returns the parameters that the observer chooses for a value in format f. It is an error
// if nothing finite was seen.
func (o *Observer) Fit(s *Stats, f *format.Format, symmetric bool) (format.Params, error) {
	if !s.Seen() {
		return format.Params{}, fmt.Errorf("no finite value was observed")
	}
	if o.Hist && s.Neg == nil {
		return format.Params{}, fmt.Errorf("observer %s needs histograms", o.Name)
	}
	if s.Min == s.Max { // one value has no distribution to clip
		o = MinMax
	}
	if f.Fit != nil { // a rule of its own, that knows no range
		if s.Neg == nil {
			return format.Params{}, fmt.Errorf("format %s needs histograms; choose another observer", f.Name)
		}
		return f.FitBlock(s.spread()), nil
	}
	symmetric = symmetric || !f.Zero // without a zero point no range is anything else
	lo, hi := o.Range(s, f, symmetric)
	return f.Cover(lo, hi, symmetric), nil
}

// MinMax covers every value seen.
var MinMax = &Observer{
	Name: "minmax", Doc: "cover every value seen",
	Range: func(s *Stats, f *format.Format, symmetric bool) (lo, hi float64) {
		return float64(s.Min), float64(s.Max)
	},
}

// Average covers the mean over samples of each sample's extremes (NNCF's mean-min-max). It is
// the moving average whose weights do not depend on the order of the samples.
var Average = &Observer{
	Name: "average", Also: "mean-minmax", Doc: "cover the mean of the samples' extremes (a moving average that no order changes; NNCF's mean-min-max)",
	Range: func(s *Stats, f *format.Format, symmetric bool) (lo, hi float64) {
		return s.MeanMin(), s.MeanMax()
	},
}

// percentile is the share of values that the percentile observer covers.
const percentile = 0.9999

// Percentile leaves out the most extreme 0.01 % of values: of the magnitudes where the range is
// symmetric, half of it at each end where it is not.
var Percentile = &Observer{
	Name: "percentile", Hist: true, Doc: "cover 99.99 % of the values",
	Range: func(s *Stats, f *format.Format, symmetric bool) (lo, hi float64) {
		return s.cover(percentile, symmetric)
	},
}

// cover returns the range of a share p of the values: of the magnitudes where it is symmetric, else
// with half of the rest beyond each end.
func (s *Stats) cover(p float64, symmetric bool) (lo, hi float64) {
	if symmetric {
		t := min(s.amax(), quantile(s.magnitudes(), s.Zeros, p)*s.width())
		return -t, t
	}
	tail := (1 - p) / 2
	n := s.Count - s.NaNs - s.Infs
	cut := func(h []uint64, most float64) float64 {
		total := uint64(0)
		for _, c := range h {
			total += c
		}
		return min(most, quantile(h, n-total, 1-tail)*s.width())
	}
	return -cut(s.Neg, math.Max(0, -float64(s.Min))), cut(s.Pos, math.Max(0, float64(s.Max)))
}

// quantile returns the position, in bins and linear inside one, below which a share p of the
// values lies. below counts values under the first bin.
func quantile(h []uint64, below uint64, p float64) float64 {
	total := below
	for _, c := range h {
		total += c
	}
	want := p * float64(total)
	at := float64(below)
	if at >= want {
		return 0
	}
	for i, c := range h {
		if at+float64(c) >= want {
			return float64(i) + (want-at)/float64(c)
		}
		at += float64(c)
	}
	return float64(len(h))
}

// spreads is how many numbers stand for all that were seen.
const spreads = 4096

// spread returns numbers that are distributed as the values that were seen, zeros included: each
// stands for an equal share of them, and lies in the middle of its bin.
func (s *Stats) spread() []float32 {
	n := float64(s.Count - s.NaNs - s.Infs)
	var out []float32
	seen := 0.0
	add := func(v float64, count uint64) {
		seen += float64(count)
		for len(out) < int(seen/n*spreads) {
			out = append(out, float32(v))
		}
	}
	for i := len(s.Neg) - 1; i >= 0; i-- {
		add(-(float64(i)+0.5)*s.width(), s.Neg[i])
	}
	add(0, s.Zeros)
	for i, c := range s.Pos {
		add((float64(i)+0.5)*s.width(), c)
	}
	return out
}
