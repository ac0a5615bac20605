package weight

import (
	"fmt"
	"math"
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A Writer adds coded constants to a model.
type Writer struct {
	Fresh func(name string) string            // makes a name that the model does not have yet
	Const func(name string, t *tensor.Tensor) // adds an initializer

	tables map[string]string // initializers that constants share, by what they hold
}

// Write returns the nodes that compute c as the value out. New constants and the last node are named after name. Nodes
// before it mostly have no names, and their results short ones, since there are several of them for each constant.
func (w *Writer) Write(c *Coded, name, out string) ([]*graph.Node, error) {
	return w.write(c, spellings[c.Format.Via], name, out)
}

// WritePlain is [Writer.Write] for a constant that no operator on codes reads: whole numbers are multiplied by their scales, which
// runtimes compute once, when they load the file. ONNX Runtime (1.32) leaves each DequantizeLinear for such operators, and
// else computes it in every run.
func (w *Writer) WritePlain(c *Coded, name, out string) ([]*graph.Node, error) {
	if c.plain() {
		return w.write(c, (*spelling).times, name, out)
	}
	return w.Write(c, name, out)
}

func (w *Writer) write(c *Coded, spell func(s *spelling) (string, error), name, out string) ([]*graph.Node, error) {
	s := &spelling{Writer: w, c: c, name: name, fold: c.Block.Fold(c.Shape)}
	v, err := spell(s)
	if err != nil {
		return nil, err
	}
	if !slices.Equal(s.shape, c.Shape) {
		s.reshape(v, c.Shape)
	}
	last := s.nodes[len(s.nodes)-1]
	last.Out[0], last.Name = out, s.Fresh(name+"_"+short(last.Op))
	return s.nodes, nil
}

// A spelling is the list of nodes of one constant as it grows.
type spelling struct {
	*Writer
	c     *Coded
	name  string
	fold  []int // the shape in which the constant is cut into blocks
	shape []int // of the value that was made last
	nodes []*graph.Node
}

// spellings writes a constant by each way back, and returns the name of the result.
var spellings = map[format.Via]func(s *spelling) (string, error){
	format.Cast:       (*spelling).cast,
	format.Dequantize: (*spelling).dequantize,
	format.Pick:       (*spelling).pick,
	format.Table:      (*spelling).table,
}

// short is an operator in names.
func short(op string) string {
	if op == "DequantizeLinear" {
		return "DQ"
	}
	return op
}

// node adds a node with one result.
func (s *spelling) node(op string, in ...string) *graph.Node {
	n := &graph.Node{Op: op, In: in, Out: []string{s.Fresh("u")}}
	s.nodes = append(s.nodes, n)
	return n
}

func (s *spelling) constant(what string, t *tensor.Tensor) string {
	name := s.Fresh(s.name + "_" + what)
	s.Const(name, t)
	return name
}

// shared returns the initializer of that name, which it makes at the first call.
func (s *spelling) shared(name string, make func() *tensor.Tensor) string {
	if s.tables == nil {
		s.tables = map[string]string{}
	}
	if s.tables[name] == "" {
		s.tables[name] = s.Fresh(name)
		s.Const(s.tables[name], make())
	}
	return s.tables[name]
}

func (s *spelling) castTo(v string, d tensor.DType) string {
	n := s.node("Cast", v)
	n.SetAttr("to", int64(d))
	return n.Out[0]
}

func (s *spelling) reshape(v string, shape []int) string {
	s.shape = shape
	list := make([]int64, len(shape))
	for i, d := range shape {
		list[i] = int64(d)
	}
	return s.node("Reshape", v, s.shared(tensor.FormatShape(shape), func() *tensor.Tensor { return tensor.Vector(list...) })).Out[0]
}

// cut keeps the first n positions along an axis.
func (s *spelling) cut(v string, axis, n int) string {
	vector := func(i int64) string {
		return s.shared("index"+tensor.FormatShape([]int{int(i)}), func() *tensor.Tensor { return tensor.Vector(i) })
	}
	s.shape = slices.Clone(s.shape)
	s.shape[axis] = n
	return s.node("Slice", v, vector(0), vector(int64(n)), vector(int64(axis))).Out[0]
}

func (s *spelling) cast() (string, error) {
	t, err := s.c.Format.CodeTensor(s.c.Codes, s.fold)
	s.shape = s.fold
	return s.castTo(s.constant("q", t), tensor.Float32), err
}

// times multiplies whole numbers by scales.
func (s *spelling) times() (string, error) {
	t, err := s.c.Format.CodeTensor(s.c.Codes, s.fold)
	if err != nil {
		return "", err
	}
	cast := &graph.Node{Op: "Cast", Name: s.Fresh(s.name + "_Cast"), In: []string{s.constant("q", t)}, Out: []string{s.Fresh(s.name + "_codes")}}
	cast.SetAttr("to", int64(tensor.Float32))
	s.nodes, s.shape = append(s.nodes, cast), s.fold
	scale, err := s.scale(s.broadcast(s.fold))
	return s.node("Mul", cast.Out[0], scale).Out[0], err
}

func (s *spelling) dequantize() (string, error) {
	t, err := s.c.Format.CodeTensor(s.c.Codes, s.fold)
	if err != nil {
		return "", err
	}
	codes := s.constant("q", t)
	scale, err := s.scale(s.c.Block.ParamShape(s.c.Shape))
	if err != nil {
		return "", err
	}
	in := []string{codes, scale}
	if s.c.Format.Zero {
		zero := make([]int32, len(s.c.Params))
		for i, p := range s.c.Params {
			zero[i] = p.Zero
		}
		z, err := s.c.Format.CodeTensor(zero, s.c.Block.ParamShape(s.c.Shape))
		if err != nil {
			return "", err
		}
		in = append(in, s.constant("zp", z))
	}
	return s.scaled(in...), nil
}

func (s *spelling) pick() (string, error) {
	v, err := s.marks(s.c.Codes, s.fold)
	if err != nil {
		return "", err
	}
	scale, err := s.scale(s.c.Block.ParamShape(s.c.Shape))
	return s.scaled(v, scale), err
}

// scaled adds the DequantizeLinear of codes, their scale and their zero point.
func (s *spelling) scaled(in ...string) string {
	n := s.node("DequantizeLinear", in...)
	if s.c.Block.Kind != format.Whole {
		n.SetAttr("axis", int64(s.c.Block.Axis))
	}
	if s.c.Block.Kind == format.Group {
		n.SetAttr("block_size", int64(s.c.Block.Size))
	}
	s.shape = s.fold
	return n.Out[0]
}

// table multiplies marks (…,D,…) by scales. Groups along D are laid out as (…,groups,size,…), so
// that a scale (…,groups,1,…) is broadcast; where the last group is short, scales are picked by position.
func (s *spelling) table() (string, error) {
	b := s.c.Block
	if b.Kind == format.Group && s.fold[b.Axis]%b.Size != 0 {
		return s.owned()
	}
	shape := s.fold
	if b.Kind == format.Group {
		shape = slices.Concat(shape[:b.Axis], []int{shape[b.Axis] / b.Size, b.Size}, shape[b.Axis+1:])
	}
	v, err := s.marks(s.c.Codes, shape)
	if err != nil {
		return "", err
	}
	scale, err := s.scale(s.broadcast(shape))
	if err != nil {
		return "", err
	}
	v = s.node("Mul", v, scale).Out[0]
	s.shape = shape
	return v, nil
}

// owned multiplies marks (…,D,…) by scales (…,groups,…), of which a list of D groups picks.
func (s *spelling) owned() (string, error) {
	b := s.c.Block
	v, err := s.marks(s.c.Codes, s.fold)
	if err != nil {
		return "", err
	}
	scale, err := s.scale(b.ParamShape(s.c.Shape))
	if err != nil {
		return "", err
	}
	d := s.fold[b.Axis]
	n := s.node("Gather", scale, s.shared(fmt.Sprintf("groups[%d/%d]", d, b.Size), func() *tensor.Tensor {
		list := make([]int32, d)
		for i := range list {
			list[i] = int32(i / b.Size)
		}
		return tensor.Wrap(tensor.Int32, list, d)
	}))
	n.SetAttr("axis", int64(b.Axis))
	v = s.node("Mul", v, n.Out[0]).Out[0]
	s.shape = s.fold
	return v, nil
}

// broadcast is the shape of scales that multiply marks of some shape.
func (s *spelling) broadcast(marks []int) []int {
	b := s.c.Block
	switch b.Kind {
	case format.Channel:
		shape := slices.Repeat([]int{1}, len(marks)-b.Axis)
		shape[0] = marks[b.Axis]
		return shape
	case format.Group:
		shape := slices.Clone(marks)
		shape[b.Axis+1] = 1
		return shape
	}
	return []int{}
}

// scale adds the scales in the shape given, by the format that they have themselves.
func (s *spelling) scale(shape []int) (string, error) {
	f, e := s.c.Format.Scale, s.c.Scales
	if f == nil {
		return s.constant("scale", tensor.Float32s(scalesOf(s.c.Params), shape...)), nil
	}
	runs := len(e.Outer) > 1
	flat := shape
	if runs {
		flat = []int{len(e.Codes)}
	}
	t, err := f.Format.CodeTensor(e.Codes, flat)
	if err != nil {
		return "", err
	}
	codes := s.constant("scale_q", t)
	if f.Format.Via == format.Table {
		table := s.shared(f.Name+"_marks", func() *tensor.Tensor { return tensor.Float32s(finite(f.Format.Marks), len(f.Format.Marks)) })
		return s.node("Gather", table, s.castTo(codes, tensor.Int32)).Out[0], nil
	}
	outer := tensor.Float32s(e.Outer, len(e.Outer))
	if !runs {
		outer = outer.Reshape()
	}
	n := s.node("DequantizeLinear", codes, s.constant("scale_scale", outer))
	if runs {
		n.SetAttr("axis", int64(0))
		n.SetAttr("block_size", int64(f.Run))
	}
	v := n.Out[0]
	if f.Centred {
		v = s.node("Add", v, s.constant("scale_mean", tensor.Scalar(e.Offset))).Out[0]
	}
	if runs {
		keep := s.shape
		v = s.reshape(v, shape)
		s.shape = keep
	}
	return v, nil
}

// finite replaces what unused codes mean by zero.
func finite(marks []float32) []float32 {
	out := slices.Clone(marks)
	for i, m := range out {
		if m-m != 0 {
			out[i] = 0
		}
	}
	return out
}

// marks adds the nodes that pick the mark of each code, as a value of some shape.
func (s *spelling) marks(codes []int32, shape []int) (string, error) {
	f := s.c.Format
	switch {
	case f.Elem.Bits() == f.Bits:
		t, err := f.CodeTensor(codes, shape)
		if err != nil {
			return "", err
		}
		return s.node("Gather", s.markTable(1), s.castTo(s.constant("q", t), tensor.Int32)).Out[0], nil
	case 8%f.Bits == 0:
		return s.unpacked("q", codes, f.Bits, shape, s.markTable(8/f.Bits)), nil
	}
	// Four bits of each code in uint4, the rest packed into bytes and worth sixteen each.
	low, high := make([]byte, len(codes)), make([]int32, len(codes))
	for i, c := range codes {
		low[i], high[i] = byte(c&15), c>>4
	}
	bits := f.Bits - 4
	a := s.castTo(s.constant("low", tensor.Pack(tensor.Uint4, low, shape...)), tensor.Int32)
	table := s.shared("sixteens", func() *tensor.Tensor { return table(8/bits, bits, func(c int) int { return 16 * c }) })
	b := s.castTo(s.unpacked("high", high, bits, shape, table), tensor.Int32)
	return s.node("Gather", s.markTable(1), s.node("Add", a, b).Out[0]).Out[0], nil
}

// unpacked adds the nodes that look up bytes of packed codes in a table (256, codes in a byte).
func (s *spelling) unpacked(what string, codes []int32, bits int, shape []int, table string) string {
	per := 8 / bits
	packed := make([]byte, (len(codes)+per-1)/per)
	for i, c := range codes {
		packed[i/per] |= byte(c) << (i % per * bits)
	}
	bytes := s.castTo(s.constant(what, tensor.Wrap(tensor.Uint8, packed, len(packed))), tensor.Int32)
	v := s.node("Gather", table, bytes).Out[0]
	if len(packed)*per != len(codes) {
		v = s.cut(s.reshape(v, []int{len(packed) * per}), 0, len(codes))
	}
	return s.reshape(v, shape)
}

// markTable returns the initializer that holds the marks: one for each code, or where several
// codes share a byte, a row for each byte.
func (s *spelling) markTable(per int) string {
	f := s.c.Format
	marks := finite(f.Marks)
	return s.shared(f.Name+"_marks", func() *tensor.Tensor {
		switch {
		case f.Via == format.Pick:
			return table(per, f.Bits, func(c int) int { return int(marks[c]) })
		case per == 1:
			return tensor.Float32s(marks, len(marks))
		}
		t := tensor.New(tensor.Float32, 256, per)
		for i, v := range tensor.Of[int8](table(per, f.Bits, func(c int) int { return c })) {
			tensor.Of[float32](t)[i] = marks[v]
		}
		return t
	})
}

// table holds what each code is worth, in the narrowest type that can: (codes), or (256, per) for
// bytes of several codes, the first in the low bits.
func table(per, bits int, worth func(code int) int) *tensor.Tensor {
	codes := 1 << bits
	least, most := 0, 0
	for c := range codes {
		least, most = min(least, worth(c)), max(most, worth(c))
	}
	d := tensor.Int8
	if least < math.MinInt8 || most > math.MaxInt8 {
		d = tensor.Int16
	}
	rows, shape := codes, []int{codes}
	if per > 1 {
		rows, shape = 256, []int{256, per}
	}
	t := tensor.New(d, shape...)
	for r := range rows {
		for i := range per {
			v := worth(r >> (i * bits) & (codes - 1))
			if d == tensor.Int16 {
				tensor.Of[int16](t)[r*per+i] = int16(v)
			} else {
				tensor.Of[int8](t)[r*per+i] = int8(v)
			}
		}
	}
	return t
}
