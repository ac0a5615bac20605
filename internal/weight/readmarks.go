package weight

import (
	"slices"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// mostMarks is the length from which a table is an embedding.
const mostMarks = 1 << 16

// picked are codes and what they mean.
type picked struct {
	codes []int32
	shape []int
	marks []float32
}

// marks reads values that codes pick from a table.
func (r *reader) marks(name string) *picked {
	in := &reader{src: r.src}
	n := in.shapes(in.node(name))
	if n == nil || n.Op != "Gather" || n.Int("axis", 0) != 0 {
		return nil
	}
	t := in.constant(n, 0)
	if t == nil || t.Len() == 0 || t.Len() > mostMarks {
		return nil
	}
	worth, err := format.Floats(t)
	if err != nil || t.Rank() > 2 {
		return nil
	}
	marks := make([]float32, len(worth))
	for i, v := range worth {
		marks[i] = float32(v)
	}
	if t.Rank() == 2 {
		return in.unpacked(n, t.Shape, marks)
	}
	codes, shape := in.indices(in.input(n, 1))
	for _, c := range codes {
		if c < 0 || int(c) >= len(marks) {
			return nil
		}
	}
	if codes == nil || in.final != nil {
		return nil
	}
	return &picked{codes, shape, marks}
}

// indices reads integers that are cast from stored codes, or the sum of a low and a high part.
func (r *reader) indices(name string) ([]int32, []int) {
	n := r.node(name)
	if n == nil {
		return nil, nil
	}
	switch n.Op {
	case "Cast":
		if t := r.constant(n, 0); t != nil {
			list, err := t.Ints()
			if err != nil {
				return nil, nil
			}
			codes := make([]int32, len(list))
			for i, v := range list {
				codes[i] = int32(v)
			}
			return codes, t.Shape
		}
		if m := r.marks(n.In[0]); m != nil {
			for i, c := range m.codes {
				m.codes[i] = int32(m.marks[c])
			}
			return m.codes, m.shape
		}
	case "Add":
		a, shape := r.indices(n.In[0])
		b, _ := r.indices(n.In[1])
		if a == nil || len(a) != len(b) {
			return nil, nil
		}
		for i := range a {
			a[i] += b[i]
		}
		return a, shape
	}
	return nil, nil
}

// unpacked reads codes that share bytes: n picks rows of a table (256, codes in a byte).
func (r *reader) unpacked(n *graph.Node, shape []int, marks []float32) *picked {
	bytes, _ := r.indices(r.input(n, 1))
	per := shape[1]
	if bytes == nil || shape[0] != 256 || per < 2 || 8%per != 0 || r.final == nil {
		return nil
	}
	bits := 8 / per
	count := tensor.Elements(r.final)
	if count > len(bytes)*per {
		return nil
	}
	p := &picked{codes: make([]int32, count), shape: r.final, marks: make([]float32, 1<<bits)}
	for c := range p.marks {
		p.marks[c] = marks[c*per]
	}
	for i := range p.codes {
		p.codes[i] = bytes[i/per] >> (i % per * bits) & (1<<bits - 1)
	}
	return p
}

// format returns the row whose marks these are.
func (p *picked) format(via format.Via, nest *format.ScaleFormat) *format.Format {
	for _, f := range format.All {
		if f.Via == via && f.Scale == nest && slices.Equal(finite(f.Marks), p.marks) {
			return f
		}
	}
	return nil
}
