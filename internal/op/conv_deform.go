package op

import (
	"math"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A deformed convolution reads its input at fractional offsets from the kernel's positions:
// offset (N, groups*taps*rank, O...), mask (N, groups*taps, O...).
type deformed struct {
	*convolution
	offsetGroups    int
	x, offset, mask []float64
}

func newDeformed(c *Call) (*deformed, error) {
	x, w := c.In[0], c.In[1]
	v, err := newConvolution(c.Node, x.Shape, w.Shape)
	if err != nil {
		return nil, err
	}
	d := &deformed{convolution: v, offsetGroups: c.Int("offset_group", 1)}
	if d.offsetGroups < 1 || v.inC%d.offsetGroups != 0 {
		return nil, invalidf("%d offset groups do not divide %d channels", d.offsetGroups, v.inC)
	}
	taps, rank := tensor.Elements(v.kernel), len(v.in)
	if _, err := sized([]int{d.offsetGroups, taps, rank}); err != nil {
		return nil, err
	}
	if _, err := sized([]int{v.inC, taps, tensor.Elements(v.out)}); err != nil {
		return nil, err
	}
	for _, want := range []struct {
		name  string
		at    int
		shape []int
	}{
		{"offset", 2, append([]int{v.batch, d.offsetGroups * taps * rank}, v.out...)},
		{"bias", 3, []int{v.outC}},
		{"mask", 4, append([]int{v.batch, d.offsetGroups * taps}, v.out...)},
	} {
		if err := wantShape(want.name, c.Input(want.at), want.shape...); err != nil {
			return nil, err
		}
	}
	in, err := floatsOf(x, c.In[2], c.Input(4))
	if err != nil {
		return nil, err
	}
	d.x, d.offset, d.mask = in[0], in[1], in[2]
	return d, nil
}

// columns gathers the sampled input of image n: (inC, taps, outputs).
func (d *deformed) columns(n int) []float64 {
	in, out, taps := tensor.Elements(d.in), tensor.Elements(d.out), tensor.Elements(d.kernel)
	col := make([]float64, d.inC*taps*out)
	perGroup := d.inC / d.offsetGroups
	for g := range d.offsetGroups {
		for tap := range taps {
			for o := range out {
				s, m := d.sample(n, g, tap, o), 1.0
				if d.mask != nil {
					m = d.mask[((n*d.offsetGroups+g)*taps+tap)*out+o]
				}
				for c := g * perGroup; c < (g+1)*perGroup; c++ {
					plane := d.x[(n*d.inC+c)*in:][:in]
					sum := 0.0
					for k, at := range s.At {
						sum += float64(s.Weight[k] * plane[at])
					}
					col[(c*taps+tap)*out+o] = sum * m
				}
			}
		}
	}
	return col
}

// sample interpolates linearly along every axis; positions outside the input read as zero.
func (d *deformed) sample(n, g, tap, o int) Sample {
	out, taps, rank := tensor.Elements(d.out), tensor.Elements(d.kernel), len(d.in)
	kernel, pos := unravel(tap, d.kernel), unravel(o, d.out)
	s := Sample{At: []int{0}, Weight: []float64{1}}
	for i, size := range d.in {
		shift := d.offset[(((n*d.offsetGroups+g)*taps+tap)*rank+i)*out+o]
		x := float64(pos[i]*d.stride[i]+kernel[i]*d.dilation[i]-d.front[i]) + shift
		if !(x > -1 && x < float64(size)) {
			return Sample{}
		}
		low := math.Floor(x)
		var next Sample
		for k, at := range s.At {
			for p := low; p <= low+1; p++ {
				if f := 1 - math.Abs(p-x); p >= 0 && p < float64(size) && f > 0 {
					next.At = append(next.At, at*size+int(p))
					next.Weight = append(next.Weight, s.Weight[k]*f)
				}
			}
		}
		s = next
	}
	return s
}

func evalDeformConv(c *Call) ([]*tensor.Tensor, error) {
	d, err := newDeformed(c)
	if err != nil {
		return nil, err
	}
	in, err := floatsOf(c.In[1], c.Input(3))
	if err != nil {
		return nil, err
	}
	w, bias := in[0], in[1]
	y := make([]float64, tensor.Elements(d.shape()))
	out, rows := tensor.Elements(d.out), d.outC/d.group
	depth := d.inC / d.group * tensor.Elements(d.kernel)
	for n := range d.batch {
		col := d.columns(n)
		for g := range d.group {
			part := y[(n*d.outC+g*rows)*out:][:rows*out]
			addProduct(part, w[g*rows*depth:][:rows*depth], col[g*depth*out:][:depth*out], depth, out)
		}
	}
	if bias != nil {
		for i := range y {
			y[i] += bias[i/out%d.outC]
		}
	}
	return one(fromFloats(c.In[0].DType, y, d.shape()))
}

func inferDeformConv(c *Inference) ([]Fact, error) {
	x, w, offset := c.Input(0), c.Input(1), c.Input(2)
	dims, err := convDims(c.Node, x, w)
	if dims == nil || err != nil {
		return Typed(graph.Unranked(x.DType)), err
	}
	if offset.Ranked && len(offset.Shape) == len(dims) {
		for i := 2; i < len(dims); i++ {
			if !dims[i].IsKnown() {
				dims[i] = offset.Shape[i]
			}
		}
	}
	return Typed(graph.OfDims(x.DType, dims)), nil
}
