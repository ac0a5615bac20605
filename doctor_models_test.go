package lowbit

import (
	"context"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"lowbit/internal/calib/dataset"
	"lowbit/internal/engine"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/quantize"
	"lowbit/internal/tensor"
	"lowbit/internal/testdata"
)

// How many samples networks from the field are calibrated and examined on.
const (
	fieldCalibrated = 24
	fieldExamined   = 8
)

// A field is a network from the field and what it reads.
type field struct {
	*Model
	calibrate, val *dataset.Source
	quantized      func() (*Result, error) // plainly, once
}

const normalised = `{"resize":{"width":%d,"height":%d},"scale":0.00392157,"mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225],"color":"RGB","layout":"NCHW"}`

// fields are the networks that were opened, which several tests examine; they stay open.
var fields = struct {
	sync.Mutex
	open map[string]field
}{open: map[string]field{}}

// fieldModel opens a network and photographs of two origins, or of two draws where one folder is named.
func fieldModel(t *testing.T, file, preprocess string, folders ...string) field {
	t.Helper()
	fields.Lock()
	defer fields.Unlock()
	if f, ok := fields.open[file]; ok {
		return f
	}
	m, err := Open(testdata.Dir(t, "models", file))
	if err != nil {
		t.Fatal(err)
	}
	f := field{Model: m}
	for i, to := range []**dataset.Source{&f.calibrate, &f.val} {
		*to = openField(t, m, preprocess, folders[min(i, len(folders)-1)], []int{fieldCalibrated, fieldExamined}[i])
	}
	f.quantized = sync.OnceValues(func() (*Result, error) { return quantizedAs(m, f.calibrate, "W8A8", nil) })
	fields.open[file] = f
	return f
}

// openField reads the samples once, however often they are asked for.
func openField(t *testing.T, m *Model, preprocess, folder string, samples int) *dataset.Source {
	t.Helper()
	o := dataset.Options{Inputs: m.graph.Graph.Required(), Samples: samples, Seed: uint64(samples)}
	if preprocess != "" {
		pre, err := dataset.ParsePreprocess([]byte(preprocess))
		if err != nil {
			t.Fatal(err)
		}
		o.Preprocess = pre
	}
	src, err := dataset.Open(testdata.Dir(t, folder), o)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	read := make([]*dataset.Sample, src.Len())
	for i := range read {
		if read[i], err = src.Sample(i); err != nil {
			t.Fatal(err)
		}
	}
	info := src.Info()
	info.Total = len(read)
	return dataset.New(info, func(i int) (*dataset.Sample, error) { return read[i], nil })
}

func photographed(t *testing.T, file string, width, height int) field {
	return fieldModel(t, file, fmt.Sprintf(normalised, width, height), "imagenet-nips2017-256", "imagenet-1k-256")
}

func mobileNet(t *testing.T) field { return photographed(t, "mobilenetv2/mobilenetv2.onnx", 224, 224) }
func squeezeNet(t *testing.T) field {
	return photographed(t, "squeezenet1.1/squeezenet1.1.onnx", 224, 224)
}
func ultraFace(t *testing.T) field {
	return photographed(t, "ultraface-rfb-320/version-RFB-320.onnx", 320, 240)
}
func pfld(t *testing.T) field { return photographed(t, "pfld-106-lite/pfld-106-lite.onnx", 112, 112) }
func resNet20(t *testing.T) field {
	return fieldModel(t, "resnet20-cifar10/resnet20-cifar10.onnx", fmt.Sprintf(normalised, 32, 32), "cifar10/train")
}
func stories(t *testing.T) field {
	return fieldModel(t, "stories260K/stories260K.onnx", "", "llm/stories260K-sampled-tokens-64x256.npy")
}

// sick quantizes f plainly, as edit says.
func (f field) sick(t *testing.T, edit func(o *quantize.Options)) *Model {
	t.Helper()
	return quantizeFor(t, f.Model, f.calibrate, "W8A8", edit).Model
}

// healthy is f quantized plainly, which is not to be changed.
func (f field) healthy(t *testing.T) *Result {
	t.Helper()
	r, err := f.quantized()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// conv names the convolution after a share of those that are quantized.
func (f field) conv(t *testing.T, share float64) string {
	t.Helper()
	var list []string
	for _, n := range f.healthy(t).Plan.Nodes {
		if n.Op == "Conv" && n.Quantized {
			list = append(list, n.Name)
		}
	}
	return list[int(share*float64(len(list)))]
}

// replanned quantizes f by its plan with a change.
func (f field) replanned(t *testing.T, edit func(p *plan.Plan)) *Model {
	t.Helper()
	return byPlan(t, f.Model, f.calibrate, "qdq", f.healthy(t).Plan.Clone(), edit)
}

// fieldPlants are faults in networks from the field: each under the name of its cause, with the node that the
// doctor has to name.
var fieldPlants = []struct {
	cause string
	make  func(t *testing.T) (s sick, node string)
}{
	{"range outlier", func(t *testing.T) (sick, string) {
		f := squeezeNet(t)
		node := f.conv(t, 0.5)
		return sick{f.Model, f.replanned(t, func(p *plan.Plan) {
			v := writtenBy(t, p, node)
			v.Params = []format.Params{{Scale: v.Params[0].Scale * 30, Zero: v.Params[0].Zero}}
		}), f.val}, node
	}},
	{"rounding below bits", func(t *testing.T) (sick, string) {
		f := resNet20(t)
		node := f.conv(t, 0.5)
		return sick{f.Model, f.sick(t, func(o *quantize.Options) {
			override(t, o, node, &plan.Scheme{Format: format.Int2, Block: format.Block{Kind: format.Channel}}, nil)
		}), f.val}, node
	}},
	{"calibration mismatch", func(t *testing.T) (sick, string) {
		f := mobileNet(t)
		f.calibrate = openField(t, f.Model, `{"resize":{"width":224,"height":224},"color":"RGB","layout":"NCHW"}`, "imagenet-nips2017-256", fieldCalibrated)
		return sick{f.Model, f.sick(t, nil), f.val}, f.conv(t, 0)
	}},
	{"constant/degenerate scale", func(t *testing.T) (sick, string) {
		f := ultraFace(t)
		node := f.conv(t, 0.3)
		return sick{f.Model, f.replanned(t, func(p *plan.Plan) {
			v := writtenBy(t, p, node)
			v.Params = []format.Params{{Scale: v.Params[0].Scale * 1e-4, Zero: v.Params[0].Zero}}
		}), f.val}, node
	}},
	{"activation bits", func(t *testing.T) (sick, string) {
		f := pfld(t)
		node := f.conv(t, 0.4)
		return sick{f.Model, f.sick(t, func(o *quantize.Options) { override(t, o, node, nil, &plan.Scheme{Format: format.Uint2}) }), f.val}, node
	}},
	{"mean shift", func(t *testing.T) (sick, string) {
		f := resNet20(t)
		node := f.conv(t, 0.7)
		return sick{f.Model, shiftBias(t, f.healthy(t).Model, node, 3), f.val}, node
	}},
	{"dead or collapsed channel spread", func(t *testing.T) (sick, string) {
		f := mobileNet(t)
		node := f.conv(t, 0.02)
		return sick{f.Model, oneScale(t, f.sick(t, corrected), node), f.val}, node
	}},
	{"shared scale over unlike branches", func(t *testing.T) (sick, string) {
		f := squeezeNet(t)
		m, node, next := unlikeFire(t, f.Model, 3, 0.004)
		return sick{m, quantizeFor(t, m, f.calibrate, "W8A8", func(o *quantize.Options) {
			override(t, o, next, &plan.Scheme{Format: format.Int16, Block: format.Block{Kind: format.Channel}}, nil)
		}).Model, f.val}, node
	}},
	{"bias overflow", func(t *testing.T) (sick, string) {
		f := squeezeNet(t)
		node := f.conv(t, 0.3)
		m := pruned(t, f.Model, node, 2)
		return sick{m, replanned(t, m, f.calibrate, "qdq", func(p *plan.Plan) {
			w, b, x := layerValues(t, p, node)
			w.Params[2].Scale = 1e-12 // as a tool writes that looks at the weights alone
			b.Params[2].Scale = x.Params[0].Scale * 1e-12
		}), f.val}, node
	}},
	{"sensitive op quantised", func(t *testing.T) (sick, string) {
		f := stories(t)
		all := f.sick(t, func(o *quantize.Options) { o.Settings.Target = &plan.Target{Name: "any", Acts: "uint8"} })
		return sick{f.Model, all, f.val}, "Softmax_150"
	}},
	{"rounding below bits", func(t *testing.T) (sick, string) { // and looks like factors that a repair moved
		f := mobileNet(t)
		node := f.conv(t, 0.14)
		return sick{f.Model, weightsOf(t, f.sick(t, repaired), node, func(codes []int8, scale []float32) {
			for i := range scale {
				scale[i] /= 4
			}
		}), f.val}, node
	}},
	{"rounding below bits", func(t *testing.T) (sick, string) { // of which no bound tells
		f := mobileNet(t)
		node := f.conv(t, 0)
		return sick{f.Model, weightsOf(t, f.sick(t, repaired), node, func(codes []int8, scale []float32) {
			for i, q := range codes {
				codes[i] = int8(min(max(math.RoundToEven(float64(q)/32), -3), 3)) * 32
			}
		}), f.val}, node
	}},
	{"unsupported or unfused placement", func(t *testing.T) (sick, string) {
		f := squeezeNet(t)
		node, lo, hi := f.widest(t)
		return sick{f.Model, beforeClampOf(t, f.healthy(t).Model, node, lo, hi), f.val}, node
	}},
}

// layerValues finds the weight, bias and input of a node in a plan.
func layerValues(t *testing.T, p *plan.Plan, node string) (w, b, x *plan.Value) {
	t.Helper()
	for _, n := range p.Nodes {
		if n.Name == node && len(n.Inputs) > 2 {
			return p.Value(n.Inputs[1]), p.Value(n.Inputs[2]), p.Value(n.Inputs[0])
		}
	}
	t.Fatalf("there is no %q with a bias", node)
	return nil, nil, nil
}

// corrected lets the means of results be corrected, which MobileNetV2 needs to be healthy.
func corrected(o *quantize.Options) { o.Fix = []string{"bias"} }

// widest finds the convolution whose results reach farthest below the Relu behind it, by what is left, and their range.
func (f field) widest(t *testing.T) (node string, lo, hi float64) {
	t.Helper()
	g := pass.Clone(f.graph)
	if err := pass.Prepare(g); err != nil {
		t.Fatal(err)
	}
	x, names, watch := g.Graph.Index(), map[string]string{}, []string{}
	for _, n := range g.Graph.Nodes {
		if c := x.OnlyUse(n.Out[0]); n.Op == "Conv" && c != nil && c.Op == "Relu" {
			names[n.Out[0]] = plan.NodeName(n)
			watch = append(watch, n.Out[0])
		}
	}
	s, err := engine.Compile(g, engine.Options{Watch: watch})
	if err != nil {
		t.Fatal(err)
	}
	least, most := map[string]float64{}, map[string]float64{}
	for i := range f.calibrate.Len() {
		sample, err := f.calibrate.Sample(i)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.RunWatch(context.Background(), sample.Inputs, func(name string, v *tensor.Tensor) {
			least[name] = min(least[name], float64(slices.Min(tensor.Of[float32](v))))
			most[name] = max(most[name], float64(slices.Max(tensor.Of[float32](v))))
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range watch {
		if least[name]*hi < lo*most[name] || node == "" {
			node, lo, hi = names[name], least[name], most[name]
		}
	}
	return node, lo, hi
}

// repaired lets the repairs be made that move factors between layers, where they help.
func repaired(o *quantize.Options) { o.Fix = []string{"equalize", "bias"} }

// weightsOf changes the weights of a layer in the file.
func weightsOf(t *testing.T, m *Model, node string, change func(codes []int8, scale []float32)) *Model {
	t.Helper()
	g := pass.Clone(m.graph)
	x := g.Graph.Index()
	for _, n := range g.Graph.Nodes {
		if n.Name != node {
			continue
		}
		w := x.Producer(n.In[1])
		codes, scale := g.Graph.ConstTensor(w.In[0]).Clone(), g.Graph.ConstTensor(w.In[1]).Clone()
		change(tensor.Of[int8](codes), tensor.Of[float32](scale))
		g.Graph.SetConst("changed_codes", codes)
		g.Graph.SetConst("changed_scale", scale)
		w.In[0], w.In[1] = "changed_codes", "changed_scale"
		return FromGraph(g, "changed")
	}
	t.Fatalf("there is no %q", node)
	return nil
}

// oneScale stores the weights of a layer anew, on one scale for all channels.
func oneScale(t *testing.T, m *Model, node string) *Model {
	t.Helper()
	g := pass.Clone(m.graph)
	x := g.Graph.Index()
	for _, n := range g.Graph.Nodes {
		if n.Name != node {
			continue
		}
		w, b, in := x.Producer(n.In[1]), x.Producer(n.In[2]), x.Producer(n.In[0])
		values := func(d *graph.Node) ([]float64, []float64) {
			codes, err := g.Graph.ConstTensor(d.In[0]).Ints()
			if err != nil {
				t.Fatal(err)
			}
			scale := tensor.Of[float32](g.Graph.ConstTensor(d.In[1]))
			y := make([]float64, len(codes))
			for i, q := range codes {
				y[i] = float64(q) * float64(scale[i*len(scale)/len(codes)])
			}
			return y, []float64{float64(scale[0])}
		}
		weights, _ := values(w)
		biases, _ := values(b)
		most := 0.0
		for _, v := range weights {
			most = max(most, math.Abs(v))
		}
		step := float32(most / 127)
		codes := make([]int8, len(weights))
		for i, v := range weights {
			codes[i] = int8(math.RoundToEven(v / float64(step)))
		}
		sum := tensor.Of[float32](g.Graph.ConstTensor(in.In[1]))[0] * step
		sums := make([]int32, len(biases))
		for i, v := range biases {
			sums[i] = int32(math.RoundToEven(v / float64(sum)))
		}
		g.Graph.SetConst("one_codes", tensor.Wrap(tensor.Int8, codes, g.Graph.ConstTensor(w.In[0]).Shape...))
		g.Graph.SetConst("one_scale", tensor.Scalar(step))
		g.Graph.SetConst("one_bias", tensor.Wrap(tensor.Int32, sums, len(sums)))
		g.Graph.SetConst("one_bias_scale", tensor.Scalar(sum))
		w.In, w.Attrs = []string{"one_codes", "one_scale"}, nil
		b.In, b.Attrs = []string{"one_bias", "one_bias_scale"}, nil
		return FromGraph(g, "one")
	}
	t.Fatalf("there is no %q", node)
	return nil
}

// pruned makes the weights of one channel of a layer next to nothing, and gives it a bias.
func pruned(t *testing.T, m *Model, node string, channel int) *Model {
	t.Helper()
	g := pass.Clone(m.graph)
	for _, n := range g.Graph.Nodes {
		if n.Name != node {
			continue
		}
		size := tensor.Elements(g.Graph.ConstTensor(n.In[1]).Shape[1:])
		scaleConst(g, n.In[1], func(i int) float32 {
			if i/size == channel {
				return 1e-10
			}
			return 1
		})
		b := g.Graph.ConstTensor(n.In[2]).Clone()
		tensor.Of[float32](b)[channel] = 30
		g.Graph.SetConst(n.In[2], b)
		return FromGraph(g, "pruned")
	}
	t.Fatalf("there is no %q", node)
	return nil
}

// unlikeFire multiplies one branch of a Concat by a small factor and divides the weights behind it by that, so
// that the network computes the same. It returns the names of the Concat and of the layer behind it.
func unlikeFire(t *testing.T, m *Model, number int, by float32) (_ *Model, join, next string) {
	t.Helper()
	g := pass.Clone(m.graph)
	x := g.Graph.Index()
	for _, n := range g.Graph.Nodes {
		if n.Op != "Concat" {
			continue
		}
		if number--; number > 0 {
			continue
		}
		branch := x.Producer(x.Producer(n.In[1]).In[0])
		reader := x.OnlyUse(n.Out[0])
		for reader.Op != "Conv" {
			reader = x.OnlyUse(reader.Out[0])
		}
		first := g.Graph.ConstTensor(x.Producer(x.Producer(n.In[0]).In[0]).In[1]).Shape[0]
		for _, name := range branch.In[1:] {
			scaleConst(g, name, func(int) float32 { return by })
		}
		in := g.Graph.ConstTensor(reader.In[1]).Shape[1]
		size := tensor.Elements(g.Graph.ConstTensor(reader.In[1]).Shape[2:])
		scaleConst(g, reader.In[1], func(i int) float32 {
			if i/size%in < first {
				return 1
			}
			return 1 / by
		})
		return FromGraph(g, "unlike"), plan.NodeName(n), plan.NodeName(reader)
	}
	t.Fatal("there are not so many")
	return nil, "", ""
}

func scaleConst(g *graph.Model, name string, by func(i int) float32) {
	c := g.Graph.ConstTensor(name).Clone()
	x := tensor.Of[float32](c)
	for i := range x {
		x[i] *= by(i)
	}
	g.Graph.SetConst(name, c)
}

func TestDoctorNamesFaultsOfModels(t *testing.T) {
	for _, p := range fieldPlants {
		t.Run(p.cause, func(t *testing.T) {
			t.Parallel()
			s, node := p.make(t)
			d := diagnosed(t, s)
			if d.Healthy || len(d.Causes) == 0 || d.Causes[0].Cause != p.cause || d.Causes[0].Name != node {
				t.Fatalf("healthy %v at %.1f dB, not %q; warnings %q", d.Healthy, d.SQNR, node, d.Warnings)
			}
			if d.Fixed == nil {
				t.Fatalf("nothing was mended: %q", d.Warnings)
			}
			t.Logf("%.1f dB, mended %.1f dB: %q", d.SQNR, d.Fixed.SQNR, d.Fixed.Made)
			again, err := Diagnose(context.Background(), s.float, d.Fixed.Model, DiagnoseOptions{Data: s.data})
			if err != nil || !again.Healthy {
				t.Errorf("the mended network: %+v (%v)", again, err)
			}
		})
	}
}

func TestDoctorFindsModelsHealthy(t *testing.T) {
	for name, open := range map[string]func(t *testing.T) field{"mobilenetv2": mobileNet, "squeezenet": squeezeNet, "ultraface": ultraFace, "pfld": pfld, "resnet20": resNet20, "stories260K": stories} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := open(t)
			q := f.sick(t, func(o *quantize.Options) { o.Fix = nil })
			if d := diagnosed(t, sick{f.Model, q, f.val}); !d.Healthy || len(d.Causes) > 0 {
				t.Errorf("not healthy at %.1f dB", d.SQNR)
			}
		})
	}
}

// TestDoctorExaminesDynamicFiles holds that files whose scales are found while running are examined like others,
// and stay such files when they are mended.
func TestDoctorExaminesDynamicFiles(t *testing.T) {
	f := resNet20(t)
	for _, style := range []string{"qdq", "contrib"} {
		q := quantizeFor(t, f.Model, nil, "W8A8", func(o *quantize.Options) { o.Settings.Mode, o.Style = plan.Dynamic, style }).Model
		if d := diagnosed(t, sick{f.Model, q, f.val}); !d.Healthy || len(d.Warnings) > 0 || len(d.Layers) != 20 {
			t.Fatalf("%s: healthy %v at %.1f dB, %d layers; %q", style, d.Healthy, d.SQNR, len(d.Layers), d.Warnings)
		}
		for at, n := range integerConvs(q) {
			if at != 9 {
				continue
			}
			g := pass.Clone(q.graph)
			codes := g.Graph.ConstTensor(n.In[1]).Clone()
			for i, c := range tensor.Of[int8](codes) { // as two bits leave them
				tensor.Of[int8](codes)[i] = int8(64 * math.Round(float64(c)/64))
			}
			g.Graph.SetConst(n.In[1], codes)
			d := diagnosed(t, sick{f.Model, FromGraph(g, "coarse"), f.val})
			if d.Healthy || d.Causes[0].Cause != "rounding below bits" || d.Causes[0].Name != f.conv(t, 9.0/19) || d.Fixed == nil {
				t.Fatalf("%s: healthy %v at %.1f dB; %q", style, d.Healthy, d.SQNR, d.Warnings)
			}
			if mended := d.Fixed.Model; len(integerConvs(mended)) != 19 || !diagnosed(t, sick{f.Model, mended, f.val}).Healthy {
				t.Errorf("%s: %d of 19 convolutions are on integers, %.1f dB", style, len(integerConvs(mended)), d.Fixed.SQNR)
			}
		}
	}
}

func integerConvs(m *Model) (list []*graph.Node) {
	for _, n := range m.graph.Graph.Nodes {
		if n.Op == "ConvInteger" {
			list = append(list, n)
		}
	}
	return list
}

// TestDoctorExaminesRecurrences holds that LSTM with codes for weights is examined, in ONNX Runtime's own form too.
func TestDoctorExaminesRecurrences(t *testing.T) {
	f := fieldModel(t, "dtln-1/model_1.onnx", "", "models/dtln-1/input.npz")
	q := quantizeFor(t, f.Model, nil, "W8A8", func(o *quantize.Options) { o.Settings.Mode = plan.Dynamic }).Model
	if d := diagnosed(t, sick{f.Model, q, f.val}); !d.Healthy || len(d.Layers) != 3 || len(d.Warnings) > 0 {
		t.Errorf("healthy %v at %.1f dB, %d layers; %q", d.Healthy, d.SQNR, len(d.Layers), d.Warnings)
	}
}
