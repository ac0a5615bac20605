package onnx_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"lowbit/internal/fault"
	"lowbit/internal/onnx"
	"lowbit/internal/tensor"
)

// Every element type comes from its typed field with the bits that raw_data would have.
func TestTypedData(t *testing.T) {
	covered := map[tensor.DType]bool{tensor.Undefined: true}
	for _, c := range []struct {
		dtype  tensor.DType
		n      int
		values string
		raw    string
	}{
		{tensor.Float32, 2, "float_data: 1 float_data: -2", "0000803f000000c0"},
		{tensor.Complex64, 1, "float_data: 1 float_data: -2", "0000803f000000c0"},
		{tensor.Float64, 1, "double_data: 1", "000000000000f03f"},
		{tensor.Complex128, 1, "double_data: 1 double_data: 2", "000000000000f03f0000000000000040"},
		{tensor.Int64, 2, "int64_data: -2 int64_data: 9223372036854775807", "feffffffffffffffffffffffffffff7f"},
		{tensor.Int32, 2, "int32_data: -2 int32_data: 7", "feffffff07000000"},
		{tensor.Int16, 2, "int32_data: -2 int32_data: 32767", "feffff7f"},
		{tensor.Int8, 3, "int32_data: -128 int32_data: -1 int32_data: 127", "80ff7f"},
		{tensor.Uint64, 1, "uint64_data: 18446744073709551615", "ffffffffffffffff"},
		{tensor.Uint32, 1, "uint64_data: 4294967295", "ffffffff"},
		{tensor.Uint16, 1, "int32_data: 65535", "ffff"},
		{tensor.Uint8, 2, "int32_data: 0 int32_data: 255", "00ff"},
		{tensor.Bool, 2, "int32_data: 0 int32_data: 1", "0001"},
		{tensor.Float16, 2, "int32_data: 15360 int32_data: -1024", "003c00fc"},
		{tensor.BFloat16, 1, "int32_data: 16256", "803f"},
		{tensor.Float8E4M3FN, 1, "int32_data: 200", "c8"},
		{tensor.Float8E4M3FNUZ, 1, "int32_data: -56", "c8"},
		{tensor.Float8E5M2, 1, "int32_data: 1", "01"},
		{tensor.Float8E5M2FNUZ, 1, "int32_data: 1", "01"},
		{tensor.Float8E8M0, 1, "int32_data: 255", "ff"},
		{tensor.Uint4, 3, "int32_data: 33 int32_data: 15", "210f"},
		{tensor.Int4, 3, "int32_data: -1 int32_data: 8", "ff08"},
		{tensor.Float4E2M1, 2, "int32_data: 33", "21"},
		{tensor.Uint2, 5, "int32_data: 228 int32_data: 3", "e403"},
		{tensor.Int2, 4, "int32_data: 27", "1b"},
		{tensor.Float6E2M3, 4, "int32_data: 63 int32_data: 0 int32_data: 63 int32_data: 0", "3ff003"},
		{tensor.Float6E3M2, 1, "int32_data: 63", "3f"},
		{tensor.String, 2, `string_data: "a" string_data: "\377"`, ""},
	} {
		covered[c.dtype] = true
		text := fmt.Sprintf("dims: %d data_type: %d name: 'x' %s", c.n, c.dtype, c.values)
		name, x, err := onnx.DecodeTensor(buildAs(t, "TensorProto", text), onnx.Limits{})
		if err != nil {
			t.Errorf("%s: %v", c.dtype, err)
			continue
		}
		if got := fmt.Sprintf("%x", x.Raw); got != c.raw || name != "x" || x.DType != c.dtype {
			t.Errorf("%s: got %s, want %s", c.dtype, got, c.raw)
		}
		b, err := onnx.EncodeTensor(name, x)
		must(t, err)
		again := newMessage("TensorProto")
		must(t, proto.Unmarshal(b, again))
		want := newMessage("TensorProto")
		must(t, proto.Unmarshal(buildAs(t, "TensorProto", text), want))
		if c.dtype.Bits()%8 == 0 || c.dtype.Bits() < 6 { // the oracle knows nothing of six bits
			rawForm(want)
			if !proto.Equal(again, want) {
				t.Errorf("%s: wrote %v, want %v", c.dtype, again, want)
			}
		}
	}
	for d := tensor.DType(0); d < 100; d++ {
		if d.Valid() && !covered[d] {
			t.Errorf("%s is not covered", d)
		}
	}
}

// Values that come in pieces, packed and single, are put together.
func TestTypedDataInPieces(t *testing.T) {
	packed := buildAs(t, "TensorProto", "float_data: 2 float_data: 3")
	single := []byte{4<<3 | 5, 0, 0, 0x80, 0x3f}
	head := buildAs(t, "TensorProto", "dims: 3 data_type: 1")
	for _, pieces := range [][][]byte{{single, packed}, {packed, single}} {
		_, x, err := onnx.DecodeTensor(slices.Concat(append([][]byte{head}, pieces...)...), onnx.Limits{})
		must(t, err)
		got := tensor.Of[float32](x)
		if slices.Sort(got); !slices.Equal(got, []float32{1, 2, 3}) {
			t.Errorf("got %v", got)
		}
	}
	ints := slices.Concat(buildAs(t, "TensorProto", "dims: 3 data_type: 7"), []byte{7 << 3, 5}, buildAs(t, "TensorProto", "int64_data: -1 int64_data: 300"))
	_, x, err := onnx.DecodeTensor(ints, onnx.Limits{})
	must(t, err)
	if got := tensor.Of[int64](x); !slices.Equal(got, []int64{5, -1, 300}) {
		t.Errorf("got %v", got)
	}
}

// Raw data and floats in one piece are not copied.
func TestTensorsShareMemory(t *testing.T) {
	for _, text := range []string{`dims: 2 data_type: 1 raw_data: "abcdefgh"`, `dims: 2 data_type: 1 float_data: 1 float_data: 2`} {
		b := buildAs(t, "TensorProto", text)
		_, x, err := onnx.DecodeTensor(b, onnx.Limits{})
		must(t, err)
		before := bytes.Clone(x.Raw)
		for i := range b {
			b[i] ^= 0xff
		}
		if bytes.Equal(x.Raw, before) {
			t.Errorf("%s was copied", text)
		}
	}
}

func TestMemoryLimit(t *testing.T) {
	b := buildAs(t, "TensorProto", "dims: 100 data_type: 7 "+strings.Repeat("int64_data: 1 ", 100))
	if _, _, err := onnx.DecodeTensor(b, onnx.Limits{Memory: 800}); err != nil {
		t.Errorf("within the limit: %v", err)
	}
	if _, _, err := onnx.DecodeTensor(b, onnx.Limits{Memory: 799}); fault.KindOf(err) != fault.Limit {
		t.Errorf("above the limit: %v", err)
	}
}

func TestContainers(t *testing.T) {
	one, two := tensor.Float32s([]float32{1}, 1), tensor.Float32s([]float32{2, 3}, 2)
	seq := tensor.NewSequence(tensor.Float32, one, two)
	for _, c := range []struct {
		value  *tensor.Tensor
		encode func(string, *tensor.Tensor) ([]byte, error)
		decode func([]byte, onnx.Limits) (string, *tensor.Tensor, error)
		proto  string
	}{
		{seq, onnx.EncodeSequence, onnx.DecodeSequence, "SequenceProto"},
		{tensor.NewSequence(tensor.Float32, seq, seq), onnx.EncodeSequence, onnx.DecodeSequence, "SequenceProto"},
		{tensor.NewSequence(tensor.Undefined), onnx.EncodeSequence, onnx.DecodeSequence, "SequenceProto"},
		{tensor.NewOptional(tensor.Float32, one), onnx.EncodeOptional, onnx.DecodeOptional, "OptionalProto"},
		{tensor.NewOptional(tensor.Float32, seq), onnx.EncodeOptional, onnx.DecodeOptional, "OptionalProto"},
		{tensor.NewOptional(tensor.Undefined, nil), onnx.EncodeOptional, onnx.DecodeOptional, "OptionalProto"},
		{tensor.NewSequence(tensor.Float32, tensor.NewOptional(tensor.Float32, two)), onnx.EncodeSequence, onnx.DecodeSequence, "SequenceProto"},
	} {
		b, err := c.encode("s", c.value)
		must(t, err)
		if c.proto == "SequenceProto" {
			must(t, proto.Unmarshal(b, newMessage("SequenceProto")))
		}
		name, got, err := c.decode(b, onnx.Limits{})
		if err != nil || name != "s" || fmt.Sprint(flat(got)) != fmt.Sprint(flat(c.value)) {
			t.Errorf("%v became %v (%v)", flat(c.value), flat(got), err)
		}
	}
	if _, err := onnx.EncodeSequence("s", one); err == nil {
		t.Error("a tensor was written as a sequence")
	}
	if _, err := onnx.EncodeTensor("s", seq); err == nil {
		t.Error("a sequence was written as a tensor")
	}
}

// flat spells a value out.
func flat(t *tensor.Tensor) []any {
	list := []any{t.Kind, t.DType, t.Shape, t.Raw}
	for _, v := range t.Items {
		list = append(list, flat(v))
	}
	return list
}

func TestContainerFaults(t *testing.T) {
	deep := []byte(nil)
	for range 40 {
		deep = nested(1, deep, 5)
	}
	for _, c := range []struct {
		name, message, text string
		want                string
	}{
		{"mixed", "SequenceProto", `tensor_values { data_type: 1 float_data: 1 } tensor_values { data_type: 7 int64_data: 1 }`, "among"},
		{"maps", "SequenceProto", `map_values {}`, "maps"},
		{"kind", "SequenceProto", `elem_type: 9`, "element kind 9"},
		{"short", "SequenceProto", `tensor_values { dims: 2 data_type: 1 float_data: 1 }`, "needs 2 values"},
	} {
		_, _, err := onnx.DecodeSequence(buildAs(t, "SequenceProto", c.text), onnx.Limits{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if _, _, err := onnx.DecodeSequence(deep, onnx.Limits{}); fault.KindOf(err) != fault.Limit {
		t.Errorf("40 sequences in each other: %v", err)
	}
	for _, text := range []string{"sparse_tensor_value {}", "map_value {}"} {
		if _, _, err := onnx.DecodeOptional(buildAs(t, "OptionalProto", text), onnx.Limits{}); fault.KindOf(err) != fault.Unsupported {
			t.Errorf("%s: %v", text, err)
		}
	}
	twice := buildAs(t, "OptionalProto", `tensor_value { data_type: 1 float_data: 1 }`)
	if _, _, err := onnx.DecodeOptional(slices.Concat(twice, twice), onnx.Limits{}); err == nil {
		t.Error("an optional with two values is accepted")
	}
}

// Sparse initializers get their dense form when the model is opened, unless it is out of proportion.
func TestSparseInitializers(t *testing.T) {
	m, err := onnx.Decode(build(t, around(`
		sparse_initializer { dims: 2 dims: 3 values { dims: 2 data_type: FLOAT float_data: 1 float_data: 2 name: "small" }
			indices { dims: 2 data_type: INT64 int64_data: 1 int64_data: 5 } }
		sparse_initializer { dims: 1048576 dims: 1048576 values { dims: 1 data_type: FLOAT float_data: 1 name: "huge" }
			indices { dims: 1 data_type: INT64 int64_data: 1099511627775 } }`)), onnx.Limits{})
	must(t, err)
	if got := tensor.Of[float32](m.Graph.ConstTensor("small")); !slices.Equal(got, []float32{0, 1, 0, 0, 0, 2}) {
		t.Errorf("got %v", got)
	}
	huge := m.Graph.Const("huge")
	if huge.Tensor != nil || huge.Sparse == nil {
		t.Errorf("a tensor of 2^40 elements was made: %v", huge.Tensor)
	}
	if _, err := huge.Sparse.Dense(1 << 30); fault.KindOf(err) != fault.Limit {
		t.Errorf("4 TB are within 1 GB: %v", err)
	}
}
