package onnx_test

import (
	_ "embed"
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// The oracle is protobuf's own decoder, driven by the schema that testdata/descriptor.py stored.

//go:embed testdata/onnx.protodesc
var schemaBytes []byte

var schema = func() *protoregistry.Files {
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(schemaBytes, &set); err != nil {
		panic(err)
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		panic(err)
	}
	return files
}()

// newMessage returns an empty message of a type of ONNX's schema.
func newMessage(name protoreflect.Name) *dynamicpb.Message {
	d, err := schema.FindDescriptorByName(protoreflect.FullName("onnx").Append(name))
	if err != nil {
		panic(err)
	}
	return dynamicpb.NewMessage(d.(protoreflect.MessageDescriptor))
}

// oracle parses a ModelProto.
func oracle(b []byte) (*dynamicpb.Message, error) {
	m := newMessage("ModelProto")
	return m, proto.Unmarshal(b, m)
}

// mustMarshal writes a message that a test has built.
func mustMarshal(t testing.TB, m proto.Message) []byte {
	t.Helper()
	b, err := proto.MarshalOptions{Deterministic: true, AllowPartial: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// leaves are the messages of which lowbit keeps no unknown fields.
var leaves = []protoreflect.Name{"StringStringEntryProto", "OperatorSetIdProto", "TensorShapeProto", "Dimension",
	"Tensor", "Sequence", "Map", "Optional", "SparseTensor"}

// normalize brings a message into the one of its equivalent forms that lowbit writes: tensors as
// raw data, no field that holds its default, no empty type.
func normalize(m protoreflect.Message) {
	switch m.Descriptor().Name() {
	case "TensorProto":
		rawForm(m)
	case "ModelProto":
		normalizeOpsets(m)
	case "AttributeProto":
		declareType(m)
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList() && f.Message() != nil:
			for i := range v.List().Len() {
				normalize(v.List().Get(i).Message())
			}
		case f.IsList():
		case f.Message() != nil:
			normalize(v.Message())
			if f.Message().Name() == "TypeProto" && isEmpty(v.Message()) {
				m.Clear(f)
			}
		case f.ContainingOneof() != nil && f.Name() == "dim_value":
			if v.Int() < 0 {
				m.Clear(f)
			}
		case isZero(f, v):
			m.Clear(f)
		}
		return true
	})
	if slices.Contains(leaves, m.Descriptor().Name()) {
		m.SetUnknown(nil)
	}
}

func isEmpty(m protoreflect.Message) bool {
	empty := len(m.GetUnknown()) == 0
	m.Range(func(protoreflect.FieldDescriptor, protoreflect.Value) bool { empty = false; return false })
	return empty
}

func isZero(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
	switch f.Kind() {
	case protoreflect.StringKind:
		return v.String() == ""
	case protoreflect.BytesKind:
		return len(v.Bytes()) == 0
	case protoreflect.FloatKind:
		return math.Float64bits(v.Float()) == 0
	case protoreflect.EnumKind:
		return v.Enum() == 0
	}
	return v.Int() == 0
}

func field(m protoreflect.Message, name protoreflect.Name) protoreflect.FieldDescriptor {
	return m.Descriptor().Fields().ByName(name)
}

// normalizeOpsets keeps the last version of a domain, and writes the one that old files imply.
func normalizeOpsets(m protoreflect.Message) {
	list := m.Mutable(field(m, "opset_import")).List()
	at := map[string]int{}
	n := 0
	for i := range list.Len() {
		o := list.Get(i).Message()
		domain := o.Get(field(o, "domain")).String()
		if domain == "ai.onnx" {
			domain = ""
		}
		if j, ok := at[domain]; ok {
			kept := list.Get(j).Message()
			kept.Set(field(kept, "version"), o.Get(field(o, "version")))
			continue
		}
		at[domain] = n
		list.Set(n, list.Get(i))
		n++
	}
	list.Truncate(n)
	if n == 0 && m.Get(field(m, "ir_version")).Int() < 3 {
		o := list.NewElement()
		o.Message().Set(field(o.Message(), "version"), protoreflect.ValueOfInt64(1))
		list.Append(o)
	}
}

// declareType sets the type of an attribute that leaves it to its value.
func declareType(m protoreflect.Message) {
	fields := map[protoreflect.Name]protoreflect.EnumNumber{"f": 1, "i": 2, "s": 3, "t": 4, "g": 5, "floats": 6, "ints": 7,
		"strings": 8, "tensors": 9, "graphs": 10, "sparse_tensor": 11, "sparse_tensors": 12, "tp": 13, "type_protos": 14}
	if m.Get(field(m, "type")).Enum() != 0 {
		return
	}
	for name, code := range fields {
		if m.Has(field(m, name)) {
			m.Set(field(m, "type"), protoreflect.ValueOfEnum(code))
		}
	}
}

// rawForm moves a tensor's numbers from its typed fields to raw_data.
func rawForm(m protoreflect.Message) {
	width := map[int64]int{2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 12: 4, 13: 8, 16: 2, 17: 1, 18: 1, 19: 1, 20: 1,
		21: 1, 22: 1, 23: 1, 24: 1, 25: 1, 26: 1}[m.Get(field(m, "data_type")).Int()]
	var raw []byte
	for _, name := range []protoreflect.Name{"float_data", "double_data", "int32_data", "int64_data", "uint64_data"} {
		f := field(m, name)
		list := m.Get(f).List()
		for i := range list.Len() {
			switch v := list.Get(i); f.Kind() {
			case protoreflect.FloatKind:
				raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(float32(v.Float())))
			case protoreflect.DoubleKind:
				raw = binary.LittleEndian.AppendUint64(raw, math.Float64bits(v.Float()))
			case protoreflect.Uint64Kind:
				raw = append(raw, binary.LittleEndian.AppendUint64(nil, v.Uint())[:width]...)
			default:
				raw = append(raw, binary.LittleEndian.AppendUint64(nil, uint64(v.Int()))[:width]...)
			}
		}
		m.Clear(f)
	}
	if len(raw) > 0 {
		m.Set(field(m, "raw_data"), protoreflect.ValueOfBytes(raw))
	}
}
