package weight

import (
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// nests lists the formats that scales are written in.
var nests = []*format.ScaleFormat{format.E8M0, format.E4M3Scale, format.Int8Scale}

// scale reads the scales behind a name: plain ones, or those of a format of their own, with their
// shape. It returns nil where they are not constant.
func (r *reader) scale(name string) ([]format.Params, *format.Scales, *format.ScaleFormat, []int) {
	if t := r.src.ConstTensor(name); t != nil {
		p, err := plainParams(t)
		if err != nil {
			return nil, nil, nil, nil
		}
		return p, nil, nil, t.Shape
	}
	in := &reader{src: r.src}
	n := in.shapes(in.node(name))
	if n == nil || len(in.cuts) > 0 {
		return nil, nil, nil, nil
	}
	for _, f := range nests {
		if e, shape := in.nested(n, f); e != nil {
			list := f.Decode(e)
			p := make([]format.Params, len(list))
			for i, v := range list {
				p[i].Scale = v
			}
			return p, e, f, in.shape(shape)
		}
	}
	return nil, nil, nil, nil
}

// nested reads scales of one format.
func (r *reader) nested(n *graph.Node, f *format.ScaleFormat) (*format.Scales, []int) {
	if f.Format.Via == format.Table {
		if n.Op != "Gather" {
			return nil, nil
		}
		m := r.marks(n.Out[0])
		if m == nil || !slices.Equal(m.marks, finite(f.Format.Marks)) {
			return nil, nil
		}
		return &format.Scales{Codes: m.codes}, m.shape
	}
	e := &format.Scales{}
	if f.Centred {
		mean := r.constant(n, 1)
		if n.Op != "Add" || mean == nil || mean.DType != tensor.Float32 || mean.Len() != 1 {
			return nil, nil
		}
		e.Offset = tensor.Of[float32](mean)[0]
		if n = r.node(n.In[0]); n == nil {
			return nil, nil
		}
	}
	t, outer := r.constant(n, 0), r.constant(n, 1)
	if n.Op != "DequantizeLinear" || t == nil || outer == nil || t.DType != f.Format.Elem || outer.DType != tensor.Float32 || len(n.In) > 2 {
		return nil, nil
	}
	e.Outer = tensor.Of[float32](outer)
	if size := n.Int("block_size", 0); size != f.Run && len(e.Outer) > 1 || len(e.Outer) == 0 {
		return nil, nil
	}
	codes, err := f.Format.TensorCodes(t)
	if err != nil || f.Run > 0 && (len(codes)+f.Run-1)/f.Run != len(e.Outer) {
		return nil, nil
	}
	e.Codes = codes
	return e, t.Shape
}
