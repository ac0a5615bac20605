package weight

import (
	"fmt"
	"slices"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// TestProduct multiplies the identity by matrices as MatMulNBits and MatMulBnb4 hold them, by the
// operators' definitions, and reads them back.
func TestProduct(t *testing.T) {
	for _, f := range []*format.Format{format.Int2, format.Uint2, format.Int4, format.Uint4, format.Int8, format.Uint8, format.NF4, format.NF4Plain} {
		for _, axis := range []int{0, 1} {
			for _, k := range []int{64, 40} {
				if k%16 != 0 && f.Kind == format.Quantiles {
					continue
				}
				t.Run(fmt.Sprintf("%s along %d of %d", f.Name, axis, k), func(t *testing.T) { testProduct(t, f, axis, k) })
			}
		}
	}
}

func testProduct(t *testing.T, f *format.Format, axis, k int) {
	const n = 6
	shape := []int{k, n}
	if axis == 1 {
		shape = []int{n, k}
	}
	b := format.Block{Kind: format.Group, Axis: axis, Size: 16}
	x := sample(shape...)
	p, err := f.FitTensor(tensor.Of[float32](x), shape, b)
	if err != nil {
		t.Fatal(err)
	}
	c, err := Encode(x, f, b, p)
	if err != nil {
		t.Fatal(err)
	}
	eye := tensor.New(tensor.Float32, k, k)
	for i := range k {
		tensor.Of[float32](eye)[i*k+i] = 1
	}
	g := &graph.Graph{Name: "g", In: []*graph.Value{{Name: "x", Type: graph.TypeOf(eye)}}, Out: []*graph.Value{{Name: "y"}}}
	w := &Writer{Fresh: func(s string) string { return s }, Const: func(name string, t *tensor.Tensor) { g.SetConst(name, t) }}
	q, ok := w.Product(c, "w")
	if !ok {
		t.Fatal("no operator takes it")
	}
	node := &graph.Node{Domain: Microsoft, Op: q.Op, In: append([]string{"x"}, q.In...), Out: []string{"y"}}
	for name, v := range q.Attrs {
		node.SetAttr(name, v)
	}
	g.Nodes = []*graph.Node{node}
	m := &graph.Model{IR: 10, Opsets: []graph.Opset{{Version: 21}, {Domain: Microsoft, Version: 1}}, Graph: g}
	out, err := op.Run(m, map[string]*tensor.Tensor{"x": eye}, op.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want := tensor.Of[float32](c.Decode())
	back := ReadProduct(source{g.Index(), g}, node)
	if back == nil || back.Format != f && !(f == format.NF4 && back.Format == format.NF4Plain) || back.Block.Size != 16 {
		t.Fatalf("read back as %v", back)
	}
	read := tensor.Of[float32](back.Decode())
	for i := range k {
		for j := range n {
			at := i*n + j
			if axis == 1 {
				at = j*k + i
			}
			if got := tensor.Of[float32](out["y"])[i*n+j]; got != want[at] || read[j*k+i] != want[at] {
				t.Fatalf("element (%d,%d) is %v, read as %v, not %v", i, j, got, read[j*k+i], want[at])
			}
		}
	}
}

// TestNoProduct leaves to other spellings what the operators cannot hold.
func TestNoProduct(t *testing.T) {
	x := sample(32, 8)
	for _, c := range []struct {
		f *format.Format
		b format.Block
	}{
		{format.Int4, format.Block{Kind: format.Channel, Axis: 1}},
		{format.Int4, format.Block{Kind: format.Group, Axis: 0, Size: 8}},
		{format.Log4, format.Block{Kind: format.Group, Axis: 0, Size: 16}},
		{format.Int16, format.Block{Kind: format.Group, Axis: 0, Size: 16}},
	} {
		p, err := c.f.FitTensor(tensor.Of[float32](x), x.Shape, c.b)
		if err != nil {
			t.Fatal(err)
		}
		e, err := Encode(x, c.f, c.b, p)
		if err != nil {
			t.Fatal(err)
		}
		w := &Writer{Fresh: func(s string) string { return s }, Const: func(string, *tensor.Tensor) {}}
		if q, ok := w.Product(e, "w"); ok {
			t.Errorf("%s becomes %s", e, q.Op)
		}
	}
	if !slices.Equal(fp4.Marks[:4], []float32{0, 0.0625 / 12, 8. / 12, 1}) {
		t.Error("the four-bit float of bitsandbytes has other marks")
	}
}
