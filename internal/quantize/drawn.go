package quantize

import (
	"cmp"
	"context"
	"fmt"
	"hash"
	"slices"
	"time"

	"lowbit/internal/calib/dataset"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/repair"
	"lowbit/internal/tensor"
)

// What fitting drawn inputs to BatchNormalizations may take.
const (
	drawnShare      = 3 // a third of the budget
	drawnSteps      = 24
	drawnStepsLeast = 8
	drawnLeast      = 16       // inputs: fewer are no calibration
	drawnMost       = 128      // more tell nothing new
	drawnBytes      = 64 << 20 // of fitted inputs
)

// Drawn tells of inputs that were drawn, for want of data, and fitted to what BatchNormalizations keep of the
// data that the network was trained on.
type Drawn struct {
	Norms   int    // BatchNormalizations of the model
	Reached int    // those that gradients reach from Input
	Input   string // "" where nothing was fitted
	Inputs  int    // how many were fitted and are used
	Steps   int
	Work    time.Duration // estimated
	Before  float64       // distance from the statistics of those reached, as they were drawn
	After   float64       // and fitted
	Note    string        // what was not done, and why
}

// drawn says whether samples were drawn, for want of data.
func drawn(d *dataset.Source) bool { return d != nil && d.Info().Form == dataset.None }

// drawn says whether the samples were.
func (q *quantization) drawn() bool { return drawn(q.opt.Data) }

// warnings tell what is known of the network where there is no data.
func (d *Drawn) warnings() []string {
	switch {
	case d == nil:
		return nil
	case d.Norms == 0:
		return []string{"without data: the model's BatchNormalizations are folded already, or it has none, so ranges and means are those of drawn samples, propagated through the network"}
	case d.Input == "":
		return []string{fmt.Sprintf("without data: ranges are those of drawn samples, means those that %d BatchNormalizations keep; the samples are not fitted to these: %s", d.Norms, d.Note)}
	}
	text := fmt.Sprintf("without data: ranges are those of %d drawn samples, fitted in %d steps to %d of %d BatchNormalizations: squared distance from the means and deviations that these keep %.3g → %.3g", d.Inputs, d.Steps, d.Reached, d.Norms, d.Before, d.After)
	if d.Note != "" {
		text += "; " + d.Note
	}
	return []string{text}
}

// fitDrawn fits drawn inputs, and lets o have them as its data. It returns nil where there is data.
func fitDrawn(ctx context.Context, m *graph.Model, o *Options, b *book) (*Drawn, error) {
	if !drawn(o.Data) || o.picking {
		return nil, nil
	}
	float := pass.Clone(m)
	norms, err := pass.PrepareNorms(float)
	d := &Drawn{Norms: len(norms)}
	if err != nil || len(norms) == 0 {
		return d, err
	}
	f := &drawnFit{told: d, opt: o, float: float, norms: norms, book: b}
	if err := f.pick(); err != nil || d.Input == "" {
		return d, err
	}
	if !f.afford() {
		d.Input = ""
		return d, nil
	}
	return d, f.run(ctx)
}

// A drawnFit fits drawn inputs to the normalizations of one network.
type drawnFit struct {
	told   *Drawn
	opt    *Options
	float  *graph.Model
	norms  map[string]pass.Norm
	fitter *repair.Distiller
	book   *book
	bytes  int // of one input
}

// pick chooses the input from which gradients reach most normalizations.
func (f *drawnFit) pick() error {
	first, err := f.opt.Data.Sample(0)
	if err != nil {
		return err
	}
	level, err := kernel.Best()
	if err != nil {
		return fault.Invalidf("", "%v", err)
	}
	types := map[string]graph.Type{}
	for name, t := range first.Inputs {
		types[name] = graph.Of(t.DType, t.Shape...)
	}
	facts, err := op.Infer(f.float, types)
	if err != nil {
		return err
	}
	d := f.told
	for _, v := range f.float.Graph.Required() {
		fitter, err := repair.NewDistiller(level, f.float, facts, v.Name, f.norms)
		if err != nil {
			d.Note = cmp.Or(d.Note, err.Error())
			continue
		}
		if n := fitter.Reached(); n > d.Reached {
			f.fitter, d.Reached, d.Input, f.bytes = fitter, n, v.Name, first.Inputs[v.Name].Bytes()
		}
	}
	if f.fitter != nil {
		d.Note = f.fitter.Shortfall()
	}
	return nil
}

// afford finds how many inputs can be fitted in how many steps within a share of the budget.
func (f *drawnFit) afford() bool {
	d, budget := f.told, f.opt.Budget/drawnShare
	all := f.opt.Data.Len()
	most := min(all, drawnMost, max(drawnLeast, drawnBytes/max(1, f.bytes)))
	cost := func(n, steps int) time.Duration { return seconds(float64(n) * f.fitter.Work(steps)) }
	d.Inputs, d.Steps = most, drawnSteps
	for d.Steps > drawnStepsLeast && cost(d.Inputs, d.Steps) > budget {
		d.Steps--
	}
	for d.Inputs > drawnLeast && cost(d.Inputs, d.Steps) > budget {
		d.Inputs--
	}
	d.Work = cost(d.Inputs, d.Steps)
	if d.Work > budget {
		d.Note = fmt.Sprintf("%d of them in %d steps would take about %s, and a third of the budget is %s (`budget`)", d.Inputs, d.Steps, shortSeconds(d.Work), shortSeconds(budget))
		return false
	}
	f.opt.Tell(fmt.Sprintf("%d drawn inputs are fitted to %d of %d BatchNormalizations in %d steps, %s at most; the budget is %s", d.Inputs, d.Reached, d.Norms, d.Steps, shortSeconds(d.Work), shortSeconds(f.opt.Budget)))
	return true
}

// run fits the inputs, and makes them the data.
func (f *drawnFit) run(ctx context.Context) error {
	d, base := f.told, f.opt.Data
	list := make([]*tensor.Tensor, d.Inputs)
	for i := range list {
		s, err := base.Sample(i)
		if err != nil {
			return err
		}
		list[i] = s.Inputs[d.Input]
	}
	journal, err := f.book.chapter("fit inputs", func(h hash.Hash) error {
		_, err := fmt.Fprintf(h, "%q %d %d", d.Input, d.Inputs, d.Steps)
		return err
	})
	if err != nil {
		return err
	}
	way, err := f.fitter.Fit(ctx, list, repair.Fitting{
		Steps: d.Steps, Bounded: slices.Contains(base.Info().Drawn, d.Input), Threads: f.opt.Threads,
		Progress: func(done, total int) { f.opt.Progress("fit inputs", done, total) }, Journal: journal,
	})
	if err != nil {
		return err
	}
	if !(way.After < way.Before) {
		d.Input, d.Note = "", fmt.Sprintf("the distance from them, %.3g, did not fall", way.Before)
		return nil
	}
	d.Before, d.After = way.Before, way.After
	info := base.Info()
	info.Total = d.Inputs
	f.opt.Data = dataset.New(info, func(i int) (*dataset.Sample, error) {
		s, err := base.Sample(i)
		if err == nil {
			s.Inputs[d.Input] = list[i]
		}
		return s, err
	})
	return nil
}
