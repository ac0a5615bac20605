package dataset

import (
	"bytes"
	"encoding/json"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	"lowbit/internal/fault"
	"lowbit/internal/strictyaml"
)

// Preprocess says how an image becomes an input: resize, centre crop, then for each pixel
// (value·scale − mean)/std. A field left at its zero value changes nothing; an empty color or
// layout follows the model's input.
type Preprocess struct {
	Resize *Resize   `json:"resize,omitempty" yaml:"resize"`
	Crop   int       `json:"crop,omitempty" yaml:"crop"`   // side of the centre square, in pixels
	Scale  float64   `json:"scale,omitempty" yaml:"scale"` // of pixels 0 to 255; 0 means 1
	Mean   []float64 `json:"mean,omitempty" yaml:"mean"`   // by channel, in the order of Color
	Std    []float64 `json:"std,omitempty" yaml:"std"`
	Color  string    `json:"color,omitempty" yaml:"color"`   // RGB, BGR or GRAY
	Layout string    `json:"layout,omitempty" yaml:"layout"` // NCHW or NHWC
}

// Resize is the size that an image is brought to: its shorter side, or both sides.
type Resize struct {
	Short  int `json:"short,omitempty" yaml:"short"`
	Width  int `json:"width,omitempty" yaml:"width"`
	Height int `json:"height,omitempty" yaml:"height"`
}

// presets are the lists that have a name.
var presets = map[string]Preprocess{
	"imagenet": {Resize: &Resize{Short: 256}, Crop: 224, Scale: 1.0 / 255,
		Mean: []float64{.485, .456, .406}, Std: []float64{.229, .224, .225}, Color: "RGB", Layout: "NCHW"},
	"imagenet-tf": {Resize: &Resize{Short: 256}, Crop: 224, Scale: 1 / 127.5,
		Mean: []float64{1, 1, 1}, Color: "RGB", Layout: "NHWC"},
	"caffe": {Resize: &Resize{Short: 256}, Crop: 224,
		Mean: []float64{104, 117, 123}, Color: "BGR", Layout: "NCHW"},
	"none": {},
}

// maxSide bounds the sides of resized and cropped images.
const maxSide = 1 << 15

// Presets returns the names that LoadPreprocess knows, sorted.
func Presets() []string { return slices.Sorted(maps.Keys(presets)) }

// LoadPreprocess returns the list of that name, or the one in the YAML or JSON file at that path.
func LoadPreprocess(nameOrPath string) (*Preprocess, error) {
	if p, ok := presets[nameOrPath]; ok {
		return &p, nil
	}
	if _, err := os.Stat(nameOrPath); err != nil {
		e := fault.Invalidf("preprocess", "%q is neither a file nor one of %s", nameOrPath, strings.Join(Presets(), ", "))
		if near, ok := strictyaml.Meant(nameOrPath, Presets()); ok {
			return nil, e.WithHint("did you mean %q?", near)
		}
		return nil, e
	}
	data, err := readLimited(nameOrPath, strictyaml.MaxBytes)
	if err != nil {
		return nil, err
	}
	p, err := ParsePreprocess(data)
	return p, fault.At(nameOrPath, err)
}

// ParsePreprocess reads a preprocessing list from YAML or JSON. Unknown keys are errors.
func ParsePreprocess(text []byte) (*Preprocess, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, fault.Invalidf("", "no list of keys such as crop and scale")
	}
	p := &Preprocess{}
	if err := strictyaml.Decode(text, p); err != nil {
		return nil, err
	}
	return p, p.check()
}

// JSON returns the list as one line, which ParsePreprocess reads back: what a model's metadata holds.
func (p *Preprocess) JSON() string {
	b, err := json.Marshal(p)
	if err != nil {
		return "{}" // a number that is not finite; check refuses those
	}
	return string(b)
}

// check refuses lists that no image can be put through.
func (p *Preprocess) check() error {
	if r := p.Resize; r != nil {
		both := r.Width > 0 && r.Height > 0
		if r.Short < 0 || r.Width < 0 || r.Height < 0 || max(r.Short, r.Width, r.Height) > maxSide ||
			(r.Short > 0) == both || !both && r.Width+r.Height > 0 {
			return fault.Invalidf("resize", "give short, or both width and height, up to %d pixels", maxSide)
		}
	}
	if p.Crop < 0 || p.Crop > maxSide {
		return fault.Invalidf("crop", "%d is not a side of 1 to %d pixels", p.Crop, maxSide)
	}
	if !slices.Contains([]string{"", "RGB", "BGR", "GRAY"}, p.Color) {
		return fault.Invalidf("color", "%q is not RGB, BGR or GRAY", p.Color)
	}
	if !slices.Contains([]string{"", "NCHW", "NHWC"}, p.Layout) {
		return fault.Invalidf("layout", "%q is not NCHW or NHWC", p.Layout)
	}
	for _, v := range append(append([]float64{p.Scale}, p.Mean...), p.Std...) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return fault.Invalidf("scale, mean, std", "%v is not a number to compute with", v)
		}
	}
	if slices.Contains(p.Std, 0) {
		return fault.Invalidf("std", "divides by zero")
	}
	for _, list := range [][]float64{p.Mean, p.Std} {
		if n := p.channels(); len(list) > 1 && n > 0 && len(list) != n {
			return fault.Invalidf("mean, std", "%d numbers for %d channels", len(list), n)
		}
	}
	return nil
}

// channels is the number of channels that Color names; 0 where it names none.
func (p *Preprocess) channels() int {
	switch p.Color {
	case "RGB", "BGR":
		return 3
	case "GRAY":
		return 1
	}
	return 0
}

// normal is the value that each pixel value becomes, for each channel: [channel][pixel].
func (p *Preprocess) normal(channels int) [][256]float32 {
	scale := p.Scale
	if scale == 0 {
		scale = 1
	}
	pick := func(list []float64, c int, none float64) float64 {
		if len(list) == 0 {
			return none
		}
		return list[min(c, len(list)-1)]
	}
	table := make([][256]float32, channels)
	for c := range table {
		mean, std := pick(p.Mean, c, 0), pick(p.Std, c, 1)
		for v := range table[c] {
			table[c][v] = float32((float64(float64(v)*scale) - mean) / std)
		}
	}
	return table
}

// size is what an image of w by h pixels is resized to. The longer side is rounded down, as
// torchvision does.
func (p *Preprocess) size(w, h int) (int, int, error) {
	r := p.Resize
	switch {
	case r == nil:
		return w, h, nil
	case r.Short == 0:
		return r.Width, r.Height, nil
	case w <= h:
		h, w = r.Short*h/w, r.Short
	default:
		w, h = r.Short*w/h, r.Short
	}
	if max(w, h) > maxSide {
		return 0, 0, fault.Limitf("resize", "the image becomes %d × %d pixels", w, h)
	}
	return w, h, nil
}

// shape puts one image of channels c into the order of the layout, with a batch axis of 1.
func (p *Preprocess) shape(c, h, w int) []int {
	if p.Layout == "NHWC" {
		return []int{1, h, w, c}
	}
	return []int{1, c, h, w}
}
