package onnx

import (
	"cmp"
	"math"

	"lowbit/internal/graph"
)

// Limits bound what a file may ask for. A field that is zero stands for its default.
type Limits struct {
	ModelBytes   int64 // size of the protobuf part, default 8 GiB
	Nodes        int   // in all graphs and functions together, default 1,000,000
	Initializers int   // in all graphs together, default 1,000,000
	Functions    int   // default 10,000
	Nesting      int   // subgraphs within subgraphs, types within types, default 32
	CallDepth    int   // functions that call functions, default 100
	Inlined      int64 // nodes once every function is written out, default 2,000,000
	Rank         int   // dimensions of a tensor, default 16
	Dim          int64 // size of one dimension, default 2^40
	Elements     int64 // elements of one tensor, default 2^40
	NameBytes    int   // default 64 KiB
	DocBytes     int   // default 16 MiB
	MetaBytes    int   // of one metadata key or value, default 1 MiB
	List         int   // values in one attribute, default 2^24
	Memory       int64 // bytes that may be allocated for converted tensors, default unlimited

	AllowHardlinks bool // accept external data files that have further names
	SkipChecksums  bool // do not compare external data files with the checksums in the model
}

// withDefaults returns l with zeros replaced by defaults, but for those that graph.Check has.
func (l Limits) withDefaults() Limits {
	l.ModelBytes = cmp.Or(l.ModelBytes, 8<<30)
	l.Nodes = cmp.Or(l.Nodes, 1_000_000)
	l.Initializers = cmp.Or(l.Initializers, 1_000_000)
	l.Functions = cmp.Or(l.Functions, 10_000)
	l.Nesting = cmp.Or(l.Nesting, 32)
	l.Rank = cmp.Or(l.Rank, 16)
	l.Dim = min(cmp.Or(l.Dim, 1<<40), math.MaxInt/64)
	l.Elements = min(cmp.Or(l.Elements, 1<<40), math.MaxInt/64)
	l.NameBytes = cmp.Or(l.NameBytes, 64<<10)
	l.DocBytes = cmp.Or(l.DocBytes, 16<<20)
	l.MetaBytes = cmp.Or(l.MetaBytes, 1<<20)
	l.List = cmp.Or(l.List, 1<<24)
	l.Memory = cmp.Or(l.Memory, math.MaxInt64)
	return l
}

// structure returns the part of l that graph.Check asks for.
func (l Limits) structure() graph.Limits {
	return graph.Limits{CallDepth: l.CallDepth, Inlined: l.Inlined}
}
