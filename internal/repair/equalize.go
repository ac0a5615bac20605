package repair

import (
	"context"
	"maps"
	"math"
	"slices"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// Equalize multiplies channels by factors that the weights around them take in, so that the
// channels that share a step use it alike. What the network computes stays the same.
//
// With a step for each output channel of the weights, the channels of an activation are what has
// to share one: those that feed depthwise weights only, where a factor costs nothing, are
// stretched to the range of the whole value. With one step for all weights, factors balance the
// weights on both sides (Nagel et al., Data-Free Quantization Through Weight Equalization and Bias
// Correction, 2019, section 4.1).
var Equalize = &Repair{
	Name: "equalize", Doc: "scale channels so that those that share a step use it alike", Stage: Before,
	Channels: func(j *Job) map[string]int { return FindLanes(j.Net, j.Facts).told(j) },
	Run: func(ctx context.Context, j *Job) (*Outcome, error) {
		l := FindLanes(j.Net, j.Facts)
		room, err := Once(j.Journal, "room", func() ([]float64, error) { return l.room(ctx, j) })
		if err != nil {
			return nil, err
		}
		out := &Outcome{}
		var factors []float64
		if j.Settings.Weights.Block.Kind == format.Whole || len(j.Fit) == 0 {
			factors = l.balance(room)
		} else {
			factors = l.stretch(room)
		}
		l.rescale(j, out, factors)
		if len(out.Changes) == 0 {
			out.Note = "no channel can be scaled to advantage without changing what the network computes"
		}
		out.Redo = func(j *Job, keep func(string) bool) *Outcome {
			l, some := FindLanes(j.Net, j.Facts), slices.Clone(factors)
			for root, place := range l.owners() {
				if !keep(place) {
					some[root] = 1
				}
			}
			out := &Outcome{}
			l.rescale(j, out, some)
			return out
		}
		return out, nil
	},
}

// rescale multiplies every lane by its factor and tells of it.
func (l *Lanes) rescale(j *Job, out *Outcome, factors []float64) {
	l.report(out, factors)
	l.Scale(factors)
	l.scaleNorms(j.Norms, factors)
}

// owners gives for each root the first of the values that report names and that it is part of.
func (l *Lanes) owners() map[int]string {
	of := map[int]string{}
	l.started(func(name string, first int) {
		for c := range l.count[name] {
			if r := l.root(first + c); of[r] == "" {
				of[r] = name
			}
		}
	})
	return of
}

// started calls each with the values that begin with a node, and their first lane.
func (l *Lanes) started(each func(name string, first int)) {
	for _, n := range l.g.Nodes {
		for _, name := range n.Out {
			if first, ok := l.first[name]; ok && l.x.Producer(name) == n && l.starts(n) {
				each(name, first)
			}
		}
	}
}

const (
	// mostFactor bounds the factor of a channel: one that is nearly silent is not worth more.
	mostFactor = 1024
	// headroom keeps stretched channels this far below the bound: other samples may reach further.
	headroom = 2
)

// room finds for each root how far samples allow its lanes to grow: so that no channel leaves the
// range of any value that it is part of, and none meets its clamp earlier. 0 is not known.
func (l *Lanes) room(ctx context.Context, j *Job) ([]float64, error) {
	room := make([]float64, len(l.parent))
	if len(j.Fit) == 0 {
		return room, nil
	}
	axes := l.told(j)
	stats, err := j.channels(ctx, axes)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(axes)) {
		l.roomOf(name, stats[name], room)
	}
	return room, nil
}

// told lists the activations that have lanes, with the axis of each.
func (l *Lanes) told(j *Job) map[string]int {
	axes := map[string]int{}
	for _, v := range j.Plan.Values {
		if _, axis, _, ok := l.known(v.Name); ok && v.Role == plan.RoleActivation && v.Like == "" {
			axes[v.Name] = axis
		}
	}
	return axes
}

// roomOf takes the ranges of one value's channels into account.
func (l *Lanes) roomOf(name string, s *calib.Channels, room []float64) {
	rows := make([]calib.Channel, l.count[name])
	lo, hi := 0.0, 0.0
	for c := range rows {
		rows[c] = s.At(c)
		lo, hi = min(lo, rows[c].Min), max(hi, rows[c].Max)
	}
	for c, row := range rows {
		r := l.root(l.first[name] + c)
		top := hi
		if l.limit[r] != 0 {
			top = l.limit[r]
		}
		f := math.Inf(1)
		if row.Max > 0 {
			f = top / (headroom * row.Max)
		}
		if row.Min < 0 {
			f = min(f, lo/(headroom*row.Min))
		}
		if row.Max <= 0 && row.Min >= 0 {
			f = 1 // never seen at work
		}
		if f = max(1, f); room[r] == 0 || f < room[r] {
			room[r] = f
		}
	}
}

// stretch gives every lane that feeds depthwise weights only all the room that it has.
func (l *Lanes) stretch(room []float64) []float64 {
	dense := make([]bool, len(l.parent))
	for _, s := range l.slots {
		if s.weight && s.divide && !s.depthwise() {
			for i := range s.tensor().Shape[s.axis] * s.blocks {
				dense[l.root(s.lane+i)] = true
			}
		}
	}
	f := make([]float64, len(l.parent))
	for i := range f {
		f[i] = 1
		if l.root(i) == i && !l.fixed[i] && !dense[i] && room[i] > 0 {
			f[i] = min(room[i], mostFactor)
		}
	}
	return f
}

// depthwise says whether each output channel reads one lane only.
func (s *slot) depthwise() bool {
	return s.blocks > 1 && s.tensor().Shape[s.axis] == 1
}

const (
	balanceRounds = 40
	balanceEnough = 1e-3
	leastWeight   = 1e-8 // lanes of smaller weights are left alone
)

// balance makes the largest weight that writes a lane as large as the largest one that reads it:
// a factor of √(r₂/r₁), over all lanes until little changes. A lane that a clamp bounds above takes
// none above its room; and none below 1, which would let it pass the bound, but where samples stay so
// far below that the clamp may as well be a ReLU.
func (l *Lanes) balance(room []float64) []float64 {
	f := make([]float64, len(l.parent))
	for i := range f {
		f[i] = 1
	}
	wide := l.ranges()
	for range balanceRounds {
		most := 0.0
		in, out := make([]float64, len(f)), make([]float64, len(f))
		for _, w := range wide {
			l.extremes(w, f, in, out)
		}
		for i := range f {
			if l.root(i) != i || l.fixed[i] || in[i] < leastWeight || out[i] < leastWeight {
				continue
			}
			next := f[i] * math.Sqrt(out[i]/in[i])
			if l.limit[i] != 0 {
				next = min(next, max(1, room[i]))
				if room[i] <= 1 {
					next = max(1, next)
				}
			}
			next = max(1.0/mostFactor, min(mostFactor, next))
			most = max(most, math.Abs(next/f[i]-1))
			f[i] = next
		}
		if most < balanceEnough {
			break
		}
	}
	return f
}

// A span is a weight with the lanes that write and read it: the largest magnitude for each pair.
type span struct {
	out, in []int     // roots of the lanes behind and before; -1 where there are none
	blocks  int       // the lanes behind are cut in so many blocks, each of which reads lanes of its own
	most    []float64 // (out,in/blocks)
}

// ranges lists the largest weights of every weight tensor between lanes.
func (l *Lanes) ranges() []span {
	read, made := map[*graph.Node]*slot{}, map[*graph.Node]*slot{}
	for i := range l.slots {
		if s := &l.slots[i]; s.weight && s.divide {
			read[s.node] = s
		} else if s.weight {
			made[s.node] = s
		}
	}
	var list []span
	for _, n := range l.g.Nodes {
		if read[n] != nil || made[n] != nil {
			list = append(list, l.span(made[n], read[n]))
		}
	}
	return list
}

// span folds a weight to the largest magnitude for each lane behind it and before it.
func (l *Lanes) span(made, read *slot) span {
	any := made
	if any == nil {
		any = read
	}
	t := any.tensor()
	x := tensor.Of[float32](t)
	lanes := func(s *slot) []int {
		if s == nil {
			return []int{-1}
		}
		list := make([]int, t.Shape[s.axis]*s.blocks)
		for i := range list {
			list[i] = l.root(s.lane + i)
		}
		return list
	}
	sp := span{out: lanes(made), in: lanes(read), blocks: 1}
	if made != nil && read != nil {
		sp.blocks = read.blocks
	}
	width := len(sp.in) / sp.blocks
	sp.most = make([]float64, len(sp.out)*width)
	at := make([]int, t.Rank())
	for _, v := range x {
		o, i := 0, 0
		if made != nil {
			o = at[made.axis]
		}
		if read != nil {
			i = at[read.axis]
			if read.blocks > 1 && made == nil {
				i += at[0] * read.blocks / t.Shape[0] * t.Shape[read.axis]
			}
		}
		k := o*width + i
		sp.most[k] = max(sp.most[k], math.Abs(float64(v)))
		for d := len(at) - 1; d >= 0; d-- {
			if at[d]++; at[d] < t.Shape[d] {
				break
			}
			at[d] = 0
		}
	}
	return sp
}

// extremes adds to in and out the largest scaled weights that write and that read each root.
func (l *Lanes) extremes(w span, f, in, out []float64) {
	width := len(w.in) / w.blocks
	for o, ro := range w.out {
		for i, ri := range w.in[o*w.blocks/len(w.out)*width:][:width] {
			v := w.most[o*width+i]
			if ro >= 0 {
				v *= f[ro]
			}
			if ri >= 0 {
				v /= f[ri]
			}
			if ro >= 0 {
				in[ro] = max(in[ro], v)
			}
			if ri >= 0 {
				out[ri] = max(out[ri], v)
			}
		}
	}
}

// report says of each value how many of its channels were scaled.
func (l *Lanes) report(out *Outcome, factors []float64) {
	l.started(func(name string, first int) {
		scaled, lo, hi := 0, math.Inf(1), 0.0
		for c := range l.count[name] {
			if f := factors[l.root(first+c)]; f != 1 {
				scaled, lo, hi = scaled+1, min(lo, f), max(hi, f)
			}
		}
		if scaled > 0 {
			out.add(name, "%d of %d channels scaled by %.3g to %.3g", scaled, l.count[name], lo, hi)
		}
	})
}

// starts says whether a node's weights make the factors of its result.
func (l *Lanes) starts(n *graph.Node) bool {
	for _, s := range l.slots {
		if s.node == n && s.weight && !s.divide {
			return true
		}
	}
	return false
}
