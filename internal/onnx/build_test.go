package onnx_test

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/reflect/protoreflect"

	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/tensor"
)

// build writes a ModelProto given as protobuf text.
func build(t testing.TB, text string) []byte {
	t.Helper()
	return buildAs(t, "ModelProto", text)
}

// dataTypes finds element types by name: the schema has data_type as a plain number.
var dataTypes = regexp.MustCompile(`(data_type|elem_type|key_type): ([A-Z][A-Z0-9]*)`)

// buildAs writes a message of the named type given as protobuf text, in which element types may
// have names.
func buildAs(t testing.TB, name protoreflect.Name, text string) []byte {
	t.Helper()
	m := newMessage(name)
	enum := newMessage("TensorProto").Descriptor().Enums().ByName("DataType")
	text = dataTypes.ReplaceAllStringFunc(text, func(s string) string {
		part := dataTypes.FindStringSubmatch(s)
		return fmt.Sprintf("%s: %d", part[1], enum.Values().ByName(protoreflect.Name(part[2])).Number())
	})
	if err := prototext.Unmarshal([]byte(text), m); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return mustMarshal(t, m)
}

// tinyText is a model that uses most of what the format has.
const tinyText = `
ir_version: 10 producer_name: "test" producer_version: "1" domain: "d" model_version: 3 doc_string: "doc"
opset_import { domain: "" version: 21 } opset_import { domain: "local" version: 1 }
metadata_props { key: "k" value: "v" }
graph {
  name: "g" doc_string: "graph"
  node { input: "x" input: "w" output: "y" name: "mul" op_type: "Mul" metadata_props { key: "a" value: "b" } }
  node { input: "y" input: "" output: "z" name: "if" op_type: "If" doc_string: "if"
    attribute { name: "then_branch" type: GRAPH g { node { input: "y" output: "t" op_type: "Relu" } output { name: "t" } } }
    attribute { name: "else_branch" type: GRAPH g { node { input: "z0" output: "e" op_type: "Neg" } output { name: "e" }
      initializer { dims: 1 data_type: FLOAT float_data: 2 name: "z0" } } } }
  node { input: "z" output: "o" op_type: "Twice" domain: "local" overload: "v2"
    attribute { name: "alpha" type: FLOAT f: 0.5 } attribute { name: "n" type: INT i: -3 } attribute { name: "s" type: STRING s: "s" }
    attribute { name: "fs" type: FLOATS floats: 1 floats: 2 } attribute { name: "is" type: INTS ints: 1 ints: -1 }
    attribute { name: "ss" type: STRINGS strings: "a" strings: "" }
    attribute { name: "t" type: TENSOR t { dims: 2 data_type: INT8 int32_data: -1 int32_data: 5 name: "tn" doc_string: "td" } }
    attribute { name: "ts" type: TENSORS tensors { dims: 0 data_type: FLOAT name: "a" } tensors { data_type: INT64 int64_data: -9 } }
    attribute { name: "tp" type: TYPE_PROTO tp { sequence_type { elem_type { tensor_type { elem_type: 1 } } } } }
    attribute { name: "sp" type: SPARSE_TENSOR sparse_tensor { dims: 4 values { dims: 1 data_type: FLOAT float_data: 3 }
      indices { dims: 1 data_type: INT64 int64_data: 2 } } }
    attribute { name: "sps" type: SPARSE_TENSORS sparse_tensors { dims: 4 values { dims: 0 data_type: FLOAT } indices { dims: 0 data_type: INT64 } } }
    attribute { name: "gs" type: GRAPHS graphs { name: "g0" } graphs { node { input: "z" output: "g1" op_type: "Neg" } output { name: "g1" } } }
    attribute { name: "tps" type: TYPE_PROTOS type_protos { optional_type {} } type_protos { sparse_tensor_type { elem_type: 7 } } }
    attribute { name: "no floats" type: FLOATS } attribute { name: "zero" type: INT } }
  initializer { dims: 2 dims: 2 data_type: FLOAT name: "w" raw_data: "\000\000\200?\000\000\000@\000\000@@\000\000\200@" }
  initializer { dims: 3 data_type: INT4 name: "w4" int32_data: 33 int32_data: 3 }
  initializer { dims: 2 data_type: STRING name: "ws" string_data: "a" string_data: "\377" }
  initializer { dims: 2 data_type: FLOAT16 name: "wh" int32_data: 15360 int32_data: 64512 metadata_props { key: "m" value: "n" } }
  sparse_initializer { dims: 2 dims: 3 values { dims: 2 data_type: FLOAT float_data: 1 float_data: 2 name: "wsp" }
    indices { dims: 2 dims: 2 data_type: INT64 int64_data: 0 int64_data: 1 int64_data: 1 int64_data: 2 } }
  input { name: "x" type { denotation: "IMAGE" tensor_type { elem_type: 1 shape { dim { dim_param: "N" denotation: "B" } dim { dim_value: 2 } dim {} } } } }
  input { name: "m" type { map_type { key_type: 7 value_type { tensor_type { elem_type: 1 } } } } }
  input { name: "q" type { opaque_type { domain: "od" name: "on" } } }
  input { name: "op" type { optional_type { elem_type { sparse_tensor_type { elem_type: 1 shape {} } } } } }
  output { name: "o" type { tensor_type { elem_type: 1 shape {} } } doc_string: "out" }
  value_info { name: "y" type { tensor_type { elem_type: 1 } } metadata_props { key: "vi" value: "x" } }
  quantization_annotation { tensor_name: "y" quant_parameter_tensor_names { key: "SCALE_TENSOR" value: "s" } }
  metadata_props { key: "gm" value: "gv" }
}
training_info { algorithm { node { output: "c" op_type: "Constant" attribute { name: "value" type: TENSOR t { data_type: FLOAT float_data: 1 } } } } }
functions { name: "Twice" domain: "local" overload: "v2" input: "a" output: "b" attribute: "n" doc_string: "fd"
  attribute_proto { name: "alpha" type: FLOAT f: 1 }
  opset_import { domain: "" version: 21 }
  node { input: "a" output: "b" op_type: "Elu" attribute { name: "alpha" type: FLOAT ref_attr_name: "alpha" } }
  value_info { name: "b" } metadata_props { key: "fm" value: "fv" } }
configuration { name: "dev" num_devices: 2 device: "a" device: "b" }
`

func tinyModel(t testing.TB) []byte { return build(t, tinyText) }

// inNodeOrder returns the model in b with its nodes in the order that m has them in.
func inNodeOrder(t testing.TB, b []byte, m *graph.Model) []byte {
	t.Helper()
	x, err := oracle(b)
	must(t, err)
	written, err := onnx.Encode(&graph.Model{IR: m.IR, Graph: m.Graph, Functions: m.Functions})
	must(t, err)
	like, err := oracle(written)
	must(t, err)
	sortLike(x, like)
	return mustMarshal(t, x)
}

// sortLike brings the nodes of x's graphs and functions into the order that they have in like.
func sortLike(x, like protoreflect.Message) {
	if f := field(x, "node"); f != nil {
		sortNodes(x.Mutable(f).List(), like.Get(f).List())
	}
	x.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil || !like.Has(f):
		case f.IsList():
			for i := range min(v.List().Len(), like.Get(f).List().Len()) {
				sortLike(v.List().Get(i).Message(), like.Get(f).List().Get(i).Message())
			}
		default:
			sortLike(v.Message(), like.Get(f).Message())
		}
		return true
	})
}

// sortNodes sorts a list of nodes; they are told apart by operator, name, outputs and inputs.
func sortNodes(nodes, order protoreflect.List) {
	byKey := map[string][]protoreflect.Value{}
	for i := range nodes.Len() {
		k := nodeKey(nodes.Get(i).Message())
		byKey[k] = append(byKey[k], nodes.Get(i))
	}
	for i := range min(order.Len(), nodes.Len()) {
		if k := nodeKey(order.Get(i).Message()); len(byKey[k]) > 0 {
			nodes.Set(i, byKey[k][0])
			byKey[k] = byKey[k][1:]
		}
	}
}

func nodeKey(n protoreflect.Message) string {
	key := n.Get(field(n, "op_type")).String() + "/" + n.Get(field(n, "name")).String()
	for _, f := range []protoreflect.Name{"output", "input"} {
		list := n.Get(field(n, f)).List()
		for i := range list.Len() {
			key += "," + list.Get(i).String()
		}
	}
	return key
}

func tensorSeeds(t testing.TB) [][]byte {
	var list [][]byte
	for _, text := range []string{
		`dims: 2 data_type: FLOAT float_data: 1 float_data: 2 name: "x"`,
		`dims: 1 dims: 2 data_type: INT64 int64_data: -1 int64_data: 7`,
		`dims: 2 data_type: STRING string_data: "a" string_data: "bc"`,
		`dims: 5 data_type: UINT2 int32_data: 200 int32_data: 1`,
		`dims: 1 data_type: COMPLEX128 double_data: 1 double_data: 2`,
		`dims: 3 data_type: UINT64 uint64_data: 1 uint64_data: 2 uint64_data: 18446744073709551615`,
		`dims: 2 data_type: BFLOAT16 raw_data: "1234"`,
	} {
		list = append(list, buildAs(t, "TensorProto", text))
	}
	return list
}

// must stops the test if one of the steps that set it up fails.
func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func write(path, text string) error { return os.WriteFile(path, []byte(text), 0o644) }

// weights returns a model with constants of the given sizes in bytes, of which each is filled with
// its own number.
func weights(t testing.TB, sizes ...int) *graph.Model {
	t.Helper()
	m, err := onnx.Decode(build(t, around("")), onnx.Limits{})
	must(t, err)
	for i, n := range sizes {
		w := tensor.New(tensor.Uint8, n)
		for j := range w.Raw {
			w.Raw[j] = byte(i + 1)
		}
		m.Graph.SetConst(fmt.Sprint("w", i), w)
	}
	return m
}

// mustRead returns the content of a file.
func mustRead(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return b
}

// bigModel returns a model with a tensor of n bytes, whose file is mapped, not read. The bytes are
// bools, so that opening looks at each of them.
func bigModel(t testing.TB, n int) []byte {
	t.Helper()
	x, err := oracle(build(t, around(`initializer { name: "w" data_type: BOOL }`)))
	must(t, err)
	g := x.Get(field(x, "graph")).Message()
	w := g.Get(field(g, "initializer")).List().Get(0).Message()
	dims := w.Mutable(field(w, "dims")).List()
	dims.Append(protoreflect.ValueOfInt64(int64(n)))
	w.Set(field(w, "raw_data"), protoreflect.ValueOfBytes(make([]byte, n)))
	return mustMarshal(t, x)
}
