package format

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"lowbit/internal/tensor"
)

// blockCases are blocks of every kind in tensors of every form, each axis too long for one tile and for one run somewhere.
var blockCases = []struct {
	shape []int
	b     Block
}{
	{[]int{5}, Block{}},
	{[]int{2, 4099}, Block{}},
	{[]int{3, 37}, Block{Kind: Channel, Axis: 0}},
	{[]int{37, 19}, Block{Kind: Channel, Axis: 1}},
	{[]int{2, 5000}, Block{Kind: Channel, Axis: 1}},
	{[]int{2, 9000}, Block{Kind: Channel, Axis: 0}},
	{[]int{3, 17, 5}, Block{Kind: Channel, Axis: 1}},
	{[]int{3, 4, 35}, Block{Kind: Channel, Axis: 2}},
	{[]int{9, 1}, Block{Kind: Channel, Axis: 1}},
	{[]int{0, 3}, Block{Kind: Channel, Axis: 1}},
	{[]int{3, 0}, Block{Kind: Channel, Axis: 1}},
	{[]int{70, 33}, Block{Kind: Group, Axis: 0, Size: 32}},
	{[]int{33, 70}, Block{Kind: Group, Axis: 1, Size: 32}},
	{[]int{3, 40, 18}, Block{Kind: Group, Axis: 1, Size: 16}},
	{[]int{2, 3, 5000}, Block{Kind: Group, Axis: 1, Size: 2}},
	{[]int{4, 3, 3, 3}, Block{Kind: Group, Axis: 1, Size: 8, Flat: true}},
}

// TestBlockOrder holds what walks over blocks to Owners, which says of every element which parameter it takes.
func TestBlockOrder(t *testing.T) {
	for _, c := range blockCases {
		t.Run(fmt.Sprintf("%v %+v", c.shape, c.b), func(t *testing.T) {
			x := gaussian(tensor.Elements(c.shape))
			own := c.b.Owners(c.shape)
			want := make([][]float32, tensor.Elements(c.b.ParamShape(c.shape)))
			for i, k := range own {
				want[k] = append(want[k], x[i])
			}
			seen := make([][]float32, len(want))
			c.b.each(x, c.shape, func(k int, v []float32) { seen[k] = append(seen[k], v...) })
			if blocks := c.b.Blocks(x, c.shape); !slices.EqualFunc(seen, want, slices.Equal) || !slices.EqualFunc(blocks, want, slices.Equal) {
				t.Error("the blocks hold other elements than Owners says")
			}
			next := 0
			c.b.runs(c.shape, len(x), func(at, n int, o owner) {
				if at != next || n < 1 || n > mostRun {
					t.Fatalf("%d elements from %d, where %d comes next", n, at, next)
				}
				for i := range n {
					if o.of(i) != own[at+i] {
						t.Fatalf("element %d takes parameter %d, not %d", at+i, o.of(i), own[at+i])
					}
				}
				next += n
			})
			if next != len(x) {
				t.Errorf("the runs end at %d of %d", next, len(x))
			}
		})
	}
}

// TestBlockCodes holds codes, and what they mean, to those of each element by itself.
func TestBlockCodes(t *testing.T) {
	for _, c := range blockCases {
		x := gaussian(tensor.Elements(c.shape))
		if len(x) > 2 {
			x[0], x[1], x[2] = float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))
		}
		own := c.b.Owners(c.shape)
		for _, f := range []*Format{Int8, Uint8, Int4, Uint4, NF4Plain, FP8E4M3, FP16, Int16} {
			p := make([]Params, tensor.Elements(c.b.ParamShape(c.shape)))
			for k := range p {
				if p[k].Scale = 0.01 + 0.003*float32(k%7); f.Zero {
					p[k].Zero = int32(k % 5)
				}
			}
			in := tensor.Float32s(x, c.shape...)
			codes, err := f.QuantizeCodes(in, c.b, p)
			if err != nil {
				t.Fatal(err)
			}
			back := make([]float32, len(x))
			f.DecodeBlocks(back, c.shape, codes, c.b, p)
			code, value := make([]int32, 1), make([]float32, 1)
			for i, k := range own {
				f.Encode(code, x[i:i+1], p[k])
				f.Decode(value, code, p[k])
				if codes[i] != code[0] || math.Float32bits(back[i]) != math.Float32bits(value[0]) {
					t.Fatalf("%s %v %+v: element %d is %d for %v, by itself %d for %v", f.Name, c.shape, c.b, i, codes[i], back[i], code[0], value[0])
				}
			}
			got, err := f.TensorSQNR(in, c.b, p)
			if want := SQNR(x, back); err != nil || math.Float64bits(got) != math.Float64bits(want) {
				t.Errorf("%s %v %+v: SQNR %v, not %v: %v", f.Name, c.shape, c.b, got, want, err)
			}
		}
	}
}
