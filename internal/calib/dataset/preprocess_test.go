package dataset

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

func TestPresets(t *testing.T) {
	rows := []struct {
		name  string
		pixel int
		want  []float64 // by channel
	}{
		{"imagenet", 0, []float64{-.485 / .229, -.456 / .224, -.406 / .225}},
		{"imagenet", 255, []float64{(1 - .485) / .229, (1 - .456) / .224, (1 - .406) / .225}},
		{"imagenet-tf", 0, []float64{-1, -1, -1}}, {"imagenet-tf", 255, []float64{1, 1, 1}},
		{"caffe", 200, []float64{96, 83, 77}}, {"none", 7, []float64{7, 7, 7}},
	}
	for _, r := range rows {
		p, err := LoadPreprocess(r.name)
		if err != nil {
			t.Fatal(err)
		}
		table := p.normal(3)
		for c, want := range r.want {
			if got := float64(table[c][r.pixel]); math.Abs(got-want) > 1e-6*math.Max(1, math.Abs(want)) {
				t.Errorf("%s: channel %d of pixel %d becomes %v, want %v", r.name, c, r.pixel, got, want)
			}
		}
		back, err := ParsePreprocess([]byte(p.JSON()))
		if err != nil || !reflect.DeepEqual(back, p) {
			t.Errorf("%s: stored as %s, read back as %+v: %v", r.name, p.JSON(), back, err)
		}
	}
	if want := []string{"caffe", "imagenet", "imagenet-tf", "none"}; !slices.Equal(Presets(), want) {
		t.Errorf("presets %v", Presets())
	}
}

func TestChannelOrder(t *testing.T) {
	r := raster{2, 1, 3, []uint8{1, 2, 3, 4, 5, 6}}
	rows := []struct {
		pre  Preprocess
		want []float32
	}{
		{Preprocess{Color: "RGB", Layout: "NCHW"}, []float32{1, 4, 2, 5, 3, 6}},
		{Preprocess{Color: "BGR", Layout: "NCHW"}, []float32{3, 6, 2, 5, 1, 4}},
		{Preprocess{Color: "RGB", Layout: "NHWC"}, []float32{1, 2, 3, 4, 5, 6}},
		{Preprocess{Color: "BGR", Layout: "NHWC", Mean: []float64{1, 0, 2}}, []float32{2, 2, -1, 5, 5, 2}},
		{Preprocess{Color: "GRAY", Mean: []float64{1}, Std: []float64{2}}, []float32{.5, 2}},
	}
	for _, row := range rows {
		px, err := newPixels(&Options{Preprocess: &row.pre}, 3)
		if err != nil {
			t.Fatal(err)
		}
		got, err := px.tensor(r)
		if err != nil || !slices.Equal(tensor.Of[float32](got), row.want) {
			t.Errorf("%s: %v %v", row.pre.JSON(), tensor.Of[float32](got), err)
		}
	}
}

// TestFollowsTheModel leaves color and layout open.
func TestFollowsTheModel(t *testing.T) {
	rows := []struct {
		in       []int
		channels int
		want     string
	}{
		{[]int{-1, 3, 8, 8}, 0, "RGB NCHW"}, {[]int{1, 8, 8, 3}, 0, "RGB NHWC"}, {[]int{-1, 1, 28, 28}, 0, "GRAY NCHW"},
		{[]int{1, 28, 28, 1}, 3, "GRAY NHWC"}, {[]int{1, 784}, 1, "GRAY NCHW"}, {[]int{-1, -1, -1, -1}, 3, "RGB NCHW"},
	}
	for _, r := range rows {
		px, err := newPixels(&Options{Inputs: inputs(input("x", tensor.Float32, r.in...))}, r.channels)
		if err != nil || px.pre.Color+" "+px.pre.Layout != r.want {
			t.Errorf("input %v, %d channels: %+v %v", r.in, r.channels, px, err)
		}
	}
	px, err := newPixels(&Options{Inputs: []*graph.Value{{Name: "x"}}}, 1)
	if err == nil {
		t.Errorf("an input of unknown type: %+v", px)
	}
}

// TestGeometry holds sizes and crops against torchvision's rules.
func TestGeometry(t *testing.T) {
	short := &Preprocess{Resize: &Resize{Short: 256}}
	for _, r := range []struct{ w, h, wantW, wantH int }{
		{500, 375, 341, 256}, {375, 500, 256, 341}, {256, 256, 256, 256}, {100, 301, 256, 770}, {1, 1, 256, 256},
	} {
		if w, h, err := short.size(r.w, r.h); w != r.wantW || h != r.wantH || err != nil {
			t.Errorf("%d × %d becomes %d × %d (%v)", r.w, r.h, w, h, err)
		}
	}
	if _, _, err := short.size(1, 1000); fault.KindOf(err) != fault.Limit {
		t.Errorf("a long strip: %v", err)
	}
	for _, r := range []struct{ size, n, at, pad int }{
		{341, 224, 58, 0}, {256, 224, 16, 0}, {227, 224, 2, 0}, {225, 224, 0, 0}, {224, 224, 0, 0}, {3, 8, 0, 2}, {229, 224, 2, 0},
	} {
		if at, pad := centre(r.size, r.n); at != r.at || pad != r.pad {
			t.Errorf("crop of %d from %d: at %d, padded by %d", r.n, r.size, at, pad)
		}
	}
	px, err := newPixels(&Options{Preprocess: &Preprocess{Crop: 4}}, 1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := px.tensor(raster{1, 2, 1, []uint8{7, 9}})
	want := []float32{0, 0, 0, 0, 0, 7, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0}
	if err != nil || !slices.Equal(tensor.Of[float32](got), want) {
		t.Errorf("a crop larger than the image: %v %v", tensor.Of[float32](got), err)
	}
}

func TestParsePreprocess(t *testing.T) {
	p, err := ParsePreprocess([]byte("resize: {width: 32, height: 16}\ncrop: 8\nscale: 0.5\nmean: [1, 2, 3]\nstd: [4, 5, 6]\ncolor: BGR\nlayout: NHWC\n"))
	want := &Preprocess{&Resize{Width: 32, Height: 16}, 8, .5, []float64{1, 2, 3}, []float64{4, 5, 6}, "BGR", "NHWC"}
	if err != nil || !reflect.DeepEqual(p, want) {
		t.Errorf("%+v %v", p, err)
	}
	rows := []struct {
		text, hint string
		words      []string
	}{
		{"crop: 8\nlay-out: NCHW", "layout", []string{"line 2", "lay-out"}},
		{"resize: {shrt: 8}", "short", []string{"line 1", "shrt"}},
		{"Mean: [1]", "mean", []string{"Mean"}},
		{"crop: 8\ncrop: 9", "", []string{"crop"}},
		{"crop: much", "", []string{"line 1", "much"}},
		{"crop: -1", "", []string{"crop"}},
		{"- 1", "", []string{"line 1", "keys"}},
		{"", "", []string{"keys"}},
		{"a: [", "", nil},
		{"a: &x 1\nb: *x", "", nil},
		{"resize: {short: 8, width: 9, height: 9}", "", []string{"resize"}},
		{"resize: {width: 9}", "", []string{"resize"}},
		{"resize: {short: 99999}", "", []string{"resize"}},
		{"color: CMYK", "", []string{"CMYK"}}, {"layout: HWC", "", []string{"HWC"}},
		{"std: [0]", "", []string{"zero"}}, {"scale: .nan", "", []string{"NaN"}},
		{"mean: [1, 2]\ncolor: RGB", "", []string{"2 numbers for 3"}},
	}
	for _, r := range rows {
		_, err := ParsePreprocess([]byte(r.text))
		refused(t, r.text, err, fault.Invalid, r.words...)
		if !strings.Contains(fault.HintOf(err), r.hint) {
			t.Errorf("%q: hint %q", r.text, fault.HintOf(err))
		}
	}
	_, err = LoadPreprocess("imagnet")
	refused(t, "a name", err, fault.Invalid, "imagnet", "imagenet-tf")
	path := filepath.Join(write(t, "p.yaml", "crop: [1]"), "p.yaml")
	_, err = LoadPreprocess(path)
	refused(t, "a file", err, fault.Invalid, path, "line 1")
}

// TestBomb proves that a file of 50 bytes that claims 400 million pixels costs nothing.
func TestBomb(t *testing.T) {
	claim := func(w, h uint32) string {
		head := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("IHDR"), w), h)
		head = append(head, 8, 2, 0, 0, 0)
		b := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), head...)
		return string(binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(head))) + strings.Repeat("x", 17)
	}
	for _, r := range []struct {
		w, h uint32
		kind fault.Kind
	}{{20000, 20000, fault.Limit}, {9999, 9999, fault.Invalid}, {1 << 30, 1 << 30, fault.Invalid}} {
		start := time.Now()
		_, err := decodeImage([]byte(claim(r.w, r.h)))
		refused(t, "bomb", err, r.kind)
		if d := time.Since(start); d > time.Second {
			t.Errorf("%d × %d took %v", r.w, r.h, d)
		}
	}
	big := filepath.Join(t.TempDir(), "big.png")
	f, err := os.Create(big)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(maxImageBytes + 1); err != nil {
		t.Fatal(err)
	}
	f.Close()
	_, err = readImage(big)
	refused(t, "large file", err, fault.Limit, "big.png")
}

func FuzzPreprocess(f *testing.F) {
	for _, name := range Presets() {
		p, err := LoadPreprocess(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(p.JSON()))
	}
	f.Add([]byte("resize: {width: 32, height: 16}\nstd: [4, 5, 6]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := ParsePreprocess(text)
		if err != nil {
			refused(t, string(text), err, fault.Invalid)
			return
		}
		if back, err := ParsePreprocess([]byte(p.JSON())); err != nil || back.JSON() != p.JSON() {
			t.Errorf("%s is read back as %+v: %v", p.JSON(), back, err)
		}
	})
}

// tensor preprocesses one image.
func (p *pixels) tensor(r raster) (*tensor.Tensor, error) {
	s, err := p.sample("image", r, -1)
	if err != nil {
		return nil, err
	}
	return s.Inputs[p.input], nil
}

// TestHold makes the inputs of held samples again, though those of before were recycled: the same, from a quarter of the bytes
// where they are pixels.
func TestHold(t *testing.T) {
	photo, err := os.ReadFile("testdata/scene-420.jpg")
	if err != nil {
		t.Fatal(err)
	}
	photos := write(t, "a.jpg", string(photo))
	arrays := filepath.Join(write(t, "x.npy", npyOf(t, ramp(2, 3))), "x.npy")
	padded := &Preprocess{Resize: &Resize{Short: 24}, Crop: 30, Mean: []float64{0.4, 0.5, 0.6}, Std: []float64{0.2, 0.3, 0.4}}
	bytes := []*graph.Value{input("x", tensor.Uint8, -1, 3, 30, 30)}
	for _, c := range []struct {
		name, path string
		o          Options
		held       int
	}{
		{"photograph", photos, Options{Preprocess: padded}, 32 * 24 * 3},
		{"bytes", photos, Options{Preprocess: &Preprocess{Crop: 30}, Inputs: bytes}, 30 * 30 * 3},
		{"array", arrays, Options{}, 3 * 4},
		{"drawn image", None, Options{Inputs: []*graph.Value{input("x", tensor.Float32, -1, 3, 64, 64)}, Samples: 2}, 4 * 3 * 64 * 64},
		{"drawn numbers", "random:normal", Options{Inputs: []*graph.Value{input("x", tensor.Float32, -1, 3, 64, 64)}, Samples: 2}, 4 * 3 * 64 * 64},
		{"made", "", Options{}, 4 * 64 * 64},
	} {
		var d *Source
		if c.path == "" {
			one := &Sample{Inputs: map[string]*tensor.Tensor{"x": tensor.Scratch(tensor.Float32, 64, 64)}}
			clear(one.Inputs["x"].Raw)
			d = New(Info{Total: 1}, func(int) (*Sample, error) { return one, nil })
		} else {
			d = open(t, c.path, c.o)
		}
		want := sample(t, d, 0)
		again, held, err := d.Hold(0)
		if err != nil || held > c.held {
			t.Fatalf("%s: %d bytes are held, want %d at most (%v)", c.name, held, c.held, err)
		}
		for range 2 {
			got := again()
			for name, w := range want.Inputs {
				if g := got[name]; g.String() != w.String() || !slices.Equal(g.Raw, w.Raw) {
					t.Errorf("%s: input %q differs from what was read", c.name, name)
				}
			}
			tensor.Recycle(got)
			for range 4 { // whoever takes the memory writes to it
				for _, w := range want.Inputs {
					for i, x := 0, tensor.Scratch(w.DType, w.Shape...); i < len(x.Raw); i++ {
						x.Raw[i] = 1
					}
				}
			}
		}
		if _, _, err := d.Hold(d.Len()); err == nil {
			t.Errorf("%s: a sample that is not there is held", c.name)
		}
	}
}
