package engine

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

// coded adds a constant in few bits, as files spell it.
func (k *maker) coded(t *testing.T, f *format.Format, b format.Block, shape ...int) string {
	t.Helper()
	k.m.Opsets[0].Version = max(k.m.Opsets[0].Version, f.Opset)
	x := k.floats(shape...)
	p, err := f.FitTensor(tensor.Of[float32](x), shape, b)
	if err != nil {
		t.Fatal(err)
	}
	c, err := weight.Encode(x, f, b, p)
	if err != nil {
		t.Fatal(err)
	}
	w := &weight.Writer{
		Fresh: func(string) string { return k.name() },
		Const: func(name string, t *tensor.Tensor) { k.m.Graph.SetConst(name, t) },
	}
	out := k.name()
	nodes, err := w.Write(c, "w", out)
	if err != nil {
		t.Fatal(err)
	}
	k.m.Graph.Nodes = append(k.m.Graph.Nodes, nodes...)
	return out
}

// TestFewBitFormats multiplies by weights in every format, in several blocks and both orders: what has a
// kernel stays in few bits.
func TestFewBitFormats(t *testing.T) {
	const in, out = 320, 260
	plain := map[string]bool{"int16": true, "uint16": true, "log5": true, "bf16": true}
	orders := []string{"MatMul", "Gemm", "Transpose"}
	for n, f := range format.All {
		blocks := []format.Block{f.WeightBlock()}
		if f.Scaled() && f.Scale == nil {
			blocks = []format.Block{{Kind: format.Group, Size: 32}, {Kind: format.Group, Size: 160}, {Kind: format.Channel}, {}}
		}
		for i, b := range blocks {
			for o, by := range orders {
				if i > 0 && by != "MatMul" || raced && (i > 0 || o != n%len(orders)) {
					continue
				}
				t.Run(fmt.Sprintf("%s %v %s", f.Name, b, by), func(t *testing.T) {
					k := newMaker(7)
					shape, kAxis := []int{in, out}, 0
					if by != "MatMul" {
						shape, kAxis = []int{out, in}, 1
					}
					if b.Axis = kAxis; b.Kind == format.Channel {
						b.Axis = 1 - kAxis
					}
					w := k.coded(t, f, b, shape...)
					x := k.input(k.floats(5, in))
					switch by {
					case "Gemm":
						k.output(k.node("Relu", []string{k.node("Gemm", []string{x, w, k.constant(k.floats(out))}, "transB", int64(1))}))
					case "Transpose":
						w = k.node("Transpose", []string{w}, "perm", []int64{1, 0})
						k.output(k.node("MatMul", []string{x, w}))
					default:
						k.output(k.node("Mul", []string{k.node("MatMul", []string{x, w}), k.constant(k.floats(out))}))
					}
					steps := k.checkFloat(t)
					few := strings.HasPrefix(steps[len(steps)-1].Kernel, "f32×")
					if few == (plain[f.Name] || by == "MatMul" && f == format.FP16) {
						t.Errorf("steps are %v", kernelsOf(steps))
					}
				})
			}
		}
	}
}

// nbits adds a MatMulNBits of x (…,in).
func (k *maker) nbits(x string, in, out, block, bits int, zero bool, level int64) string {
	blocks := (in + block - 1) / block
	names := []string{x, k.constant(k.codes(tensor.Uint8, 0, 255, out, blocks, block*bits/8)), k.constant(k.positive(out * blocks))}
	if zero {
		names = append(names, k.constant(k.codes(tensor.Uint8, 0, 255, out, (blocks*bits+7)/8)))
	}
	return k.node("com.microsoft.MatMulNBits", names, "K", int64(in), "N", int64(out), "bits", int64(bits), "block_size", int64(block), "accuracy_level", level)
}

// TestNBits multiplies by the weights of MatMulNBits, as floats and by activations of eight bits.
func TestNBits(t *testing.T) {
	for _, bits := range []int{2, 4, 8} {
		for _, block := range []int{16, 32, 256} {
			for _, zero := range []bool{false, true} {
				t.Run(fmt.Sprintf("%d bits, block %d, zero points %v", bits, block, zero), func(t *testing.T) {
					k := newMaker(5)
					k.output(k.node("Relu", []string{k.nbits(k.input(k.floats(3, 5, 300)), 300, 24, block, bits, zero, 0)}))
					wantKernels(t, k.checkFloat(t), fmt.Sprintf("f32×u%d gemm+Relu", bits))

					k = newMaker(6)
					k.output(k.nbits(k.input(k.floats(3, 5, 300)), 300, 24, block, bits, zero, 4))
					wantKernels(t, k.checkEightBits(t), fmt.Sprintf("s8×u%d gemm", bits), "f32 to s8 by blocks")
				})
			}
		}
	}
}

// checkEightBits holds all runs to the same bits, and them to the reference within what rounding the
// activations to eight bits costs.
func (k *maker) checkEightBits(t *testing.T) []StepTime {
	t.Helper()
	const leastSQNR = 35 // dB
	var steps []StepTime
	want, first := k.reference(t), map[string]*tensor.Tensor(nil)
	for _, r := range allRuns() {
		var got map[string]*tensor.Tensor
		if got, steps = k.evaluate(t, r, nil); first == nil {
			first = got
		}
		for name, w := range want {
			if string(got[name].Raw) != string(first[name].Raw) {
				t.Fatalf("%v: %s differs from the plain Go result", r, name)
			}
			signal, noise := 0.0, 0.0
			for i, v := range asFloats(w) {
				d := float64(v - asFloats(got[name])[i])
				signal, noise = signal+float64(v)*float64(v), noise+d*d
			}
			if db := 10 * math.Log10(signal/noise); db < leastSQNR {
				t.Errorf("%v: %s is %.1f dB from the reference", r, name, db)
			}
		}
	}
	return steps
}

// TestFewBitsFuse lets the product take a bias, a factor, a residual and an activation.
func TestFewBitsFuse(t *testing.T) {
	for _, level := range []int64{0, 4} {
		k := newMaker(8)
		x, r := k.input(k.floats(7, 256)), k.input(k.floats(7, 40))
		y := k.node("Mul", []string{k.nbits(x, 256, 40, 32, 4, false, level), k.constant(k.positive(40))})
		y = k.node("Add", []string{k.node("Add", []string{y, k.constant(k.floats(40))}), r})
		k.output(k.node("Sigmoid", []string{y}))
		if level == 0 {
			wantKernels(t, k.checkFloat(t), "f32×u4 gemm+Sigmoid after Add")
		} else {
			wantKernels(t, k.checkEightBits(t), "s8×u4 gemm+Sigmoid after Add")
		}
	}
}

// TestFewBitsRefused leaves forms without kernels to the float product.
func TestFewBitsRefused(t *testing.T) {
	good := func() *weight.Coded {
		return &weight.Coded{Format: format.Int4, Block: format.Block{Kind: format.Group, Axis: 1, Size: 2}, Shape: []int{2, 4}, Codes: make([]int32, 8), Params: make([]format.Params, 4)}
	}
	if fewBitsOf(good(), 0) == nil {
		t.Error("a plain matrix is refused")
	}
	for name, damage := range map[string]func(c *weight.Coded){
		"flat":           func(c *weight.Coded) { c.Block.Flat = true },
		"rank":           func(c *weight.Coded) { c.Shape = []int{2, 2, 2} },
		"axis":           func(c *weight.Coded) { c.Block.Axis = 0 },
		"parameters":     func(c *weight.Coded) { c.Params = c.Params[:3] },
		"codes":          func(c *weight.Coded) { c.Codes = c.Codes[:7] },
		"sixteen bits":   func(c *weight.Coded) { c.Format = format.Int16 },
		"not a number":   func(c *weight.Coded) { c.Format, c.Codes[3] = format.FP8E4M3, 0xff },
		"infinity":       func(c *weight.Coded) { c.Format, c.Codes[3] = format.FP8E5M2, 0x7c },
		"no input":       func(c *weight.Coded) { c.Shape, c.Codes = []int{2, 0}, nil },
		"too many marks": func(c *weight.Coded) { c.Format = format.Log5 },
	} {
		c := good()
		damage(c)
		if fewBitsOf(c, 0) != nil {
			t.Errorf("%s is taken", name)
		}
	}
	if w := kernel.Generic.PackBlocksF32(fewBitsOf(good(), 0).floats()); w != nil {
		t.Error("blocks of two are packed")
	}
}

// TestNBitsAreReadOnce gives a session inputs of several lengths: it packs the stored matrix for the first, and neither
// reads it nor makes its numbers for the others.
func TestNBitsAreReadOnce(t *testing.T) {
	for _, level := range []int64{0, 4} {
		k := newMaker(7)
		k.output(k.nbits(k.input(k.floats(1, 1, 256)), 256, 320, 32, 4, true, level))
		k.checkReadOnce(t, 256, 320, level == 0) // of the other TestNBits tells how near it comes
	}
}

// TestStoredIsReadOnce does so with matrices behind DequantizeLinear.
func TestStoredIsReadOnce(t *testing.T) {
	for _, f := range []*format.Format{format.Uint4, format.Int8} {
		for _, kind := range []string{"MatMul", "Gemm", "Transpose"} {
			k := newMaker(8)
			k.product(t, f, kind, 32, 320, 260)
			k.checkReadOnce(t, 320, 260, true)
		}
	}
}

// product multiplies rows by a stored matrix in groups.
func (k *maker) product(t *testing.T, f *format.Format, kind string, group, in, out int) {
	x := k.input(k.floats(1, in))
	if kind == "MatMul" {
		k.output(k.node(kind, []string{x, k.coded(t, f, format.Block{Kind: format.Group, Size: group}, in, out)}))
		return
	}
	w := k.coded(t, f, format.Block{Kind: format.Group, Axis: 1, Size: group}, out, in)
	if kind == "Gemm" {
		k.output(k.node(kind, []string{x, w}, "transB", int64(1)))
		return
	}
	k.output(k.node("MatMul", []string{x, k.node(kind, []string{w}, "perm", []int64{1, 0})}))
}

func (k *maker) checkReadOnce(t *testing.T, rows, columns int, exact bool) {
	t.Helper()
	x := k.m.Graph.In[0]
	shape, _ := x.Type.Static()
	axis := len(shape) - 2
	x.Type.Shape[axis] = graph.Symbol("rows")
	s := k.compile(t, Options{Threads: 2})
	var packs []any
	for n := range 5 {
		shape[axis] = n + 1
		in := map[string]*tensor.Tensor{x.Name: k.floats(shape...)}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		got, err := s.Run(context.Background(), in)
		if err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if made := after.TotalAlloc - before.TotalAlloc; n > 0 && made > uint64(4*rows*columns) {
			t.Errorf("%d bytes are made for other lengths", made)
		}
		want, err := op.Run(k.m, in, op.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for name, w := range want {
			if exact {
				within(t, name, got[name], w, 1e-4, 1e-4)
			}
		}
		for key, r := range s.packs.rows {
			if !strings.HasPrefix(key.form, "gemm few bits") {
				t.Errorf("packed as %s", key.form)
			}
			packs = append(packs, r.packed)
		}
	}
	if len(packs) != 5 {
		t.Fatalf("%d weights are packed in five runs", len(packs))
	}
	for _, p := range packs {
		if p != packs[0] {
			t.Error("a weight was packed again")
		}
	}
}

// TestStoredNeedsNumbers multiplies by stored matrices that something makes numbers of: another reader, a factor, blocks that
// no kernel takes.
func TestStoredNeedsNumbers(t *testing.T) {
	const in, out = 320, 260
	group := format.Block{Kind: format.Group, Size: 32}
	for name, build := range map[string]func(k *maker, x string){
		"an output": func(k *maker, x string) {
			w := k.coded(t, format.Int4, group, in, out)
			k.output(k.node("MatMul", []string{x, w}), k.node("Neg", []string{w}))
		},
		"two products": func(k *maker, x string) {
			w := k.coded(t, format.Uint4, group, in, out)
			k.output(k.node("MatMul", []string{x, w}), k.node("MatMul", []string{k.node("Neg", []string{x}), w}))
		},
		"a factor of columns": func(k *maker, x string) {
			w := k.coded(t, format.Int4, format.Block{Kind: format.Group, Axis: 1, Size: 32}, out, in)
			w = k.node("Transpose", []string{w}, "perm", []int64{1, 0})
			k.output(k.node("Mul", []string{k.node("MatMul", []string{x, w}), k.constant(k.positive(out))}))
		},
		"alpha": func(k *maker, x string) {
			k.output(k.node("Gemm", []string{x, k.coded(t, format.Int4, group, in, out)}, "alpha", float32(0.5)))
		},
		"short blocks": func(k *maker, x string) {
			w := k.coded(t, format.Uint4, format.Block{Kind: format.Group, Axis: 1, Size: 2}, out, in)
			k.output(k.node("MatMul", []string{x, k.node("Transpose", []string{w}, "perm", []int64{1, 0})}))
		},
		"odd rows": func(k *maker, x string) {
			k.output(k.node("MatMul", []string{x, k.coded(t, format.Int4, group, in, out+1)}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := newMaker(9)
			build(k, k.input(k.floats(5, in)))
			k.checkFloat(t)
		})
	}
}
