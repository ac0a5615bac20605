package op

import (
	"cmp"
	"math"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A roiPool is the geometry shared by MaxRoiPool and RoiAlign: x (N,C,H,W), one output
// (C,h,w) for each region.
type roiPool struct {
	batch, channels, height, width int
	h, w                           int // of the output
	scale                          float64
	x, rois                        []float64
	count, columns                 int // of rois
}

func newROIPool(c *Call, h, w, columns int) (*roiPool, error) {
	x, r := c.In[0].Shape, c.In[1].Shape
	if len(x) != 4 || len(r) != 2 || r[1] != columns {
		return nil, invalidf("input of shape %v and regions of shape %v", x, r)
	}
	if err := checkSizes("output size", []int{h, w}, 2); err != nil {
		return nil, err
	}
	p := &roiPool{batch: x[0], channels: x[1], height: x[2], width: x[3], h: h, w: w, count: r[0], columns: columns}
	p.scale = float64(c.Float("spatial_scale", 1))
	if _, err := sized(p.shape()); err != nil {
		return nil, err
	}
	in, err := floatsOf(c.In[0], c.In[1])
	if err != nil {
		return nil, err
	}
	p.x, p.rois = in[0], in[1]
	for _, v := range p.rois {
		if err := CheckRegionAt(v * p.scale); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *roiPool) shape() []int { return []int{p.count, p.channels, p.h, p.w} }

// plane returns channel c of image n.
func (p *roiPool) plane(n, c int) []float64 {
	size := p.height * p.width
	return p.x[(n*p.channels+c)*size:][:size]
}

// run computes every region: f prepares region r, which lies in the image that it returns, and
// then gives the value of output cell (i,j) on a plane.
func (p *roiPool) run(d tensor.DType, f func(r int) (image int, cell func(plane []float64, i, j int) float64)) ([]*tensor.Tensor, error) {
	y := make([]float64, 0, tensor.Elements(p.shape()))
	for r := range p.count {
		image, cell := f(r)
		if image < 0 || image >= p.batch {
			return nil, invalidf("region %d lies in image %d of %d", r, image, p.batch)
		}
		for c := range p.channels {
			plane := p.plane(image, c)
			for i := range p.h {
				for j := range p.w {
					y = append(y, cell(plane, i, j))
				}
			}
		}
	}
	return one(fromFloats(d, y, p.shape()))
}

// evalMaxRoiPool takes the maximum of every bin of each region (image,x1,y1,x2,y2), whose
// corners are rounded to whole positions and belong to it.
func evalMaxRoiPool(c *Call) ([]*tensor.Tensor, error) {
	size := c.Ints("pooled_shape")
	if len(size) != 2 {
		return nil, invalidf("pooled_shape %v", size)
	}
	p, err := newROIPool(c, size[0], size[1], 5)
	if err != nil {
		return nil, err
	}
	return p.run(c.In[0].DType, func(r int) (int, func([]float64, int, int) float64) {
		roi := p.rois[r*5 : r*5+5]
		x1, y1 := math.Round(roi[1]*p.scale), math.Round(roi[2]*p.scale)
		binH := max(math.Round(roi[4]*p.scale)-y1+1, 1) / float64(p.h)
		binW := max(math.Round(roi[3]*p.scale)-x1+1, 1) / float64(p.w)
		return int(roi[0]), func(plane []float64, i, j int) float64 {
			top, bottom := binRange(y1, binH, i, p.height)
			left, right := binRange(x1, binW, j, p.width)
			if top >= bottom || left >= right {
				return 0
			}
			m := math.Inf(-1)
			for y := top; y < bottom; y++ {
				m = max(m, maxOf(plane[y*p.width+left:y*p.width+right]))
			}
			return m
		}
	})
}

// binRange returns the whole positions [lo,hi) of bin i along an axis of n positions.
func binRange(start, bin float64, i, n int) (lo, hi int) {
	a, b := math.Floor(float64(i)*bin)+start, math.Ceil(float64(i+1)*bin)+start
	return int(clamp(a, 0, float64(n))), int(clamp(b, 0, float64(n)))
}

// maxGrid bounds the sampling points along one side of an output cell, maxPoints along one side
// of a region.
const (
	maxGrid   = 1 << 12
	maxPoints = 1 << 20
)

// CheckRegionAt refuses coordinates of regions that are far away, and what is no number.
func CheckRegionAt(v float64) error {
	if !(math.Abs(v) <= maxStep) {
		return invalidf("region coordinate %v", v)
	}
	return nil
}

// CheckRegionGrid refuses more sampling points along one side of output cells, grid in each, than are computed.
func CheckRegionGrid(cells, grid int) error {
	if grid > maxGrid || cells*grid > maxPoints {
		return fault.Limitf("", "a region takes %d samples along a side of an output cell", grid)
	}
	return nil
}

// A roiAlign is one region of RoiAlign: its corner, the size of a bin and of its sampling grid,
// and where the rows and columns of the grids of all bins lie.
type roiAlign struct {
	*roiPool
	y, x, binH, binW float64
	gridH, gridW     int
	rows, columns    []roiPoint
}

// A roiPoint is where one row or column of sampling points lies along its axis: the positions
// beside it and their weights, 0 and not inside where it is more than one position outside.
type roiPoint struct {
	low, high             int
	lowWeight, highWeight float64
	inside                bool
}

func evalRoiAlign(c *Call) ([]*tensor.Tensor, error) {
	p, err := newROIPool(c, c.Int("output_height", 1), c.Int("output_width", 1), 4)
	if err != nil {
		return nil, err
	}
	if err := wantShape("batch_indices", c.In[2], p.count); err != nil {
		return nil, err
	}
	image, err := indices(c.In[2])
	if err != nil {
		return nil, err
	}
	mode := c.Str("mode", "avg")
	if mode != "avg" && mode != "max" {
		return nil, invalidf("mode %q", mode)
	}
	ratio := c.Int("sampling_ratio", 0)
	if ratio < 0 || ratio > maxGrid {
		return nil, invalidf("sampling_ratio %d", ratio)
	}
	half, err := roiHalfPixel(c)
	if err != nil {
		return nil, err
	}
	for r := range p.count {
		a := p.align(r, ratio, half)
		if err := cmp.Or(CheckRegionGrid(p.h, a.gridH), CheckRegionGrid(p.w, a.gridW)); err != nil {
			return nil, err
		}
	}
	return p.run(c.In[0].DType, func(r int) (int, func([]float64, int, int) float64) {
		a := p.align(r, ratio, half)
		a.rows = roiPoints(a.y, a.binH, p.h, a.gridH, p.height)
		a.columns = roiPoints(a.x, a.binW, p.w, a.gridW, p.width)
		if mode == "max" {
			return image[r], a.maximum
		}
		return image[r], a.average
	})
}

// roiHalfPixel says whether pixels are centred at half positions; before opset 16 they are not.
func roiHalfPixel(c *Call) (bool, error) {
	switch m := c.Str("coordinate_transformation_mode", "half_pixel"); {
	case c.Opset < 16 || m == "output_half_pixel":
		return false, nil
	case m == "half_pixel":
		return true, nil
	default:
		return false, invalidf("coordinate_transformation_mode %q", m)
	}
}

// align places region r (x1,y1,x2,y2).
func (p *roiPool) align(r, ratio int, half bool) *roiAlign {
	shift := 0.0
	if half {
		shift = 0.5
	}
	roi := p.rois[r*4 : r*4+4]
	a := &roiAlign{roiPool: p, x: roi[0]*p.scale - shift, y: roi[1]*p.scale - shift}
	w, h := roi[2]*p.scale-shift-a.x, roi[3]*p.scale-shift-a.y
	if !half {
		w, h = max(w, 1), max(h, 1)
	}
	a.binH, a.binW = h/float64(p.h), w/float64(p.w)
	a.gridH, a.gridW = ratio, ratio
	if ratio == 0 {
		a.gridH, a.gridW = int(max(0, math.Ceil(a.binH))), int(max(0, math.Ceil(a.binW)))
	}
	return a
}

// roiPoints places grid sampling points in each of the bins along an axis of size positions.
func roiPoints(start, bin float64, bins, grid, size int) []roiPoint {
	points := make([]roiPoint, 0, bins*grid)
	for i := range bins {
		for g := range grid {
			at := start + float64(i)*bin + (float64(g)+0.5)*bin/float64(grid)
			points = append(points, roiPointAt(at, size))
		}
	}
	return points
}

func roiPointAt(at float64, size int) roiPoint {
	if at < -1 || at > float64(size) || size == 0 {
		return roiPoint{}
	}
	at = clamp(at, 0, float64(size-1))
	low := int(at)
	f := at - float64(low)
	return roiPoint{low, min(low+1, size-1), 1 - f, f, true}
}

// cell returns the sampling points of bin (i,j).
func (a *roiAlign) cell(i, j int) (rows, columns []roiPoint) {
	return a.rows[i*a.gridH : (i+1)*a.gridH], a.columns[j*a.gridW : (j+1)*a.gridW]
}

// terms returns the bilinear terms of the point at x in the row at y, between the lines low and high.
func terms(low, high []float64, y, x *roiPoint) (v0, v1, v2, v3 float64) {
	v0 = float64(y.lowWeight * x.lowWeight * low[x.low])
	v1 = float64(y.lowWeight * x.highWeight * low[x.high])
	v2 = float64(y.highWeight * x.lowWeight * high[x.low])
	v3 = float64(y.highWeight * x.highWeight * high[x.high])
	return
}

// lines returns the lines of a plane on either side of the sampling points at y.
func (p *roiPool) lines(plane []float64, y *roiPoint) (low, high []float64) {
	return plane[y.low*p.width:][:p.width], plane[y.high*p.width:][:p.width]
}

func (a *roiAlign) average(plane []float64, i, j int) float64 {
	sum := 0.0
	rows, columns := a.cell(i, j)
	for r := range rows {
		y := &rows[r]
		if !y.inside {
			continue
		}
		low, high := a.lines(plane, y)
		for c := range columns {
			if x := &columns[c]; x.inside {
				v0, v1, v2, v3 := terms(low, high, y, x)
				sum += v0 + v1 + v2 + v3
			}
		}
	}
	return sum / float64(max(1, a.gridH*a.gridW))
}

// maximum is over the weighted neighbours of all points, not over the interpolated values: so
// the standard's own cases define it. Those of points that are not inside are zero.
func (a *roiAlign) maximum(plane []float64, i, j int) float64 {
	m := math.Inf(-1)
	rows, columns := a.cell(i, j)
	for r := range rows {
		for c := range columns {
			if y, x := &rows[r], &columns[c]; y.inside && x.inside {
				low, high := a.lines(plane, y)
				v0, v1, v2, v3 := terms(low, high, y, x)
				m = max(m, v0, v1, v2, v3)
			} else {
				m = max(m, 0)
			}
		}
	}
	if math.IsInf(m, -1) {
		return 0
	}
	return m
}

func inferROI(size func(n *graph.Node) []int) func(*Inference) ([]Fact, error) {
	return func(c *Inference) ([]Fact, error) {
		x, r := c.Input(0), c.Input(1)
		hw := size(c.Node)
		if err := checkSizes("output size", hw, 2); err != nil {
			return nil, err
		}
		dims := append(unknownDims(2), graph.Known(hw[0]), graph.Known(hw[1]))
		if r.Ranked && len(r.Shape) == 2 {
			dims[0] = r.Shape[0]
		}
		if x.Ranked && len(x.Shape) == 4 {
			dims[1] = x.Shape[1]
		}
		return Typed(graph.OfDims(x.DType, dims)), nil
	}
}

func roiAlignSize(n *graph.Node) []int {
	return []int{n.Int("output_height", 1), n.Int("output_width", 1)}
}

func maxRoiPoolSize(n *graph.Node) []int { return n.Ints("pooled_shape") }
