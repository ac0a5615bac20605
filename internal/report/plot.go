package report

import (
	"bytes"
	"fmt"
	"image/color"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// barColor is the colour of bars and lines.
var barColor = color.RGBA{R: 0x2b, G: 0x6c, B: 0xb0, A: 0xff}

// Bars draws one horizontal bar for each label and returns the chart as SVG.
func Bars(title, unit string, labels []string, values []float64) (string, error) {
	p := plot.New()
	p.Title.Text = title
	p.X.Label.Text = unit
	p.X.Min = math.Min(0, floor(values))
	v := make(plotter.Values, len(values))
	names := make([]string, len(values))
	for i := range values { // charts count upwards, people read downwards
		v[len(v)-1-i], names[len(v)-1-i] = values[i], short(labels[i], labelMost)
	}
	bars, err := plotter.NewBarChart(v, vg.Points(14))
	if err != nil {
		return "", fmt.Errorf("plot %q: %w", title, err)
	}
	bars.Horizontal = true
	bars.Color = barColor
	bars.LineStyle.Width = 0
	p.Add(bars)
	p.NominalY(names...)
	return svg(p, 640, vg.Length(60+22*len(values)))
}

func floor(values []float64) float64 {
	lo := math.Inf(1)
	for _, v := range values {
		lo = math.Min(lo, v)
	}
	return lo
}

// svg renders a plot of the given size in points, to stand inside a page.
func svg(p *plot.Plot, w, h vg.Length) (string, error) {
	c := vgsvg.New(w, h)
	p.Draw(draw.New(c))
	var b bytes.Buffer
	if _, err := c.WriteTo(&b); err != nil {
		return "", fmt.Errorf("plot: %w", err)
	}
	text := b.Bytes()
	if i := bytes.Index(text, []byte("<svg")); i >= 0 {
		text = text[i:] // a page has its own head
	}
	return string(text), nil
}
