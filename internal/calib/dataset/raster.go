package dataset

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	_ "image/gif"  // registers the decoder
	_ "image/jpeg" // registers the decoder
	_ "image/png"  // registers the decoder
	"io"
	"os"

	_ "golang.org/x/image/bmp"  // registers the decoder
	_ "golang.org/x/image/tiff" // registers the decoder
	_ "golang.org/x/image/webp" // registers the decoder

	"lowbit/internal/fault"
)

const (
	maxImageBytes  = 64 << 20
	maxImagePixels = 100e6
)

// readImage reads an image file as red, green and blue, or as grey if it is grey. Orientation
// tags are ignored and transparency is dropped, as Pillow's convert("RGB") does.
func readImage(path string) (raster, error) {
	data, err := readLimited(path, maxImageBytes)
	if err != nil {
		return raster{}, err
	}
	r, err := decodeImage(data)
	return r, fault.At(path, err)
}

// readLimited reads a regular file of at most limit bytes.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.IOf(path, err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, fault.IOf(path, err)
	}
	if !st.Mode().IsRegular() || st.Size() > limit {
		return nil, fault.Limitf(path, "not a plain file of at most %d bytes", limit)
	}
	data := make([]byte, st.Size())
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fault.IOf(path, err)
	}
	return data, nil
}

// decodeImage decodes an image whose pixels are counted before any memory is taken for them. No
// format packs more than 8,256 pixels into a byte: deflate of 1-bit PNG comes closest.
func decodeImage(data []byte) (raster, error) {
	cfg, format, err := image.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return raster{}, imageError(err)
	}
	pixels := float64(cfg.Width) * float64(cfg.Height)
	switch {
	case cfg.Width <= 0 || cfg.Height <= 0:
		return raster{}, fault.Invalidf("", "an image of %d × %d pixels", cfg.Width, cfg.Height)
	case pixels > maxImagePixels:
		return raster{}, fault.Limitf("", "%d × %d pixels; the limit is %d million", cfg.Width, cfg.Height, int(maxImagePixels/1e6))
	case pixels > float64(len(data))*8256+1<<16:
		return raster{}, fault.Invalidf("", "%d × %d pixels do not fit into %d bytes of %s", cfg.Width, cfg.Height, len(data), format)
	}
	img, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return raster{}, imageError(err)
	}
	if img.Bounds().Empty() {
		return raster{}, fault.Invalidf("", "damaged image: a frame without pixels")
	}
	return rasterOf(img), nil
}

func imageError(err error) error {
	if errors.Is(err, image.ErrFormat) {
		return fault.Unsupportedf("", "not a JPEG, PNG, GIF, BMP, TIFF or WebP image")
	}
	return fault.Invalidf("", "damaged image: %v", err).WithHint("replace the file or take it out of the folder")
}

// rasterOf returns img's pixels.
func rasterOf(img image.Image) raster {
	switch m := img.(type) {
	case *image.YCbCr:
		return fromYCbCr(m)
	case *image.Gray:
		return fromGray(m)
	case *image.NRGBA:
		return fromRGBA(m.Pix, m.Stride, m.Rect)
	case *image.RGBA:
		if m.Opaque() {
			return fromRGBA(m.Pix, m.Stride, m.Rect)
		}
	case *image.Paletted:
		return fromPalette(m)
	case *image.Gray16:
		return fromGray16(m)
	}
	b := img.Bounds()
	r := newRaster(b.Dx(), b.Dy(), 3)
	p := r.pix
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := color.NRGBAModel.Convert(img.At(x, y)).(color.NRGBA)
			p[0], p[1], p[2] = c.R, c.G, c.B
			p = p[3:]
		}
	}
	return r
}

func fromGray(m *image.Gray) raster {
	r := newRaster(m.Rect.Dx(), m.Rect.Dy(), 1)
	for y := range r.h {
		copy(r.pix[y*r.w:(y+1)*r.w], m.Pix[y*m.Stride:])
	}
	return r
}

func fromGray16(m *image.Gray16) raster {
	r := newRaster(m.Rect.Dx(), m.Rect.Dy(), 1)
	for i := range r.pix {
		r.pix[i] = m.Pix[i/r.w*m.Stride+i%r.w*2]
	}
	return r
}

func fromRGBA(pix []uint8, stride int, b image.Rectangle) raster {
	r := newRaster(b.Dx(), b.Dy(), 3)
	p := r.pix
	for y := range r.h {
		in := pix[y*stride:][:4*r.w]
		for ; len(in) >= 4; in, p = in[4:], p[3:] {
			p[0], p[1], p[2] = in[0], in[1], in[2]
		}
	}
	return r
}

func fromPalette(m *image.Paletted) raster {
	var table [256]color.NRGBA
	for i, c := range m.Palette {
		table[i] = color.NRGBAModel.Convert(c).(color.NRGBA)
	}
	r := newRaster(m.Rect.Dx(), m.Rect.Dy(), 3)
	p := r.pix
	for y := range r.h {
		for _, i := range m.Pix[y*m.Stride:][:r.w] {
			p[0], p[1], p[2] = table[i].R, table[i].G, table[i].B
			p = p[3:]
		}
	}
	return r
}

// toGray returns r as one channel: ITU-R 601 luma with 16-bit weights, as Pillow computes it.
func (r raster) toGray() raster {
	if r.c == 1 {
		return r
	}
	g := newRaster(r.w, r.h, 1)
	for i := range g.pix {
		p := r.pix[3*i : 3*i+3]
		g.pix[i] = uint8((uint32(p[0])*19595 + uint32(p[1])*38470 + uint32(p[2])*7471 + 1<<15) >> 16)
	}
	return g
}

// toRGB returns r as three channels.
func (r raster) toRGB() raster {
	if r.c == 3 {
		return r
	}
	out := newRaster(r.w, r.h, 3)
	for i, v := range r.pix {
		out.pix[3*i], out.pix[3*i+1], out.pix[3*i+2] = v, v, v
	}
	return out
}
