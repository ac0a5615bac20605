package op

import (
	"math/rand/v2"
	"testing"

	"lowbit/internal/tensor"
)

// sharers are nodes of the operators whose outputs keep their input's quantization, over
// inputs (4,4,4,4) and their further operands.
var sharers = map[string][]*tensor.Tensor{
	"CenterCropPad":   {tensor.Vector(3, 5, 4, 2)},
	"Compress":        {list(tensor.Bool, 1, 0, 1)},
	"Concat":          {},
	"DepthToSpace":    {},
	"Expand":          {tensor.Vector(4, 4, 4, 4)},
	"Flatten":         {},
	"Gather":          {tensor.Vector(3, -1)},
	"GatherElements":  {of(tensor.Int64, []int{1, 1, 1, 2}, 2, 1)},
	"GatherND":        {of(tensor.Int64, []int{1, 2}, 2, 1)},
	"Pad":             {tensor.Vector(0, 1, 0, 1, 0, -1, 0, 1)},
	"Reshape":         {tensor.Vector(16, -1)},
	"ReverseSequence": {tensor.Vector(1, 2, 3, 4)},
	"Slice":           {tensor.Vector(3), tensor.Vector(0), tensor.Vector(2), tensor.Vector(-2)},
	"SpaceToDepth":    {},
	"Split":           {},
	"Squeeze":         {},
	"Tile":            {tensor.Vector(1, 2, 1, 1)},
	"Transpose":       {},
	"Unsqueeze":       {tensor.Vector(0)},
}

// TestSharersOnlyMove runs every data operator that shares its input's parameters on int8 codes:
// each element of the result must be one of the input, or the zero that pads.
func TestSharersOnlyMove(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	x := tensor.New(tensor.Int8, 4, 4, 4, 4)
	present := map[byte]bool{0: true}
	for i := range x.Raw {
		x.Raw[i] = byte(2 * (1 + r.IntN(100)))
		present[x.Raw[i]] = true
	}
	for _, o := range dataOps {
		if !o.Quant.Share {
			continue
		}
		more, ok := sharers[o.Name]
		if !ok || o.Quant.Role(0) != Act {
			t.Errorf("%s is not tried, or its input is no activation", o.Name)
			continue
		}
		n := node(o.Name, 1+len(more), 1, "axis", int64(0))
		if o.Name == "DepthToSpace" || o.Name == "SpaceToDepth" {
			n = node(o.Name, 1, 1, "blocksize", int64(2))
		}
		m, feed := modelOf(n, 21, append(ins(x), more...))
		out, err := Run(m, feed, Options{})
		if err != nil {
			t.Errorf("%s: %v", o.Name, err)
			continue
		}
		for _, v := range out["p"].Raw {
			if !present[v] {
				t.Errorf("%s makes %d", o.Name, v)
			}
		}
	}
}
