// Package lowbit quantizes neural networks and runs them.
//
// A trained ONNX model goes in; a smaller, faster one comes out, at a measured loss of accuracy,
// and runs here or in any runtime that reads ONNX:
//
//	m, err := lowbit.Open("model.onnx")
//	data, err := lowbit.OpenData("calib/", lowbit.DataOptions{Preprocess: "imagenet", Samples: 300}, m)
//	q, err := lowbit.Quantize(ctx, m, lowbit.QuantizeOptions{Data: data})
//	err = q.Model.Save("model.int8.onnx", lowbit.SaveOptions{})
//	s, err := q.Model.Compile(lowbit.CompileOptions{})
//	x, err := lowbit.NewTensor(pixels, 1, 3, 224, 224)
//	out, err := s.Run(ctx, map[string]*lowbit.Tensor{"input": x})
//	logits, err := lowbit.Values[float32](out["output"])
//
// Errors are of a kind, for errors.Is: [ErrInvalid], [ErrUnsupported], [ErrLimit], [ErrIO] or [ErrInternal].
package lowbit

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"slices"

	"lowbit/internal/engine"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/onnx"
)

// A Session runs one model:
//
//	Run(ctx context.Context, in map[string]*Tensor) (out map[string]*Tensor, err error)
//	RunInto(ctx context.Context, in, into map[string]*Tensor) (out map[string]*Tensor, err error)
//	RunWatch(ctx context.Context, in map[string]*Tensor, watch func(name string, t *Tensor)) (out map[string]*Tensor, err error)
//	Inputs() []*Value
//	Outputs() []*Value
//	Close()
//
// Its methods may be called from several goroutines at once. Of runs that overlap one has the session's threads, and
// the others work on their callers' alone. Run only reads its inputs, which may be used again when it returns; outputs
// are the caller's own, and stay as they are whatever runs later and when session and model are closed. Inputs that
// are missing, unknown or of another type or shape are errors of kind [ErrInvalid]; once ctx is done, Run returns its
// cause.
//
// RunInto writes an output to the tensor of its name in into, where that has its type and shape, and returns that tensor: the
// outputs of an earlier run, which no other run may be writing or anybody reading, spare the allocation. A run that fails
// leaves anything in them. RunWatch shows each value of CompileOptions.Watch as soon as it exists; what is shown is valid until
// watch returns.
//
// Close ends the session's threads; it may come while runs are under way, and more than once, and later runs work on their
// callers' threads alone. The model is closed after the last run.
type Session = engine.Session

// CompileOptions change how a model is compiled. The zero value is right for most uses.
type CompileOptions struct {
	Threads   int      // how many threads one run may use; 0 means one for each processor
	CPU       string   // greatest instruction set to use: generic, avx2, avxvnni, avx512, vnni or amx; "" is the best there is, which LOWBIT_CPU caps
	Seed      uint64   // of the random operators
	MaxMemory int64    // most bytes that the values of one run may take; 0 means 32 GiB
	Watch     []string // values within the network that Session.RunWatch shows
	Reference bool     // evaluate node after node by the operators' definitions: slow, what else is judged by
	Direct    bool     // compute float convolutions by their sums alone, not in Winograd's form
}

// SaveOptions say how a model is written. The zero value refuses to replace a file.
//
//	Force         bool     // replace a model that is there
//	Sources       []string // further files that are never replaced
//	ExternalAbove int64    // bytes of a model above which its tensors go to the file NAME.data; 0 means 1.9e9
//	ExternalMin   int      // bytes from which a tensor goes there; 0 means 1024
//	Before        func(sum []byte, size int64) error
//
// Before, if set, is called when everything is on the disk and the model does not have its name yet, with the SHA-256 of the
// model's file and the bytes of all files; its error leaves the path as it was.
type SaveOptions = onnx.SaveOptions

// Limits bound what a model file may ask for. The zero value of a field means its default.
//
//	ModelBytes     int64 // size of the file without its external data; default 8 GiB
//	Nodes          int   // in all graphs and functions together; default 1,000,000
//	Initializers   int   // in all graphs together; default 1,000,000
//	Functions      int   // default 10,000
//	Nesting        int   // subgraphs within subgraphs, types within types; default 32
//	CallDepth      int   // functions that call functions; default 100
//	Inlined        int64 // nodes once every function is written out; default 2,000,000
//	Rank           int   // dimensions of a tensor; default 16
//	Dim            int64 // size of one dimension; default 2^40
//	Elements       int64 // elements of one tensor; default 2^40
//	NameBytes      int   // default 64 KiB
//	DocBytes       int   // default 16 MiB
//	MetaBytes      int   // of one metadata key or value; default 1 MiB
//	List           int   // values in one attribute; default 2^24
//	Memory         int64 // bytes that may be allocated for converted tensors; default unlimited
//	AllowHardlinks bool  // take external data files that have further names
//	SkipChecksums  bool  // do not hold external data against the checksums in the model
type Limits = onnx.Limits

// A Value is an input or output of a model:
//
//	Name string
//	Type Type
type Value = graph.Value

// A Type is what is known of a value before it exists; its String is such as "float[N,3,224,224]".
//
//	DType  DType // of the elements
//	Ranked bool  // Shape says how many dimensions there are
//	Shape  []Dim
//	Elem   *Type // of a sequence: the type of its items
//
//	IsTensor() bool        // false of sequences
//	Static() ([]int, bool) // the shape as numbers, false where not all are known
type Type = graph.Type

// A Dim is one dimension.
//
//	Size int    // -1 where it is open
//	Name string // open dimensions of one name are equal in a run
//
//	IsKnown() bool // Size is not open
type Dim = graph.Dim

// A Model is an open network. Its tensors may lie in mapped files, so Close comes after the last use.
type Model struct {
	graph   *graph.Model
	file    *onnx.File // nil where the model was made here
	path    string
	sources []string // files of the models that it was made from
}

// Open reads the model in a file, and the files that its tensors lie in. Those are mapped, and are not to change until
// Close. A file that is damaged or no model is an error of kind [ErrInvalid], one that cannot be read of kind [ErrIO],
// one that asks for more than it may of kind [ErrLimit].
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
// files are refused; errors are as of [Open].
func Decode(b []byte) (*Model, error) {
	g, err := onnx.Decode(b, Limits{})
	if err != nil {
		return nil, err
	}
	return &Model{graph: g, path: "model"}, nil
}

// Encode returns the model as the bytes of an ONNX file, every tensor within, as [Decode] reads them; the same model gives
// the same bytes. A model of more than 2 GiB is an error of kind [ErrLimit], which Save writes in two files.
func (m *Model) Encode() ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	b, err := onnx.Encode(m.graph)
	return b, fault.At(m.path, err)
}

// Metadata is what the model's file tells of itself by key. What [Quantize] returned has "lowbit.recipe", "lowbit.source_sha256"
// and, where it was calibrated on images, "lowbit.preprocess".
func (m *Model) Metadata() map[string]string {
	if m.check() != nil {
		return nil
	}
	all := make(map[string]string, len(m.graph.Meta))
	for _, p := range m.graph.Meta {
		all[p.Key] = p.Value
	}
	return all
}

// Close releases the model's files. A model that was made here needs no Close.
func (m *Model) Close() error {
	if m == nil || m.file == nil {
		return nil
	}
	return m.file.Close()
}

// check refuses a model that was neither opened nor made.
func (m *Model) check() error {
	if m == nil || m.graph == nil {
		return fault.Invalidf("model", "is missing").WithHint("open one first")
	}
	return nil
}

// Path is the file that the model was read from; of a model that was made here, that of what it was made from.
func (m *Model) Path() string {
	if m == nil {
		return ""
	}
	return m.path
}

// Inputs lists what a run has to be given, in the model's order: the inputs without an initializer. The values are the model's own and not to be changed.
func (m *Model) Inputs() []*Value {
	if m.check() != nil {
		return nil
	}
	return m.graph.Graph.Required()
}

// Outputs lists what a run returns, in the model's order. The values are the model's own and not to be changed.
func (m *Model) Outputs() []*Value {
	if m.check() != nil {
		return nil
	}
	return slices.Clone(m.graph.Graph.Out)
}

// Graph is the network itself, for packages of this module.
func (m *Model) Graph() *graph.Model { return m.graph }

// FromGraph wraps a network, for packages of this module.
func FromGraph(g *graph.Model, path string) *Model { return &Model{graph: g, path: path} }

// madeFrom wraps a network that was made from models, whose files it may share tensors with.
func madeFrom(g *graph.Model, path string, models ...*Model) *Model {
	made := FromGraph(g, path)
	for _, m := range models {
		made.sources = slices.Concat(made.sources, m.Files(), m.sources)
	}
	return made
}

// Compile prepares the model to run on this machine. Where it declares all shapes, operators and shapes that cannot be run are errors here,
// else of the first run with such shapes.
func (m *Model) Compile(o CompileOptions) (*Session, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	e := engine.Options{Threads: o.Threads, Seed: o.Seed, MaxMemory: o.MaxMemory, Watch: o.Watch, Reference: o.Reference, Direct: o.Direct}
	if o.CPU != "" {
		l, err := kernel.ParseLevel(o.CPU)
		if err != nil {
			return nil, fault.Invalidf("CPU", "%v", err)
		}
		e.Level = &l
	}
	if m.file != nil {
		e.Release = m.file.Forget
	}
	return engine.Compile(m.graph, e)
}

// Save writes the model. The file appears whole or not at all. An existing one without Force, and the files that the model
// and those that it was made from were read from, are left as they are, with an error of kind [ErrInvalid]. The same model
// gives the same bytes.
func (m *Model) Save(path string, o SaveOptions) error {
	if err := m.check(); err != nil {
		return err
	}
	o.Sources = slices.Concat(o.Sources, m.Files(), m.sources)
	return onnx.Save(path, m.graph, o)
}

// Files are those that the model was read from: its own, and those of its external data.
func (m *Model) Files() []string {
	if m == nil || m.file == nil {
		return nil
	}
	return m.file.Paths()
}

// Bytes is the size of the model's files, or of what Save would write where it was made here.
func (m *Model) Bytes() (int64, error) {
	if err := m.check(); err != nil {
		return 0, err
	}
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
