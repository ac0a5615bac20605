package lowbit_test

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"lowbit"
)

// TestImageInput holds images that a program has against the same ones in files.
func TestImageInput(t *testing.T) {
	m, err := lowbit.Open("testdata/tiny.onnx")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	img := image.NewNRGBA(image.Rect(3, 4, 43, 30)) // whose corner is not at the origin
	for y := 4; y < 30; y++ {
		for x := 3; x < 43; x++ {
			img.SetNRGBA(x, y, color.NRGBA{uint8(5 * x), uint8(7 * y), uint8(x * y), uint8(200 + x)})
		}
	}
	var file bytes.Buffer
	if err := png.Encode(&file, img); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.png"), file.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	data, err := lowbit.OpenData(dir, lowbit.DataOptions{Preprocess: "testdata/four.yaml"}, m)
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	want, err := data.Sample(0)
	if err != nil {
		t.Fatal(err)
	}
	images, err := lowbit.NewImageInput(m, "testdata/four.yaml")
	if err != nil {
		t.Fatal(err)
	}
	got, err := images.Inputs(img)
	if err != nil {
		t.Fatal(err)
	}
	if x := got["x"]; len(got) != 1 || x.String() != "float[1,4]" || !bytes.Equal(x.Raw, want.Inputs["x"].Raw) {
		t.Errorf("the image became %v, its file %v", got, want.Inputs)
	}
	for name, c := range map[string]struct {
		want error
		img  image.Image
	}{
		"none": {lowbit.ErrInvalid, nil}, "an empty one": {lowbit.ErrInvalid, image.NewGray(image.Rect(1, 1, 1, 1))},
		"a vast one": {lowbit.ErrLimit, image.NewUniform(color.White)},
	} {
		if _, err := images.Inputs(c.img); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := lowbit.NewImageInput(m, "nothing"); !errors.Is(err, lowbit.ErrInvalid) {
		t.Errorf("an unknown pre-processing: %v", err)
	}
	plain, err := lowbit.NewImageInput(m, "none")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := plain.Inputs(img); !errors.Is(err, lowbit.ErrInvalid) {
		t.Errorf("an image of another size: %v", err)
	}
}
