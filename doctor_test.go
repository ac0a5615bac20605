package lowbit

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"lowbit/internal/calib/dataset"
	"lowbit/internal/demo"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// letters draws images for the demo's network, every pixel p as gain·p + shift.
func letters(seed uint64, n int, gain, shift float32) *dataset.Source {
	images, labels := demo.Images(seed, n)
	x := tensor.Of[float32](images)
	for i := range x {
		x[i] = x[i]*gain + shift
	}
	size := len(x) / n
	return dataset.New(dataset.Info{Form: "glyphs", Path: "glyphs", Total: n, Labelled: true}, func(i int) (*dataset.Sample, error) {
		t := tensor.Float32s(x[i*size:(i+1)*size], 1, 1, demo.Side, demo.Side)
		return &dataset.Sample{Name: fmt.Sprint(i), Inputs: map[string]*Tensor{demo.Input: t}, Label: labels[i]}, nil
	})
}

// normal makes samples of the one input of a network.
func normal(seed uint64, m *Model, n int) *dataset.Source {
	v := m.graph.Graph.Required()[0]
	shape, _ := v.Type.Static()
	return dataset.New(dataset.Info{Form: "normal", Path: "normal", Total: n}, func(i int) (*dataset.Sample, error) {
		r := rand.New(rand.NewPCG(seed, uint64(i)))
		return &dataset.Sample{Name: fmt.Sprint(i), Inputs: map[string]*Tensor{v.Name: tensor.Float32s(gauss(r, tensor.Elements(shape), 1), shape...)}}, nil
	})
}

func gauss(r *rand.Rand, n int, scale float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(scale * r.NormFloat64())
	}
	return x
}

// A sick is a float model, a quantized one with one planted fault, and samples to tell them apart by.
type sick struct {
	float, quantized *Model
	data             *dataset.Source
}

func quantizeFor(t *testing.T, m *Model, data *dataset.Source, scheme string, edit func(o *QuantizeOptions)) *Result {
	t.Helper()
	set, err := plan.Default(scheme)
	if err != nil {
		t.Fatal(err)
	}
	o := QuantizeOptions{Settings: set, Data: data, Fix: []string{"none"}}
	if edit != nil {
		edit(&o)
	}
	r, err := Quantize(context.Background(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// replanned quantizes by a plan that was changed.
func replanned(t *testing.T, m *Model, data *dataset.Source, style string, edit func(p *plan.Plan)) *Model {
	t.Helper()
	r := quantizeFor(t, m, data, "W8A8", nil)
	edit(r.Plan)
	return quantizeFor(t, m, data, "W8A8", func(o *QuantizeOptions) { o.Plan, o.Style = r.Plan, style }).Model
}

// written finds the activation that a node writes.
func writtenBy(t *testing.T, p *plan.Plan, node string) *plan.Value {
	t.Helper()
	for _, v := range p.Values {
		if v.Role == plan.RoleActivation && strings.Contains(v.Reason, "written by") && strings.Contains(v.Reason, `"`+node+`"`) {
			return v
		}
	}
	t.Fatalf("no value is written by %q", node)
	return nil
}

func demoModel(t *testing.T) *Model {
	t.Helper()
	m, err := Decode(demo.Model())
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// textModel reads a network in ONNX's textual syntax.
func textModel(t *testing.T, text string) *Model {
	t.Helper()
	g, err := graph.ParseText(text)
	if err != nil {
		t.Fatal(err)
	}
	return FromGraph(g, "text")
}

func override(t *testing.T, o *QuantizeOptions, match string, weights, acts *plan.Scheme) {
	t.Helper()
	p, err := plan.ParsePattern(match)
	if err != nil {
		t.Fatal(err)
	}
	o.Settings.Overrides = append(o.Settings.Overrides, plan.Override{Match: p, Weights: weights, Acts: acts})
}

// plants are faults, each under the name of its cause, and the node that the doctor has to name.
var plants = []struct {
	cause, node string
	make        func(t *testing.T) sick
}{
	{"range outlier", "block3.point", func(t *testing.T) sick {
		m := demoModel(t)
		return sick{m, replanned(t, m, letters(1, 40, 1, 0), "qdq", func(p *plan.Plan) {
			v := writtenBy(t, p, "block3.point")
			v.Params = []format.Params{{Scale: v.Params[0].Scale * 24, Zero: v.Params[0].Zero}}
		}), letters(2, 40, 1, 0)}
	}},
	{"rounding below bits", "block2.point", func(t *testing.T) sick {
		m := demoModel(t)
		return sick{m, quantizeFor(t, m, letters(1, 40, 1, 0), "W8A8", func(o *QuantizeOptions) {
			override(t, o, "block2.point", &plan.Scheme{Format: format.Int2, Block: format.Block{Kind: format.Channel}}, nil)
		}).Model, letters(2, 40, 1, 0)}
	}},
	{"calibration mismatch", "stem", func(t *testing.T) sick {
		m := demoModel(t) // calibrated on pixels from 0 to 255
		return sick{m, quantizeFor(t, m, letters(1, 40, 127.5, 127.5), "W8A8", nil).Model, letters(2, 40, 1, 0)}
	}},
}

func TestDoctorNamesPlantedFaults(t *testing.T) {
	for _, p := range plants {
		t.Run(p.cause, func(t *testing.T) {
			s := p.make(t)
			d, err := Diagnose(context.Background(), s.float, s.quantized, DiagnoseOptions{Data: s.data})
			if err != nil {
				t.Fatal(err)
			}
			for i, c := range d.Causes[:min(3, len(d.Causes))] {
				t.Logf("%d %s at %s: %s; alone %.1f dB, without %.1f dB; %s", i, c.Cause, c.Name, c.Evidence, c.Alone, c.Without, c.Fix)
			}
			if d.Healthy || len(d.Causes) == 0 || d.Causes[0].Cause != p.cause || d.Causes[0].Name != p.node {
				t.Fatalf("healthy %v at %.1f dB, warnings %q", d.Healthy, d.SQNR, d.Warnings)
			}
			if d.Fixed == nil {
				t.Fatalf("nothing was mended: %q", d.Warnings)
			}
			t.Logf("%.1f dB, mended %.1f dB: %q", d.SQNR, d.Fixed.SQNR, d.Fixed.Made)
			if again, err := Diagnose(context.Background(), s.float, FromGraph(d.Fixed.Model, "fixed"), DiagnoseOptions{Data: s.data}); err != nil || !again.Healthy {
				t.Errorf("the mended network: %+v (%v)", again, err)
			}
		})
	}
}

func TestDoctorFindsNothingWrong(t *testing.T) {
	m := demoModel(t)
	for _, style := range []string{"qdq", "qoperator"} {
		for _, fix := range []string{"none", "equalize", "bias"} {
			q := quantizeFor(t, m, letters(1, 40, 1, 0), "W8A8", func(o *QuantizeOptions) { o.Style, o.Fix = style, []string{fix} })
			d, err := Diagnose(context.Background(), m, q.Model, DiagnoseOptions{Data: letters(2, 40, 1, 0)})
			if err != nil {
				t.Fatal(err)
			}
			if !d.Healthy || len(d.Causes) > 0 || d.SQNR < 20 || len(d.Warnings) > 0 || len(d.Layers) != 14 {
				t.Errorf("%s, repair %s: %+v", style, fix, d)
			}
		}
	}
}
