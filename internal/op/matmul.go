package op

import (
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// matmulShape is the geometry of a product as numpy.matmul defines it: matrices in the last
// two axes, the axes before them broadcast, a vector is a row on the left, a column on the right.
type matmulShape struct {
	m, k, n int
	batch   []int // shape of the batch axes
	a, b    []int // strides of the operands along the batch axes, in elements
	out     []int // shape of the result
}

func newMatmul(a, b []int) (*matmulShape, error) {
	if len(a) == 0 || len(b) == 0 {
		return nil, invalidf("shapes %v and %v: a scalar has no product", a, b)
	}
	la, lb := a, b
	if len(a) == 1 {
		la = []int{1, a[0]}
	}
	if len(b) == 1 {
		lb = []int{b[0], 1}
	}
	ra, rb := len(la)-2, len(lb)-2
	s := &matmulShape{m: la[ra], k: la[ra+1], n: lb[rb+1]}
	if lb[rb] != s.k {
		return nil, invalidf("shapes %v and %v do not fit for a product", a, b)
	}
	var err error
	if s.batch, err = BroadcastShape(la[:ra], lb[:rb]); err != nil {
		return nil, err
	}
	s.a, s.b = broadcastStrides(la[:ra], s.batch), broadcastStrides(lb[:rb], s.batch)
	for i := range s.batch {
		s.a[i] *= s.m * s.k
		s.b[i] *= s.k * s.n
	}
	s.out = append([]int{}, s.batch...)
	if len(a) > 1 {
		s.out = append(s.out, s.m)
	}
	if len(b) > 1 {
		s.out = append(s.out, s.n)
	}
	_, err = sized(s.out)
	return s, err
}

// multiply returns the product of a and b.
func multiply[T float64 | int64](s *matmulShape, a, b []T) []T {
	y := make([]T, tensor.Elements(s.out))
	size := s.m * s.n
	eachIndex(s.batch, [][]int{s.a, s.b}, func(i int, off []int) {
		addProduct(y[i*size:][:size], a[off[0]:][:s.m*s.k], b[off[1]:][:s.k*s.n], s.k, s.n)
	})
	return y
}

// addProduct adds the product of a (m,k) and b (k,n) to y (m,n).
func addProduct[T float64 | int64](y, a, b []T, k, n int) {
	if n == 0 || k == 0 {
		return
	}
	for i := range len(y) / n {
		row := y[i*n : (i+1)*n]
		for j, v := range a[i*k : (i+1)*k] {
			w := b[j*n:][:n]
			for p := range row {
				row[p] += T(v * w[p])
			}
		}
	}
}

func evalMatMul(c *Call) ([]*tensor.Tensor, error) {
	a, b := c.In[0], c.In[1]
	s, err := newMatmul(a.Shape, b.Shape)
	if err != nil {
		return nil, err
	}
	if a.DType.IsInt() {
		x, err := ints(a)
		if err != nil {
			return nil, err
		}
		y, err := ints(b)
		if err != nil {
			return nil, err
		}
		return one(fromInts(a.DType, multiply(s, x, y), s.out))
	}
	in, err := floatsOf(a, b)
	if err != nil {
		return nil, err
	}
	return one(fromFloats(a.DType, multiply(s, in[0], in[1]), s.out))
}

func inferMatMul(c *Inference) ([]Fact, error) {
	return inferProduct(c.Input(0).DType, c.Input(0), c.Input(1))
}

// inferProduct is the type of a matrix product of element type d.
func inferProduct(d tensor.DType, a, b Fact) ([]Fact, error) {
	dims, err := matmulDims(a, b)
	if dims == nil || err != nil {
		return Typed(graph.Unranked(d)), err
	}
	return Typed(graph.OfDims(d, dims)), nil
}

// matmulDims returns the shape of a product; nil where not even the rank is known.
func matmulDims(a, b Fact) ([]graph.Dim, error) {
	if !a.Ranked || !b.Ranked {
		return nil, nil
	}
	la, lb := a.Shape, b.Shape
	if len(la) == 0 || len(lb) == 0 {
		return nil, invalidf("a scalar has no product")
	}
	if len(la) == 1 {
		la = []graph.Dim{graph.Known(1), la[0]}
	}
	if len(lb) == 1 {
		lb = []graph.Dim{lb[0], graph.Known(1)}
	}
	ra, rb := len(la)-2, len(lb)-2
	if k, l := la[ra+1], lb[rb]; k.IsKnown() && l.IsKnown() && k.Size != l.Size {
		return nil, invalidf("%s and %s do not fit for a product", a.Type, b.Type)
	}
	out, err := broadcastDims(la[:ra], lb[:rb])
	if err != nil {
		return nil, err
	}
	if out == nil {
		out = []graph.Dim{}
	}
	if len(a.Shape) > 1 {
		out = append(out, la[ra])
	}
	if len(b.Shape) > 1 {
		out = append(out, lb[rb+1])
	}
	return out, nil
}
