package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lowbit/internal/fault"
	"lowbit/internal/npz"
	"lowbit/internal/tensor"
)

// golden returns Pillow's results by key.
func golden(t *testing.T) map[string]*tensor.Tensor {
	t.Helper()
	list, err := npz.ReadFile("testdata/golden.npz")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*tensor.Tensor{}
	for _, a := range list {
		out[a.Name] = a.Tensor
	}
	return out
}

// differences returns the largest and the mean absolute difference of two images.
func differences(a, b []uint8) (worst int, mean float64) {
	for i := range a {
		d := int(a[i]) - int(b[i])
		worst = max(worst, d, -d)
		mean += float64(max(d, -d))
	}
	return worst, mean / float64(len(a))
}

func isShape(r raster, t *tensor.Tensor) bool {
	c := 1
	if t.Rank() == 3 {
		c = t.Shape[2]
	}
	return r.h == t.Shape[0] && r.w == t.Shape[1] && r.c == c
}

// TestDecode holds decoded images against Pillow's: lossless ones must be equal, JPEGs may differ
// by the rounding of another inverse DCT.
func TestDecode(t *testing.T) {
	for key, want := range golden(t) {
		name, ok := strings.CutPrefix(key, "decode:")
		if !ok {
			continue
		}
		r, err := readImage(filepath.Join("testdata", name))
		if err != nil || !isShape(r, want) {
			t.Errorf("%s: %d × %d × %d, want %v: %v", name, r.h, r.w, r.c, want, err)
			continue
		}
		limit, mean := 0, 0.0
		if strings.HasSuffix(name, ".jpg") {
			limit, mean = 3, 0.25
		}
		if worst, avg := differences(r.pix, want.Raw); worst > limit || avg > mean {
			t.Errorf("%s: pixels differ by up to %d, %.3f on average", name, worst, avg)
		}
	}
}

func TestResizeIsPillows(t *testing.T) {
	src, err := readImage("testdata/scene.png")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for key, want := range golden(t) {
		var w, h int
		in := src
		if _, err := fmt.Sscanf(key, "grey:%d:%d", &w, &h); err == nil {
			in = src.toGray()
		} else if _, err := fmt.Sscanf(key, "resize:%d:%d", &w, &h); err != nil {
			continue
		}
		n++
		got := resize(in, w, h, window{0, 0, w, h})
		if !isShape(got, want) || string(got.pix) != string(want.Raw) {
			t.Errorf("%s differs from Pillow's", key)
		}
		for _, win := range []window{{0, 0, 1, 1}, {w / 3, h / 4, w - w/3, h - h/4}, {w - 1, h - 1, 1, 1}} {
			part := resize(in, w, h, win)
			for y := range win.h {
				row := part.pix[y*win.w*part.c : (y+1)*win.w*part.c]
				if whole := got.pix[((win.y+y)*w+win.x)*part.c:][:len(row)]; string(row) != string(whole) {
					t.Fatalf("%s: row %d of the window %v differs from the whole", key, y, win)
				}
			}
		}
	}
	if n != 8 {
		t.Errorf("%d resized images in golden.npz", n)
	}
}

func TestPipelineIsTorchvisions(t *testing.T) {
	want := golden(t)["short24crop20"]
	px, err := newPixels(&Options{Preprocess: &Preprocess{Resize: &Resize{Short: 24}, Crop: 20, Layout: "NHWC"}}, 0)
	if err != nil {
		t.Fatal(err)
	}
	r, err := readImage("testdata/scene-420.jpg")
	if err != nil {
		t.Fatal(err)
	}
	got, err := px.tensor(r)
	if err != nil || got.String() != "float[1,20,20,3]" {
		t.Fatal(got, err)
	}
	for i, v := range tensor.Of[float32](got) {
		if d := v - float32(want.Raw[i]); d < -2 || d > 2 {
			t.Fatalf("element %d is %v, torchvision's %d", i, v, want.Raw[i])
		}
	}
}

// FuzzImage proves that no image file makes a panic, and that what is read has the size it says.
func FuzzImage(f *testing.F) {
	for _, name := range []string{"narrow.jpg", "grey.jpg", "progressive.jpg", "palette.png", "palette.gif"} {
		data, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := decodeImage(data)
		if err != nil {
			if k := fault.KindOf(err); k != fault.Invalid && k != fault.Unsupported && k != fault.Limit {
				t.Fatalf("error of kind %d: %v", k, err)
			}
			return
		}
		if len(r.pix) != r.w*r.h*r.c || r.w == 0 || r.h == 0 {
			t.Fatalf("%d × %d × %d pixels in %d bytes", r.w, r.h, r.c, len(r.pix))
		}
		resize(r, 3, 2, window{0, 0, 3, 2})
	})
}
