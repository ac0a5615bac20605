package format

import "lowbit/internal/tensor"

// A ScaleFormat is how the scales of a tensor are themselves written in few bits:
//
//	scale ≈ outer · mark[code] + offset
type ScaleFormat struct {
	Name    string
	Format  *Format // of the codes
	Outer   bool    // there are outer scales, in float32
	Run     int     // consecutive scales that share an outer one; 0: all
	Centred bool    // the mean of the scales is taken off
}

// E8M0 writes a scale as a power of two; one that is none is rounded to the nearest.
var E8M0 = &ScaleFormat{Name: "e8m0", Format: &Format{
	Name: "e8m0", Bits: 8, Kind: Logarithmic, Marks: powersE8M0(), Elem: tensor.Uint8, Via: Table, Opset: 13, Mid: logMiddle,
}}

// E4M3Scale writes a scale as an eight-bit float times one number for the tensor.
var E4M3Scale = &ScaleFormat{Name: "e4m3", Format: FP8E4M3, Outer: true}

// Int8Scale writes the difference of a scale to the mean in eight bits, 256 of which share a scale.
var Int8Scale = &ScaleFormat{Name: "int8", Format: Int8, Outer: true, Run: 256, Centred: true}

func powersE8M0() []float32 {
	m := make([]float32, 256)
	for c := range m {
		m[c] = float32(decodeE8M0(uint8(c)))
	}
	return m
}

// bits is what one scale takes, its share of the outer scale included.
func (s *ScaleFormat) bits() float64 {
	if s.Run > 0 {
		return float64(s.Format.Bits) + 32/float64(s.Run)
	}
	return float64(s.Format.Bits)
}

// Scales are the scales of a tensor in a format.
type Scales struct {
	Codes  []int32
	Outer  []float32 // one for each Run codes; nil where the format has none
	Offset float32   // of a centred format
}

// Encode writes scales, which are positive, each as the nearest that there is, but none as less than half of itself: beside one that is
// much larger that could be zero, or below, and nearly all of the block would saturate.
func (s *ScaleFormat) Encode(list []float32) *Scales {
	out := &Scales{Codes: make([]int32, len(list))}
	x := list
	if s.Centred {
		sum := 0.0
		for _, v := range list {
			sum += float64(v)
		}
		out.Offset = float32(sum / float64(max(1, len(list))))
		x = make([]float32, len(list))
		for i, v := range list {
			x[i] = v - out.Offset
		}
	}
	run := s.run(len(x))
	for at := 0; at < len(x); at += run {
		part := x[at:min(at+run, len(x))]
		p := Params{Scale: 1}
		if s.Outer {
			lo, hi := extremes(part)
			p = s.Format.Cover(lo, hi, true)
			out.Outer = append(out.Outer, p.Scale)
		}
		s.Format.Encode(out.Codes[at:at+len(part)], part, p)
	}
	if s.Outer {
		for i, v := range s.Decode(out) {
			if v < list[i]/2 {
				out.Codes[i]++ // codes of this side ascend with what they mean
			}
		}
	}
	return out
}

// Decode returns the scales that were written, computed as ONNX's operators compute them.
func (s *ScaleFormat) Decode(e *Scales) []float32 {
	out := make([]float32, len(e.Codes))
	run := s.run(len(out))
	for i, c := range e.Codes {
		v := s.Format.Mark(c)
		if s.Outer {
			v *= e.Outer[i/run]
		}
		out[i] = v
		if s.Centred {
			out[i] = float32(v) + e.Offset
		}
	}
	return out
}

func (s *ScaleFormat) run(n int) int {
	if s.Run > 0 {
		return s.Run
	}
	return max(1, n)
}

// Settle returns parameters with their scales as the format writes them.
func (f *Format) Settle(p []Params) []Params {
	if f.Scale == nil {
		return p
	}
	list := make([]float32, len(p))
	for i, q := range p {
		list[i] = q.Scale
	}
	out := make([]Params, len(p))
	for i, v := range f.Scale.Decode(f.Scale.Encode(list)) {
		out[i] = Params{v, p[i].Zero}
	}
	return out
}

// extremes returns the smallest and the largest of finite numbers, widened to hold zero.
func extremes(x []float32) (lo, hi float64) {
	var a, b float32
	for _, v := range x {
		if v < a {
			a = v
		} else if v > b {
			b = v
		}
	}
	return float64(a), float64(b)
}
