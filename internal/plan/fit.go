package plan

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"lowbit/internal/calib"
	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// Fit finds the parameters of every value: of activations from the statistics, of constants
// from their elements. Values that already have parameters keep them. The work is spread over
// threads, whose number does not change the result.
func (p *Plan) Fit(m *graph.Model, stats map[string]*calib.Stats, set Settings, threads int) error {
	return p.FitTold(m, stats, set, threads, func(int, int) {})
}

// FitTold is Fit that tells how many of the values it has looked at, each once to fit it and once to measure it. tell is called
// from several goroutines.
func (p *Plan) FitTold(m *graph.Model, stats map[string]*calib.Stats, set Settings, threads int, tell func(done, total int)) error {
	consts := constants(m)
	byAs := map[string]*Value{}
	var open []*Value
	for _, v := range p.Values {
		byAs[v.As] = v
		if len(v.Params) == 0 && v.Like == "" && v.Role != RoleBias {
			open = append(open, v)
		}
	}
	var done atomic.Int64
	total := len(open) + len(p.Values)
	err := each(open, threads, func(v *Value) error {
		defer func() { tell(int(done.Add(1)), total) }()
		defer m.Forget(consts[v.Name])
		return v.fit(consts[v.Name], stats[v.Name], set)
	})
	if err != nil {
		return err
	}
	if set.Exact {
		p.shorten(open, byAs)
	}
	for _, v := range p.Values {
		if v.Like == "" {
			continue
		}
		from := byAs[v.Like]
		for from != nil && from.Like != "" {
			from = byAs[from.Like]
		}
		if from == nil {
			return fault.Invalidf(fmt.Sprintf("value %q", v.Name), "takes the parameters of %q, which the plan lacks", v.Like)
		}
		v.Params = from.Params
	}
	p.spare(consts, byAs)
	for i := range 2 * len(p.Values) { // a weight scale that one bias raises changes every bias that shares it
		if v := p.Values[i%len(p.Values)]; v.Role == RoleBias {
			if err := v.fitBias(consts[v.Name], byAs[v.Input], byAs[v.Weight]); err != nil {
				return fault.At(fmt.Sprintf("value %q", v.Name), err)
			}
		}
	}
	return each(p.Values, threads, func(v *Value) error {
		v.measure(consts[v.Name])
		m.Forget(consts[v.Name])
		tell(int(done.Add(1)), total)
		return nil
	})
}

// Rounded returns a weight as it reads back from codes whose parameters are fitted to it.
func (v *Value) Rounded(t *tensor.Tensor) (*tensor.Tensor, error) {
	own, f := *v, format.Lookup(v.Format)
	if err := own.fitWeight(t, f); err != nil {
		return nil, err
	}
	codes, err := f.QuantizeTensor(t, v.Block, own.Params)
	if err != nil {
		return nil, err
	}
	return f.DequantizeTensor(codes, v.Block, own.Params)
}

// Rescale gives a weight other parameters, and every bias that is stored at the product with its
// scale new ones. m holds the constants.
func (p *Plan) Rescale(m *graph.Model, as string, params []format.Params) error {
	w := p.Value(as)
	if w == nil {
		return fault.Invalidf(fmt.Sprintf("value %q", as), "is not in the plan")
	}
	if w.Fitted == nil {
		w.Fitted = w.Params
	}
	w.Params = params
	consts := constants(m)
	for range 2 { // one bias may raise the scale that another one shares
		for _, v := range p.Values {
			if v.Role == RoleBias && v.Weight == as {
				if err := v.fitBias(consts[v.Name], p.Value(v.Input), w); err != nil {
					return fault.At(fmt.Sprintf("value %q", v.Name), err)
				}
			}
		}
	}
	return nil
}

// Rewind gives every weight the parameters that repairs began with, so that the same repairs may be
// made again. m holds the constants.
func (p *Plan) Rewind(m *graph.Model) error {
	for _, v := range p.Values {
		if v.Fitted == nil {
			continue
		}
		if err := p.Rescale(m, v.As, slices.Clone(v.Fitted)); err != nil {
			return err
		}
		v.Fitted = nil
	}
	return nil
}

// each does something to values that do not depend on one another.
func each(values []*Value, threads int, do func(v *Value) error) error {
	errs := make([]error, len(values))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range max(1, threads) {
		wg.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(values); i = next.Add(1) - 1 {
				v := values[i]
				errs[i] = fault.At(fmt.Sprintf("value %q", v.Name), v.guarded(do))
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// constants returns the initializers of all graphs by name.
func constants(m *graph.Model) map[string]*tensor.Tensor {
	all := map[string]*tensor.Tensor{}
	for g := range m.Graph.Graphs() {
		for _, c := range g.Consts() {
			all[c.Name] = c.Tensor
		}
	}
	return all
}

// guarded survives a mapped file which changes under it.
func (v *Value) guarded(do func(v *Value) error) (err error) {
	defer fault.Trap()()
	defer func() {
		if r := recover(); r != nil {
			err = fault.Recovered("", r)
		}
	}()
	return do(v)
}

func (v *Value) fit(t *tensor.Tensor, s *calib.Stats, set Settings) error {
	f := format.Lookup(v.Format)
	switch {
	case v.Role == RoleActivation && s == nil:
		return fault.Invalidf("", "calibration never reached it")
	case v.Role == RoleActivation:
		return v.fitActivation(s, f, set)
	case t == nil:
		return fault.Invalidf("", "is not a constant of the model")
	}
	var err error
	if v.Role == RoleWeight {
		err = v.fitWeight(t, f)
	} else {
		v.Params, err = cover(f, tensor.Of[float32](t))
	}
	if err != nil {
		return fault.Invalidf("", "%v", err)
	}
	return nil
}

// fitActivation finds the parameters of a value that flows, and whether its observer mattered.
func (v *Value) fitActivation(s *calib.Stats, f *format.Format, set Settings) error {
	if v.observer == nil {
		v.observer = set.Observer
	}
	p, err := v.observer.Fit(s, f, set.Symmetric)
	if err != nil {
		return fault.Invalidf("", "%v", err)
	}
	plain, err := calib.MinMax.Fit(s, f, set.Symmetric)
	v.idle = err == nil && plain == p
	v.Params = []format.Params{p}
	v.Reason = fmt.Sprintf("%s; %s over %d samples saw [%.6g, %.6g]", v.Reason, v.observer.Name, s.Samples, s.Min, s.Max)
	return nil
}

// fitWeight finds the parameters of each block of a weight, by the observer where one was asked for.
func (v *Value) fitWeight(t *tensor.Tensor, f *format.Format) error {
	x := tensor.Of[float32](t)
	plain, err := f.FitTensor(x, t.Shape, v.Block)
	v.Params = plain
	if v.observer == nil || err != nil {
		return err
	}
	v.Params, err = f.FitTensorWith(x, t.Shape, v.Block, func(x []float32) format.Params { return v.observer.FitBlock(x, f) })
	v.idle = slices.Equal(plain, v.Params)
	v.Reason += "; scaled by " + v.observer.Name
	return err
}

// cover returns the one scale with which a format holds every element of a constant operand.
func cover(f *format.Format, x []float32) ([]format.Params, error) {
	lo, hi := (format.Block{}).Ranges(x, []int{len(x)})
	p := f.Cover(float64(lo[0]), float64(hi[0]), false)
	if math.IsInf(float64(lo[0]), 0) || math.IsInf(float64(hi[0]), 0) {
		return nil, fmt.Errorf("holds infinite values")
	}
	return []format.Params{p}, nil
}

// biasMargin times the magnitude of a bias is the smallest scale at which it fits into 32 bits.
const biasMargin = 1.0001 * 2 / (1<<32 - 2)

// leastScale is the smallest normal float32: no scale may be below.
const leastScale = 0x1p-126

// leastFor is the smallest scale of weights at which an element of a bias fits into 32 bits, behind an input of scale sx.
func leastFor(e float32, sx float64) float64 {
	return math.Max(biasMargin*math.Abs(float64(e)), leastScale) / sx
}

// fitBias gives a bias the product of the two scales. Where an element would not fit into int32 at
// that scale, or the product is too small for a scale, the weight's scale is raised until it does.
func (v *Value) fitBias(t *tensor.Tensor, in, w *Value) error {
	if t == nil || in == nil || w == nil || len(in.Params) != 1 || len(w.Params) == 0 {
		return fault.Invalidf("", "its input or weight is not in the plan")
	}
	b := tensor.Of[float32](t)
	if len(w.Params) != 1 && len(w.Params) != len(b) {
		return fault.Invalidf("", "%d elements for %d weight scales", len(b), len(w.Params))
	}
	sx := float64(in.Params[0].Scale)
	for i, e := range b {
		k := min(i, len(w.Params)-1)
		least := leastFor(e, sx)
		if least > float64(w.Params[k].Scale) {
			w.Params[k].Scale = math.Nextafter32(float32(least), float32(math.Inf(1)))
			w.Reason += fmt.Sprintf("; scale %d raised so that bias %q fits 32 bits", k, v.Name)
		}
	}
	v.Params = make([]format.Params, len(w.Params))
	for i, p := range w.Params {
		v.Params[i].Scale = float32(sx * float64(p.Scale))
	}
	return nil
}

// measure records how well a weight survives its format.
func (v *Value) measure(t *tensor.Tensor) {
	if v.Role != RoleWeight && v.Role != RoleConstant || t == nil {
		return
	}
	f := format.Lookup(v.Format)
	if ratio, err := f.TensorSQNR(t, v.Block, v.Params); err == nil {
		v.SQNR = round2(ratio)
	}
}

func round2(v float64) float64 { return math.Round(v*100) / 100 }
