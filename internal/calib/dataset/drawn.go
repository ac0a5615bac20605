package dataset

import (
	"fmt"
	"io/fs"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// None is the path that stands for no data at all: inputs are drawn.
const None = "none"

var drawnForm = form{
	name:   "none",
	rule:   "none, images drawn with the statistics of photographs, words of a model's whole vocabulary, and normal numbers for other inputs",
	detect: func(path string, st fs.FileInfo) bool { return path == None },
	open:   openDrawn,
}

const (
	defaultDrawn = 100 // samples where no number is asked for
	leastImage   = 8   // pixels of an image's side; smaller inputs are no images
	openSide     = 224 // of images whose size the model leaves open
)

// drawn is inputs for which there is no data: images, and noise.
type drawn struct {
	seed   uint64
	n      int
	images []*canvas
	rest   *noise // other inputs
}

// A canvas is an input that takes an image.
type canvas struct {
	pixels *pixels
	w, h   int
	shape  []int
}

func openDrawn(path string, o *Options, info *Info) (reader, error) {
	d := &drawn{seed: o.Seed, n: o.Samples, rest: &noise{draw: normal, seed: o.Seed}}
	if d.n <= 0 {
		d.n = defaultDrawn
	}
	if len(o.Inputs) == 0 {
		return nil, fault.Invalidf(path, "drawing inputs needs a model that has some")
	}
	for _, v := range o.Inputs {
		c, err := newCanvas(v, o.Preprocess)
		if err != nil {
			return nil, err
		}
		if c != nil {
			d.images, info.Drawn = append(d.images, c), append(info.Drawn, v.Name)
			if o.Preprocess != nil { // what was assumed is no fact about the model
				info.Preprocess = &c.pixels.pre
			}
			continue
		}
		shape, err := randomShape(v)
		if err != nil {
			return nil, err
		}
		d.rest.inputs, d.rest.shapes = append(d.rest.inputs, v), append(d.rest.shapes, shape)
	}
	d.rest.whole = wholeNumbers(d.rest.inputs, d.rest.shapes, o.Tables)
	if len(d.images) > 0 {
		info.Warnings = append(info.Warnings, "no data: images are drawn with the statistics of photographs (dead leaves, 1/f)")
		if o.Preprocess == nil {
			info.Warnings = append(info.Warnings, "no pre-processing is known: ImageNet's mean and deviation are assumed; `preprocess` says otherwise")
		}
	}
	info.Warnings = append(info.Warnings, d.rest.warnings()...)
	return d, nil
}

// warnings name the inputs that are drawn as numbers, and which.
func (d *noise) warnings() []string {
	var list, normals, wholes []string
	for k, v := range d.inputs {
		if name := fmt.Sprintf("%q", v.Name); v.Type.DType.IsFloat() {
			normals = append(normals, name)
		} else {
			wholes = append(wholes, fmt.Sprintf("%s (%v)", name, d.whole[k]))
		}
	}
	if len(normals) > 0 {
		list = append(list, "no data: normal numbers are drawn for input "+strings.Join(normals, ", ")+", which real data may not resemble")
	}
	if len(wholes) > 0 {
		list = append(list, "no data: whole numbers are drawn for input "+strings.Join(wholes, ", ")+", which real data may not resemble")
	}
	return list
}

// newCanvas returns how images feed an input; nil where it takes none.
func newCanvas(v *graph.Value, pre *Preprocess) (*canvas, error) {
	t := v.Type
	if !t.IsTensor() || !t.Ranked || len(t.Shape) != 4 || t.Shape[0].Size > 1 || !t.DType.IsFloat() && t.DType != tensor.Uint8 {
		return nil, nil
	}
	p, err := newPixels(&Options{Inputs: []*graph.Value{v}, Preprocess: pre}, 0)
	if err != nil {
		return nil, err
	}
	if pre == nil && t.DType.IsFloat() {
		p.assume()
	}
	side := openSide
	if p.pre.Crop > 0 {
		side = p.pre.Crop
	}
	c := &canvas{pixels: p, w: side, h: side}
	at := []int{1, 2, 3} // channels, height, width
	if p.pre.Layout == "NHWC" {
		at = []int{3, 1, 2}
	}
	for i, size := range []*int{nil, &c.h, &c.w} {
		if n := t.Shape[at[i]].Size; i > 0 && n >= 0 {
			*size = n
		}
	}
	channels := t.Shape[at[0]].Size
	if min(c.w, c.h) < leastImage || channels >= 0 && channels != p.channels() || !slices.Contains([]int{1, 3}, p.channels()) {
		return nil, nil
	}
	c.shape = p.pre.shape(p.channels(), c.h, c.w)
	return c, nil
}

// assume gives pixels ImageNet's mean and deviation, of grey ones the means of those.
func (p *pixels) assume() {
	p.pre.Scale, p.pre.Mean, p.pre.Std = 1.0/255, []float64{.485, .456, .406}, []float64{.229, .224, .225}
	if p.channels() == 1 {
		p.pre.Mean, p.pre.Std = []float64{.449}, []float64{.226}
	}
	p.table = p.pre.normal(p.channels())
}

func (d *drawn) len() int     { return d.n }
func (d *drawn) close() error { return nil }

func (d *drawn) sample(i int) (*Sample, error) {
	s, err := d.rest.sample(i)
	if err != nil {
		return nil, err
	}
	s.Name = fmt.Sprintf("drawn[%d]", i)
	for k, c := range d.images {
		img := drawScene(rand.NewPCG(d.seed, bits.RotateLeft64(uint64(k+1), 16)+uint64(i)), c.w, c.h)
		if c.pixels.channels() == 1 {
			img = img.toGray()
		}
		t, err := c.pixels.fill(frame{raster: img, w: c.w, h: c.h, shape: c.shape})
		if err != nil {
			return nil, fault.At(c.pixels.input, err)
		}
		s.Inputs[c.pixels.input] = t
	}
	return s, nil
}
