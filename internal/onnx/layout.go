package onnx

import (
	"io"
	"strconv"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// dataAlign is the alignment of tensors in a data file: the page size, so that they can be mapped.
const dataAlign = 4096

// A layout says where tensors lie in a data file.
type layout struct {
	file     string // location written into the model
	checksum string // sha1 of the data file in hex
	tensors  []*tensor.Tensor
	offsets  map[*tensor.Tensor]int64
	size     int64
	done     func(t *tensor.Tensor) // is told of each tensor that was written
}

// layOut places the initializers and the tensors in attributes that have at least min bytes, those
// of subgraphs included.
func layOut(m *graph.Model, min int) *layout {
	l := &layout{offsets: map[*tensor.Tensor]int64{}, done: m.Forget}
	for g := range m.Graph.Graphs() {
		for _, c := range g.Consts() {
			if c.Sparse == nil {
				l.place(c.Tensor, min)
			}
		}
		for _, n := range g.Nodes {
			for _, a := range n.Attrs {
				if t, ok := a.Value.(*tensor.Tensor); ok {
					l.place(t, min)
				}
			}
		}
	}
	return l
}

// place puts a tensor at the end of the data file, unless it is small, of strings, or there already.
func (l *layout) place(t *tensor.Tensor, min int) {
	if t == nil || t.DType == tensor.String || len(t.Raw) < min {
		return
	}
	if _, done := l.offsets[t]; done {
		return
	}
	l.size = (l.size + dataAlign - 1) / dataAlign * dataAlign
	l.offsets[t] = l.size
	l.tensors = append(l.tensors, t)
	l.size += int64(len(t.Raw))
}

// find returns the external_data of a tensor, and false if it lies in the model itself.
func (l *layout) find(t *tensor.Tensor) ([]graph.Prop, bool) {
	if l == nil {
		return nil, false
	}
	at, ok := l.offsets[t]
	if !ok {
		return nil, false
	}
	return []graph.Prop{
		{Key: "location", Value: l.file},
		{Key: "offset", Value: strconv.FormatInt(at, 10)},
		{Key: "length", Value: strconv.Itoa(len(t.Raw))},
		{Key: "checksum", Value: l.checksum},
	}, true
}

// write writes the data file.
func (l *layout) write(w io.Writer) error {
	var zeros [dataAlign]byte
	at := int64(0)
	for _, t := range l.tensors {
		if _, err := w.Write(zeros[:l.offsets[t]-at]); err != nil {
			return err
		}
		if _, err := w.Write(t.Raw); err != nil {
			return err
		}
		l.done(t)
		at = l.offsets[t] + int64(len(t.Raw))
	}
	return nil
}
