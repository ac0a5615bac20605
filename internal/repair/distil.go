package repair

import (
	"context"
	"fmt"
	"math"
	"slices"

	"lowbit/internal/calib"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/kernel"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/tensor"
)

// A Distiller fits inputs to what the BatchNormalizations of a network tell: that over a batch each
// channel of each of their results has the mean and the deviation that it had in training. The sum of
// squared differences goes down by Adam on the inputs (Cai et al., ZeroQ: A Novel Zero Shot
// Quantization Framework, 2020, section 3.1). Differences count in deviations, so that no layer and no
// channel outweighs the others.
type Distiller struct {
	tape    *taper
	watches []*watch
	work    float64 // of one run forwards, in multiply-adds
	end     string  // the first node that the tape could not take, "" where it took all that it met
	norms   int     // that the network has
	kept    int     // bytes of values of a whole batch, up to which they are not computed twice
	lane    int     // bytes of values and gradients of one input
}

const (
	distilRate  = 0.1       // of Adam, as a share of the inputs' deviation; it falls by a cosine
	distilBatch = 32        // inputs that together have the wanted statistics
	distilKept  = 128 << 20 // bytes
	distilLane  = 256 << 20 // bytes of values and gradients of one input at most
	distilLanes = 1 << 30   // and of those that threads work on at once
	cellWork    = 20        // multiply-adds that one number of a cell stands for
)

// distilled says for operators how to put them on a tape that inputs are fitted on, where that is more than
// what tapers do.
var distilled = map[string]func(b *taper, n *graph.Node) bool{
	"BatchNormalization": putNorm, "Add": putPairing, "Mul": putPairing, "Sub": putPairing, "Div": putPairing,
	"ReduceMean": putReduced, "Reshape": putReshaped, "Flatten": putReshaped, "Squeeze": putReshaped, "Unsqueeze": putReshaped,
}

// NewDistiller prepares to fit the named input of a network, whose values have the shapes in facts.
func NewDistiller(level kernel.Level, m *graph.Model, facts op.Facts, input string, norms map[string]pass.Norm) (*Distiller, error) {
	shape, ok := facts[input].Static()
	g := m.Graph
	t := &taper{tape: &tape{level: level, fixed: true}, g: g, x: g.Index(), cellOf: map[string]int{}, knobOf: map[string]int{}, facts: facts, opsets: m.Opsets}
	t.spatial = len(shape) == 4 || (&section{nodes: g.Nodes}).spatial()
	c, put := cellFor(shape, t.spatial)
	if !ok || !put || facts[input].DType != tensor.Float32 {
		return nil, fault.Unsupportedf(input, "gradients need a float input of one sample")
	}
	d := &Distiller{tape: t, norms: len(norms), kept: distilKept}
	t.in = t.add(input, c)
	t.start = t.in
	d.put(norms)
	if len(d.watches) == 0 {
		return nil, fault.Unsupportedf(input, "no BatchNormalization is in reach of gradients%s", d.cause())
	}
	for _, c := range t.cells {
		d.lane += 8 * c.len()
	}
	if d.lane > distilLane {
		return nil, fault.Limitf(input, "values and gradients of one input take %d MB", d.lane>>20)
	}
	return d, nil
}

// put puts all nodes on the tape that can be, and watches the results of normalizations.
func (d *Distiller) put(norms map[string]pass.Norm) {
	t := d.tape
	last, work := 0, 0.0
	for _, n := range t.g.Nodes {
		if !slices.ContainsFunc(n.In, func(name string) bool { _, ok := t.cellOf[name]; return ok }) || d.constant(n) {
			continue
		}
		steps, cells := len(t.steps), len(t.cells)
		if !t.take(n) {
			t.steps = t.steps[:steps]
			for _, name := range n.Out {
				delete(t.cellOf, name)
			}
			if d.end == "" {
				d.end = fmt.Sprintf("%s (%s)", n.Label(), n.Op)
			}
			continue
		}
		for _, s := range t.steps[steps:] {
			if a, ok := s.(*affine); ok {
				work += float64(t.cells[a.to].len()) * float64(a.win.k)
			}
		}
		for _, c := range t.cells[cells:] {
			work += cellWork * float64(c.len())
		}
		for _, name := range n.Out {
			at, ok := t.cellOf[name]
			if v, told := norms[name]; ok && told && len(v.Mean) == t.cells[at].c {
				w := newWatch(at, len(d.watches), v)
				d.watches, t.steps = append(d.watches, w), append(t.steps, w)
				last, d.work = len(t.steps), work
			}
		}
	}
	t.steps, t.sums = t.steps[:last], len(d.watches)
}

// constant says whether what a node makes is known: it reads a shape.
func (d *Distiller) constant(n *graph.Node) bool {
	return !slices.ContainsFunc(n.Out, func(name string) bool { return name != "" && d.tape.facts[name].Value == nil })
}

// take puts one node.
func (b *taper) take(n *graph.Node) bool {
	name := op.QualifiedName(n)
	if put := distilled[name]; put != nil {
		return put(b, n)
	}
	if put := tapers[name]; put != nil && put(b, n) {
		return true
	}
	if curves[name] != nil {
		return putCurve(b, n)
	}
	o := op.Lookup(n.Domain, n.Op)
	return o != nil && o.Quant.Share && putMove(b, n)
}

// Reached is how many normalizations are in reach of gradients.
func (d *Distiller) Reached() int { return len(d.watches) }

// Shortfall says why normalizations are out of reach, "" where none is.
func (d *Distiller) Shortfall() string {
	if len(d.watches) == d.norms {
		return ""
	}
	return fmt.Sprintf("%d of %d BatchNormalizations are out of reach of gradients%s", d.norms-len(d.watches), d.norms, d.cause())
}

func (d *Distiller) cause() string {
	if d.end == "" {
		return ""
	}
	return ", which end at " + d.end
}

// Work is the multiply-adds of fitting one input in so many steps.
func (d *Distiller) Work(steps int) float64 {
	runs := 2*steps + 2
	if !d.keeps(distilBatch) {
		runs += steps
	}
	return float64(runs) * d.work
}

// keeps says whether the values of so many inputs are kept between the two halves of a step.
func (d *Distiller) keeps(n int) bool {
	return n*d.lane/2 <= d.kept
}

// A Fitting says how inputs are to be fitted.
type Fitting struct {
	Steps    int
	Bounded  bool // no channel leaves the range that it has in the inputs as they are
	Threads  int
	Progress func(done, total int)
	Journal  Journal // of batches that an earlier run of the same work fitted; nil: none is kept
}

// A fittedBatch is inputs, and the sums of what watches saw of them before and after.
type fittedBatch struct {
	Inputs      [][]byte
	First, Last sums
}

// A Distance is how far inputs are from the statistics of the normalizations: the mean over these of the squared
// differences of means and deviations, in deviations.
type Distance struct{ Before, After float64 }

// Fit changes inputs, batch by batch. A batch that comes no nearer stays as it is.
func (d *Distiller) Fit(ctx context.Context, inputs []*tensor.Tensor, f Fitting) (Distance, error) {
	lo, hi := d.bounds(inputs, f.Bounded)
	var before, after sums
	parts := (len(inputs) + distilBatch - 1) / distilBatch
	for k := range parts {
		part := inputs[len(inputs)*k/parts : len(inputs)*(k+1)/parts]
		own, err := Once(f.Journal, fmt.Sprintf("batch %d of %d", k, parts), func() (*fittedBatch, error) {
			b := newBatch(d, part, f, lo, hi)
			b.progress = func(step int) { f.Progress(k*f.Steps+step, parts*f.Steps) }
			return b.fit(ctx)
		})
		if err != nil {
			return Distance{}, err
		}
		for i, raw := range own.Inputs {
			part[i].Raw = raw
		}
		before, after = before.plus(own.First), after.plus(own.Last)
	}
	return Distance{d.distance(before, len(inputs)), d.distance(after, len(inputs))}, nil
}

// bounds is the range of each channel, along the cell's.
func (d *Distiller) bounds(inputs []*tensor.Tensor, bounded bool) (lo, hi []float32) {
	c := d.tape.cells[d.tape.in]
	lo, hi = make([]float32, c.c), make([]float32, c.c)
	for i := range lo {
		lo[i], hi[i] = float32(math.Inf(-1)), float32(math.Inf(1))
	}
	if !bounded {
		return lo, hi
	}
	lo, hi = hi, lo
	for _, t := range inputs {
		for i, v := range tensor.Of[float32](t) {
			k := c.place(i) % c.c
			lo[k], hi[k] = min(lo[k], v), max(hi[k], v)
		}
	}
	return lo, hi
}

// sums are those of all watches over some inputs.
type sums [][]float64

func (s sums) plus(more sums) sums {
	if s == nil {
		s = make(sums, len(more))
	}
	for i, row := range more {
		if s[i] == nil {
			s[i] = make([]float64, len(row))
		}
		for k, v := range row {
			s[i][k] += v
		}
	}
	return s
}

// distance is that of n inputs with those sums, and leaves its gradient in the watches.
func (d *Distiller) distance(all sums, n int) float64 {
	total := 0.0
	for i, w := range d.watches {
		total += w.judge(all[i], float64(n*d.tape.cells[w.at].pixels()), float64(d.tape.cells[d.tape.in].len())/float64(d.tape.cells[w.at].pixels()))
	}
	return total / float64(len(d.watches))
}

// A batch is inputs that together get the wanted statistics.
type batch struct {
	*Distiller
	Fitting
	inputs   []*tensor.Tensor
	x        [][]float32 // as cells
	adams    []adam
	lanes    []*lane    // of each input, where values are kept
	free     chan *lane // of threads at work: gradients, and values where they are not kept
	seen     []sums     // of each input
	lo, hi   []float32
	rate     float32
	progress func(step int)
}

func newBatch(d *Distiller, inputs []*tensor.Tensor, f Fitting, lo, hi []float32) *batch {
	b := &batch{Distiller: d, Fitting: f, inputs: inputs, lo: lo, hi: hi, seen: make([]sums, len(inputs)), free: make(chan *lane, max(1, min(f.Threads, distilLanes/max(1, d.lane))))}
	c := d.tape.cells[d.tape.in]
	var mean, square, n float64
	for _, t := range inputs {
		x := make([]float32, c.len())
		for i, v := range tensor.Of[float32](t) {
			x[c.place(i)] = v
			mean, square, n = mean+float64(v), square+float64(float64(v)*float64(v)), n+1
		}
		b.x, b.adams = append(b.x, x), append(b.adams, newAdam(len(x)))
		if d.keeps(len(inputs)) {
			b.lanes = append(b.lanes, d.tape.lane())
		}
	}
	b.rate = distilRate * float32(math.Sqrt(max(0, square/n-float64(mean/n)*float64(mean/n))))
	for range cap(b.free) {
		b.free <- d.tape.lane()
	}
	return b
}

// borrow calls do with a lane that holds the values of input i.
func (b *batch) borrow(i int, again bool, do func(l *lane)) {
	own := <-b.free
	l := own
	if b.lanes != nil {
		l = b.lanes[i]
		l.d, l.temp = own.d, own.temp
	}
	if again || b.lanes == nil {
		l.n = 1
		for k, c := range b.tape.cells {
			l.x[k] = room(l.x[k], c.len())
		}
		copy(l.x[b.tape.in], b.x[i])
		l.forward()
	}
	do(l)
	own.d, own.temp = l.d, l.temp
	b.free <- own
}

// look runs every input and returns the sums of all.
func (b *batch) look(ctx context.Context) (sums, error) {
	err := calib.Each(ctx, len(b.x), b.Threads, func(_ context.Context, i int) error {
		b.borrow(i, true, func(l *lane) { b.seen[i] = sums(nil).plus(l.sums) })
		return nil
	})
	var all sums
	for _, s := range b.seen {
		all = all.plus(s)
	}
	return all, err
}

// fit goes down the distance, and returns the inputs that come of it: as they were, unless they are nearer.
func (b *batch) fit(ctx context.Context) (*fittedBatch, error) {
	var first sums
	for step := range b.Steps {
		all, err := b.look(ctx)
		if err != nil {
			return nil, err
		}
		if step == 0 {
			first = all
		}
		b.distance(all, len(b.x))
		rate := b.rate * float32(1+math.Cos(math.Pi*float64(step)/float64(b.Steps))) / 2
		err = calib.Each(ctx, len(b.x), b.Threads, func(_ context.Context, i int) error {
			b.borrow(i, false, func(l *lane) { b.descend(i, l, rate) })
			return nil
		})
		if err != nil {
			return nil, err
		}
		b.progress(step + 1)
	}
	last, err := b.look(ctx)
	if err != nil {
		return nil, err
	}
	if !(b.distance(last, len(b.x)) < b.distance(first, len(b.x))) {
		return &fittedBatch{First: first, Last: first}, nil
	}
	r := &fittedBatch{First: first, Last: last}
	c := b.tape.cells[b.tape.in]
	for i, t := range b.inputs {
		y := tensor.New(tensor.Float32, t.Shape...)
		for k, dst := 0, tensor.Of[float32](y); k < len(dst); k++ {
			dst[k] = b.x[i][c.place(k)]
		}
		r.Inputs = append(r.Inputs, y.Raw)
	}
	return r, nil
}

// gradient goes back over the tape.
func (b *batch) gradient(l *lane) []float32 {
	for k, c := range b.tape.cells {
		l.d[k] = room(l.d[k], c.len())
		clear(l.d[k])
	}
	for k := len(b.tape.steps) - 1; k >= 0; k-- {
		b.tape.steps[k].backward(l)
	}
	return l.d[b.tape.in]
}

// descend moves input i against its gradient.
func (b *batch) descend(i int, l *lane, rate float32) {
	a, c := &b.adams[i], b.tape.cells[b.tape.in].c
	a.next()
	for k, g := range b.gradient(l) {
		b.x[i][k] = min(b.hi[k%c], max(b.lo[k%c], b.x[i][k]-a.move(k, g, rate)))
	}
}
