package report

import (
	"cmp"
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

func init() { plot.DefaultFont.Variant = "Sans" } // as the page around the charts

// Colours of what was before, what is after, and what stands out.
var (
	beforeColor = color.RGBA{R: 0xcb, G: 0xd5, B: 0xe0, A: 0xff}
	afterColor  = barColor
	worstColor  = color.RGBA{R: 0xc5, G: 0x30, B: 0x30, A: 0xff}
)

// Sizes of charts in points.
const (
	wideChart = 760
	lowChart  = 260
)

// Line draws values in order, and names the lowest few of them.
func Line(title, unit string, names []string, values []float64, marked int) (string, error) {
	p := plot.New()
	p.Title.Text = title
	p.Y.Label.Text = unit
	p.X.Label.Text = "layer"
	p.X.Min, p.X.Max = 0, float64(len(values))+1
	p.X.Label.TextStyle.Font.Size = vg.Points(10) // names are long
	points := make(plotter.XYs, len(values))
	for i, v := range drawn(values) {
		points[i] = plotter.XY{X: float64(i + 1), Y: v}
	}
	l, err := plotter.NewLine(points)
	if err != nil {
		return "", fmt.Errorf("plot %q: %w", title, err)
	}
	l.Color, l.Width = afterColor, vg.Points(1.2)
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	grid.Horizontal.Color = color.Gray{Y: 0xe6}
	p.Add(grid, l)
	if err := mark(p, points, values, names, marked); err != nil {
		return "", fmt.Errorf("plot %q: %w", title, err)
	}
	return svg(p, wideChart, lowChart)
}

// The lowest ratio in dB that a chart has room for, and what stands for that of equal values where there is no other.
const (
	leastDrawn = -30
	equalDrawn = 100
)

// drawn are ratios in dB as charts have room for them: those of equal values, which are not finite, are as high as the others go.
func drawn(values []float64) []float64 {
	top := math.Inf(-1)
	for _, v := range values {
		if v < Exact {
			top = max(top, v)
		}
	}
	if math.IsInf(top, -1) {
		top = equalDrawn
	}
	list := make([]float64, len(values))
	for i, v := range values {
		list[i] = max(leastDrawn, min(v, max(top, 0)))
	}
	return list
}

// Ratios draws a bar for each ratio in dB.
func Ratios(title, unit string, labels []string, values []float64) (string, error) {
	return Bars(title, unit, labels, drawn(values))
}

// mark names the lowest points with their values, each at its place.
func mark(p *plot.Plot, points plotter.XYs, values []float64, names []string, marked int) error {
	order := make([]int, len(points))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	order = order[:min(marked, len(order))]
	low := make(plotter.XYs, len(order))
	for k, i := range order {
		low[k] = points[i]
	}
	dots, err := plotter.NewScatter(low)
	if err != nil {
		return err
	}
	dots.GlyphStyle = draw.GlyphStyle{Color: worstColor, Radius: vg.Points(3), Shape: draw.CircleGlyph{}}
	p.Add(dots)
	var words []string
	for _, i := range order {
		words = append(words, fmt.Sprintf("%d %s (%.1f dB)", i+1, short(names[i], nameMost), values[i]))
	}
	p.X.Label.Text = "layer; lowest: " + strings.Join(words, ", ")
	numbers := make([]string, len(order))
	for k, i := range order {
		numbers[k] = fmt.Sprintf(" %d", i+1)
	}
	labels, err := plotter.NewLabels(plotter.XYLabels{XYs: low, Labels: numbers})
	if err != nil {
		return err
	}
	for k := range labels.TextStyle {
		labels.TextStyle[k].Color = worstColor
	}
	p.Add(labels)
	return nil
}

// How many characters of a name charts show: of one among others in a line, beside a bar and above a chart.
const (
	nameMost  = 30
	labelMost = 45
	titleMost = 45
)

// short leaves the middle of a long name out.
func short(name string, most int) string {
	r := []rune(name)
	if len(r) <= most {
		return name
	}
	return string(r[:most/2-1]) + "…" + string(r[len(r)-most/2:])
}

// Ranges draws for each layer the interval of its values before, and that after.
func Ranges(title string, before, after [][2]float64) (string, error) {
	p := plot.New()
	p.Title.Text = title
	p.X.Label.Text, p.Y.Label.Text = "layer", "smallest to largest"
	p.X.Min, p.X.Max = 0, float64(len(before))+1
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	grid.Horizontal.Color = color.Gray{Y: 0xe6}
	p.Add(grid)
	width := vg.Length(max(1.5, min(10, 0.6*wideChart/float64(len(before)+1))))
	for k, set := range [][][2]float64{before, after} {
		style := draw.LineStyle{Color: beforeColor, Width: width}
		if k == 1 {
			style = draw.LineStyle{Color: afterColor, Width: width / 2.5}
		}
		p.Add(&intervals{set, style})
	}
	p.Legend.Add("float", &block{beforeColor})
	p.Legend.Add("quantized", &block{afterColor})
	p.Legend.Top = true
	p.Y.Max += (p.Y.Max - p.Y.Min) / 5 // room for the legend
	return svg(p, wideChart, lowChart)
}

// intervals draws vertical strokes.
type intervals struct {
	list  [][2]float64
	style draw.LineStyle
}

// Plot draws the strokes.
func (v *intervals) Plot(c draw.Canvas, p *plot.Plot) {
	x, y := p.Transforms(&c)
	for i, r := range v.list {
		c.StrokeLine2(v.style, x(float64(i+1)), y(r[0]), x(float64(i+1)), y(r[1]))
	}
}

// DataRange covers all strokes.
func (v *intervals) DataRange() (x0, x1, y0, y1 float64) {
	y0, y1 = math.Inf(1), math.Inf(-1)
	for _, r := range v.list {
		y0, y1 = min(y0, r[0]), max(y1, r[1])
	}
	return 0, float64(len(v.list) + 1), y0, y1
}

// A block is a legend's patch of colour.
type block struct{ color color.Color }

// Thumbnail fills the patch.
func (b *block) Thumbnail(c *draw.Canvas) {
	c.FillPolygon(b.color, []vg.Point{{X: c.Min.X, Y: c.Min.Y}, {X: c.Min.X, Y: c.Max.Y}, {X: c.Max.X, Y: c.Max.Y}, {X: c.Max.X, Y: c.Min.Y}})
}

// Histogram draws how often values occur before and after, on a logarithmic scale.
func Histogram(title string, h Hist) (string, error) {
	p := plot.New()
	p.Title.Text = title
	p.Title.TextStyle.Font.Size = vg.Points(11)
	p.X.Label.Text, p.Y.Label.Text = "number", "how often, powers of ten"
	before, after := steps(h, h.Before), steps(h, h.After)
	area, err := plotter.NewPolygon(append(slices.Clone(before), plotter.XY{X: h.Hi}, plotter.XY{X: h.Lo}))
	if err != nil {
		return "", fmt.Errorf("plot %q: %w", title, err)
	}
	area.Color, area.LineStyle.Width = beforeColor, 0
	line, err := plotter.NewLine(after)
	if err != nil {
		return "", fmt.Errorf("plot %q: %w", title, err)
	}
	line.Color, line.Width = afterColor, vg.Points(1.2)
	p.Add(area, line)
	p.Legend.Add("float", &block{beforeColor})
	p.Legend.Add("quantized", &block{afterColor})
	p.Legend.Top = true
	p.Y.Min = 0
	p.Y.Max += 0.6 // room for the legend
	return svg(p, 370, 220)
}

// steps are the corners of a histogram, heights as logarithms of one more than the count.
func steps(h Hist, counts []uint64) plotter.XYs {
	var list plotter.XYs
	width := (h.Hi - h.Lo) / float64(len(counts))
	for i, n := range counts {
		y := math.Log10(1 + float64(n))
		list = append(list, plotter.XY{X: h.Lo + float64(i)*width, Y: y}, plotter.XY{X: h.Lo + float64(i+1)*width, Y: y})
	}
	return list
}
