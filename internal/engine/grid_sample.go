package engine

import (
	"math"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

const (
	gridNanos     = 15  // of a point of the grid, roughly, beside those of its channels
	vectorSamples = 192 // channels from which the kernels pay
)

// A gridPad says what lies beyond the borders of an image.
type gridPad uint8

const (
	zeroPad gridPad = iota
	borderPad
	reflectPad
)

var gridPads = map[string]gridPad{"zeros": zeroPad, "border": borderPad, "reflection": reflectPad}

// A gridAxis finds the positions along one axis of an image that a coordinate stands for.
type gridAxis struct {
	n, lo, hi        float64 // positions, and between which bounds they are reflected
	corners, nearest bool
	pad              gridPad
}

// A gridSampler reads images in channels-last order at the points of a grid.
type gridSampler struct {
	level      kernel.Level
	rows, cols gridAxis
	w, c       int // columns and channels of an image
}

// lowerGridSample emits GridSample of images by one or four pixels a point.
func lowerGridSample(lw *lowerer, n *node) bool {
	if len(n.in) != 2 || !n.in[0].is(tensor.Float32) || !n.in[1].is(tensor.Float32) && !n.in[1].is(tensor.Float64) {
		return false
	}
	x, grid, y := n.in[0], n.in[1], n.out[0]
	if len(x.shape) != 4 || len(grid.shape) != 4 || x.elems() == 0 || y.elems() == 0 || !sameShape(y.shape, []int{x.shape[0], x.shape[1], grid.shape[1], grid.shape[2]}) ||
		grid.shape[0] != x.shape[0] || grid.shape[3] != 2 {
		return false
	}
	s, ok := gridSamplerOf(n)
	if !ok {
		return false
	}
	s.level = lw.level
	src, points, dst := lw.use(x, channelsLast), lw.use(grid, rowMajor), lw.make(y, channelsLast)
	lines, width, size := y.shape[0]*y.shape[2], y.shape[3], x.elems()/x.shape[0]
	parts := lw.partsFor(float64(lines*width)*(gridNanos+float64(s.c)*functionNanos), lines)
	room := lw.scratch(tensor.Float32, parts*s.c)
	lw.emit(&step{node: n, kernel: "f32 GridSample", parts: parts, in: []*slot{src, points}, out: []*slot{dst, room}, run: func(f *frame, part int) error {
		own := f.f32(room)[part*s.c:][:s.c]
		for i := lines * part / parts; i < lines*(part+1)/parts; i++ {
			line, image := f.f32(dst)[i*width*s.c:][:width*s.c], f.f32(src)[i/y.shape[2]*size:][:size]
			if at := f.vals[points.id]; at.DType == tensor.Float64 {
				sampleLine(s, line, image, tensor.Of[float64](at)[i*width*2:][:width*2], own)
			} else {
				sampleLine(s, line, image, tensor.Of[float32](at)[i*width*2:][:width*2], own)
			}
		}
		return nil
	}})
	return true
}

func gridSamplerOf(n *node) (*gridSampler, bool) {
	mode := n.onnx.Str("mode", "linear")
	pad, ok := gridPads[n.onnx.Str("padding_mode", "zeros")]
	if !ok || mode != "linear" && mode != "bilinear" && mode != "nearest" {
		return nil, false
	}
	axis := func(size int) gridAxis {
		a := gridAxis{n: float64(size), lo: -0.5, hi: float64(size) - 0.5, corners: n.onnx.Bool("align_corners", false), nearest: mode == "nearest", pad: pad}
		if a.corners {
			a.lo, a.hi = 0, a.n-1
		}
		return a
	}
	x := n.in[0].shape
	return &gridSampler{rows: axis(x[2]), cols: axis(x[3]), w: x[3], c: x[1]}, true
}

// Samples are the positions along an axis that make a point, and their weights.
type samples struct {
	n      int
	at     [2]int
	weight [2]float64
}

func (s *samples) add(at int, weight float64) {
	s.at[s.n], s.weight[s.n] = at, weight
	s.n++
}

// find sets s to what a coordinate in [-1,1] stands for. Positions that read as zero are left out.
func (a *gridAxis) find(s *samples, v float64) {
	x := a.place(v)
	if x >= 0 && x < a.n-1 && !a.nearest { // most of them
		p := int(x)
		u := x - float64(p)
		s.n, s.at[0], s.at[1], s.weight[0], s.weight[1] = 2, p, p+1, 1-u, u
		return
	}
	s.n = 0
	if a.nearest {
		x = math.RoundToEven(x)
	}
	if a.pad == zeroPad && (x <= -1 || x >= a.n) {
		return
	}
	if x < a.lo || x > a.hi {
		x = a.inside(x)
	}
	if a.nearest {
		a.add(s, x, 1)
		return
	}
	p := math.Floor(x)
	a.add(s, p, 1-(x-p))
	a.add(s, p+1, x-p)
}

// place is where a coordinate lies along the axis, rounded as the operator's definition does.
func (a *gridAxis) place(v float64) float64 {
	var x float64
	if a.corners {
		x = float64(float32((v + 1) / 2 * (a.n - 1)))
	} else {
		x = float64(float32(((v+1)*a.n - 1) / 2))
	}
	if !(math.Abs(x) <= 1<<40) {
		return -1 << 40 // far outside, NaN too
	}
	return x
}

// add adds a whole position, moved between the borders.
func (a *gridAxis) add(s *samples, p, weight float64) {
	if p < 0 || p >= a.n {
		if a.pad == zeroPad {
			return
		}
		p = a.inside(p)
	}
	s.add(int(min(max(p, 0), a.n-1)), weight)
}

// inside moves a position between the borders, but where all beyond is zero.
func (a *gridAxis) inside(x float64) float64 {
	switch a.pad {
	case borderPad:
		return min(max(x, 0), a.n-1)
	case reflectPad:
		return a.reflect(x)
	}
	return x
}

func (a *gridAxis) reflect(x float64) float64 {
	span := a.hi - a.lo
	if span <= 0 {
		return a.lo
	}
	d := math.Mod(math.Abs(x-a.lo), 2*span)
	return a.lo + min(d, 2*span-d)
}

// sampleLine makes one line of the result from the points of the grid, each column before row.
func sampleLine[T float32 | float64](s *gridSampler, dst, x []float32, points []T, room []float32) {
	var rows, cols samples
	for i := 0; i < len(points); i += 2 {
		y := dst[i/2*s.c:][:s.c]
		if s.rows.find(&rows, float64(points[i+1])); rows.n > 0 {
			s.cols.find(&cols, float64(points[i]))
		}
		switch {
		case rows.n == 0 || cols.n == 0:
			clear(y)
		case rows.n == 2 && cols.n == 2 && s.c < vectorSamples:
			s.four(y, x, &rows, &cols)
		default:
			s.pixel(y, x, &rows, &cols, room)
		}
	}
}

// four blends all channels of four pixels.
func (s *gridSampler) four(dst, x []float32, rows, cols *samples) {
	up, down, left, right := rows.at[0]*s.w, rows.at[1]*s.w, cols.at[0], cols.at[1]
	p, q := x[(up+left)*s.c:][:len(dst)], x[(up+right)*s.c:][:len(dst)]
	r, t := x[(down+left)*s.c:][:len(dst)], x[(down+right)*s.c:][:len(dst)]
	wp, wq := float32(rows.weight[0]*cols.weight[0]), float32(rows.weight[0]*cols.weight[1])
	wr, wt := float32(rows.weight[1]*cols.weight[0]), float32(rows.weight[1]*cols.weight[1])
	for i := range dst {
		dst[i] = float32(p[i]*wp) + float32(q[i]*wq) + float32(r[i]*wr) + float32(t[i]*wt)
	}
}

// pixel blends all channels of the pixels.
func (s *gridSampler) pixel(dst, x []float32, rows, cols *samples, room []float32) {
	clear(dst)
	for j, r := range rows.at[:rows.n] {
		for k, c := range cols.at[:cols.n] {
			s.add(dst, x[(r*s.w+c)*s.c:][:s.c], float32(rows.weight[j]*cols.weight[k]), room)
		}
	}
}

// add adds the product of a pixel and its weight to dst.
func (s *gridSampler) add(dst, x []float32, weight float32, room []float32) {
	if s.c >= vectorSamples {
		s.level.BinaryScalar(kernel.Mul, room, x, weight)
		s.level.Binary(kernel.Add, dst, dst, room)
		return
	}
	x = x[:len(dst)]
	for i := range dst {
		dst[i] += float32(x[i] * weight)
	}
}
