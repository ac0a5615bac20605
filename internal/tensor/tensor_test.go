package tensor

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"testing"
	"unsafe"
)

func TestNew(t *testing.T) {
	for d := Undefined + 1; d.Valid(); d++ {
		x := New(d, 3, 5)
		if x.Len() != 15 || x.Rank() != 2 || x.DType != d {
			t.Errorf("%s: %v", d, x)
		}
		if d == String {
			if len(x.Str) != 15 || x.Raw != nil {
				t.Errorf("strings: %d, %d bytes", len(x.Str), len(x.Raw))
			}
			continue
		}
		if want := (15*d.Bits() + 7) / 8; len(x.Raw) != want || x.Bytes() != want {
			t.Errorf("%s: %d bytes, want %d", d, len(x.Raw), want)
		}
		if x.Bytes() >= 64 && uintptr(unsafe.Pointer(&x.Raw[0]))%64 != 0 {
			t.Errorf("%s: memory is not aligned", d)
		}
	}
	if s := New(Float32); s.Len() != 1 || s.Rank() != 0 {
		t.Errorf("a scalar has %d elements", s.Len())
	}
	if e := New(Float32, 2, 0); e.Len() != 0 || len(Of[float32](e)) != 0 {
		t.Errorf("an empty tensor has %d elements", e.Len())
	}
}

func TestDTypes(t *testing.T) {
	for d := Undefined; int(d) < 40; d++ {
		if back, ok := ParseDType(d.String()); ok != d.Valid() || ok && back != d {
			t.Errorf("%d %s reads back as %d", d, d, back)
		}
		if d.IsInt() && (d.IsFloat() || d.Bits() == 0) {
			t.Errorf("%s is of two classes", d)
		}
	}
	if DType(200).Valid() || DType(200).String() != "undefined" {
		t.Error("a type that nobody knows")
	}
}

func TestString(t *testing.T) {
	for _, c := range []struct {
		x    *Tensor
		want string
	}{
		{New(Float32, 1, 3, 224, 224), "float[1,3,224,224]"},
		{New(Int8), "int8[]"},
		{NewSequence(Float32, New(Float32, 2)), "seq(float)[1]"},
		{NewOptional(Int64, nil), "optional(int64)[0]"},
		{NewOptional(Int64, Vector(1)), "optional(int64)[1]"},
	} {
		if got := c.x.String(); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func TestCheckedElements(t *testing.T) {
	for _, c := range []struct {
		shape []int
		n     int
		ok    bool
	}{
		{nil, 1, true}, {[]int{2, 3}, 6, true}, {[]int{0, 1 << 62, 1 << 62}, 0, false}, {[]int{0, 5}, 0, true}, {[]int{-1}, 0, false},
		{[]int{1 << 40, 1 << 40}, 0, false}, {[]int{math.MaxInt}, 0, false}, {[]int{0, -1}, 0, false},
		{[]int{1 << 27, 0}, 0, true}, {[]int{1 << 28, 0}, 0, false},
	} {
		n, err := CheckedElements(c.shape)
		if (err == nil) != c.ok || c.ok && n != c.n {
			t.Errorf("%v: %d, %v", c.shape, n, err)
		}
	}
}

func TestClone(t *testing.T) {
	x := NewSequence(Float32, Float32s([]float32{1, 2}, 2), Strings([]string{"a"}, 1))
	y := x.Clone()
	Of[float32](y.Items[0])[0] = 9
	y.Items[1].Str[0] = "b"
	y.Items[0].Shape[0] = 1
	if Of[float32](x.Items[0])[0] != 1 || x.Items[1].Str[0] != "a" || x.Items[0].Shape[0] != 2 {
		t.Errorf("the clone shares memory: %v", x.Items)
	}
	if x.Bytes() != 9 {
		t.Errorf("%d bytes, want 8 and a letter", x.Bytes())
	}
	r := Vector(1, 2, 3, 4).Reshape(2, 2)
	if !slices.Equal(r.Shape, []int{2, 2}) || Of[int64](r)[3] != 4 {
		t.Errorf("reshaped: %v", r)
	}
}

func TestViews(t *testing.T) {
	x := Float32s([]float32{1, 2, 3}, 3)
	Of[float32](x)[1] = 5
	if Of[float32](x)[1] != 5 {
		t.Error("a view of aligned memory is a copy")
	}
	raw := append([]byte{0}, x.Raw...)
	odd := &Tensor{DType: Float32, Shape: []int{3}, Raw: raw[1:]}
	if !slices.Equal(Of[float32](odd), []float32{1, 5, 3}) {
		t.Errorf("unaligned bytes read as %v", Of[float32](odd))
	}
	for name, f := range map[string]func(){
		"a view of another size":      func() { Of[float64](x) },
		"wrapping in another size":    func() { Wrap(Float64, []float32{1}, 1) },
		"wrapping as another shape":   func() { Float32s([]float32{1}, 2) },
		"a view of packed elements":   func() { Of[int8](New(Int4, 2)) },
		"wrapping integers as halves": func() { Wrap(Float16, []int32{1}, 1) },
		"no elements for one":         func() { Int64s(nil, 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s is allowed", name)
				}
			}()
			f()
		}()
	}
	if a := Aligned[float64](9); len(a) != 9 || uintptr(unsafe.Pointer(&a[0]))%64 != 0 || Aligned[int8](0) != nil {
		t.Error("aligned memory is not")
	}
	if s := Scalar(3); s.Rank() != 0 || Of[float32](s)[0] != 3 {
		t.Errorf("scalar: %v", s)
	}
}

func TestInts(t *testing.T) {
	for _, c := range []struct {
		x    *Tensor
		want []int64
	}{
		{Vector(-1, 1<<40), []int64{-1, 1 << 40}},
		{Wrap(Int32, []int32{-7}, 1), []int64{-7}},
		{Wrap(Int16, []int16{-300}, 1), []int64{-300}},
		{Wrap(Int8, []int8{-128}, 1), []int64{-128}},
		{Wrap(Uint8, []uint8{255}, 1), []int64{255}},
		{Wrap(Bool, []bool{true, false}, 2), []int64{1, 0}},
		{Wrap(Uint16, []uint16{65535}, 1), []int64{65535}},
		{Wrap(Uint32, []uint32{1 << 31}, 1), []int64{1 << 31}},
		{Wrap(Uint64, []uint64{7}, 1), []int64{7}},
		{Pack(Int4, []byte{0xff, 7}, 2), []int64{-1, 7}},
		{Pack(Uint4, []byte{15}, 1), []int64{15}},
		{Pack(Int2, []byte{0xfe, 1}, 2), []int64{-2, 1}},
		{Pack(Uint2, []byte{3}, 1), []int64{3}},
	} {
		if got, err := c.x.Ints(); err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v (%v)", c.x, got, c.want, err)
		}
	}
	for _, bad := range []*Tensor{Wrap(Uint64, []uint64{1 << 63}, 1), Scalar(1), Strings([]string{"1"}, 1), New(Float8E4M3FN, 1)} {
		if got, err := bad.Ints(); err == nil {
			t.Errorf("%v is read as %v", bad, got)
		}
	}
}

// TestOfShares holds that numbers at odd addresses, as files have them, are read where they lie.
func TestOfShares(t *testing.T) {
	raw := Aligned[byte](64)
	x := &Tensor{DType: Float32, Shape: []int{4}, Raw: raw[3:19]}
	v := Of[float32](x)
	binary.LittleEndian.PutUint32(raw[7:], math.Float32bits(2.5))
	if anywhere && v[1] != 2.5 || !anywhere && v[1] != 0 {
		t.Errorf("%v, sharing memory is %v", v, anywhere)
	}
}

func TestAlign(t *testing.T) {
	shared := func(x *Tensor) bool { // whether a view writes through
		Of[float32](x)[0] = 7
		return Of[float32](x)[0] == 7
	}
	raw := Aligned[byte](72)
	for i := range raw {
		raw[i] = byte(i)
	}
	for at := range 8 {
		x := &Tensor{DType: Float32, Shape: []int{4}, Raw: raw[at : at+16]}
		y := x.Align()
		if (y == x) != (at == 0) || y.String() != x.String() || !bytes.Equal(y.Raw, x.Raw) || !shared(y) {
			t.Errorf("at %d: %v becomes %v", at, x, y)
		}
	}
}
