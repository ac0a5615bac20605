package op

import (
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A gridSampler is how GridSample reads x (N,C,D...) at the points of a grid (N,O...,rank).
type gridSampler struct {
	spatial []int
	filter  filter // its zero value: the nearest position
	pad     string
	corners bool
}

func newGridSampler(c *Call) (*gridSampler, error) {
	x, grid := c.In[0].Shape, c.In[1].Shape
	if len(x) < 3 || len(grid) != len(x) || grid[0] != x[0] || grid[len(grid)-1] != len(x)-2 {
		return nil, invalidf("input of shape %v and grid of shape %v", x, grid)
	}
	s := &gridSampler{spatial: x[2:], pad: c.Str("padding_mode", "zeros"), corners: c.Bool("align_corners", false)}
	switch mode := c.Str("mode", "linear"); mode {
	case "linear", "bilinear":
		s.filter = linearFilter
	case "cubic", "bicubic":
		s.filter = cubicFilter(-0.75)
	case "nearest":
	default:
		return nil, invalidf("mode %q", mode)
	}
	if s.pad != "zeros" && s.pad != "border" && s.pad != "reflection" {
		return nil, invalidf("padding_mode %q", s.pad)
	}
	if len(s.spatial) > 6 {
		return nil, unsupportedf("%d spatial axes", len(s.spatial))
	}
	if tensor.Elements(s.spatial) == 0 {
		return nil, invalidf("input of shape %v is empty", x)
	}
	return s, nil
}

// sample returns the weighted positions along axis i for a coordinate in [-1,1].
func (s *gridSampler) sample(i int, v float64) Sample {
	n := float64(s.spatial[i])
	x := float64(float32(((v+1)*n - 1) / 2))
	lo, hi := -0.5, n-0.5
	if s.corners {
		x, lo, hi = float64(float32((v+1)/2*(n-1))), 0, n-1
	}
	if x != x || math.Abs(x) > 1<<40 {
		x = -1 << 40 // not a place; far outside
	}
	if s.filter.weight == nil {
		x = math.RoundToEven(x)
	}
	if (x < lo || x > hi) && !(s.pad == "border" && s.filter.reach > 1) { // cubic neighbours clamp one by one
		x = s.inside(x, lo, hi, n)
	}
	var out Sample
	if s.filter.weight == nil {
		s.add(&out, x, 1, lo, hi, n)
		return out
	}
	for p := math.Floor(x) - s.filter.reach + 1; p <= math.Floor(x)+s.filter.reach; p++ {
		s.add(&out, p, s.filter.weight(p-x), lo, hi, n)
	}
	return out
}

// add appends whole position p unless it lies outside and reads as zero.
func (s *gridSampler) add(out *Sample, p, w, lo, hi, n float64) {
	if p < 0 || p >= n {
		if s.pad == "zeros" {
			return
		}
		p = math.Trunc(s.inside(p, lo, hi, n))
	}
	out.At, out.Weight = append(out.At, int(clamp(p, 0, n-1))), append(out.Weight, w)
}

// inside moves a position between the borders as the padding mode says; zeros leaves it.
func (s *gridSampler) inside(x, lo, hi, n float64) float64 {
	switch s.pad {
	case "border":
		return clamp(x, 0, n-1)
	case "reflection":
		return reflect(x, lo, hi)
	}
	return x
}

// reflect folds x at the borders until it lies between them.
func reflect(x, lo, hi float64) float64 {
	span := hi - lo
	if span <= 0 {
		return lo
	}
	d := math.Mod(math.Abs(x-lo), 2*span)
	if d > span {
		d = 2*span - d
	}
	return lo + d
}

// point returns the positions and weights of one grid point in a plane; the grid lists the
// coordinates of the last axis first.
func (s *gridSampler) point(v []float64) Sample {
	out := Sample{At: []int{0}, Weight: []float64{1}}
	for i, n := range s.spatial {
		axis := s.sample(i, v[len(v)-1-i])
		var next Sample
		for k, at := range out.At {
			for j, p := range axis.At {
				next.At = append(next.At, at*n+p)
				next.Weight = append(next.Weight, out.Weight[k]*axis.Weight[j])
			}
		}
		out = next
	}
	return out
}

func evalGridSample(c *Call) ([]*tensor.Tensor, error) {
	s, err := newGridSampler(c)
	if err != nil {
		return nil, err
	}
	x, grid := c.In[0], c.In[1]
	rank := len(s.spatial)
	shape := append([]int{x.Shape[0], x.Shape[1]}, grid.Shape[1:rank+1]...)
	if _, err := sized(shape); err != nil {
		return nil, err
	}
	in, err := floatsOf(x, grid)
	if err != nil {
		return nil, err
	}
	size, points, channels := tensor.Elements(s.spatial), tensor.Elements(shape[2:]), x.Shape[1]
	y := make([]float64, tensor.Elements(shape))
	for i := range x.Shape[0] * points {
		n, o := i/points, i%points
		p := s.point(in[1][i*rank : (i+1)*rank])
		for ch := range channels {
			plane, sum := in[0][(n*channels+ch)*size:][:size], 0.0
			for k, at := range p.At {
				sum += float64(p.Weight[k] * plane[at])
			}
			y[(n*channels+ch)*points+o] = sum
		}
	}
	return one(fromFloats(x.DType, y, shape))
}

func inferGridSample(c *Inference) ([]Fact, error) {
	x, grid := c.Input(0), c.Input(1)
	if !x.Ranked {
		return Typed(graph.Unranked(x.DType)), nil
	}
	rank := len(x.Shape)
	if rank < 3 || grid.Ranked && len(grid.Shape) != rank {
		return nil, invalidf("input %s and grid %s", x.Type, grid.Type)
	}
	dims := append([]graph.Dim{x.Shape[0], x.Shape[1]}, unknownDims(rank-2)...)
	if grid.Ranked {
		copy(dims[2:], grid.Shape[1:rank-1])
	}
	return Typed(graph.OfDims(x.DType, dims)), nil
}
