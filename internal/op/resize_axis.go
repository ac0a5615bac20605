package op

import "math"

// A resampling says how one axis of in positions becomes one of out positions.
type resampling struct {
	in, out    int
	scale      float64 // out over in before rounding
	start, end float64 // the region of interest, as fractions of the axis
}

// width is the output size before rounding.
func (r *resampling) width() float64 { return float64(r.in) * r.scale }

// transforms map an output position to a position in the input, by coordinate_transformation_mode.
var transforms = map[string]func(r *resampling, x float64) float64{
	"half_pixel": (*resampling).halfPixel,
	"half_pixel_symmetric": func(r *resampling, x float64) float64 {
		shift := float64(r.in) / 2 * (1 - float64(r.out)/r.width())
		return shift + r.halfPixel(x)
	},
	"pytorch_half_pixel": func(r *resampling, x float64) float64 {
		if r.out <= 1 {
			return 0
		}
		return r.halfPixel(x)
	},
	"align_corners": func(r *resampling, x float64) float64 {
		if r.width() == 1 {
			return 0
		}
		return x * float64(r.in-1) / (r.width() - 1)
	},
	"asymmetric":         func(r *resampling, x float64) float64 { return x / r.scale },
	"tf_crop_and_resize": (*resampling).crop,
	// Opset 11 alone has this mode: half-pixel centres for nearest neighbours without the shift back.
	"tf_half_pixel_for_nn": func(r *resampling, x float64) float64 { return (x + 0.5) / r.scale },
}

func (r *resampling) halfPixel(x float64) float64 { return (x+0.5)/r.scale - 0.5 }

// crop spreads the outputs over the region of interest; a single one lies in its middle.
func (r *resampling) crop(x float64) float64 {
	last := float64(r.in - 1)
	if r.out <= 1 {
		return 0.5 * (r.start + r.end) * last
	}
	return r.start*last + x*(r.end-r.start)*last/float64(r.out-1)
}

// roundings choose the neighbour of a position, by nearest_mode; the last one is that of opsets
// before 11, which have no such attribute.
var roundings = map[string]func(x, scale float64) float64{
	"round_prefer_floor": func(x, _ float64) float64 { return math.Ceil(x - 0.5) },
	"round_prefer_ceil":  func(x, _ float64) float64 { return math.Floor(x + 0.5) },
	"floor":              func(x, _ float64) float64 { return math.Floor(x) },
	"ceil":               func(x, _ float64) float64 { return math.Ceil(x) },
	"": func(x, scale float64) float64 {
		if scale < 1 {
			return math.Ceil(x)
		}
		return math.Floor(x)
	},
}

// A filter is an interpolation function that is zero at distance reach and beyond.
type filter struct {
	reach  float64
	weight func(distance float64) float64
}

var linearFilter = filter{1, func(d float64) float64 { return max(0, 1-math.Abs(d)) }}

// cubicFilter is the cubic convolution with parameter a (Keys 1981, equation 4).
func cubicFilter(a float64) filter {
	return filter{2, func(d float64) float64 {
		d = math.Abs(d)
		switch {
		case d <= 1:
			return float64((float64((a+2)*d)-(a+3))*d*d) + 1
		case d < 2:
			return float64((float64((float64(a*d)-5*a)*d)+8*a)*d) - 4*a
		}
		return 0
	}}
}

// A Sample is the weighted mean that one output position takes of the input. Outside is set
// where the position is extrapolated instead.
type Sample struct {
	At      []int
	Weight  []float64
	Outside bool
}

// sampler is the interpolation that a Resize node's attributes describe.
type sampler struct {
	transform      func(r *resampling, x float64) float64
	round          func(x, scale float64) float64 // nearest mode; nil for the others
	filter         filter
	antialias      bool
	excludeOutside bool
	crop           bool
}

// samples returns the sample of every output position along an axis.
func (s *sampler) samples(r *resampling) []Sample {
	out := make([]Sample, r.out)
	for i := range out {
		x := s.transform(r, float64(i))
		switch {
		case s.crop && !(x >= 0 && x <= float64(r.in-1)):
			out[i] = Sample{At: []int{0}, Weight: []float64{0}, Outside: true}
		case s.round != nil:
			at := clamp(s.round(x, r.scale), 0, float64(r.in-1))
			out[i] = Sample{At: []int{int(at)}, Weight: []float64{1}}
		default:
			out[i] = s.interpolate(r, x)
		}
	}
	return out
}

// interpolate weighs the neighbours of x. Those outside the axis count as its border, or not
// at all if excludeOutside.
func (s *sampler) interpolate(r *resampling, x float64) Sample {
	stretch := 1.0
	if s.antialias {
		stretch = min(1, r.scale)
	}
	reach := s.filter.reach / stretch
	lo, hi := math.Ceil(x-reach), math.Floor(x+reach)
	w := make(map[int]float64)
	var out Sample
	total := 0.0
	for p := lo; p <= hi; p++ {
		at := clamp(p, 0, float64(r.in-1))
		f := s.filter.weight((p - x) * stretch)
		if f == 0 || s.excludeOutside && at != p {
			continue
		}
		if _, ok := w[int(at)]; !ok {
			out.At = append(out.At, int(at))
		}
		w[int(at)] += f
		total += f
	}
	for _, at := range out.At {
		out.Weight = append(out.Weight, w[at]/total)
	}
	return out
}
