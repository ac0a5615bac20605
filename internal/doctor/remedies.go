package doctor

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

// line writes an override of a recipe.
func line(u *unit, what string) string {
	return fmt.Sprintf("recipe: overrides: [{match: %q, %s}]", u.name, what)
}

// fitted chooses an activation's scale anew from the samples.
func (e *exam) fitted(s *site, o *calib.Observer, f *format.Format) (change, bool) {
	r := e.screening.acts[s]
	if r == nil || !r.stats.Seen() || s.dynamic {
		return change{}, false
	}
	if twin := unsigned[f]; twin != nil && !symmetric(s) {
		p, err := o.Fit(r.stats, twin, false)
		p.Zero += int32(f.Lo)
		return change{format: f, params: p}, err == nil
	}
	p, err := o.Fit(r.stats, f, f.Bits >= 8 && symmetric(s))
	return change{format: f, params: p}, err == nil
}

// unsigned are the formats of signed codes that other tools shift as they do unsigned ones, with those.
var unsigned = map[*format.Format]*format.Format{format.Int8: format.Uint8, format.Int16: format.Uint16}

// symmetric says whether a site's codes are symmetric about zero, so that they stay so.
func symmetric(s *site) bool { return s.format.Lo < 0 && s.params.Zero == 0 && len(s.clamps) == 0 }

// observe makes a remedy for each of some observers.
func (e *exam) observe(sites []*site, text string, list ...*calib.Observer) (out []remedy) {
	for _, o := range list {
		c := changes{}
		for _, s := range sites {
			if s.kind != acts {
				continue
			}
			if v, ok := e.fitted(s, o, s.format); ok {
				c[s] = v
			}
		}
		if len(c) > 0 {
			out = append(out, remedy{fmt.Sprintf(text, o.Name), c, len(out) > 0})
		}
	}
	return out
}

// recalibrate finds the ranges of all activations on the samples.
func (e *exam) recalibrate(f *finding) []remedy {
	sites := f.sites
	if len(sites) > 1 || e.fed(sites[0]) {
		sites = e.sites
	}
	list := e.observe(sites, "calibrate on samples that are prepared as those to come: --data, --preprocess, --observer %s", calib.MSE, calib.Average, calib.Percentile, calib.MinMax)
	for _, r := range list {
		list = append(list, remedy{r.text, e.withBiases(r.c), true})
	}
	return append(list, e.keep(f)...)
}

// withBiases lets the biases of the layers that read changed activations follow: what they stand for was rounded to steps
// of the old scales, or corrected for them.
func (e *exam) withBiases(c changes) changes {
	all := c.with(nil)
	for s := range c {
		for _, r := range s.reads {
			e.withBias(r.unit, all)
		}
	}
	return all
}

// clip leaves the outliers out.
func (e *exam) clip(f *finding) []remedy {
	if f.sites[0].kind == weights {
		return e.finerWeights(f)
	}
	list := e.observe(f.sites, "--observer %s", calib.Percentile, calib.Average)
	return append(list, e.finerActs(f)...)
}

// refit finds a scale anew.
func (e *exam) refit(f *finding) []remedy {
	if f.sites[0].kind == weights {
		return e.recode(f.unit, f.unit.weights.coded.Format, f.unit.weights.coded.Block, "the scale of %s follows its values: quantize anew")
	}
	list := e.observe(f.sites, "calibrate on samples that reach every value: --data, --observer %s", calib.MSE, calib.Percentile, calib.MinMax)
	if s := f.sites[0]; s.read != s.params && !s.dynamic {
		const text = "write and read codes with one scale and zero point: quantize anew"
		list = append([]remedy{{text: text, c: changes{s: {format: s.format, params: s.params}}},
			{text: text, c: changes{s: {format: s.format, params: s.read}}, alt: true}}, list...)
	}
	return list
}

// move puts a site behind the clamp: its range becomes what the clamp leaves.
func (e *exam) move(f *finding) []remedy {
	s := f.sites[0]
	if len(s.clamps) > 0 {
		return append(e.observe(f.sites, "the codes have to end where the clamp does: calibrate on --data, --observer %s", calib.MSE, calib.MinMax), e.keep(f)...)
	}
	const text = "quantize behind the clamp, not before it: quantize anew"
	var list []remedy
	if s.reads[0].unit.out != nil { // it is quantized there as well
		list = append(list, remedy{text: text, c: off(s)})
	} else if p, ok := e.clamped(s); ok {
		list = append(list, remedy{text: text, c: changes{s: {behind: true, format: s.format, params: p}}})
	}
	return append(list, e.keep(f)...)
}

// clamped finds the parameters of what the clamps leave that read an activation, where its codes are of eight bits
// and may shift.
func (e *exam) clamped(s *site) (format.Params, bool) {
	if s.format.Bits != 8 || s.format.Kind != format.Linear || symmetric(s) || s.dynamic {
		return format.Params{}, false
	}
	r := e.screening.acts[s]
	lo, hi := float64(r.stats.Min), float64(r.stats.Max)
	for _, u := range s.reads {
		a, b := boundsOf(e.m.Graph, u.unit.node)
		lo, hi = max(lo, a), min(hi, b)
	}
	p := over(lo, hi)
	p.Zero += int32(s.format.Lo)
	return p, true
}

// boundsOf is the range of what a clamp leaves.
func boundsOf(g *graph.Graph, n *graph.Node) (lo, hi float64) {
	lo, hi = math.Inf(-1), math.Inf(1)
	if n.Op == "Relu" {
		lo = 0
	}
	for i, to := range []*float64{1: &lo, 2: &hi} {
		if i > 0 && n.Op == "Clip" && i < len(n.In) && g.ConstTensor(n.In[i]) != nil {
			*to = float64(boundOf(g, n, i))
		}
	}
	return lo, hi
}

// separate takes the shared scale away, else gives it finer steps.
func (e *exam) separate(f *finding) []remedy {
	c := changes{}
	for _, s := range f.sites {
		if v, ok := e.fitted(s, calib.MinMax, s.format); ok && s != f.unit.out {
			c[s] = v
		} else if s == f.unit.out {
			c[s] = change{off: true}
		}
	}
	own := remedy{text: fmt.Sprintf("--keep %q, so that each branch has a scale of its own", f.unit.name), c: c}
	return append([]remedy{own}, e.finerActs(f)...)
}

// finerActs fits activations anew, gives them more bits, else leaves them in float.
func (e *exam) finerActs(f *finding) []remedy {
	var list []remedy
	if f.sites[0].kind == acts && f.sites[0].format.Bits >= 8 {
		list = e.observe(f.sites, "--observer %s", calib.MSE)
	}
	for _, wide := range []*format.Format{format.Uint8, format.Uint16} {
		c := changes{}
		for _, s := range f.sites {
			if s.kind != acts || s.format.Bits >= wide.Bits {
				continue
			}
			if v, ok := e.fitted(s, calib.MinMax, wide); ok {
				c[s] = v
			}
		}
		if len(c) > 0 {
			list = append(list, remedy{text: line(f.unit, "activations: {format: "+wide.Name+"}"), c: c})
		}
	}
	return append(list, e.keep(f)...)
}

// keep leaves the sites of a finding out.
func (e *exam) keep(f *finding) []remedy {
	return []remedy{{text: fmt.Sprintf("--keep %q", f.unit.name), c: off(f.sites...)}}
}

// recode stores a layer's weights in another format and block.
func (e *exam) recode(u *unit, f *format.Format, b format.Block, text string) []remedy {
	w := u.weights
	p, err := f.FitTensor(tensor.Of[float32](w.off), w.off.Shape, b)
	if err != nil {
		return nil
	}
	c, err := weight.Encode(w.off, f, b, p)
	if err != nil {
		return nil
	}
	if strings.Contains(text, "%s") {
		text = fmt.Sprintf(text, u)
	}
	return []remedy{{text: text, c: e.withBias(u, changes{w: change{coded: c}})}}
}

// withBias lets the bias of a layer follow: what the float network has.
func (e *exam) withBias(u *unit, c changes) changes {
	if u.bias != nil && u.bias.off != nil {
		c[u.bias] = change{bias: tensor.Of[float32](u.bias.off)}
	}
	return c
}

// channel is the block of one scale for each output channel.
func channel(u *unit) format.Block {
	v := u.weights.off
	axis := axisOf(u, v.Rank())
	return format.Block{Kind: format.Channel, Axis: axis}
}

// perChannel gives each output channel a scale of its own.
func (e *exam) perChannel(f *finding) []remedy {
	u := f.unit
	f8 := u.weights.coded.Format
	if f8.Snap != nil {
		f8 = format.ByElem(f8.Elem) // steps that no rule for scales confines
	}
	list := e.recode(u, f8, channel(u), fmt.Sprintf("--weights %s:channel", f8.Name))
	if len(list) > 0 {
		list = append(list, e.together(list[0], f)...)
	}
	return append(list, e.finerWeights(f)...)
}

// together makes a remedy of a layer's weights with each of the activations that the finding names too.
func (e *exam) together(own remedy, f *finding) (list []remedy) {
	g := *f
	g.sites = slices.DeleteFunc(slices.Clone(f.sites), func(s *site) bool { return s.kind != acts })
	if len(g.sites) == 0 {
		return nil
	}
	for _, r := range e.finerActs(&g) {
		list = append(list, remedy{text: own.text + ", " + r.text, c: own.c.with(r.c), alt: r.alt})
	}
	return list
}

// finerWeights rounds weights anew, to eight bits with a scale for each channel, else leaves them in float.
func (e *exam) finerWeights(f *finding) []remedy {
	u := f.unit
	var list []remedy
	c := u.weights.coded
	if c.Format.Bits <= 8 {
		list = append(list, e.recode(u, format.Int8, channel(u), line(u, "weights: {format: int8, block: channel}"))...)
	}
	return append(list, e.keep(f)...)
}

// raiseScale makes the steps of a layer's weights so large that its bias fits 32 bits.
func (e *exam) raiseScale(f *finding) []remedy {
	u := f.unit
	c := u.weights.coded
	if u.in[0] == nil || u.in[0].kind != acts || c.Block.Kind == format.Group {
		return e.keep(f)
	}
	p := slices.Clone(c.Params)
	for i, b := range tensor.Of[float32](u.bias.off) {
		k := min(i, len(p)-1)
		least := math.Abs(float64(b)) / (float64(u.in[0].params.Scale) * (math.MaxInt32 - 1)) * 1.0001
		p[k].Scale = max(p[k].Scale, math.Nextafter32(float32(least), float32(math.Inf(1))))
	}
	coded, err := weight.Encode(u.weights.off, c.Format, c.Block, p)
	if err != nil {
		return e.keep(f)
	}
	r := remedy{text: "the scale of the weights has to grow with the bias: quantize anew", c: e.withBias(u, changes{u.weights: change{coded: coded}})}
	return append([]remedy{r}, e.keep(f)...)
}

// correctBias takes the shift of the mean out of a layer's bias.
func (e *exam) correctBias(f *finding) []remedy {
	u := f.unit
	var list []remedy
	if u.bias == nil {
		return e.finerWeights(f)
	}
	if u.bias.off != nil {
		list = append(list, remedy{text: "the bias of the float model: quantize anew, with --fix bias", c: changes{u.bias: {bias: tensor.Of[float32](u.bias.off)}}})
	}
	s := &e.screening.layers[u].shift
	x := e.biasOf(u)
	if len(x) == len(s.diff) {
		for k := range x {
			x[k] -= float32(s.mean(k))
		}
		list = append(list, remedy{text: "--fix bias", c: changes{u.bias: {bias: x}}})
	}
	return append(list, e.keep(f)...)
}
