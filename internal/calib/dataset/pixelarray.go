package dataset

import (
	"fmt"
	"path/filepath"

	"lowbit/internal/npz"
	"lowbit/internal/tensor"
)

// pixelArray is an array of images, [N,H,W] or [N,H,W,C] of bytes.
type pixelArray struct {
	file   *npz.File
	name   string
	shape  []int
	pixels *pixels
	labels []int
}

// openPixelArray opens a .npy file for which preprocessing is asked: bytes are pixels, and what
// else there is is taken as it is.
func openPixelArray(path string, o *Options, info *Info) (reader, error) {
	f, err := npz.Open(path)
	if err != nil {
		return nil, err
	}
	h := f.Headers()[0]
	channels := 1
	if len(h.Shape) == 4 {
		channels = h.Shape[3]
	}
	if h.DType != tensor.Uint8 || len(h.Shape) < 3 || len(h.Shape) > 4 || channels != 1 && channels != 3 {
		f.Close()
		return openArrays(path, o, info)
	}
	a := &pixelArray{file: f, name: filepath.Base(path), shape: h.Shape}
	if a.pixels, err = newPixels(o, channels); err == nil && o.Labels != "" {
		a.labels, err = labelColumn(o.Labels, a.len())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	info.Preprocess, info.Labelled = &a.pixels.pre, a.labels != nil
	return a, nil
}

func (a *pixelArray) len() int     { return a.shape[0] }
func (a *pixelArray) close() error { return a.file.Close() }

func (a *pixelArray) sample(i int) (*Sample, error) {
	t, err := a.file.Rows("", i, i+1)
	if err != nil {
		return nil, err
	}
	r := raster{w: a.shape[2], h: a.shape[1], c: 1, pix: t.Raw}
	if len(a.shape) == 4 {
		r.c = a.shape[3]
	}
	return a.pixels.sample(fmt.Sprintf("%s[%d]", a.name, i), r, label(a.labels, i))
}
