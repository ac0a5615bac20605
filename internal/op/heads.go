package op

import (
	"lowbit/internal/tensor"
)

// heads is a tensor of (N,heads,rows,size) as numbers.
type heads struct {
	batch, count, rows, size int
	data                     []float64
}

// at returns the matrix (rows,size) of one head.
func (h *heads) at(n, head int) []float64 {
	return h.data[(n*h.count+head)*h.rows*h.size:][:h.rows*h.size]
}

func (h *heads) shape() []int { return []int{h.batch, h.count, h.rows, h.size} }

// headsOf reads (N,heads,rows,size), or (N,rows,heads*size) of which it makes the former.
func headsOf(what string, t *tensor.Tensor, count int) (*heads, error) {
	data, err := floats(t)
	if err != nil {
		return nil, err
	}
	s := t.Shape
	switch {
	case len(s) == 4:
		return &heads{s[0], s[1], s[2], s[3], data}, nil
	case len(s) != 3:
		return nil, invalidf("%s of shape %v, 3 or 4 dimensions are needed", what, s)
	case count < 1 || count > max(s[2], 1) || s[2]%count != 0:
		return nil, invalidf("%s of shape %v does not split into %d heads", what, s, count)
	}
	h := &heads{s[0], count, s[1], s[2] / count, make([]float64, len(data))}
	h.swap(h.data, data)
	return h, nil
}

// swap copies (N,rows,heads,size) to (N,heads,rows,size).
func (h *heads) swap(dst, src []float64) {
	for i := range h.batch * h.rows * h.count {
		n, r, k := i/(h.rows*h.count), i/h.count%h.rows, i%h.count
		copy(dst[((n*h.count+k)*h.rows+r)*h.size:][:h.size], src[i*h.size:])
	}
}

// packed returns the elements as (N,rows,heads*size).
func (h *heads) packed() []float64 {
	out := make([]float64, len(h.data))
	back := heads{h.batch, h.rows, h.count, h.size, nil}
	back.swap(out, h.data)
	return out
}

// after returns h with the rows of past in front.
func (h *heads) after(past *heads) *heads {
	out := &heads{h.batch, h.count, past.rows + h.rows, h.size, nil}
	for i := range h.batch * h.count {
		out.data = append(out.data, past.at(i/h.count, i%h.count)...)
		out.data = append(out.data, h.at(i/h.count, i%h.count)...)
	}
	return out
}
