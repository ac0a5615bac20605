package dataset

import (
	"image"

	"lowbit/internal/fault"
	"lowbit/internal/tensor"
)

// An ImageInput makes a model's input of images that a program holds, as those of a folder become samples.
type ImageInput struct{ pixels *pixels }

// NewImageInput returns what feeds the one input that o names.
func NewImageInput(o Options) (*ImageInput, error) {
	if len(o.Inputs) == 0 {
		return nil, fault.Invalidf("", "the model has no input for an image")
	}
	p, err := newPixels(&o, 0)
	if err != nil {
		return nil, err
	}
	return &ImageInput{p}, nil
}

// Inputs resizes, crops and normalises an image, whatever its size and colours, into the input by its name. It may be called
// from several goroutines.
func (p *ImageInput) Inputs(img image.Image) (map[string]*tensor.Tensor, error) {
	if img == nil || img.Bounds().Empty() {
		return nil, fault.Invalidf("image", "has no pixels")
	}
	if b := img.Bounds(); float64(b.Dx())*float64(b.Dy()) > maxImagePixels {
		return nil, fault.Limitf("image", "%d × %d pixels; the limit is %d million", b.Dx(), b.Dy(), int(maxImagePixels/1e6))
	}
	s, err := p.pixels.sample("image", rasterOf(img), -1)
	if err != nil {
		return nil, err
	}
	return s.Inputs, nil
}
