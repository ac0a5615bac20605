package dataset

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/npz"
	"lowbit/internal/onnx"
	"lowbit/internal/tensor"
)

// write puts files, given as path and content in turn, into a new folder.
func write(t *testing.T, files ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(dir, filepath.FromSlash(files[i]))
		err := os.MkdirAll(filepath.Dir(path), 0o700)
		if err == nil {
			err = os.WriteFile(path, []byte(files[i+1]), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// plain returns a PNG of one colour.
func plain(t *testing.T, w, h int, c color.Color) string {
	t.Helper()
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		m.Set(i%w, i/w, c)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func zipOf(t *testing.T, arrays ...npz.Array) string {
	t.Helper()
	var b bytes.Buffer
	if err := npz.Write(&b, arrays); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func npyOf(t *testing.T, x *tensor.Tensor) string {
	t.Helper()
	var b bytes.Buffer
	if err := npz.WriteNpy(&b, x); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func gzipOf(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(s)); err != nil || w.Close() != nil {
		t.Fatal(err)
	}
	return b.String()
}

// idxOf returns an IDX file of bytes 0, 1, 2, … of the given shape.
func idxOf(shape ...int) string {
	b := []byte{0, 0, 8, byte(len(shape))}
	for _, d := range shape {
		b = binary.BigEndian.AppendUint32(b, uint32(d))
	}
	for i := range tensor.Elements(shape) {
		b = append(b, byte(i))
	}
	return string(b)
}

func tensorOf(t *testing.T, name string, x *tensor.Tensor) string {
	t.Helper()
	b, err := onnx.EncodeTensor(name, x)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// ramp is a float tensor of 0, 1, 2, …
func ramp(shape ...int) *tensor.Tensor {
	t := tensor.New(tensor.Float32, shape...)
	for i := range tensor.Of[float32](t) {
		tensor.Of[float32](t)[i] = float32(i)
	}
	return t
}

// input declares an input; a dimension of −1 is unknown.
func input(name string, d tensor.DType, shape ...int) *graph.Value {
	v := &graph.Value{Name: name, Type: graph.Of(d, shape...)}
	for i, n := range shape {
		if n < 0 {
			v.Type.Shape[i] = graph.Symbol("N")
		}
	}
	return v
}

func inputs(v ...*graph.Value) []*graph.Value { return v }

func open(t *testing.T, path string, o Options) *Source {
	t.Helper()
	s, err := Open(path, o)
	if err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func sample(t *testing.T, s *Source, i int) *Sample {
	t.Helper()
	x, err := s.Sample(i)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// refused proves that err is of a kind and speaks of each word.
func refused(t *testing.T, name string, err error, kind fault.Kind, words ...string) {
	t.Helper()
	if fault.KindOf(err) != kind {
		t.Errorf("%s: error %v", name, err)
		return
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: no word of %q in: %v", name, w, err)
		}
	}
}
