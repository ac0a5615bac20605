package engine

import (
	"math"

	"lowbit/internal/fault"
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// A roiAligner averages regions of images in channels-last order over cells. The sampling points of a cell form a grid, and
// each is a blend along rows and columns: so a cell is a sum of pixels whose weights are products, of one for the row and
// one for the column, and every pixel is read once (He et al., Mask R-CNN, 2017, section 3).
type roiAligner struct {
	level         kernel.Level
	scale, shift  float64
	least         float64 // of the height and width of a region
	ratio         int
	images, h, w  int // of the operand
	rows, cols, c int // of a result, and its channels
}

// lowerRoiAlign emits RoiAlign by averages.
func lowerRoiAlign(lw *lowerer, n *node) bool {
	if n.formal != 3 || !n.in[0].is(tensor.Float32) || !n.in[1].is(tensor.Float32) || !n.in[2].is(tensor.Int64) || n.onnx.Str("mode", "avg") != "avg" {
		return false
	}
	x, rois, image, y := n.in[0], n.in[1], n.in[2], n.out[0]
	if len(x.shape) != 4 || len(rois.shape) != 2 || rois.shape[1] != 4 || !sameShape(image.shape, rois.shape[:1]) || len(y.shape) != 4 || y.elems() == 0 || x.elems() == 0 {
		return false
	}
	a := &roiAligner{level: lw.level, scale: float64(n.onnx.Float("spatial_scale", 1)), ratio: n.onnx.Int("sampling_ratio", 0),
		images: x.shape[0], h: x.shape[2], w: x.shape[3], rows: y.shape[2], cols: y.shape[3], c: x.shape[1]}
	switch mode := n.onnx.Str("coordinate_transformation_mode", "half_pixel"); {
	case n.version < 16 || mode == "output_half_pixel":
		a.least = 1
	case mode == "half_pixel":
		a.shift, a.least = 0.5, math.Inf(-1)
	default:
		return false
	}
	size := a.h * a.w * a.c
	if !sameShape(y.shape, []int{rois.shape[0], a.c, a.rows, a.cols}) || a.ratio < 0 || op.CheckRegionGrid(1, a.ratio) != nil || size > math.MaxInt32 {
		return false
	}
	src, at, of, dst := lw.use(x, channelsLast), lw.use(rois, rowMajor), lw.use(image, rowMajor), lw.make(y, channelsLast)
	each := a.rows * a.cols * a.c
	parts := lw.partsFor(float64(y.elems()), rois.shape[0])
	lw.emit(&step{node: n, kernel: "f32 RoiAlign", parts: parts, in: []*slot{src, at, of}, out: []*slot{dst}, run: func(f *frame, part int) error {
		var r roiSums
		for i := rois.shape[0] * part / parts; i < rois.shape[0]*(part+1)/parts; i++ {
			k := tensor.Of[int64](f.vals[of.id])[i]
			if k < 0 || k >= int64(a.images) {
				return fault.Invalidf(n.onnx.Label(), "region %d lies in image %d of %d", i, k, a.images)
			}
			if err := a.region(f.f32(dst)[i*each:][:each], f.f32(src)[int(k)*size:][:size], f.f32(at)[i*4:][:4], &r); err != nil {
				return fault.At(n.onnx.Label(), err)
			}
		}
		return nil
	}})
	return true
}

// roiSums is what the cells of one region are sums of.
type roiSums struct {
	rows, cols []roiLine
	off        []int32
	weights    []float32
}

// A roiLine is one cell along an axis: the positions that it blends and their weights.
type roiLine struct {
	at     []int
	weight []float64
}

// region makes the cells of a region (x1,y1,x2,y2).
func (a *roiAligner) region(dst, x, roi []float32, r *roiSums) error {
	for _, v := range roi {
		if err := op.CheckRegionAt(float64(v) * a.scale); err != nil {
			return err
		}
	}
	var err error
	if r.rows, err = a.lines(r.rows, roi[1], roi[3], a.rows, a.h); err == nil {
		r.cols, err = a.lines(r.cols, roi[0], roi[2], a.cols, a.w)
	}
	if err != nil {
		return err
	}
	for i := range r.rows {
		for j := range r.cols {
			r.off, r.weights = r.off[:0], r.weights[:0]
			for k, y := range r.rows[i].at {
				for m, u := range r.cols[j].at {
					r.off = append(r.off, int32((y*a.w+u)*a.c))
					r.weights = append(r.weights, float32(r.rows[i].weight[k]*r.cols[j].weight[m]))
				}
			}
			a.level.SumRows(dst[(i*a.cols+j)*a.c:][:a.c], x, r.off, r.weights)
		}
	}
	return nil
}

// lines places the sampling points of each cell between two coordinates along an axis of size positions.
func (a *roiAligner) lines(list []roiLine, from, to float32, cells, size int) ([]roiLine, error) {
	start := float64(from)*a.scale - a.shift
	cell := max(float64(to)*a.scale-a.shift-start, a.least) / float64(cells)
	grid := a.ratio
	if grid == 0 {
		grid = int(max(0, math.Ceil(cell)))
	}
	if err := op.CheckRegionGrid(cells, grid); err != nil {
		return list, err
	}
	for len(list) < cells {
		list = append(list, roiLine{})
	}
	list = list[:cells]
	for i := range list {
		l := &list[i]
		l.at, l.weight = l.at[:0], l.weight[:0]
		for g := range grid {
			l.sample(start+float64(i)*cell+(float64(g)+0.5)*cell/float64(grid), size, 1/float64(grid))
		}
	}
	return list, nil
}

// sample adds a sampling point with a weight. More than a position outside it counts as zero.
func (l *roiLine) sample(at float64, size int, weight float64) {
	if at < -1 || at > float64(size) {
		return
	}
	at = min(max(at, 0), float64(size-1))
	low := int(at)
	f := at - float64(low)
	l.add(low, weight*(1-f))
	l.add(min(low+1, size-1), weight*f)
}

// add adds a weight to that of a position, which comes again only soon.
func (l *roiLine) add(at int, weight float64) {
	for i := len(l.at) - 1; i >= 0 && l.at[i] >= at; i-- {
		if l.at[i] == at {
			l.weight[i] += weight
			return
		}
	}
	l.at, l.weight = append(l.at, at), append(l.weight, weight)
}
