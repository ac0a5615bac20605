package report

import (
	"cmp"
	"fmt"
	"html/template"
	"slices"
)

// A LayerRow is what a page tells of one value that two networks compute.
type LayerRow struct {
	Name           string
	SQNR, Cosine   float64
	MaxAbs         float64
	Before, After  [2]float64 // smallest and largest value
	Hist           Hist
	Alone          *float64 // SQNR of the outputs where this layer alone is quantized; nil where that is not known
	Weights, Input *float64 // of its result by its weights alone, and by its quantized input alone
}

// A Hist counts the values of both networks in bins of equal width.
type Hist struct {
	Lo     float64  `json:"lo"`
	Hi     float64  `json:"hi"`
	Before []uint64 `json:"before"`
	After  []uint64 `json:"after"`
}

// How much a page shows of a model with many layers.
const (
	shownHists  = 6  // histograms, of the layers with the lowest SQNR
	shownAlone  = 15 // the most sensitive layers
	markedWorst = 3  // layers that a chart names
)

// Layers makes the sections of a page on two networks, layer by layer.
func Layers(heading, text string, list []LayerRow) ([]Section, error) {
	sec := Section{Heading: heading, Text: text}
	if len(list) == 0 {
		return []Section{sec}, nil
	}
	var names []string
	var sqnr []float64
	var before, after [][2]float64
	for _, l := range list {
		names, sqnr = append(names, l.Name), append(sqnr, l.SQNR)
		before, after = append(before, l.Before), append(after, l.After)
	}
	chart, err := Line("SQNR of each layer's result, in the order of the network", "dB", names, sqnr, markedWorst)
	if err != nil {
		return nil, err
	}
	sec.AddPlot(chart)
	if chart, err = Ranges("Range of each layer's result", before, after); err != nil {
		return nil, err
	}
	sec.AddPlot(chart)
	alone, err := sensitivity(list)
	if err != nil {
		return nil, err
	}
	hists, err := worstHists(list)
	if err != nil {
		return nil, err
	}
	table := Section{Heading: "All layers", Fold: true, Header: []string{"value", "SQNR dB", "cosine", "max abs", "float range", "quantized range", "alone dB"}}
	for _, l := range list {
		last := ""
		if l.Alone != nil {
			last = fmt.Sprintf("%.1f", *l.Alone)
		}
		table.Rows = append(table.Rows, []string{l.Name, fmt.Sprintf("%.2f", l.SQNR), fmt.Sprintf("%.6f", l.Cosine), Largest(l.MaxAbs), Range(l.Before, l.Hist.Before), Range(l.After, l.Hist.After), last})
	}
	return append(append([]Section{sec}, alone...), hists, table), nil
}

// Range writes the interval of the values that were counted, which are the finite ones.
func Range(r [2]float64, counts []uint64) string {
	if !slices.ContainsFunc(counts, func(n uint64) bool { return n > 0 }) {
		return "none finite"
	}
	return fmt.Sprintf("%.4g … %.4g", r[0], r[1])
}

// sensitivity plots the layers that cost the outputs most when they alone are quantized.
func sensitivity(list []LayerRow) ([]Section, error) {
	list = slices.DeleteFunc(slices.Clone(list), func(l LayerRow) bool { return l.Alone == nil })
	if len(list) == 0 {
		return nil, nil
	}
	slices.SortStableFunc(list, func(a, b LayerRow) int { return cmp.Compare(*a.Alone, *b.Alone) })
	list = list[:min(len(list), shownAlone)]
	var names []string
	var alone []float64
	s := Section{Heading: "Sensitivity", Text: "What is left of the outputs, on 16 samples at most, when a layer alone is quantized, the most sensitive first; and what is left of the layer's own result when its weights alone are, or its input alone.",
		Header: []string{"layer", "outputs, alone dB", "result by weights dB", "result by input dB"}}
	for _, l := range list {
		names, alone = append(names, l.Name), append(alone, *l.Alone)
		row := []string{l.Name, fmt.Sprintf("%.1f", *l.Alone)}
		for _, v := range []*float64{l.Weights, l.Input} {
			cell := "–"
			if v != nil && *v < Exact {
				cell = fmt.Sprintf("%.1f", *v)
			}
			row = append(row, cell)
		}
		s.Rows = append(s.Rows, row)
	}
	chart, err := Ratios("SQNR of the outputs with one layer quantized: short bars are sensitive", "dB", names, alone)
	if err != nil {
		return nil, err
	}
	s.AddPlot(chart)
	return []Section{s}, nil
}

// worstHists plots the values of the layers with the lowest SQNR.
func worstHists(list []LayerRow) (Section, error) {
	s := Section{Heading: "Values of the worst layers", Text: "How often each number occurs, on a logarithmic scale: in float as an area, quantized as a line."}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b LayerRow) int { return cmp.Compare(a.SQNR, b.SQNR) })
	for _, l := range list[:min(len(list), shownHists)] {
		if len(l.Hist.Before) == 0 {
			continue
		}
		chart, err := Histogram(fmt.Sprintf("%s, %.1f dB", short(l.Name, titleMost), l.SQNR), l.Hist)
		if err != nil {
			return s, err
		}
		s.Small = append(s.Small, template.HTML(chart))
	}
	return s, nil
}
