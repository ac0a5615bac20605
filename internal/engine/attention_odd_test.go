package engine

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// TestOddAttention holds attentions of odd attributes, masks and shapes, some of which do not fit, against the definitions: what
// they compute, and what they refuse.
func TestOddAttention(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for i := range 600 {
		k := newMaker(uint64(i))
		k.oddAttention(r)
		if r.IntN(6) == 0 {
			k.stretch(r)
		}
		if err := k.agree(); err != nil {
			t.Fatalf("%d: %v", i, err)
		}
	}
}

// stretch makes a dimension of an input one longer or shorter.
func (k *maker) stretch(r *rand.Rand) {
	v := k.m.Graph.In[r.IntN(len(k.m.Graph.In))]
	x := k.in[v.Name]
	if len(x.Shape) == 0 {
		return
	}
	shape := slices.Clone(x.Shape)
	d := r.IntN(len(shape))
	shape[d] = max(0, shape[d]+r.IntN(3)-1)
	y := tensor.New(x.DType, shape...)
	copy(y.Raw, x.Raw)
	k.in[v.Name], v.Type = y, graph.TypeOf(y)
}

// oddAttention adds one of the three operators.
func (k *maker) oddAttention(r *rand.Rand) {
	kv := 1 + r.IntN(3)
	c := attentionCase{1 + r.IntN(2), kv * (1 + r.IntN(3)), kv, 1 + r.IntN(20), r.IntN(30), 2 * (1 + r.IntN(6))}
	var attrs []any
	may := func(name string, values ...any) {
		if r.IntN(4) == 0 {
			attrs = append(attrs, name, values[r.IntN(len(values))])
		}
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	may("softcap", float32(0), float32(1), float32(-1), nan, inf)
	may("scale", float32(0), float32(.5), float32(-1), nan, inf)
	switch r.IntN(3) {
	case 0:
		may("local_window_size", int64(-1), int64(0), int64(3), int64(6))
		may("causal", int64(0))
		may("smooth_softmax", int64(1))
		k.oddGroups(r, c, attrs)
	case 1:
		c.heads = c.kv
		may("unidirectional", int64(1))
		k.oddHeads(r, c, attrs)
	default:
		may("is_causal", int64(1))
		k.oddStandard(r, c, attrs)
	}
}

func (k *maker) oddGroups(r *rand.Rand, c attentionCase, attrs []any) {
	lengths := make([]int32, c.batch)
	for n := range lengths {
		lengths[n] = int32(c.past + c.rows - r.IntN(6))
	}
	rest := []string{"", "", "", "", ""}
	if r.IntN(2) == 0 {
		attrs = append(attrs, "do_rotary", int64(1))
		copy(rest, k.tables(20+r.IntN(60), max(1, c.size/2-r.IntN(2))))
	}
	if r.IntN(5) == 0 {
		rest[2] = k.input(k.indices(tensor.Int64, 30, c.batch, c.rows))
	}
	if r.IntN(4) == 0 {
		rest[3] = k.input(k.floats(1+r.IntN(2), 1+r.IntN(c.heads+1), max(1, c.rows*r.IntN(2)), max(1, c.past+c.rows-r.IntN(2))))
	}
	if r.IntN(4) == 0 {
		rest[4] = k.input(k.floats(c.heads + r.IntN(2)))
	}
	k.groups(c, r.IntN(2) == 0, lengths, rest, attrs...)
}

func (k *maker) oddHeads(r *rand.Rand, c attentionCase, attrs []any) {
	width, total := c.heads*c.size, c.past+c.rows
	in := []string{"", "", "", "", "", ""}
	for i := range 3 {
		in[i] = k.input(k.floats(c.batch, c.rows, width))
	}
	if r.IntN(3) == 0 {
		in[3] = k.input(k.floats(3*width + r.IntN(2)))
	}
	if r.IntN(3) == 0 {
		shapes := [][]int{{c.batch, total}, {c.batch, c.rows, total}, {c.batch}, {2 * c.batch}, {3*c.batch + 2}, {1, 1}}
		in[4] = k.input(k.indices(tensor.Int32, 3, shapes[r.IntN(len(shapes))]...))
	}
	if r.IntN(3) == 0 {
		in[5] = k.input(k.floats(1+r.IntN(c.batch), 1+r.IntN(c.heads), c.rows, total-r.IntN(2)))
	}
	k.attended("com.microsoft.MultiHeadAttention", append(in, k.past(c, c.size)...), true, append(attrs, "num_heads", int64(c.heads))...)
}

func (k *maker) oddStandard(r *rand.Rand, c attentionCase, attrs []any) {
	k.m.Opsets[0].Version = 24
	in := []string{"", "", "", "", "", ""}
	for i, heads := range []int{c.heads, c.kv, c.kv} {
		in[i] = k.input(k.floats(c.batch, heads, c.rows, c.size+i/2))
	}
	past := r.IntN(2) == 0
	if past {
		copy(in[4:], k.past(c, c.size+1))
	}
	if r.IntN(2) == 0 {
		shapes := [][]int{{c.rows, c.past + c.rows}, {1, 1, c.rows, 1}, {c.rows, c.rows}, {c.batch, 1, 1, max(1, c.rows-1)}, {1}}
		m := k.floats(shapes[r.IntN(len(shapes))]...)
		if r.IntN(3) == 0 {
			for i := range tensor.Of[float32](m) {
				tensor.Of[float32](m)[i] = float32(math.Inf(-1))
			}
		}
		in[3] = k.input(m)
	}
	k.attended("Attention", in, past, attrs...)
}
