package onnx_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"lowbit/internal/fault"
	"lowbit/internal/onnx"
)

// A hostile file and how it is to be refused: its kind of fault, and a part of the words.
type hostile struct {
	name string
	file []byte
	kind fault.Kind
	want string
}

// around puts fields of a GraphProto into a small sound model.
func around(fields string) string {
	return `ir_version: 8 opset_import { version: 17 } graph { input { name: "x" } output { name: "y" }
		node { input: "x" output: "y" op_type: "Relu" name: "relu" } ` + fields + ` }`
}

// holders are all the fields of a model in which a tensor may stand; %s is where its fields go.
var holders = []struct{ name, text string }{
	{"initializer", around(`initializer { name: "t" %s }`)},
	{"sparse values", around(`sparse_initializer { dims: 9 values { name: "t" %s } indices { dims: 1 data_type: 7 int64_data: 1 } }`)},
	{"sparse indices", around(`sparse_initializer { dims: 9 values { name: "t" dims: 1 data_type: 1 float_data: 1 } indices { %s } }`)},
	{"attribute", around(`node { output: "c" op_type: "Constant" attribute { name: "value" type: TENSOR t { %s } } }`)},
	{"attribute list", around(`node { output: "c" op_type: "Constant" attribute { name: "value" type: TENSORS tensors { %s } } }`)},
	{"sparse attribute", around(`node { output: "c" op_type: "Constant" attribute { name: "v" type: SPARSE_TENSOR
		sparse_tensor { dims: 9 values { %s } indices { dims: 1 data_type: 7 int64_data: 1 } } } }`)},
	{"subgraph", around(`node { input: "x" output: "c" op_type: "If" attribute { name: "b" type: GRAPH g { initializer { name: "t" %s } } } }`)},
	{"function body", around(``) + `functions { name: "F" domain: "l" opset_import { version: 17 }
		node { output: "c" op_type: "Constant" attribute { name: "value" type: TENSOR t { %s } } } }`},
	{"function default", around(``) + `functions { name: "F" domain: "l" attribute_proto { name: "value" type: TENSOR t { %s } } }`},
	{"training", around(``) + `training_info { algorithm { initializer { name: "t" %s } } }`},
}

// badTensors are tensors that no holder may let through.
var badTensors = []struct {
	name, text string
	kind       fault.Kind
	want       string
}{
	{"a million floats in 4 bytes", `dims: 1000000 data_type: 1 raw_data: "abcd"`, fault.Invalid, "needs 4,000,000 bytes, the file holds 4"},
	{"product 2^64", `dims: 4294967296 dims: 4294967296 data_type: 2`, fault.Limit, "elements"},
	{"negative dimension", `dims: -1 data_type: 1`, fault.Invalid, "negative"},
	{"typed data and raw data", `dims: 1 data_type: 1 raw_data: "abcd" float_data: 1`, fault.Invalid, "more than one field"},
	{"external data without a folder", `dims: 1 data_type: 1 data_location: EXTERNAL external_data { key: "location" value: "w" }`, fault.Invalid, "no folder"},
	{"nothing times 2^40", `dims: 1099511627776 dims: 0 data_type: 1`, fault.Limit, "is empty, but"},
	{"unknown element type", `dims: 1 data_type: 99 raw_data: "a"`, fault.Invalid, "element type 99"},
}

// tensorAttacks crosses holders and bad tensors.
func tensorAttacks(t testing.TB) []hostile {
	var list []hostile
	for _, h := range holders {
		for _, b := range badTensors {
			list = append(list, hostile{h.name + ": " + b.name, build(t, fmt.Sprintf(h.text, b.text)), b.kind, b.want})
		}
	}
	return list
}

// claimAttacks are further ways in which a tensor's numbers can disagree with its bytes.
func claimAttacks(t testing.TB) []hostile {
	var list []hostile
	for _, c := range []struct {
		name, text string
		kind       fault.Kind
		want       string
	}{
		{"INT64_MAX times 2 (llama.cpp 27203)", `dims: 9223372036854775807 dims: 2 data_type: 1`, fault.Limit, "dimension 0"},
		{"dimension of 2^62", `dims: 4611686018427387904 data_type: 3`, fault.Limit, "dimension 0"},
		{"2^40 bytes", `dims: 1099511627776 data_type: 2 raw_data: "a"`, fault.Invalid, "needs 1,099,511,627,776 bytes"},
		{"2^40 doubles", `dims: 1099511627776 data_type: 11 raw_data: "a"`, fault.Invalid, "needs 8,796,093,022,208 bytes"},
		{"many dimensions of 2^20", `dims: 1048576 dims: 1048576 dims: 1048576 dims: 1048576 data_type: 2`, fault.Limit, "elements"},
		{"a zero hides a product of 2^80", `dims: 1099511627776 dims: 1099511627776 dims: 0 data_type: 2`, fault.Limit, "elements"},
		{"17 dimensions", strings.Repeat("dims: 1 ", 17) + `data_type: 1 float_data: 1`, fault.Limit, "dimensions"},
		{"100,000 dimensions", strings.Repeat("dims: 1 ", 100000) + `data_type: 1 float_data: 1`, fault.Limit, "dimensions"},
		{"one byte too many", `dims: 1 data_type: 1 raw_data: "abcde"`, fault.Invalid, "needs 4 bytes, the file holds 5"},
		{"no data", `dims: 1 data_type: 1`, fault.Invalid, "holds 0"},
		{"scalar without data", `data_type: 1`, fault.Invalid, "holds 0"},
		{"no type", `dims: 1 raw_data: "abcd"`, fault.Invalid, "without an element type"},
		{"type undefined", `dims: 1 data_type: 0 raw_data: "abcd"`, fault.Invalid, "without an element type"},
		{"negative type", `dims: 1 data_type: -1 raw_data: "abcd"`, fault.Invalid, "element type -1"},
		{"type 257", `dims: 1 data_type: 257 raw_data: "abcd"`, fault.Invalid, "element type 257"},
		{"odd int4 without its byte", `dims: 3 data_type: 22 raw_data: "a"`, fault.Invalid, "needs 2 bytes"},
		{"int2 without its byte", `dims: 5 data_type: 26 raw_data: "a"`, fault.Invalid, "needs 2 bytes"},
		{"floats in int32_data", `dims: 1 data_type: 1 int32_data: 1`, fault.Invalid, "cannot hold"},
		{"int64 in float_data", `dims: 1 data_type: 7 float_data: 1`, fault.Invalid, "cannot hold"},
		{"numbers in string_data", `dims: 1 data_type: 1 string_data: "abcd"`, fault.Invalid, "holds 0"},
		{"strings in raw_data", `dims: 1 data_type: 8 raw_data: "abcd"`, fault.Invalid, "holds 0"},
		{"strings missing", `dims: 1000000000 data_type: 8 string_data: "a"`, fault.Invalid, "needs 1,000,000,000 strings"},
		{"two typed fields", `dims: 1 data_type: 1 float_data: 1 int32_data: 1`, fault.Invalid, "more than one field"},
		{"int8 of 300", `dims: 1 data_type: 3 int32_data: 300`, fault.Invalid, "300 at 0 does not fit"},
		{"uint8 of -1", `dims: 2 data_type: 2 int32_data: 1 int32_data: -1`, fault.Invalid, "-1 at 1 does not fit"},
		{"uint32 of 2^32", `dims: 1 data_type: 12 uint64_data: 4294967296`, fault.Invalid, "does not fit"},
		{"bool of 2", `dims: 2 data_type: 9 raw_data: "\001\002"`, fault.Invalid, "element 1 of a bool"},
		{"odd complex", `dims: 2 data_type: 14 float_data: 1 float_data: 2 float_data: 3`, fault.Invalid, "needs 4 values"},
		{"segment", `dims: 1 data_type: 1 float_data: 1 segment { begin: 0 end: 1000000000 }`, fault.Unsupported, "segments"},
		{"unknown location", `dims: 1 data_type: 1 float_data: 1 external_data { key: "location" value: "x" }`, fault.Invalid, "without data_location"},
		{"huge metadata key", `dims: 1 data_type: 1 float_data: 1 metadata_props { value: "` + strings.Repeat("n", 1<<20+1) + `" }`, fault.Limit, "a text of"},
		{"huge metadata", `dims: 1 data_type: 1 float_data: 1 metadata_props { key: "` + strings.Repeat("n", 1<<20+1) + `" }`, fault.Limit, "a text of 1,048,577"},
	} {
		list = append(list, hostile{"tensor: " + c.name, build(t, around(`initializer { name: "t" `+c.text+` }`)), c.kind, c.want})
	}
	return list
}

// graphAttacks are models that are wrong as a whole.
func graphAttacks(t testing.TB) []hostile {
	var list []hostile
	add := func(name, text string, kind fault.Kind, want string) {
		list = append(list, hostile{"graph: " + name, build(t, text), kind, want})
	}
	bad := func(name, fields, want string) { add(name, around(fields), fault.Invalid, want) }
	add("name of 70,000 bytes", around(`node { input: "x" output: "a" op_type: "`+strings.Repeat("n", 70000)+`" }`), fault.Limit, "a text of 70,000 bytes")
	bad("cycle", `node { input: "b" output: "a" op_type: "Neg" } node { input: "a" output: "b" op_type: "Neg" }`, "waits for its own")
	bad("node reads itself", `node { input: "a" output: "a" op_type: "Neg" }`, "waits for its own")
	bad("input of nothing", `node { input: "nowhere" output: "a" op_type: "Neg" }`, `"nowhere" is made by no`)
	bad("output of nothing", `output { name: "z" }`, "makes this output")
	bad("output twice", `node { input: "x" output: "y" op_type: "Neg" }`, `"y" is already`)
	bad("input twice", `input { name: "x" }`, "a second input")
	bad("initializer twice", `initializer { name: "t" data_type: 1 float_data: 1 } initializer { name: "t" data_type: 1 float_data: 2 }`, "a second initializer")
	bad("dense and sparse twice", `initializer { name: "t" data_type: 1 float_data: 1 } sparse_initializer { dims: 2 values { name: "t" dims: 1 data_type: 1
		float_data: 1 } indices { dims: 1 data_type: 7 int64_data: 0 } }`, "a second initializer")
	bad("initializer without a name", `initializer { data_type: 1 float_data: 1 }`, "without a name")
	bad("initializer is a node's output", `initializer { name: "y" data_type: 1 float_data: 1 }`, `"y" is already`)
	bad("no operator", `node { input: "x" output: "a" }`, "without an operator")
	bad("foreign domain", `node { input: "x" output: "a" op_type: "Neg" domain: "evil" }`, "imports no version")
	bad("name that is not UTF-8", `node { input: "\377" output: "a" op_type: "Neg" }`, "not UTF-8")
	bad("escape sequence", `node { input: "x" output: "a" op_type: "\033[2J" }`, "control characters")
	bad("operator that is not UTF-8", `node { input: "x" output: "a" op_type: "N\377" }`, "not UTF-8")
	bad("sparse index outside", `sparse_initializer { dims: 2 values { name: "t" dims: 1 data_type: 1 float_data: 1 } indices { dims: 1 data_type: 7 int64_data: 7 } }`, "outside")
	bad("sparse index negative", `sparse_initializer { dims: 2 values { name: "t" dims: 1 data_type: 1 float_data: 1 } indices { dims: 1 data_type: 7 int64_data: -1 } }`, "outside")
	bad("sparse index twice", `sparse_initializer { dims: 2 values { name: "t" dims: 2 data_type: 1 float_data: 1 float_data: 1 }
		indices { dims: 2 data_type: 7 int64_data: 1 int64_data: 1 } }`, "not above")
	bad("sparse indices of floats", `sparse_initializer { dims: 2 values { name: "t" dims: 1 data_type: 1 float_data: 1 } indices { dims: 1 data_type: 1 float_data: 1 } }`, "not int64")
	bad("sparse of nothing", `sparse_initializer { dims: 2 values { name: "t" dims: 1 data_type: 1 float_data: 1 } }`, "without values or indices")
	bad("scale of zero", `initializer { name: "s" data_type: 1 float_data: 0 } node { input: "x" input: "s" output: "q" op_type: "QuantizeLinear" }`, "not a positive number")
	bad("scale of NaN", `initializer { name: "s" data_type: 1 float_data: nan } node { input: "x" input: "s" output: "q" op_type: "QuantizeLinear" }`, "not a positive number")
	bad("scale of infinity", `initializer { name: "s" data_type: 1 float_data: inf } node { input: "x" input: "s" output: "q" op_type: "DequantizeLinear" }`, "not a positive number")
	bad("negative scale", `initializer { name: "s" data_type: 1 float_data: -1 } node { input: "x" input: "s" output: "q" op_type: "DequantizeLinear" }`, "not a positive number")
	bad("zero point of another type", `initializer { name: "w" data_type: 3 int32_data: 1 } initializer { name: "s" data_type: 1 float_data: 1 }
		initializer { name: "z" data_type: 2 int32_data: 1 } node { input: "w" input: "s" input: "z" output: "q" op_type: "DequantizeLinear" }`, "zero point")
	bad("element type of a value", `value_info { name: "v" type { tensor_type { elem_type: 200 } } }`, "element type 200")
	add("dimension of a value", around(`value_info { name: "v" type { tensor_type { shape { dim { dim_value: 4611686018427387904 } } } } }`), fault.Limit, "a dimension of")
	add("rank of a value", around(`value_info { name: "v" type { tensor_type { shape { `+strings.Repeat("dim {} ", 17)+`} } } }`), fault.Limit, "more than 16 dimensions")
	add("no version", strings.Replace(around(""), "ir_version: 8", "", 1), fault.Invalid, "ir_version is 0")
	add("version of the future", strings.Replace(around(""), "ir_version: 8", "ir_version: 99", 1), fault.Unsupported, "ir_version 99")
	add("no operator set", strings.Replace(around(""), "opset_import { version: 17 }", "", 1), fault.Invalid, "imports no version")
	add("operator set 0", strings.Replace(around(""), "version: 17", "version: 0", 1), fault.Invalid, "version 0")
	add("operator set 2^40", strings.Replace(around(""), "version: 17", "version: 1099511627776", 1), fault.Invalid, "version 1099511627776")
	add("no graph", `ir_version: 8 opset_import { version: 17 }`, fault.Invalid, "no graph")
	return list
}

// attrAttacks are attributes whose value is not what they say, and functions that do not end.
func attrAttacks(t testing.TB) []hostile {
	var list []hostile
	for _, c := range []struct{ name, attr, want string }{
		{"two values", `name: "a" f: 1 i: 1`, "more than one value"},
		{"int declared as float", `name: "a" type: FLOAT i: 1`, "declared as FLOAT"},
		{"nothing", `name: "a"`, "without a value"},
		{"tensor of nothing", `name: "a" type: TENSOR`, "without a value"},
		{"graph of nothing", `name: "a" type: GRAPH`, "without a value"},
		{"no name", `i: 1 type: INT`, "without a name"},
		{"value and reference", `name: "a" type: INT i: 1 ref_attr_name: "b"`, "reference"},
		{"reference outside of a function", `name: "a" type: INT ref_attr_name: "b"`, "refers to"},
		{"the same twice", `name: "a" type: INT i: 1 } attribute { name: "a" type: INT i: 1`, "a second attribute"},
		{"two tensors", `name: "a" type: TENSOR t { data_type: 1 float_data: 1 } tensors { data_type: 1 float_data: 1 }`, "more than one value"},
	} {
		text := around(`node { input: "x" output: "a" op_type: "Neg" attribute { ` + c.attr + ` } }`)
		list = append(list, hostile{"attribute: " + c.name, build(t, text), fault.Invalid, c.want})
	}
	function := func(i int, callee string) string {
		return fmt.Sprintf(`functions { name: "f%d" domain: "l" input: "x" output: "z" opset_import { domain: "l" version: 1 }
			node { input: "x" output: "y" op_type: %q domain: "l" } node { input: "y" output: "z" op_type: %q domain: "l" } } `, i, callee, callee)
	}
	call := around(`node { input: "x" output: "c" op_type: "f0" domain: "l" }`)
	long, deep := "", ""
	for i := range 40 {
		long += function(i, fmt.Sprint("f", i+1))
	}
	for i := range 150 {
		deep += function(i, fmt.Sprint("f", i+1))
	}
	return append(list,
		hostile{"function: 2^40 nodes", build(t, call+long), fault.Limit, "once its functions are written out"},
		hostile{"function: 150 deep", build(t, call+deep), fault.Limit, "more than 100 deep"},
		hostile{"function: calls itself (ORT 28187)", build(t, call+function(0, "f0")), fault.Invalid, "calls itself"},
		hostile{"function: call each other", build(t, call+function(0, "f1")+function(1, "f0")), fault.Invalid, "calls itself"},
		hostile{"function: twice", build(t, call+function(0, "f1")+function(0, "f1")), fault.Invalid, "a second function"},
	)
}

// nested wraps the fields of a message into n levels of the fields given, innermost first.
func nested(n int, inner []byte, fields ...protowire.Number) []byte {
	b := inner
	for range n {
		for _, f := range fields {
			b = protowire.AppendBytes(protowire.AppendTag(nil, f, protowire.BytesType), b)
		}
	}
	return b
}

// wireAttacks are damaged or deeply nested bytes.
func wireAttacks(t testing.TB) []hostile {
	sound := build(t, around(""))
	// Fields 6, 5, 1: a graph in an attribute of a node of a graph, which stands in field 7 of a model.
	types := nested(1, nested(1, nested(1, nested(1000, nil, 1, 4), 2), 11), 7)
	field := func(num protowire.Number, typ protowire.Type, rest ...byte) []byte {
		return append(bytes.Clone(sound), append(protowire.AppendTag(nil, num, typ), rest...)...)
	}
	return []hostile{
		{"wire: length of 2^63", field(7, protowire.BytesType, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1), fault.Invalid, "needs"},
		{"wire: length above the file", field(14, protowire.BytesType, 100), fault.Invalid, "needs 100 bytes, there are 0"},
		{"wire: endless varint", field(5, protowire.VarintType, bytes.Repeat([]byte{0xff}, 11)...), fault.Invalid, "damaged"},
		{"wire: no value", field(5, protowire.VarintType), fault.Invalid, "damaged"},
		{"wire: half a tag", append(bytes.Clone(sound), 0xff), fault.Invalid, "damaged"},
		{"wire: field 0", append(bytes.Clone(sound), 0x00, 0x00), fault.Invalid, "damaged"},
		{"wire: field 2^29", append(bytes.Clone(sound), 0x80, 0x80, 0x80, 0x80, 0x10, 0), fault.Invalid, "damaged"},
		{"wire: group", field(100, protowire.StartGroupType), fault.Invalid, "wire type 3"},
		{"wire: nested groups", append(bytes.Clone(sound), bytes.Repeat([]byte{0x0b}, 1<<20)...), fault.Invalid, "wire type 3"},
		{"wire: end of no group", field(100, protowire.EndGroupType), fault.Invalid, "wire type 4"},
		{"wire: wire type 7", append(bytes.Clone(sound), 0x0f), fault.Invalid, "wire type 7"},
		{"wire: graph as a number", field(7, protowire.VarintType, 1), fault.Invalid, "twice"},
		{"wire: version as bytes", field(1, protowire.BytesType, 0), fault.Invalid, "is a bytes where a varint"},
		{"wire: graph twice", append(bytes.Clone(sound), nested(1, nil, 7)...), fault.Invalid, "twice"},
		{"type: of two kinds", nested(1, []byte{0x0a, 0, 0x22, 0}, 2, 13, 7), fault.Invalid, "two kinds"},
		{"type: twice", nested(1, nested(1, []byte{0x12, 0, 0x12, 0}, 13), 7), fault.Invalid, "type stands there twice"},
		{"nest: 33 graphs (ORT 32344)", nested(1, nested(33, nil, 6, 5, 1), 7), fault.Limit, "nested more than 32"},
		{"nest: 2,000 graphs", nested(1, nested(2000, nil, 6, 5, 1), 7), fault.Limit, "nested more than 32"},
		{"nest: 1,000 types", types, fault.Limit, "nested more than 32"},
		{"wire: half a float in a tensor", nested(1, nested(1, nested(1, make([]byte, 5), 4), 5), 7), fault.Invalid, "ends within a value"},
		{"wire: half a number in a tensor", nested(1, nested(1, nested(1, []byte{1, 0xff}, 5), 5), 7), fault.Invalid, "ends within a value"},
		{"wire: 77 bits in a tensor", nested(1, nested(1, append([]byte{0x08, 1, 0x10, 7},
			nested(1, append(bytes.Repeat([]byte{0xff}, 10), 1), 7)...), 5), 7), fault.Invalid, "damaged"},
		{"tensor: data_location 2", nested(1, nested(1, []byte{0x10, 1, 0x70, 2}, 5), 7), fault.Invalid, "data_location 2"},
		{"wire: half a float in a list", nested(1, nested(1, nested(1, nested(1, make([]byte, 5), 7), 5), 1), 7), fault.Invalid, "not whole floats"},
		{"wire: half a number in a list", nested(1, nested(1, nested(1, nested(1, []byte{1, 0xff}, 8), 5), 1), 7), fault.Invalid, "damaged varint"},
		{"count: packed list above the limit", nested(1, nested(1, nested(1, nested(1, make([]byte, 1<<24+1), 8), 5), 1), 7), fault.Limit, "a list of 16,777,217"},
	}
}

// foreignFiles are things that people give by mistake.
func foreignFiles() []hostile {
	var list []hostile
	for name, c := range map[string][2]string{
		"PNG":         {"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", "PNG image"},
		"JPEG":        {"\xff\xd8\xff\xe0\x00\x10JFIF", "JPEG image"},
		"Git LFS":     {"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "Git LFS pointer"},
		"HTML":        {"\n<!DOCTYPE html><html>", "HTML page"},
		"html":        {"<html><body>404", "HTML page"},
		"JSON":        {"{\"a\": 1}", "JSON file"},
		"zip":         {"PK\x03\x04\x14\x00", "zip archive"},
		"gzip":        {"\x1f\x8b\x08\x00", "gzip file"},
		"tar":         {strings.Repeat("a", 257) + "ustar\x0000", "tar archive"},
		"safetensors": {"\x40\x00\x00\x00\x00\x00\x00\x00{\"w\":{}}", "safetensors"},
		"GGUF":        {"GGUF\x03\x00\x00\x00", "GGUF"},
		"TFLite":      {"\x1c\x00\x00\x00TFL3", "TensorFlow Lite"},
		"ORT":         {"\x1c\x00\x00\x00ORTM", "ONNX Runtime"},
		"HDF5":        {"\x89HDF\r\n\x1a\n", "HDF5"},
		"pickle":      {"\x80\x02}q\x00.", "pickle"},
		"npy":         {"\x93NUMPY\x01\x00", "NumPy array"},
		"ELF":         {"\x7fELF\x02\x01\x01", "ELF"},
		"XML":         {"<?xml version=\"1.0\"?><net/>", "XML"},
		"script":      {"#!/bin/sh\n", "script"},
		"empty":       {"", "empty"},
		"text":        {"hello, this is some text\n", "text file"},
		"YAML":        {"scheme: W8A8\nmode: static # é\n", "text file"},
	} {
		list = append(list, hostile{"foreign: " + name, []byte(c[0]), fault.Invalid, c[1]})
	}
	return list
}

// TestHostile opens every hostile file: each is refused as it should be, fast and in little memory.
func TestHostile(t *testing.T) {
	list := tensorAttacks(t)
	for _, more := range [][]hostile{claimAttacks(t), graphAttacks(t), attrAttacks(t), wireAttacks(t), foreignFiles()} {
		list = append(list, more...)
	}
	if len(list) < 120 {
		t.Errorf("%d files, want at least 120", len(list))
	}
	dir := t.TempDir()
	for i, h := range list {
		path := filepath.Join(dir, fmt.Sprint(i, ".onnx"))
		if err := os.WriteFile(path, h.file, 0o644); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(h.want, "no folder") {
			refuse(t, h, func() error { _, err := onnx.Decode(h.file, onnx.Limits{}); return err })
			continue
		}
		refuse(t, h, func() error { _, err := onnx.Open(path, onnx.Limits{}); return err })
	}
}

// refuse checks one outcome, with its cost.
func refuse(t *testing.T, h hostile, open func() error) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	err := open()
	took := time.Since(start)
	runtime.ReadMemStats(&after)
	if err == nil || fault.KindOf(err) != h.kind || !strings.Contains(err.Error(), h.want) {
		t.Errorf("%s: got %v (kind %d), want %q (kind %d)", h.name, err, fault.KindOf(err), h.want, h.kind)
	}
	if took > 500*time.Millisecond {
		t.Errorf("%s: took %v", h.name, took)
	}
	if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
		t.Errorf("%s: allocated %d bytes for a file of %d", h.name, n, len(h.file))
	}
}

// Counts are limited, in all graphs together.
func TestCounts(t *testing.T) {
	sub := `node { input: "x" output: "c" op_type: "If" attribute { name: "b" type: GRAPH g {
		initializer { name: "u" data_type: 1 float_data: 1 } node { input: "x" output: "n" op_type: "Neg" } } } }`
	b := build(t, around(`initializer { name: "t" data_type: 1 float_data: 1 } `+sub)+
		`functions { name: "F" domain: "l" } functions { name: "G" domain: "l" }`)
	for _, c := range []struct {
		lim  onnx.Limits
		want string
	}{
		{onnx.Limits{Nodes: 3, Initializers: 2, Functions: 2, Nesting: 2}, ""},
		{onnx.Limits{Nodes: 2}, "more than 2 nodes"},
		{onnx.Limits{Initializers: 1}, "more than 1 initializers"},
		{onnx.Limits{Functions: 1}, "more than 1 functions"},
		{onnx.Limits{Nesting: 1}, "nested more than 1 deep"},
		{onnx.Limits{Inlined: 2}, "more than 2 nodes once"},
	} {
		_, err := onnx.Decode(b, c.lim)
		if c.want == "" && err != nil || c.want != "" && (fault.KindOf(err) != fault.Limit || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%+v: got %v, want %q", c.lim, err, c.want)
		}
	}
}

// The file's size is limited before it is read.
func TestModelSize(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.onnx")
	b := build(t, around(""))
	must(t, os.WriteFile(path, b, 0o644))
	if _, err := onnx.Open(path, onnx.Limits{ModelBytes: int64(len(b)) - 1}); fault.KindOf(err) != fault.Limit {
		t.Errorf("got %v", err)
	}
	for name, kind := range map[string]fault.Kind{"nowhere": fault.IO, ".": fault.Invalid} {
		if _, err := onnx.Open(filepath.Join(filepath.Dir(path), name), onnx.Limits{}); fault.KindOf(err) != kind {
			t.Errorf("%s: %v", name, err)
		}
	}
}
