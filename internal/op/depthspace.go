package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// Both operators view their input (N,C,H,W) as six axes and permute those.
var (
	// (N,b,b,C/b²,H,W), or (N,C/b²,b,b,H,W) for CRD, becomes (N,C/b²,H,b,W,b)
	depthToSpaceOrder = map[string][]int{"DCR": {0, 3, 4, 1, 5, 2}, "CRD": {0, 1, 4, 2, 5, 3}}
	// (N,C,H/b,b,W/b,b) becomes (N,b,b,C,H/b,W/b), or (N,C,b,b,H/b,W/b) for CRD
	spaceToDepthOrder = map[string][]int{"DCR": {0, 3, 5, 1, 2, 4}, "CRD": {0, 1, 3, 5, 2, 4}}
)

func evalDepthToSpace(c *Call) ([]*tensor.Tensor, error) {
	x, b, mode := c.In[0], c.Int("blocksize", 0), c.Str("mode", "DCR")
	order := depthToSpaceOrder[mode]
	if order == nil || x.Rank() != 4 || !divides(b, x.Shape[1]) || !divides(b, x.Shape[1]/b) {
		return nil, invalidf("mode %q with blocks of %d for %s", mode, b, x)
	}
	n, ch, h, w := x.Shape[0], x.Shape[1]/b/b, x.Shape[2], x.Shape[3]
	view := []int{n, b, b, ch, h, w}
	if mode == "CRD" {
		view = []int{n, ch, b, b, h, w}
	}
	y, err := permute(x.Reshape(view...), order)
	if err != nil {
		return nil, err
	}
	return []*tensor.Tensor{y.Reshape(n, ch, h*b, w*b)}, nil
}

// divides says whether n falls into blocks of b.
func divides(b, n int) bool { return b > 0 && n%b == 0 }

func evalSpaceToDepth(c *Call) ([]*tensor.Tensor, error) {
	x, b, mode := c.In[0], c.Int("blocksize", 0), c.Str("mode", "DCR")
	order := spaceToDepthOrder[mode]
	if order == nil || x.Rank() != 4 || !divides(b, x.Shape[2]) || !divides(b, x.Shape[3]) {
		return nil, invalidf("mode %q with blocks of %d for %s", mode, b, x)
	}
	n, ch, h, w := x.Shape[0], x.Shape[1], x.Shape[2]/b, x.Shape[3]/b
	if ch > 0 && b > maxBytes/b/ch {
		return nil, invalidf("blocks of %d for %s", b, x)
	}
	y, err := permute(x.Reshape(n, ch, h, b, w, b), order)
	if err != nil {
		return nil, err
	}
	return []*tensor.Tensor{y.Reshape(n, ch*b*b, h, w)}, nil
}

func inferDepthToSpace(c *Inference) ([]Fact, error) {
	b := graph.Known(c.Int("blocksize", 0))
	return inferBlocks(c, func(ch, h, w graph.Dim) []graph.Dim {
		return []graph.Dim{divDims(divDims(ch, b), b), mulDims(h, b), mulDims(w, b)}
	})
}

func inferSpaceToDepth(c *Inference) ([]Fact, error) {
	b := graph.Known(c.Int("blocksize", 0))
	return inferBlocks(c, func(ch, h, w graph.Dim) []graph.Dim {
		return []graph.Dim{mulDims(ch, b, b), divDims(h, b), divDims(w, b)}
	})
}

func inferBlocks(c *Inference, f func(ch, h, w graph.Dim) []graph.Dim) ([]Fact, error) {
	x := c.Input(0)
	if c.Int("blocksize", 0) < 1 || x.Ranked && len(x.Shape) != 4 {
		return nil, invalidf("blocks of %d for %s", c.Int("blocksize", 0), x.Type)
	}
	if !x.Ranked {
		return Typed(graph.OfDims(x.DType, unknownDims(4))), nil
	}
	s := x.Shape
	return Typed(graph.OfDims(x.DType, append([]graph.Dim{s[0]}, f(s[1], s[2], s[3])...))), nil
}
