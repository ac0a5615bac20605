package doctor

import (
	"slices"
	"strings"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// TestPairFused examines files in which codes do the work of the clamps, as ONNX Runtime's quantizer writes them: nodes have no
// names, like branches come in another order, and results are called as those of the clamps or of the codes; and a product and
// its bias are one Gemm.
func TestPairFused(t *testing.T) {
	const head = `<ir_version: 8, opset_import: ["" : 17]> g (float[4,4] x) => (float[4,3] y) {`
	read := func(text string) *graph.Model {
		m, err := graph.ParseText(head + text + "}")
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	const quantized = `
		da = DequantizeLinear <axis = 0> (qa, sa)
		db = DequantizeLinear <axis = 0> (qb, sb)
		dc = DequantizeLinear (qc, sc)
		x4 = Reshape (x, four)
		SECOND = Conv (x4, db)
		lq = QuantizeLinear (SECOND, step, zero)
		ld = DequantizeLinear (lq, step, zero)
		FIRST = Conv (x4, da)
		kq = QuantizeLinear (FIRST, step, zero)
		kd = DequantizeLinear (kq, step, zero)
		j = Concat <axis = 1> (kd, ld)
		f = Flatten (j)
		r = Gemm (f, dc, bias)
		rq = QuantizeLinear (r, step, zero)
		y = DequantizeLinear (rq, step, zero)
	`
	for _, names := range [][2]string{{"ka", "la"}, {"k_quantized_float", "l_quantized_float"}} {
		j := job(t, read(`
			x4 = Reshape (x, four)
			k = Conv (x4, wa)
			ka = Relu (k)
			l = Conv (x4, wb)
			la = Relu (l)
			j = Concat <axis = 1> (ka, la)
			f = Flatten (j)
			m = MatMul (f, wc)
			r = Add (m, bias)
			y = Relu (r)
		`), read(strings.NewReplacer("FIRST", names[0], "SECOND", names[1]).Replace(quantized)))
		wa, wb, wc := draw(1, 32, 1), draw(2, 32, 1), draw(3, 48, 0.5)
		for _, m := range []*graph.Model{j.Float, j.Quantized} {
			m.Graph.SetConst("four", tensor.Int64s([]int64{4, 4, 1, 1}, 4))
			m.Graph.SetConst("bias", tensor.Float32s([]float32{1, -1, 0.5}, 3))
		}
		j.Float.Graph.SetConst("wa", tensor.Float32s(slices.Clone(wa), 8, 4, 1, 1))
		j.Float.Graph.SetConst("wb", tensor.Float32s(slices.Clone(wb), 8, 4, 1, 1))
		j.Float.Graph.SetConst("wc", tensor.Float32s(slices.Clone(wc), 16, 3))
		coded(j.Quantized.Graph, "a", wa, 8, 4)
		coded(j.Quantized.Graph, "b", wb, 8, 4)
		codes := make([]int8, len(wc))
		for i, v := range wc {
			codes[i] = int8(max(-127, min(127, v*64)))
		}
		j.Quantized.Graph.SetConst("qc", tensor.Wrap(tensor.Int8, codes, 16, 3))
		j.Quantized.Graph.SetConst("sc", tensor.Scalar(float32(1.0/64)))
		j.Quantized.Graph.SetConst("step", tensor.Scalar(float32(16.0/255)))
		j.Quantized.Graph.SetConst("zero", tensor.Wrap(tensor.Uint8, []uint8{0}))
		for i := range uint64(4) {
			j.see(draw(100+i, 16, 1), 4, 4)
		}
		if d := j.examined(t); !d.Healthy || len(d.Warnings) > 0 {
			t.Errorf("%q: %.1f dB, %+v, %q", names, d.SQNR, d.Causes, d.Warnings)
		}
	}
}

// TestFactorsStayOperators prepares the float network as the quantized one was: a factor behind a layer is folded only where the
// quantized network has it no more.
func TestFactorsStayOperators(t *testing.T) {
	parse := func(body string) *graph.Model {
		m, err := graph.ParseText(`<ir_version: 8, opset_import: ["" : 17]> g (float[1,1,2,2] x) => (float[1,2,2,2] y) <float[2,1,1,1] w = {2, -3}, float k = {4}> { ` + body + ` }`)
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	float := parse("[conv] t = Conv (x, w) [mul] y = Mul (t, k)")
	for quantized, nodes := range map[string]int{"[conv] t = Conv (x, w) [mul] y = Mul (t, k)": 2, "[conv] y = Conv (x, w)": 1} {
		n, err := newNet(float, parse(quantized))
		if err != nil {
			t.Fatal(err)
		}
		if len(n.float.Graph.Nodes) != nodes {
			t.Errorf("%s: the float network has %d nodes, not %d", quantized, len(n.float.Graph.Nodes), nodes)
		}
	}
}
