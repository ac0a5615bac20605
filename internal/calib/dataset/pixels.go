package dataset

import (
	"slices"
	"strings"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// pixels turns images into the one input of a model.
type pixels struct {
	pre   Preprocess // with color and layout decided
	input string
	typ   graph.Type
	table [][256]float32
}

// newPixels decides what the options leave open from the model's input. channels is what the
// images have, 0 where they differ.
func newPixels(o *Options, channels int) (*pixels, error) {
	p := &pixels{}
	if o.Preprocess != nil {
		p.pre = *o.Preprocess
	}
	if len(o.Inputs) > 1 {
		names := make([]string, len(o.Inputs))
		for i, v := range o.Inputs {
			names[i] = v.Name
		}
		return nil, fault.Invalidf("", "images feed one input, the model wants %d: %s", len(o.Inputs), strings.Join(names, ", ")).
			WithHint("write the inputs to a .npz file under these names")
	}
	if len(o.Inputs) == 1 {
		p.input, p.typ = o.Inputs[0].Name, o.Inputs[0].Type
		if d := p.typ.DType; p.typ.Kind != graph.TensorType || !d.IsFloat() && d != tensor.Uint8 {
			return nil, fault.Invalidf(p.input, "the model wants %v, which no image is", p.typ)
		}
	}
	p.decide(channels)
	if err := p.pre.check(); err != nil {
		return nil, err
	}
	p.table = p.pre.normal(p.channels())
	return p, nil
}

// decide fills in color and layout: the model's input says them where its shape does, and else
// they are those of the images.
func (p *pixels) decide(channels int) {
	first, last := p.dim(1), p.dim(3)
	if p.pre.Layout == "" {
		p.pre.Layout = "NCHW"
		if first != 1 && first != 3 && (last == 1 || last == 3) {
			p.pre.Layout = "NHWC"
		}
	}
	if p.pre.Color != "" {
		return
	}
	wanted := first
	if p.pre.Layout == "NHWC" {
		wanted = last
	}
	if wanted != 1 && wanted != 3 {
		wanted = channels
	}
	p.pre.Color = "RGB"
	if wanted == 1 {
		p.pre.Color = "GRAY"
	}
}

// dim is the model's dimension of that axis; -1 where it is not known.
func (p *pixels) dim(axis int) int {
	if !p.typ.Ranked || len(p.typ.Shape) != 4 {
		return -1
	}
	return p.typ.Shape[axis].Size
}

func (p *pixels) channels() int { return p.pre.channels() }

// sample preprocesses one image.
func (p *pixels) sample(name string, r raster, label int) (*Sample, error) {
	f, err := p.frame(r)
	if err != nil {
		return nil, fault.At(name, err)
	}
	t, err := p.fill(f)
	if err != nil {
		return nil, fault.At(name, err)
	}
	s := &Sample{Name: name, Inputs: map[string]*tensor.Tensor{p.input: t}, Label: label}
	if s.less = len(f.pix); s.less < t.Bytes() {
		s.again = func() map[string]*tensor.Tensor {
			t, _ := p.fill(f) // no error the first time
			return map[string]*tensor.Tensor{p.input: t}
		}
	}
	return s, nil
}

// A frame is an image resized and cropped, at pad = (x,y) of w by h pixels that are black around it.
type frame struct {
	raster
	w, h  int
	pad   [2]int
	shape []int // of the tensor
}

// frame resizes and crops an image. What it returns shares nothing with r.
func (p *pixels) frame(r raster) (frame, error) {
	if p.pre.Color == "GRAY" {
		r = r.toGray()
	}
	w, h, err := p.pre.size(r.w, r.h)
	if err != nil {
		return frame{}, err
	}
	cw, ch := w, h
	if p.pre.Crop > 0 {
		cw, ch = p.pre.Crop, p.pre.Crop
	}
	shape := p.pre.shape(p.channels(), ch, cw)
	if shape, err = p.fit(shape); err != nil {
		return frame{}, err
	}
	if w == 0 || h == 0 {
		return frame{}, fault.Invalidf("", "an image of %d × %d pixels cannot be resized to %d × %d", r.w, r.h, w, h)
	}
	win, pad := crop(w, h, cw, ch)
	return frame{resize(r, w, h, win), cw, ch, pad, shape}, nil
}

// crop returns the part of a w by h image that a centred cw by ch crop covers, and where in the
// crop it lies; an odd remainder is shared as torchvision does (half to even; padding half down).
func crop(w, h, cw, ch int) (window, [2]int) {
	x, padX := centre(w, cw)
	y, padY := centre(h, ch)
	return window{x, y, min(w, cw), min(h, ch)}, [2]int{padX, padY}
}

// centre returns where a crop of n begins within size, and where size begins within the crop.
func centre(size, n int) (at, pad int) {
	if n > size {
		return 0, (n - size) / 2
	}
	at = (size - n) / 2
	if (size-n)%2 == 1 && at%2 == 1 {
		at++
	}
	return at, 0
}

// fit holds the shape of an image against the model's input. An input that wants the same number
// of elements in fewer or more dimensions gets the image reshaped.
func (p *pixels) fit(shape []int) ([]int, error) {
	if !p.typ.Ranked {
		return shape, nil
	}
	want := p.typ.Shape
	if len(want) > 0 && len(want) != len(shape) {
		flat := []int{1}
		for _, d := range want[1:] {
			flat = append(flat, d.Size)
		}
		if !slices.Contains(flat, -1) && tensor.Elements(flat) == tensor.Elements(shape) {
			return flat, nil
		}
	}
	ok := len(want) == len(shape)
	for i := 1; ok && i < len(shape); i++ {
		ok = !want[i].IsKnown() || want[i].Size == shape[i]
	}
	if !ok {
		return nil, fault.Invalidf(p.input, "the model wants %v, preprocessed images are %s", p.typ, tensor.FormatShape(shape)).
			WithHint("`preprocess` says how images are resized, cropped and laid out: %s, or a YAML file", strings.Join(Presets(), ", "))
	}
	return shape, nil
}

// fill writes a frame into a tensor of its own.
func (p *pixels) fill(f frame) (*tensor.Tensor, error) {
	r := f.raster
	if p.channels() == 3 {
		r = r.toRGB()
	}
	if r.w != f.w || r.h != f.h {
		whole := newRaster(f.w, f.h, r.c)
		for y := range r.h {
			copy(whole.pix[((y+f.pad[1])*f.w+f.pad[0])*r.c:], r.pix[y*r.w*r.c:(y+1)*r.w*r.c])
		}
		r = whole
	}
	t := tensor.Scratch(tensor.Float32, f.shape...)
	p.spread(tensor.Of[float32](t), r)
	if p.typ.DType == tensor.Undefined {
		return t, nil
	}
	t, err := convert(t, p.typ.DType)
	return t, fault.At(p.input, err)
}

// spread normalises pixels and lays them out.
func (p *pixels) spread(out []float32, r raster) {
	n := r.w * r.h
	for c := range r.c {
		src := c
		if p.pre.Color == "BGR" {
			src = 2 - c
		}
		table := &p.table[c]
		at, step := c*n, 1
		if p.pre.Layout == "NHWC" {
			at, step = c, r.c
		}
		for i := src; i < len(r.pix); i += r.c {
			out[at] = table[r.pix[i]]
			at += step
		}
	}
}
