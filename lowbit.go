// Package lowbit quantizes neural networks and runs them.
//
// A trained ONNX model goes in; a smaller, faster one comes out, at a measured loss of accuracy,
// and runs here or in any runtime that reads ONNX:
//
//	m, err := lowbit.Open("model.onnx")
//	q, err := lowbit.Quantize(ctx, m, lowbit.QuantizeOptions{Data: "calib/", Preprocess: "imagenet"})
//	err = q.Model.Save("model.int8.onnx", lowbit.SaveOptions{})
//	s, err := q.Model.Compile(lowbit.CompileOptions{})
//	out, err := s.Run(ctx, map[string]*lowbit.Tensor{"input": x})
package lowbit

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"

	"lowbit/internal/engine"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/tensor"
)

// A Tensor is a dense row-major array of one element type.
type Tensor = tensor.Tensor

// A Session runs one model. It is safe for concurrent use.
type Session = engine.Session

// CompileOptions change how a model is compiled.
type CompileOptions = engine.Options

// SaveOptions say how a model is written.
type SaveOptions = onnx.SaveOptions

// Limits bound what a model file may ask for.
type Limits = onnx.Limits

// A Model is an open network. Its tensors may lie in mapped files, so Close comes after the last use.
type Model struct {
	graph *graph.Model
	file  *onnx.File // nil where the model was made here
	path  string
}

// Open reads the model in a file, and the files that its tensors lie in.
func Open(path string) (*Model, error) { return OpenLimited(path, Limits{}) }

// OpenLimited is Open with limits of the caller's.
func OpenLimited(path string, lim Limits) (*Model, error) {
	f, err := onnx.Open(path, lim)
	if err != nil {
		return nil, err
	}
	return &Model{graph: f.Model, file: f, path: path}, nil
}

// Decode reads a model from bytes, which must not change while it is in use. Tensors in other
// files are refused.
func Decode(b []byte) (*Model, error) {
	g, err := onnx.Decode(b, Limits{})
	if err != nil {
		return nil, err
	}
	return &Model{graph: g, path: "model"}, nil
}

// Close releases the model's files. A model that was made here needs no Close.
func (m *Model) Close() error {
	if m.file == nil {
		return nil
	}
	return m.file.Close()
}

// Path is the file that the model was read from.
func (m *Model) Path() string { return m.path }

// Graph is the network itself, for packages of this module.
func (m *Model) Graph() *graph.Model { return m.graph }

// FromGraph wraps a network, for packages of this module.
func FromGraph(g *graph.Model, path string) *Model { return &Model{graph: g, path: path} }

// Compile prepares the model to run on this machine.
func (m *Model) Compile(o CompileOptions) (*Session, error) {
	if m.file != nil && o.Release == nil {
		o.Release = m.file.Forget
	}
	return engine.Compile(m.graph, o)
}

// Save writes the model. The file appears whole or not at all; an existing one is replaced only
// with Force, and the files that the model was read from never.
func (m *Model) Save(path string, o SaveOptions) error {
	o.Sources = append(o.Sources, m.Files()...)
	return onnx.Save(path, m.graph, o)
}

// Files are those that the model was read from: its own, and those of its external data.
func (m *Model) Files() []string {
	if m.file == nil {
		return nil
	}
	return m.file.Paths()
}

// Bytes is the size of the model's files.
func (m *Model) Bytes() (int64, error) {
	if m.file == nil {
		b, err := onnx.Encode(m.graph)
		return int64(len(b)), err
	}
	var n int64
	for _, p := range m.file.Paths() {
		st, err := os.Stat(p)
		if err != nil {
			return 0, fault.IOf(p, err)
		}
		n += st.Size()
	}
	return n, nil
}

// fileSum is the SHA-256 of a file in hexadecimal.
func fileSum(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fault.IOf(path, err)
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fault.IOf(path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
