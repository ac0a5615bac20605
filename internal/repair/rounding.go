package repair

import (
	"context"
	"fmt"
	"math"
	"slices"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// A group is the weights of one layer, or of one of the groups of a convolution, that read the same
// input: (rows,k), with what the samples say of them.
type group struct {
	fit, held *gram
	w         []float64 // as they are in float
	format    *format.Format
	params    []format.Params    // of the plan
	owner     func(o, i int) int // which of them weight i of output channel o has
	free      bool               // a solver may change params: those with one owner alike
	scalable  bool               // and each output channel has one
	note      string             // where the solver fell back
}

// own lists the parameters of the weights of an output channel.
func (g *group) own(o int) []format.Params {
	list := make([]format.Params, g.fit.k)
	for i := range list {
		list[i] = g.params[g.owner(o, i)]
	}
	return list
}

// give gives the weights of an output channel other parameters: those with one owner alike.
func (g *group) give(o int, list []format.Params) {
	for i, p := range list {
		g.params[g.owner(o, i)] = p
	}
}

// A solver returns weights on the marks (rows,k) that err less than the nearest ones, or nil.
type solver func(ctx context.Context, g *group, threads int) []float64

// reround runs a solver on every layer, each behind layers that are quantized and solved already. Of
// each output channel the solution is kept if it errs less than rounding to nearest on the samples held back.
func reround(ctx context.Context, j *Job, solve solver) (*Outcome, error) {
	r := &rounder{corrector: &corrector{track: newTrack(j)}, solve: solve}
	if len(r.fit) == 0 {
		return &Outcome{Note: "it needs samples"}, nil
	}
	r.most, r.bytes, r.fit = roundingRows, keptBytes, j.Fit
	wide := 0
	err := r.start(ctx, func(l *layer) bool {
		win, ok := windowOf(l.node, j.Net.Graph.ConstTensor(l.node.In[l.weight]))
		if ok && win.k > Widest {
			wide++
			return false
		}
		return ok
	})
	if err == nil {
		err = r.each(ctx, r.piece)
	}
	if wide > 0 {
		r.out.Note = fmt.Sprintf("%d layers read more than %d inputs and keep weights rounded to nearest", wide, Widest)
	} else if r.fallen > 0 {
		r.out.Note = fmt.Sprintf("%d layers keep weights rounded to nearest, for their samples do not determine others", r.fallen)
	} else if len(r.out.Changes) == 0 {
		r.out.Note = "no layer errs less on samples held back than with weights rounded to nearest"
	}
	return r.out, err
}

// Widest is how many inputs a layer reads at most that weights are rounded for: each of the matrices Σxxᵀ, of which there
// are three, takes 2 GiB then, and the work grows with the cube.
const Widest = 1 << 14

// roundingRows is how many rows are kept of each sample at most, roundingBytes what those of the
// layer at hand take, and keptBytes what is kept for the layers that come next.
const (
	roundingRows  = 256
	roundingBytes = 256 << 20
	keptBytes     = 128 << 20
)

type rounder struct {
	*corrector
	solve solver
}

func (r *rounder) piece(ctx context.Context, p *piece, l *layer, want []seen) ([]map[string]*tensor.Tensor, bool, error) {
	w := r.job.Net.Graph.ConstTensor(l.node.In[l.weight])
	win, _ := windowOf(l.node, w)
	x, y := make([][]float32, len(want)), make([][]float32, len(want))
	most := max(1, roundingBytes/(4*win.k*win.groups*len(want)))
	input := p.layer.In[0]
	inputs := make([]*tensor.Tensor, len(want))
	for i := range inputs {
		inputs[i] = r.walk.value(i, input) // nil unless the piece begins with it
	}
	left, err := r.walk.run(ctx, p, []string{input, p.layer.Out[0]}, func(i int, value string, t *tensor.Tensor) {
		if value == input {
			inputs[i] = t.Clone()
			return
		}
		if !want[i].like(t) {
			inputs[i] = nil
			return
		}
		var out []int
		if !win.matrix {
			out = t.Shape[2:]
		}
		per := len(want[i].x) / r.channels(l)
		at := picks(t.Len()/r.channels(l), per)
		step := (per + most - 1) / most
		x[i] = win.patches(inputs[i], out, every(at, step))
		inputs[i] = nil
		y[i] = r.withoutBias(l, want[i].x, per, step)
	})
	if err != nil {
		return nil, false, err
	}
	solved, err := r.solveAll(ctx, l, &win, w, x, y)
	if err != nil || solved == nil {
		return left, false, err
	}
	r.job.Net.Graph.SetConst(l.node.In[l.weight], solved)
	if err := r.walk.setConst(p.layer, l.weight, l.stored, solved, r.job.Plan); err != nil || l.bias == 0 {
		return nil, true, err
	}
	return r.corrector.piece(ctx, p, l, want)
}

// every takes the first of each step elements.
func every(list []int, step int) []int {
	if step <= 1 {
		return list
	}
	var some []int
	for i := 0; i < len(list); i += step {
		some = append(some, list[i])
	}
	return some
}

// withoutBias takes the bias out of the first of each step results of a layer (C,per).
func (r *rounder) withoutBias(l *layer, want []float32, per, step int) []float32 {
	var b []float32
	if in := l.node.In; l.bias > 0 && l.bias < len(in) && in[l.bias] != "" {
		b = tensor.Of[float32](r.job.Net.Graph.ConstTensor(in[l.bias]))
	}
	if b == nil && step == 1 {
		return want
	}
	y := make([]float32, 0, len(want)/step)
	for c := range len(want) / max(1, per) {
		for i := 0; i < per; i += step {
			v := want[c*per+i]
			if b != nil {
				v -= b[c]
			}
			y = append(y, v)
		}
	}
	return y
}

// A tally sums up what became of the output channels of a layer.
type tally struct {
	rows, all             int // solved, and all
	before, after, signal float64
	note                  string
}

// solveAll solves the groups of a layer and returns its new weights, nil where none changed.
func (r *rounder) solveAll(ctx context.Context, l *layer, win *window, w *tensor.Tensor, x, y [][]float32) (*tensor.Tensor, error) {
	v := r.job.Plan.Value(l.stored)
	b := &bench{rounder: r, win: win, old: tensor.Of[float32](w), value: v, owners: v.Block.Owners(w.Shape), centred: l.bias > 0, x: x, y: y}
	b.new, b.params = make([]float32, len(b.old)), slices.Clone(v.Params)
	b.free = b.isFree()
	tallies := make([]tally, win.groups)
	outer, inner := 1, r.job.Threads
	if win.groups > 1 {
		outer, inner = inner, 1
	}
	err := calib.Each(ctx, win.groups, outer, func(ctx context.Context, g int) error {
		tallies[g] = b.group(ctx, g, inner)
		return ctx.Err()
	})
	if err != nil {
		return nil, err
	}
	var sum tally
	for _, t := range tallies {
		sum.rows, sum.all = sum.rows+t.rows, sum.all+t.all
		sum.before, sum.after, sum.signal = sum.before+t.before, sum.after+t.after, sum.signal+t.signal
		if t.note != "" {
			sum.note = "; " + t.note
		}
	}
	if sum.note != "" {
		r.fallen++
	}
	if sum.rows == 0 {
		return nil, nil
	}
	if b.free {
		if err := r.job.Plan.Rescale(r.job.Net, l.stored, b.params); err != nil {
			return nil, err
		}
	}
	r.out.addGain(ratio(sum.before, sum.after), l.name, "weights of %d of %d output channels rounded anew: %.1f → %.1f dB on samples held back%s", sum.rows, sum.all, ratio(sum.signal, sum.before), ratio(sum.signal, sum.after), sum.note)
	return tensor.Float32s(b.new, w.Shape...), nil
}

// ratio writes an error as a signal to noise ratio in dB.
func ratio(signal, noise float64) float64 {
	return 10 * math.Log10(max(signal, 1e-30)/max(noise, 1e-30))
}

// A bench holds what the groups of one layer are solved from.
type bench struct {
	*rounder
	win      *window
	value    *plan.Value
	owners   []int // parameter of each weight
	centred  bool  // the bias takes up the mean error
	old, new []float32
	params   []format.Params // of the whole weight
	free     bool            // see group
	x        [][]float32     // by sample: (groups,n,k)
	y        [][]float32     // by sample: (groups·rows,n)
}

// isFree says whether the weights of one output channel alone share a scale, which no other node reads.
func (b *bench) isFree() bool {
	f := format.Lookup(b.value.Format)
	readers := 0
	for _, n := range b.job.Plan.Nodes {
		for _, as := range n.Inputs {
			if as == b.value.As {
				readers++
			}
		}
	}
	if readers != 1 || f.Lo >= f.Hi || f.Snap != nil || f.Scale != nil {
		return false
	}
	row := make([]int, len(b.params))
	for g := range b.win.groups {
		for o := range b.win.rows {
			for i := range b.win.k {
				at := &row[b.owners[b.win.index(g, o, i)]]
				own := g*b.win.rows + o + 1
				if *at != 0 && *at != own {
					return false
				}
				*at = own
			}
		}
	}
	return true
}

// group solves one group and writes its weights.
func (b *bench) group(ctx context.Context, number, threads int) tally {
	win := b.win
	g := b.gather(ctx, number, threads)
	solved := b.solve(ctx, g, threads)
	t := tally{all: win.rows, note: g.note}
	before, after := make([]float64, win.rows), make([]float64, win.rows)
	_ = calib.Each(ctx, win.rows, threads, func(_ context.Context, o int) error { // who called looks at ctx
		before[o], after[o] = b.settle(g, number, o, solved)
		return nil
	})
	for o, e := range before {
		if after[o] < e {
			t.rows++
		}
		if e-e == 0 { // else samples or weights are infinite, and tell nothing
			t.before, t.after, t.signal = t.before+e, t.after+after[o], t.signal+g.held.yy[o]
		}
	}
	return t
}

// settle writes the weights of output channel o of a group: those that were solved where they err less on samples held
// back than those rounded to nearest do. It returns what the latter err, and those that are written.
func (b *bench) settle(g *group, number, o int, solved []float64) (before, after float64) {
	win := b.win
	row := make([]float64, win.k)
	for i := range row {
		row[i] = g.format.Nearest(g.w[o*win.k+i], b.value.Params[b.owners[win.index(number, o, i)]])
	}
	before = g.held.loss(o, row)
	after = before
	if solved != nil {
		if e := g.held.loss(o, solved[o*win.k:][:win.k]); e < before && before-before == 0 {
			after, row = e, solved[o*win.k:][:win.k]
		}
	}
	if b.free && after < before {
		for i := range row {
			at := g.owner(o, i)
			b.params[at] = g.params[at]
		}
	}
	for i, q := range row {
		b.new[win.index(number, o, i)] = float32(q)
	}
	return before, after
}

// aimsOwn says whether a layer aims at what its float weights make of the inputs that it gets, rather than at what it yields in
// the float network, which makes up for the errors of those before it too. Beside activations in codes most of that error is
// noise, for which least squares make weights smaller (errors in variables), in each layer anew. Weights of few bits err more
// than that, and have to make up for one another all the same.
func (b *bench) aimsOwn() bool {
	return b.job.Plan.Mode == plan.Static && format.Lookup(b.value.Format).Bits >= 8
}

// gather collects the weights of a group and what the samples say of them. Where there is one set
// of samples only, every second one judges; a single one does both.
func (b *bench) gather(ctx context.Context, number, threads int) *group {
	win := b.win
	n := win.rows * win.k
	g := &group{fit: newGram(win.k, win.rows), held: newGram(win.k, win.rows), format: format.Lookup(b.value.Format), w: make([]float64, n), params: slices.Clone(b.value.Params), free: b.free}
	g.scalable = b.free && b.value.Block.Kind == format.Channel
	g.owner = func(o, i int) int { return b.owners[win.index(number, o, i)] }
	for o := range win.rows {
		for i := range win.k {
			g.w[o*win.k+i] = float64(b.old[win.index(number, o, i)])
		}
	}
	for s := range b.x {
		m := g.fit
		if s >= len(b.fit) || len(b.held) == 0 && s%2 == 1 {
			m = g.held
		}
		rows := len(b.x[s]) / (win.k * win.groups)
		if rows == 0 {
			continue
		}
		x, y := b.x[s][number*rows*win.k:][:rows*win.k], b.y[s][number*win.rows*rows:][:win.rows*rows]
		var own []float32
		if b.aimsOwn() {
			own = make([]float32, len(y))
		}
		trusted := trust(ctx, b.job.Level, threads, g.w, x, y, own, win.k, win.rows, b.centred)
		if own != nil {
			y = own
		}
		m.add(ctx, b.job.Level, threads, x, y, trusted)
	}
	g.fit.finish(b.centred)
	if g.held.weight == 0 {
		g.held = g.fit
	} else {
		g.held.finish(b.centred)
	}
	return g
}
