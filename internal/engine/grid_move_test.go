package engine

import (
	"math/rand/v2"
	"testing"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// tablesFor are ways to go through n indices of an operand.
var tablesFor = []func(rng *rand.Rand, i, n int) int{
	func(_ *rand.Rand, i, n int) int { return i },
	func(_ *rand.Rand, i, n int) int { return i / 2 },
	func(_ *rand.Rand, i, n int) int { return i / 3 },
	func(_ *rand.Rand, i, n int) int { return i / 4 },
	func(_ *rand.Rand, i, n int) int { return i * 5 / 7 },
	func(_ *rand.Rand, i, n int) int { return min(max(i-2, 0), n/2) },
	func(_ *rand.Rand, i, n int) int { return max(3-i, i-3) },
	func(_ *rand.Rand, i, n int) int { return i % (n/2 + 1) },
	func(_ *rand.Rand, i, n int) int { return i * 2 },
	func(_ *rand.Rand, i, n int) int { return 0 },
	func(rng *rand.Rand, i, n int) int { return rng.IntN(n) },
}

// TestGridMoves moves elements of every size by random tables, between pixels with gaps too, in parts, and holds each
// against the list that the grid was found in. What lies outside of the box must stay as it is.
func TestGridMoves(t *testing.T) {
	rng := rand.New(rand.NewPCG(51, 52))
	found, lines := 0, 0
	for round := range 800 {
		rank := 1 + rng.IntN(4)
		dims, gap := make([]int, rank), rng.IntN(2)*rng.IntN(4)
		for i := range dims {
			dims[i] = []int{1, 2, 3, 4, 8, 12, 30, 60}[rng.IntN(8)]
		}
		list, stride := []int32{int32(rng.IntN(3))}, 1
		for k := rank - 1; k >= 0; k-- {
			table, most := make([]int, dims[k]), 0
			way := tablesFor[rng.IntN(len(tablesFor))]
			for i := range table {
				table[i] = way(rng, i, dims[k])
				most = max(most, table[i])
			}
			next := make([]int32, 0, len(list)*dims[k])
			for _, v := range table {
				for _, u := range list {
					next = append(next, u+int32(v*stride))
				}
			}
			list, stride = next, stride*(most+1)
		}
		last := dims[rank-1]
		to, start := denseStrides(dims), rng.IntN(3)
		for k := range to[:rank-1] {
			to[k] = to[k] / last * (last + gap)
		}
		m := gridOf(dims, to, start, list)
		if m == nil {
			continue
		}
		found++
		lines += min(m.lines, 1)
		m.level = []kernel.Level{kernel.Generic, best()}[round%2]
		size := 1 << rng.IntN(4)
		src, dst := wordsOf(size, stride+3), wordsOf(size, start+len(list)/last*(last+gap)+3)
		for i := range src.Raw {
			src.Raw[i] = byte(rng.Uint32())
		}
		want := append([]byte(nil), dst.Raw...)
		for i, s := range list {
			d := start + i/last*(last+gap) + i%last
			copy(want[d*size:d*size+size], src.Raw[int(s)*size:])
		}
		parts := 1
		if m.cut < len(m.dims)-1 {
			parts = 1 + rng.IntN(m.dims[m.cut])
		}
		for p := range parts {
			m.run(dst, src, p, parts)
		}
		if string(dst.Raw) != string(want) {
			t.Fatalf("round %d: %v in steps of %v, %d bytes each, in %d parts", round, dims, to, size, parts)
		}
	}
	if found < 600 {
		t.Errorf("only %d lists are grids", found)
	}
	if lines < 10 {
		t.Errorf("only %d grids repeat rows of repeated elements", lines)
	}
}

// TestRepeatingMoves repeats and mirrors elements of every size, in either order of memory, without their definitions.
func TestRepeatingMoves(t *testing.T) {
	vec := func(list ...int64) *tensor.Tensor { return tensor.Vector(list...) }
	for i, c := range []struct {
		op    string
		more  []*tensor.Tensor
		attrs []any
	}{
		{"Resize", []*tensor.Tensor{nil, tensor.Float32s([]float32{1, 1, 2, 2}, 4)}, []any{"mode", "nearest"}},
		{"Resize", []*tensor.Tensor{nil, tensor.Float32s([]float32{1, 1, 8, 6}, 4)}, []any{"mode", "nearest"}},
		{"Resize", []*tensor.Tensor{nil, tensor.Float32s([]float32{1, 1, 3, 4}, 4)}, []any{"mode", "nearest", "coordinate_transformation_mode", "asymmetric", "nearest_mode", "floor"}},
		{"Resize", []*tensor.Tensor{nil, tensor.Float32s([]float32{1, 1, 0.5, 1.7}, 4)}, []any{"mode", "nearest"}},
		{"Tile", []*tensor.Tensor{vec(2, 1, 3, 2)}, nil},
		{"Pad", []*tensor.Tensor{vec(0, 0, 3, 2, 0, 0, 1, 3)}, []any{"mode", "reflect"}},
		{"Pad", []*tensor.Tensor{vec(0, 1, 3, 2, 1, 0, 1, 3)}, []any{"mode", "edge"}},
		{"DepthToSpace", nil, []any{"blocksize", int64(2)}}, {"SpaceToDepth", nil, []any{"blocksize", int64(2)}},
		{"Gather", []*tensor.Tensor{vec(3, -1, 0, 0, 7, 2)}, []any{"axis", int64(3)}},
		{"Expand", []*tensor.Tensor{vec(2, 8, 6, 10)}, nil},
	} {
		for _, d := range []tensor.DType{tensor.Uint8, tensor.Int16, tensor.Float32, tensor.Int64} {
			for _, conv := range []bool{false, true} {
				k := newMaker(uint64(i))
				shape := []int{2, 8, 6, 10}
				if c.op == "Expand" {
					shape[3] = 1
				}
				x := wordsOf(d.Bits()/8, tensor.Elements(shape))
				x.DType, x.Shape = d, shape
				for j := range x.Raw {
					x.Raw[j] = byte(k.rng.Uint32())
				}
				y := k.input(x)
				if d == tensor.Float32 {
					y = k.input(k.floats(shape...))
				}
				if conv {
					if d != tensor.Float32 {
						continue
					}
					y = k.conv3(y, 8, 8)
				}
				in := []string{y}
				for _, m := range c.more {
					if m == nil {
						in = append(in, "")
					} else {
						in = append(in, k.constant(m))
					}
				}
				k.output(k.node(c.op, in, c.attrs...))
				if conv {
					wantKernels(t, k.checkFloat(t))
				} else {
					wantKernels(t, k.checkExact(t))
				}
			}
		}
	}
}
