package npz

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"lowbit/internal/fault"
	"lowbit/internal/tensor"
)

// TestGolden reads what NumPy and ml_dtypes wrote: every type holds a ramp of (2,3) elements.
func TestGolden(t *testing.T) {
	mod := []float64{0, 3, 6, 2, 5, 1}
	ramp := []float64{0, 1, 0, 1, 0, 1}
	rows := []struct {
		name string
		as   tensor.DType
		want any
	}{
		{"f4", tensor.Float32, cast[float32](mod)}, {"f8", tensor.Float64, mod},
		{"i1", tensor.Int8, cast[int8](mod)}, {"i2", tensor.Int16, cast[int16](mod)},
		{"i4", tensor.Int32, cast[int32](mod)}, {"i8", tensor.Int64, cast[int64](mod)},
		{"u1", tensor.Uint8, cast[uint8](mod)}, {"u2", tensor.Uint16, cast[uint16](mod)},
		{"u4", tensor.Uint32, cast[uint32](mod)}, {"u8", tensor.Uint64, cast[uint64](mod)},
		{"f2", tensor.Float16, []uint16{0, 0x4200, 0x4600, 0x4000, 0x4500, 0x3c00}},
		{"bfloat16", tensor.BFloat16, []uint16{0, 0x4040, 0x40c0, 0x4000, 0x40a0, 0x3f80}},
		{"float8_e5m2", tensor.Float8E5M2, []uint8{0, 0x42, 0x46, 0x40, 0x45, 0x3c}},
		{"float8_e4m3fn", tensor.Float8E4M3FN, []uint8{0, 0x44, 0x4c, 0x40, 0x4a, 0x38}},
		{"int4", tensor.Int4, []uint8{0xed, 0x0f, 0x21}}, {"uint4", tensor.Uint4, []uint8{0xa9, 0xcb, 0xed}},
		{"b1", tensor.Bool, cast[uint8](ramp)},
		{"c8", tensor.Complex64, []complex64{-2i, 1 - 1i, 2, 3 + 1i, 4 + 2i, 5 + 3i}},
		{"c16", tensor.Complex128, []complex128{-2i, 1 - 1i, 2, 3 + 1i, 4 + 2i, 5 + 3i}},
		{"U", tensor.String, []string{"a", "héllo", "", "日本", "\U0001f600", "z\x00z"}},
		{"S", tensor.String, []string{"a", "bc", "", "d", "e\x00f", "g"}},
	}
	f := open(t, "testdata/golden.npz")
	for _, r := range rows {
		for _, name := range []string{r.name, "be-" + r.name} {
			if !has(f, name) {
				continue
			}
			got, err := f.ReadAs(name, r.as)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			if got.DType != r.as || !slices.Equal(got.Shape, []int{2, 3}) || !reflect.DeepEqual(elements(got), r.want) {
				t.Errorf("%s: got %v %v, want %v", name, got, elements(got), r.want)
			}
		}
	}
}

func TestGoldenShapes(t *testing.T) {
	f := open(t, "testdata/golden.npz")
	scalar, err := f.Read("scalar")
	if err != nil || scalar.Rank() != 0 || tensor.Of[float32](scalar)[0] != 2.5 {
		t.Errorf("scalar: %v %v", scalar, err)
	}
	empty, err := f.Read("empty")
	if err != nil || !slices.Equal(empty.Shape, []int{0, 4}) {
		t.Errorf("empty: %v %v", empty, err)
	}
	count := make([]int32, 24)
	for i := range count {
		count[i] = int32(i)
	}
	for path, name := range map[string]string{"testdata/golden.npz": "fortran", "testdata/column.npy": ""} {
		col, err := open(t, path).Read(name)
		if err != nil || !slices.Equal(tensor.Of[int32](col), count) {
			t.Errorf("%s: column-major array read as %v %v", path, elements(col), err)
		}
	}
	for _, path := range []string{"testdata/v2.npy", "testdata/v3.npy"} {
		v, err := open(t, path).Read("")
		if err != nil || !slices.Equal(tensor.Of[float32](v), []float32{0, 1, 2, 3}) {
			t.Errorf("%s: %v %v", path, v, err)
		}
	}
}

func TestRows(t *testing.T) {
	rows := []struct{ path, name string }{
		{"testdata/deflated.npz", "x"}, {"testdata/big.npy", ""}, {"testdata/column.npy", ""}, {"testdata/golden.npz", "i2"},
	}
	for _, r := range rows {
		f := open(t, r.path)
		whole, err := f.Read(r.name)
		if err != nil {
			t.Fatal(err)
		}
		width := len(whole.Raw) / whole.Shape[0]
		for lo := 0; lo <= whole.Shape[0]; lo++ {
			for hi := lo; hi <= min(lo+3, whole.Shape[0]); hi++ {
				got, err := f.Rows(r.name, lo, hi)
				if err != nil || got.Shape[0] != hi-lo || !bytes.Equal(got.Raw, whole.Raw[lo*width:hi*width]) {
					t.Fatalf("%s: rows %d to %d: %v %v", r.path, lo, hi, got, err)
				}
			}
		}
		for _, bad := range [][2]int{{-1, 1}, {1, 0}, {0, whole.Shape[0] + 1}} {
			if _, err := f.Rows(r.name, bad[0], bad[1]); fault.KindOf(err) != fault.Invalid {
				t.Errorf("%s: rows %v: %v", r.path, bad, err)
			}
		}
	}
}

// TestStream reads a deflated array through a ring that is smaller than it, forwards, back within
// the ring, and back beyond it.
func TestStream(t *testing.T) {
	f := open(t, "testdata/deflated.npz")
	whole, err := f.Read("x")
	if err != nil {
		t.Fatal(err)
	}
	s := &stream{a: f.arrays[0], behind: 256}
	for _, r := range [][2]int{{0, 120}, {120, 360}, {0, 120}, {4000, 4120}, {3900, 4100}, {11000, 12000}, {0, 8}, {11992, 12000}} {
		got := make([]byte, r[1]-r[0])
		if err := s.read(got, int64(r[0])); err != nil || !bytes.Equal(got, whole.Raw[r[0]:r[1]]) {
			t.Fatalf("bytes %v differ: %v", r, err)
		}
	}
	if err := s.read(make([]byte, 8), 11996); err == nil {
		t.Error("reading past the end did not fail")
	}
}

func TestRoundTrip(t *testing.T) {
	var arrays []Array
	for _, r := range descrs {
		if r.dtype == tensor.Undefined || r.code == "f1" {
			continue
		}
		a := tensor.New(r.dtype, 3, 5)
		for i := range a.Raw {
			a.Raw[i] = byte(i*37) & 1
		}
		if r.dtype.Bits() < 8 {
			a.Raw[len(a.Raw)-1] &= 1
		}
		arrays = append(arrays, Array{r.dtype.String(), a})
	}
	arrays = append(arrays,
		Array{"in:text", tensor.Strings([]string{"", "añ", "\U0001f600"}, 3)},
		Array{"scalar", tensor.Scalar(4)}, Array{"none", tensor.New(tensor.Int64, 0, 7)})
	var first, second bytes.Buffer
	for _, w := range []*bytes.Buffer{&first, &second} {
		if err := Write(w, arrays); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(first.Bytes(), second.Bytes()) {
		t.Error("two writes of the same arrays differ")
	}
	path := filepath.Join(t.TempDir(), "x.npz")
	if err := os.WriteFile(path, first.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	f := open(t, path)
	for _, a := range arrays {
		got, err := f.ReadAs(a.Name, a.Tensor.DType)
		if err != nil || got.DType != a.Tensor.DType || !slices.Equal(got.Shape, a.Tensor.Shape) ||
			!reflect.DeepEqual(elements(got), elements(a.Tensor)) {
			t.Errorf("%s: wrote %v %v, read %v %v (%v)", a.Name, a.Tensor, elements(a.Tensor), got, got, err)
		}
	}
	if _, err := f.Read("int4"); fault.KindOf(err) != fault.Unsupported {
		t.Errorf("bare bytes without a type: %v", err)
	}
}

func TestWriteRefuses(t *testing.T) {
	for _, x := range []*tensor.Tensor{
		tensor.NewSequence(tensor.Float32), tensor.Strings([]string{"\xff"}, 1), {DType: tensor.Undefined},
	} {
		if err := WriteNpy(&bytes.Buffer{}, x); fault.KindOf(err) != fault.Unsupported {
			t.Errorf("%v: %v", x, err)
		}
	}
}

func TestMissing(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none.npy")); fault.KindOf(err) != fault.IO {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := Open(t.TempDir()); fault.KindOf(err) != fault.IO {
		t.Errorf("a folder: %v", err)
	}
	_, err := open(t, "testdata/golden.npz").Read("nothing")
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "nothing") {
		t.Errorf("a missing array: %v", err)
	}
}

func open(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func has(f *File, name string) bool {
	return slices.ContainsFunc(f.Headers(), func(h Header) bool { return h.Name == name })
}

func cast[T int8 | int16 | int32 | int64 | uint8 | uint16 | uint32 | uint64 | float32](v []float64) []T {
	out := make([]T, len(v))
	for i, x := range v {
		out[i] = T(x)
	}
	return out
}

// elements returns the elements of x as a Go slice; those of narrow and unusual types as codes.
func elements(x *tensor.Tensor) any {
	switch x.DType {
	case tensor.String:
		return x.Str
	case tensor.Float32:
		return tensor.Of[float32](x)
	case tensor.Float64:
		return tensor.Of[float64](x)
	case tensor.Int8:
		return tensor.Of[int8](x)
	case tensor.Int16:
		return tensor.Of[int16](x)
	case tensor.Int32:
		return tensor.Of[int32](x)
	case tensor.Int64:
		return tensor.Of[int64](x)
	case tensor.Uint16, tensor.Float16, tensor.BFloat16:
		return tensor.Of[uint16](x)
	case tensor.Uint32:
		return tensor.Of[uint32](x)
	case tensor.Uint64:
		return tensor.Of[uint64](x)
	case tensor.Complex64:
		return tensor.Of[complex64](x)
	case tensor.Complex128:
		return tensor.Of[complex128](x)
	}
	return []uint8(x.Raw)
}
