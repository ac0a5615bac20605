package engine

import (
	"fmt"
	"slices"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// An attentionCase is the shape of an attention.
type attentionCase struct{ batch, heads, kv, rows, past, size int }

var attentionCases = []attentionCase{
	{1, 8, 2, 1, 37, 16},   // one word behind others
	{2, 4, 4, 1, 300, 8},   // more keys than a block has
	{3, 6, 3, 5, 9, 12},    // features that fill no vector
	{1, 2, 1, 70, 0, 16},   // words without a past
	{1, 3, 1, 40, 500, 24}, // several blocks of queries and of keys
	{2, 2, 2, 290, 0, 4},
	{1, 16, 1, 1, 1, 64},   // as many queries as a panel has columns
	{1, 17, 1, 1, 513, 32}, // one more
}

// attended adds an attention whose results are y, and keys and values where they are wanted.
func (k *maker) attended(op string, in []string, present bool, attrs ...any) {
	domain, name := cutDomain(op)
	n := &graph.Node{Op: name, Domain: domain, In: in, Out: []string{k.name()}}
	if present {
		n.Out = append(n.Out, k.name(), k.name())
	}
	for i := 0; i+1 < len(attrs); i += 2 {
		n.SetAttr(attrs[i].(string), attrs[i+1])
	}
	k.m.Graph.Nodes = append(k.m.Graph.Nodes, n)
	k.output(n.Out...)
}

// past adds past keys and values.
func (k *maker) past(c attentionCase, vsize int) []string {
	return []string{k.input(k.floats(c.batch, c.kv, c.past, c.size)), k.input(k.floats(c.batch, c.kv, c.past, vsize))}
}

// groups adds a GroupQueryAttention whose samples have as many keys in the end as lengths say, all where that is nil; rest are the
// operands behind them.
func (k *maker) groups(c attentionCase, packed bool, lengths []int32, rest []string, attrs ...any) {
	names := []string{"", "", ""}
	if packed {
		names[0] = k.input(k.floats(c.batch, c.rows, (c.heads+2*c.kv)*c.size))
	} else {
		for i, heads := range []int{c.heads, c.kv, c.kv} {
			names[i] = k.input(k.floats(c.batch, c.rows, heads*c.size))
		}
	}
	names = append(names, k.past(c, c.size)...)
	if lengths == nil {
		lengths = slices.Repeat([]int32{int32(c.past + c.rows)}, c.batch)
	}
	last := make([]int32, c.batch)
	for i, n := range lengths {
		last[i] = n - 1
	}
	names = append(names, k.input(tensor.Wrap(tensor.Int32, last, c.batch)), k.input(tensor.Wrap(tensor.Int32, []int32{slices.Max(lengths)}, 1)))
	k.attended("com.microsoft.GroupQueryAttention", append(names, rest...), true, append(attrs, "num_heads", int64(c.heads), "kv_num_heads", int64(c.kv))...)
}

// tables adds cosines and sines of some positions.
func (k *maker) tables(positions, half int) []string {
	return []string{k.constant(k.floats(positions, half)), k.constant(k.floats(positions, half))}
}

func TestGroupQueryAttention(t *testing.T) {
	for i, c := range attentionCases {
		for form, add := range map[string]func(k *maker){
			"plain":  func(k *maker) { k.groups(c, false, nil, nil) },
			"rotary": func(k *maker) { k.groups(c, false, nil, k.tables(900, c.size/2), "do_rotary", int64(1)) },
			"interleaved": func(k *maker) {
				k.groups(c, true, nil, k.tables(900, c.size/4), "do_rotary", int64(1), "rotary_interleaved", int64(1))
			},
			"positions": func(k *maker) {
				at := k.indices(tensor.Int64, 300, c.batch, c.rows)
				for i, v := range tensor.Of[int64](at) {
					tensor.Of[int64](at)[i] = v + 300
				}
				k.groups(c, true, nil, append(k.tables(900, c.size/2), k.input(at)), "do_rotary", int64(1))
			},
			"window, cap": func(k *maker) {
				k.groups(c, false, nil, nil, "local_window_size", int64(7), "softcap", float32(3), "scale", float32(.3))
			},
			"bias, sinks": func(k *maker) {
				bias := k.input(k.floats(1, c.heads, c.rows, c.past+c.rows))
				k.groups(c, false, nil, []string{"", "", "", bias, k.input(k.floats(c.heads))})
			},
			"smooth, all keys": func(k *maker) { k.groups(c, true, nil, nil, "smooth_softmax", int64(1), "causal", int64(0)) },
			"ragged": func(k *maker) {
				lengths := make([]int32, c.batch)
				for n := range lengths {
					lengths[n] = int32(c.past + c.rows - n*min(c.past, 4))
				}
				k.groups(c, false, lengths, k.tables(900, c.size/2), "do_rotary", int64(1))
			},
		} {
			t.Run(fmt.Sprintf("%d %s", i, form), func(t *testing.T) {
				k := newMaker(uint64(i + 1))
				add(k)
				wantKernels(t, k.checkFloat(t), "attention operands", "f32 attention")
			})
		}
	}
}

// TestAttention computes ONNX's operator with heads in front and in rows.
func TestAttention(t *testing.T) {
	for i, c := range attentionCases {
		vsize := c.size + 3
		for form, add := range map[string]func(k *maker, in []string) ([]string, []any){
			"plain": func(k *maker, in []string) ([]string, []any) { return in, nil },
			"causal": func(k *maker, in []string) ([]string, []any) {
				return append(append(in, ""), k.past(c, vsize)...), []any{"is_causal", int64(1), "softcap", float32(2)}
			},
			"mask": func(k *maker, in []string) ([]string, []any) {
				m := k.input(k.floats(c.rows, c.past+c.rows))
				return append(append(in, m), k.past(c, vsize)...), []any{"scale", float32(.5)}
			},
			"bools": func(k *maker, in []string) ([]string, []any) {
				m := tensor.New(tensor.Bool, c.batch, 1, c.rows, max(1, c.rows-1))
				for j := range m.Raw {
					m.Raw[j] = byte(j*7%3) & 1
				}
				return append(in, k.input(m)), nil
			},
			"lengths": func(k *maker, in []string) ([]string, []any) {
				return append(in, "", "", "", k.input(k.indices(tensor.Int64, c.rows+1, c.batch))), nil
			},
		} {
			for _, flat := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d %s %v", i, form, flat), func(t *testing.T) {
					k := newMaker(uint64(i + 1))
					k.m.Opsets[0].Version = 24
					var in []string
					for j, heads := range []int{c.heads, c.kv, c.kv} {
						size := []int{c.size, c.size, vsize}[j]
						shape := []int{c.batch, heads, c.rows, size}
						if flat {
							shape = []int{c.batch, c.rows, heads * size}
						}
						in = append(in, k.input(k.floats(shape...)))
					}
					in, attrs := add(k, in)
					if flat {
						attrs = append(attrs, "q_num_heads", int64(c.heads), "kv_num_heads", int64(c.kv))
					}
					k.attended("Attention", in, len(in) == 6, attrs...)
					wantKernels(t, k.checkFloat(t), "attention operands", "f32 attention")
				})
			}
		}
	}
}

// TestMultiHeadAttention computes ONNX Runtime's operator behind a past, with what may be added.
func TestMultiHeadAttention(t *testing.T) {
	for i, c := range attentionCases {
		c.heads = c.kv
		width, total := c.heads*c.size, c.past+c.rows
		for form, add := range map[string]func(k *maker, in []string) ([]string, []any){
			"plain": func(k *maker, in []string) ([]string, []any) { return append(in, "", "", ""), nil },
			"biases, causal": func(k *maker, in []string) ([]string, []any) {
				return append(in, k.input(k.floats(3*width)), "", k.input(k.floats(1, 1, c.rows, total))), []any{"unidirectional", int64(1)}
			},
			"lengths": func(k *maker, in []string) ([]string, []any) {
				return append(in, "", k.input(k.codes(tensor.Int32, 1, total, c.batch)), ""), nil
			},
			"padding": func(k *maker, in []string) ([]string, []any) {
				return append(in, "", k.input(k.indices(tensor.Int32, 2, c.batch, total)), ""), nil
			},
		} {
			t.Run(fmt.Sprintf("%d %s", i, form), func(t *testing.T) {
				k := newMaker(uint64(i + 1))
				var in []string
				for range 3 {
					in = append(in, k.input(k.floats(c.batch, c.rows, width)))
				}
				in, attrs := add(k, in)
				k.attended("com.microsoft.MultiHeadAttention", append(in, k.past(c, c.size)...), true, append(attrs, "num_heads", int64(c.heads))...)
				wantKernels(t, k.checkFloat(t), "attention operands", "f32 attention")
			})
		}
	}
}

// TestAttentionOfCaches attends to keys and values that come with their heads in front.
func TestAttentionOfCaches(t *testing.T) {
	k := newMaker(3)
	in := []string{k.input(k.floats(2, 3, 4*8)), k.input(k.floats(2, 4, 50, 8)), k.input(k.floats(2, 4, 50, 6)), k.input(k.floats(4*8*2 + 4*6))}
	k.output(k.node("com.microsoft.MultiHeadAttention", in, "num_heads", int64(4)))
	wantKernels(t, k.checkFloat(t), "attention operands", "f32 attention")
}

// TestAttentionDefined leaves what there are no kernels for to the definition, as late as in the run.
func TestAttentionDefined(t *testing.T) {
	k := newMaker(4)
	x := k.input(k.floats(2, 3, 16))
	k.output(k.node("com.microsoft.MultiHeadAttention", []string{x, x, x, "", "", k.input(k.floats(3, 3))}, "num_heads", int64(2)))
	k.checkFloat(t)
}

// TestAttentionFaults gives the definition's errors.
func TestAttentionFaults(t *testing.T) {
	for _, last := range []int32{-1, 0, 6, 9, 1 << 30} {
		k := newMaker(5)
		k.groups(attentionCase{1, 2, 1, 2, 5, 8}, false, nil, k.tables(7, 4), "do_rotary", int64(1))
		for name, x := range k.in {
			if x.DType == tensor.Int32 && tensor.Of[int32](x)[0] == 6 {
				k.in[name] = tensor.Wrap(tensor.Int32, []int32{last}, 1)
			}
		}
		if err := k.agree(); err != nil {
			t.Error(err)
		}
	}
}

// halve makes all floats of the model 16-bit ones.
func (k *maker) halve(t *testing.T, d tensor.DType) {
	t.Helper()
	for _, v := range k.m.Graph.In {
		if x := k.in[v.Name]; x.DType == tensor.Float32 {
			k.in[v.Name] = halved(t, d, x)
			v.Type = graph.TypeOf(k.in[v.Name])
		}
	}
	for _, c := range k.m.Graph.Consts() {
		if x := k.m.Graph.ConstTensor(c.Name); x.DType == tensor.Float32 {
			k.m.Graph.SetConst(c.Name, halved(t, d, x))
		}
	}
}

// TestHalfAttention keeps keys and values as 16-bit floats, as the past is.
func TestHalfAttention(t *testing.T) {
	for d, tolerance := range map[tensor.DType]float64{tensor.Float16: 0.004, tensor.BFloat16: 0.03} {
		for i, c := range attentionCases {
			for form, add := range map[string]func(k *maker){
				"groups": func(k *maker) {
					lengths := make([]int32, c.batch)
					for n := range lengths {
						lengths[n] = int32(c.past + c.rows - n*min(c.past, 4))
					}
					bias := k.input(k.floats(1, c.heads, c.rows, c.past+c.rows))
					k.groups(c, false, lengths, append(k.tables(900, c.size/2), "", bias), "do_rotary", int64(1))
				},
				"heads": func(k *maker) {
					x := k.input(k.floats(c.batch, c.rows, c.kv*c.size))
					in := append([]string{x, x, x, k.input(k.floats(3 * c.kv * c.size)), "", ""}, k.past(c, c.size)...)
					k.attended("com.microsoft.MultiHeadAttention", in, true, "num_heads", int64(c.kv))
				},
				"prompt": func(k *maker) {
					x := k.input(k.floats(c.batch, c.kv, c.rows, c.size))
					k.attended("Attention", []string{x, x, x}, true, "is_causal", int64(1))
				},
				"no results": func(k *maker) {
					x := k.input(k.floats(c.batch, c.kv, c.rows, c.size))
					k.attended("Attention", append([]string{x, x, x, ""}, k.past(c, c.size)...), false)
				},
			} {
				t.Run(fmt.Sprintf("%v %d %s", d, i, form), func(t *testing.T) {
					k := newMaker(uint64(i + 1))
					k.m.Opsets[0].Version = 23
					add(k)
					k.halve(t, d)
					k.checkHalf(t, tolerance, "attention operands", "f32 attention")
				})
			}
		}
	}
}

// TestHalfAttentionDefined leaves what there are no kernels for, and faults, to the definition.
func TestHalfAttentionDefined(t *testing.T) {
	k := newMaker(4)
	x := k.input(k.floats(2, 3, 16))
	bias := k.input(k.floats(3, 3))
	k.attended("com.microsoft.MultiHeadAttention", []string{x, x, x, "", "", bias, k.input(k.floats(2, 2, 0, 8)), k.input(k.floats(2, 2, 0, 8))}, true, "num_heads", int64(2))
	k.halve(t, tensor.Float16)
	k.checkHalf(t, 0.004)
	k = newMaker(5)
	k.groups(attentionCase{1, 2, 1, 2, 5, 8}, false, []int32{9}, nil)
	k.halve(t, tensor.Float16)
	if err := k.agree(); err != nil {
		t.Error(err)
	}
}
