package weight

import (
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A Source tells what a graph holds under a name.
type Source interface {
	Producer(name string) *graph.Node       // the node that makes a value, or nil
	ConstTensor(name string) *tensor.Tensor // the initializer of that name, or nil
}

// Read returns the constant that a value is, where the nodes behind it spell one in few bits: the
// forms that Write makes, and those of other tools that are among them. It is nil for other values.
func Read(src Source, name string) *Coded {
	r := &reader{src: src}
	n := r.shapes(r.node(name))
	if n == nil {
		return nil
	}
	var c *Coded
	switch n.Op {
	case "Cast":
		c = r.cast(n)
	case "DequantizeLinear":
		c = r.dequantize(n)
	case "Mul":
		if c = r.times(n); c == nil {
			c = r.table(n)
		}
	}
	if c == nil || len(c.Codes) != tensor.Elements(c.Shape) || !c.whole() {
		return nil
	}
	return c
}

// whole says whether each block has its parameters.
func (c *Coded) whole() bool {
	inside := c.Block.Kind == format.Whole || c.Block.Axis >= 0 && c.Block.Axis < len(c.Shape)
	return inside && len(c.Params) == tensor.Elements(c.Block.ParamShape(c.Shape))
}

type reader struct {
	src   Source
	final []int   // shape that the last Reshape gives; nil: none
	cuts  [][]int // of Slice: axis and length
	bare  bool    // the codes of DequantizeLinear are not read
}

func (r *reader) node(name string) *graph.Node {
	n := r.src.Producer(name)
	if n == nil || graph.CanonicalDomain(n.Domain) != "" && !twin(n) || len(n.Out) == 0 || n.Out[0] != name {
		return nil
	}
	return n
}

// twin says whether n is ONNX Runtime's own DequantizeLinear, which is ONNX's.
func twin(n *graph.Node) bool { return n.Domain == "com.microsoft" && n.Op == "DequantizeLinear" }

func (r *reader) input(n *graph.Node, i int) string {
	if i >= 0 && i < len(n.In) {
		return n.In[i]
	}
	return ""
}

func (r *reader) constant(n *graph.Node, i int) *tensor.Tensor {
	if name := r.input(n, i); name != "" {
		return r.src.ConstTensor(name)
	}
	return nil
}

func (r *reader) ints(n *graph.Node, i int) []int {
	t := r.constant(n, i)
	if t == nil {
		return nil
	}
	v, err := t.Ints()
	if err != nil {
		return nil
	}
	out := make([]int, len(v))
	for k, x := range v {
		if x < 0 {
			return nil // a dimension that is inferred, an axis from the end: not of our making
		}
		out[k] = int(x)
	}
	return out
}

// shapes walks back over Reshape and Slice, and notes what they do.
func (r *reader) shapes(n *graph.Node) *graph.Node {
	for n != nil {
		switch n.Op {
		case "Reshape":
			shape := r.ints(n, 1)
			if shape == nil {
				return nil
			}
			if r.final == nil {
				r.final = slices.Clone(shape)
				for _, c := range r.cuts {
					if c[0] >= len(shape) || c[1] > shape[c[0]] {
						return nil
					}
					r.final[c[0]] = c[1]
				}
			}
		case "Slice":
			from, to, axis := r.ints(n, 1), r.ints(n, 2), r.ints(n, 3)
			if len(from) != 1 || len(to) != 1 || len(axis) != 1 || from[0] != 0 || len(n.In) > 4 {
				return nil
			}
			r.cuts = append(r.cuts, []int{axis[0], to[0]})
		default:
			return n
		}
		n = r.node(r.input(n, 0))
	}
	return nil
}

// shape is the shape of the constant, given that of the value before Reshape.
func (r *reader) shape(inner []int) []int {
	if r.final != nil {
		return r.final
	}
	return inner
}

func (r *reader) cast(n *graph.Node) *Coded {
	t := r.constant(n, 0)
	if t == nil || n.Int("to", 0) != int(tensor.Float32) {
		return nil
	}
	f := format.ByElem(t.DType)
	if f == nil || f.Via != format.Cast {
		return nil
	}
	codes, err := f.TensorCodes(t)
	if err != nil {
		return nil
	}
	return &Coded{Format: f, Shape: r.shape(t.Shape), Codes: codes, Params: []format.Params{{Scale: 1}}}
}

// dequantize reads DequantizeLinear on stored codes, or on whole-number marks that codes pick.
func (r *reader) dequantize(n *graph.Node) *Coded {
	p, scales, nest, dims := r.scale(r.input(n, 1))
	if p == nil {
		return nil
	}
	c := &Coded{Params: p, Scales: scales}
	var fold []int
	if t := r.constant(n, 0); t != nil {
		f := format.ByElem(t.DType)
		if f == nil || t.Len() == 0 || !r.zeros(n, p) {
			return nil
		}
		if !r.bare {
			codes, err := f.TensorCodes(t)
			if err != nil {
				return nil
			}
			c.Codes = codes
		}
		fold = t.Shape
	} else {
		m := r.marks(r.input(n, 0))
		if m == nil || len(n.In) > 2 {
			return nil
		}
		c.Codes, fold = m.codes, m.shape
		if c.Format = m.format(format.Pick, nest); c.Format == nil {
			return nil
		}
	}
	if len(c.Codes) == 0 && !r.bare {
		return nil
	}
	c.Shape = r.shape(fold)
	c.Block = blockOf(n, fold, dims, c.Shape)
	if c.Format == nil {
		c.Format = storedFormat(r.constant(n, 0).DType, nest, c)
	}
	if c.Format == nil {
		return nil
	}
	return c
}

// blockOf returns the block of a DequantizeLinear on codes of shape fold, with scales of shape dims.
func blockOf(n *graph.Node, fold, dims, shape []int) format.Block {
	size, axis := n.Int("block_size", 0), n.Int("axis", 1)
	if axis < 0 {
		axis += len(fold)
	}
	switch {
	case size > 0:
		return format.Block{Kind: format.Group, Axis: axis, Size: size, Flat: !slices.Equal(fold, shape)}
	case tensor.Elements(dims) > 1 || len(dims) == 1 && axis < len(fold) && fold[axis] == 1:
		return format.Block{Kind: format.Channel, Axis: axis}
	}
	return format.Block{}
}

// zeros fills in the zero points.
func (r *reader) zeros(n *graph.Node, p []format.Params) bool {
	if r.input(n, 2) == "" {
		return true
	}
	t := r.constant(n, 2)
	if t == nil || t.Len() != len(p) {
		return false
	}
	if t.DType.IsFloat() {
		return true
	}
	if list, signed, ok := tensor.CodeBytes(t); ok {
		for i, z := range list {
			if p[i].Zero = int32(z); signed {
				p[i].Zero = int32(int8(z))
			}
		}
		return true
	}
	list, err := t.Ints()
	for i, z := range list {
		p[i].Zero = int32(z)
	}
	return err == nil
}

// times reads whole numbers times scales.
func (r *reader) times(n *graph.Node) *Coded {
	cast := r.node(r.input(n, 0))
	if cast == nil || cast.Op != "Cast" || cast.Int("to", 0) != int(tensor.Float32) {
		return nil
	}
	t, scale := r.constant(cast, 0), r.constant(n, 1)
	if t == nil || t.DType != format.Int8.Elem || scale == nil || scale.DType != tensor.Float32 {
		return nil
	}
	codes, err := format.Int8.TensorCodes(t)
	if err != nil {
		return nil
	}
	p, err := plainParams(scale)
	if err != nil {
		return nil
	}
	c := &Coded{Format: format.Int8, Shape: r.shape(t.Shape), Codes: codes, Params: p}
	if !c.along(t.Shape, scale.Shape) {
		return nil
	}
	return c
}

// along sets the block of codes of some shape that scales of shape dims multiply: one for all, or (D,1,…) along an axis of
// length D. It is false for others.
func (c *Coded) along(shape, dims []int) bool {
	if len(dims) == 0 {
		return true
	}
	c.Block = format.Block{Kind: format.Channel, Axis: len(shape) - len(dims)}
	return c.Block.Axis >= 0 && dims[0] == shape[c.Block.Axis] && tensor.Elements(dims) == dims[0]
}

// table reads marks times scales.
func (r *reader) table(n *graph.Node) *Coded {
	inner := &reader{src: r.src}
	m := inner.marks(r.input(n, 0))
	name, owners := r.owners(r.input(n, 1))
	p, scales, nest, dims := r.scale(name)
	if m == nil || p == nil {
		return nil
	}
	c := &Coded{Format: m.format(format.Table, nest), Codes: m.codes, Params: p, Scales: scales, Shape: r.shape(m.shape)}
	if c.Format == nil {
		return nil
	}
	switch {
	case owners != nil:
		want := slices.Clone(m.shape)
		if owners.Axis < 0 || owners.Axis >= min(len(want), len(c.Shape)) {
			return nil
		}
		want[owners.Axis] = (want[owners.Axis] + owners.Size - 1) / owners.Size
		if owners.Flat = !slices.Equal(m.shape, c.Shape); !slices.Equal(want, dims) {
			return nil
		}
		c.Block = *owners
	case r.final != nil:
		if !r.ungroup(c, m.shape, dims) {
			return nil
		}
	case !c.along(m.shape, dims):
		return nil
	}
	return c
}

// owners reads scales that a constant list of groups picks, one for each position along an axis; where
// they are not picked, the block is nil.
func (r *reader) owners(name string) (scale string, b *format.Block) {
	n := r.node(name)
	if n == nil || n.Op != "Gather" {
		return name, nil
	}
	list := r.ints(n, 1)
	size := slices.IndexFunc(list, func(k int) bool { return k != 0 })
	if t := r.constant(n, 1); size < 1 || t.Rank() != 1 {
		return name, nil
	}
	for i, k := range list {
		if k != i/size {
			return name, nil
		}
	}
	return n.In[0], &format.Block{Kind: format.Group, Axis: n.Int("axis", 0), Size: size}
}

// ungroup finds the groups in marks of shape (…,groups,size,…).
func (r *reader) ungroup(c *Coded, shape, dims []int) bool {
	axis := -1
	for i := range shape {
		if len(dims) == len(shape) && dims[i] == 1 && shape[i] != 1 {
			axis = i - 1
		}
	}
	if axis < 0 {
		return false
	}
	size := shape[axis+1]
	fold := slices.Concat(shape[:axis], []int{shape[axis] * size}, shape[axis+2:])
	if tensor.Elements(fold) != tensor.Elements(c.Shape) {
		return false
	}
	c.Block = format.Block{Kind: format.Group, Axis: axis, Size: size, Flat: !slices.Equal(fold, c.Shape)}
	return true
}

// storedFormat returns the row of codes that DequantizeLinear reads: of several that hold codes
// of an element type the one that says most; of those that hold all codes where these are not read.
func storedFormat(d tensor.DType, nest *format.ScaleFormat, c *Coded) *format.Format {
	var best *format.Format
	for _, f := range format.All {
		if f.Elem != d || f.Via != format.Dequantize || f.Scale != nest {
			continue
		}
		if f.Snap != nil && slices.ContainsFunc(c.Params, func(p format.Params) bool {
			return float64(p.Scale) != f.Snap(float64(p.Scale)) || p.Zero != 0
		}) {
			continue
		}
		if f.Lo < f.Hi && f.Hi-f.Lo+1 < 1<<d.Bits() && (c.Codes == nil || slices.ContainsFunc(c.Codes, func(v int32) bool { return v < int32(f.Lo) || v > int32(f.Hi) })) {
			continue
		}
		if best == nil || f.Snap != nil || f.Hi-f.Lo < best.Hi-best.Lo {
			best = f
		}
	}
	return best
}
