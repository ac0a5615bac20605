package doctor

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// TestDisbelieveAll examines a network with four branches, in each of which a repair moved factors across a clamp that
// does not let them through: taking those of one branch for a fault takes off a quarter of the noise, which is too little
// to tell, and taking all brings back the float network.
func TestDisbelieveAll(t *testing.T) {
	const branches = 4
	read := func(body func(k int) string) *graph.Model {
		var text strings.Builder
		text.WriteString(`<ir_version: 8, opset_import: ["" : 17]> g (float[1,4,8,8] x) => (float[1,8,8,8] y) <float zero = {0}, float six = {2}> {`)
		for k := range branches {
			text.WriteString(body(k))
		}
		text.WriteString("y = Concat <axis = 1> (y0, y1, y2, y3)\n}")
		m, err := graph.ParseText(text.String())
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	const body = "[a%[1]d] h%[1]d = Conv (x, %[2]s)\n[r%[1]d] c%[1]d = Clip (h%[1]d, zero, six)\n[b%[1]d] y%[1]d = Conv (c%[1]d, %[3]s)\n"
	j := job(t, read(func(k int) string { return fmt.Sprintf(body, k, fmt.Sprint("wa", k), fmt.Sprint("wb", k)) }),
		read(func(k int) string {
			return fmt.Sprintf("da%[1]d = DequantizeLinear <axis = 0> (qa%[1]d, sa%[1]d)\ndb%[1]d = DequantizeLinear <axis = 0> (qb%[1]d, sb%[1]d)\n", k) +
				fmt.Sprintf(body, k, fmt.Sprint("da", k), fmt.Sprint("db", k))
		}))
	for k := range uint64(branches) {
		a, b := draw(10+k, 32, 0.7), draw(20+k, 16, 1)
		j.Float.Graph.SetConst(fmt.Sprint("wa", k), tensor.Float32s(append([]float32{}, a...), 8, 4, 1, 1))
		j.Float.Graph.SetConst(fmt.Sprint("wb", k), tensor.Float32s(append([]float32{}, b...), 2, 8, 1, 1))
		for c := range 8 {
			by := float32(1 + c%3)
			scaleAll(a[4*c:4*c+4], by)
			b[c] /= by
			b[8+c] /= by
		}
		coded(j.Quantized.Graph, fmt.Sprint("a", k), a, 8, 4)
		coded(j.Quantized.Graph, fmt.Sprint("b", k), b, 2, 8)
	}
	for i := range uint64(4) {
		j.see(draw(100+i, 256, 1), 1, 4, 8, 8)
	}
	d := j.examined(t)
	if d.Healthy || len(d.Warnings) > 0 || d.Fixed == nil || d.Fixed.SQNR < 30 {
		t.Errorf("%.1f dB, healthy %v, %q, mended %+v", d.SQNR, d.Healthy, d.Warnings, d.Fixed)
	}
}

// coded sets the codes of a kernel of one pixel, and a scale for each of its output channels.
func coded(g *graph.Graph, name string, w []float32, outs, ins int) {
	codes, scales := make([]int8, len(w)), make([]float32, outs)
	for i, v := range w {
		scales[i/ins] = max(scales[i/ins], float32(math.Abs(float64(v)))/127)
	}
	for i, v := range w {
		codes[i] = int8(math.RoundToEven(float64(v / scales[i/ins])))
	}
	g.SetConst("q"+name, tensor.Wrap(tensor.Int8, codes, outs, ins, 1, 1))
	g.SetConst("s"+name, tensor.Float32s(scales, outs))
}

// TestRepairsOfLayersInFloat examines networks whose repairs changed what the file holds in float: a layer without codes
// that has factors, which the coded one behind it undoes, and a bias that was moved with its layer's weights.
func TestRepairsOfLayersInFloat(t *testing.T) {
	for _, c := range []struct {
		what  string
		times func(c int) float32 // the channels of the layer in float
		moved float32             // what is added to the bias of the coded one
		want  bool                // healthy
	}{
		{"factors", func(c int) float32 { return float32(1 + c%5) }, 0, true},
		{"a bias", func(int) float32 { return 1 }, 2, false},
		{"both", func(c int) float32 { return float32(1 + c%5) }, 2, false},
	} {
		read := func(text string) *graph.Model {
			m, err := graph.ParseText(`<ir_version: 8, opset_import: ["" : 17]> g (float[1,4,8,8] x) => (float[1,2,8,8] y) {` + text + "}")
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		const first = "[a] h = Conv (x, wa, ba)\n[r] c = Relu (h)\n"
		j := job(t, read(first+"[b] y = Conv (c, wb, bb)\n"), read(first+"db = DequantizeLinear <axis = 0> (qb, sb)\n[b] y = Conv (c, db, bb)\n"))
		wa, ba, wb, bb := draw(1, 32, 1), draw(2, 8, 1), draw(3, 16, 1), draw(4, 2, 1)
		set := func(m *graph.Model) {
			m.Graph.SetConst("wa", tensor.Float32s(slices.Clone(wa), 8, 4, 1, 1))
			m.Graph.SetConst("ba", tensor.Float32s(slices.Clone(ba), 8))
			m.Graph.SetConst("bb", tensor.Float32s(slices.Clone(bb), 2))
		}
		set(j.Float)
		j.Float.Graph.SetConst("wb", tensor.Float32s(slices.Clone(wb), 2, 8, 1, 1))
		for k := range ba {
			by := c.times(k)
			scaleAll(wa[4*k:4*k+4], by)
			ba[k] *= by
			wb[k], wb[8+k] = wb[k]/by, wb[8+k]/by
		}
		for k := range bb {
			bb[k] += c.moved
		}
		set(j.Quantized)
		coded(j.Quantized.Graph, "b", wb, 2, 8)
		for i := range uint64(4) {
			j.see(draw(100+i, 256, 1), 1, 4, 8, 8)
		}
		d := j.examined(t)
		if d.Healthy != c.want || len(d.Warnings) > 0 || !c.want && (d.Fixed == nil || d.Fixed.SQNR < 30) {
			t.Errorf("%s: %.1f dB, healthy %v, %+v, %q, mended %+v", c.what, d.SQNR, d.Healthy, d.Causes, d.Warnings, d.Fixed)
		}
		f, err := Factors(j.Float, j.Quantized)
		if err != nil || c.times(1) != 1 && (len(f["h"]) != 8 || math.Abs(f["h"][3]-4) > 1e-3) || c.times(1) == 1 && len(f) > 0 {
			t.Errorf("%s: factors %v (%v)", c.what, f, err)
		}
	}
}

// TestSharedWeights names the layer that loses by weights which another reads first.
func TestSharedWeights(t *testing.T) {
	read := func(text string) *graph.Model {
		m, err := graph.ParseText(`<ir_version: 8, opset_import: ["" : 17]> g (float[1,4,8,8] x) => (float[1,3,8,8] y) {` + text + "}")
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	// The first layer reads but one channel, whose weights are kept well; the codes of the others are of one sign.
	const body = "one = Mul (x, first)\n[a] h = Conv (one, %[1]s)\n[b] k = Conv (x, %[1]s)\ny = Add (h, k)\n"
	j := job(t, read(fmt.Sprintf(body, "w")), read("d = DequantizeLinear <axis = 0> (qw, sw)\n"+fmt.Sprintf(body, "d")))
	w := draw(1, 12, 1)
	w[0], w[4], w[8] = 1, -1, 0.5
	j.Float.Graph.SetConst("w", tensor.Float32s(slices.Clone(w), 3, 4, 1, 1))
	for i, v := range w {
		if i%4 != 0 {
			w[i] = max(v, -v)
		}
	}
	coded(j.Quantized.Graph, "w", w, 3, 4)
	for _, m := range []*graph.Model{j.Float, j.Quantized} {
		m.Graph.SetConst("first", tensor.Float32s([]float32{1, 0, 0, 0}, 1, 4, 1, 1))
	}
	for i := range uint64(4) {
		j.see(draw(100+i, 256, 1), 1, 4, 8, 8)
	}
	d := j.examined(t)
	if len(d.Causes) == 0 || d.Causes[0].Name != "b" || !strings.Contains(d.Causes[0].Evidence, `Conv "b"`) || d.Fixed == nil || d.Fixed.SQNR < 30 {
		t.Errorf("%.1f dB: %+v, mended %+v, %q", d.SQNR, d.Causes, d.Fixed, d.Warnings)
	}
}
