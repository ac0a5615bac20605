// Package onnx turns ONNX files into graphs and back. It knows no operators, so a file with an
// unknown one still opens, and it is the only place where the bytes of a model are read.
//
// A model file is untrusted. Every number in it is checked against the bytes that are really
// there before anything is allocated from it, all faults are reported with their place, and what
// comes out is sound: tensors have exactly the bytes that their shape asks for, names are unique,
// nodes are in evaluation order. Fields that the graph has no room for are kept as raw bytes and
// written back.
//
// Tensors share memory with the file: see [File].
package onnx
