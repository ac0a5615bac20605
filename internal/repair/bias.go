package repair

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"sync"

	"lowbit/internal/calib"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// Bias moves each layer's bias by the typical error of its result, layer after layer, so that each
// is measured behind layers that are quantized and repaired already (Nagel et al., Data-Free
// Quantization Through Weight Equalization and Bias Correction, 2019, section 4.2, measured).
//
// What counts is the mean absolute error behind the clamps that follow the layer. The mean error
// would be ruled by a few huge elements, which networks such as MobileNetV2 have and which
// saturate without harm.
var Bias = &Repair{
	Name: "bias", Doc: "take the typical error of each layer's result out of its bias", Stage: After, Data: true,
	Run: func(ctx context.Context, j *Job) (*Outcome, error) {
		c := &corrector{track: newTrack(j)}
		if len(c.fit) == 0 {
			return &Outcome{Note: "it needs samples"}, nil
		}
		return c.out, c.run(ctx)
	},
	Options: "bias=once, each layer by itself",
	With: func(option string) *Repair {
		if option != "once" {
			return nil
		}
		return &Repair{Doc: "take the mean error that its weights make out of each layer's bias, in one pass", Stage: After, Data: true,
			Run: func(ctx context.Context, j *Job) (*Outcome, error) {
				once := *j
				once.Norms = nil // the samples tell
				return Analytic.Run(ctx, &once)
			}}
	},
}

// leastSeen is how many elements of a channel it takes to judge its bias; leastApart how many of one
// sample count at most, for those of one sample are much alike.
const (
	leastSeen  = 24
	leastApart = 32
)

// A corrector moves the biases of one network.
type corrector struct {
	*track
}

func (c *corrector) run(ctx context.Context) error {
	if err := c.start(ctx, func(l *layer) bool { return l.offset() != "" }); err != nil {
		return err
	}
	if err := c.each(ctx, c.piece); err != nil {
		return err
	}
	switch {
	case len(c.out.Changes) > 0:
	case len(c.layers) == 0:
		c.out.Note = "no layer has a bias of its own to move"
	case c.few > 0:
		c.out.Note = fmt.Sprintf("%d layers yield too few elements over %d samples to judge by", c.few, len(c.fit))
	default:
		c.out.Note = "no layer came nearer to the float network on the samples held back"
	}
	return nil
}

// piece runs one piece of the quantized network and corrects its layer.
func (c *corrector) piece(ctx context.Context, p *piece, l *layer, want []seen) (left []map[string]*tensor.Tensor, changed bool, err error) {
	got := make([][]float32, len(want))
	left, err = c.walk.run(ctx, p, []string{p.layer.Out[0]}, func(i int, _ string, t *tensor.Tensor) {
		if want[i].like(t) {
			got[i] = spread(t, l.axis, c.per)
		}
	})
	if err != nil {
		return nil, false, err
	}
	var fit, held []pair
	for i := range got {
		switch {
		case got[i] == nil:
		case i < len(c.fit):
			fit = append(fit, pair{want[i].x, got[i]})
		default:
			held = append(held, pair{want[i].x, got[i]})
		}
	}
	if len(held) == 0 {
		fit, held = halves(fit, c.channels(l))
	}
	changed, err = c.correct(l, p.layer, fit, held)
	return left, changed, err
}

// A pair is what a layer yields in the float and in the quantized network, in one shape: (C,per) each.
type pair struct{ want, got []float32 }

// halves deals the elements of each channel out to two sets: where there is one sample only, some of
// its elements have to judge what was fitted to the others.
func halves(pairs []pair, channels int) (even, odd []pair) {
	deal := func(x []float32, from int) []float32 {
		per := len(x) / channels
		y := make([]float32, 0, per/2*channels)
		for ch := range channels {
			for k := from; k < per/2*2; k += 2 {
				y = append(y, x[ch*per+k])
			}
		}
		return y
	}
	for _, p := range pairs {
		even = append(even, pair{deal(p.want, 0), deal(p.got, 0)})
		odd = append(odd, pair{deal(p.want, 1), deal(p.got, 1)})
	}
	return even, odd
}

// correct moves the bias of a layer where that helps on the samples held back, and says whether its result is another now:
// that of an Add behind it changes what comes next.
func (c *corrector) correct(l *layer, quantized *graph.Node, fit, held []pair) (bool, error) {
	b := c.job.Net.Graph.ConstTensor(l.offset())
	if len(held) == 0 || min(len(fit), len(held))*min(len(held[0].want)/max(1, b.Len()), leastApart) < leastSeen {
		c.few++
		return false, nil
	}
	moved := slices.Clone(tensor.Of[float32](b))
	shifts := make([]shift, len(moved))
	err := calib.Each(context.Background(), len(moved), c.job.Threads, func(_ context.Context, ch int) error {
		shifts[ch] = bestShift(l, fit, held, ch, len(moved))
		return nil
	})
	if err != nil {
		return false, err
	}
	n, before, after := 0, 0.0, 0.0
	for ch, s := range shifts {
		moved[ch] = float32(float64(moved[ch]) - s.by)
		if s.by == 0 && s.before-s.before != 0 { // the channel is infinite
			continue
		}
		before += s.before
		after += s.after
		if s.by != 0 {
			n++
		}
	}
	if n == 0 {
		return false, nil
	}
	t := tensor.Float32s(moved, b.Shape...)
	c.job.Net.Graph.SetConst(l.offset(), t)
	c.out.addGain(2*ratio(before, after), l.name, "bias of %d of %d channels moved: mean absolute error on samples held back %.3g → %.3g", n, len(moved), before/float64(len(moved)), after/float64(len(moved)))
	if l.bias == 0 {
		c.out.Changes[len(c.out.Changes)-1].also(l.adder)
	}
	return l.bias > 0, c.walk.setOffset(quantized, l, t, c.job.Plan)
}

// A shift is the correction of one channel, and the mean absolute error on the samples held back.
type shift struct{ by, before, after float64 }

// bestShift tries the mean and the median error of a channel, and parts of them.
func bestShift(l *layer, fit, held []pair, ch, channels int) shift {
	x := spare.Get().(*channel)
	defer spare.Put(x)
	x.read(l, fit, ch, channels)
	by := 0.0
	if errs := x.errors(l); len(errs) > 0 {
		mean := 0.0
		for _, e := range errs {
			mean += e
		}
		mean /= float64(len(errs))
		median := smallest(errs, len(errs)/2)
		least := x.loss(l, 0)
		for _, m := range []float64{mean / 4, mean / 2, mean, median / 2, median} {
			if loss := x.loss(l, m); loss < least {
				by, least = m, loss
			}
		}
	}
	x.read(l, held, ch, channels)
	before := x.loss(l, 0)
	if by != 0 {
		if after := x.loss(l, by); after < before {
			return shift{by, before, after}
		}
	}
	return shift{0, before, before}
}

// A channel is what a channel yields in the quantized network, and in the float one behind the layer's clamps.
type channel struct{ want, got, errs []float64 }

var spare = sync.Pool{New: func() any { return &channel{} }}

func (x *channel) read(l *layer, pairs []pair, ch, channels int) {
	x.want, x.got = x.want[:0], x.got[:0]
	for _, p := range pairs {
		per := len(p.want) / channels
		got := p.got[ch*per:][:per]
		for k, v := range p.want[ch*per:][:per] {
			x.want, x.got = append(x.want, l.clamp(float64(v))), append(x.got, float64(got[k]))
		}
	}
}

// loss is the mean absolute error behind the layer's clamps if the result is lowered by a number.
func (x *channel) loss(l *layer, by float64) float64 {
	sum, lo, hi := 0.0, l.lo, l.hi
	for k, g := range x.got {
		if g -= by; g < lo {
			g = lo
		} else if g > hi {
			g = hi
		}
		sum += math.Abs(g - x.want[k])
	}
	return sum / float64(max(1, len(x.got)))
}

// errors lists the errors behind the clamps, at the elements where moving the bias has an effect.
func (x *channel) errors(l *layer) []float64 {
	x.errs = x.errs[:0]
	for k, g := range x.got {
		if g > l.lo && g < l.hi {
			x.errs = append(x.errs, g-x.want[k])
		}
	}
	return x.errs
}

// smallest returns the number that sorting would put at place k of x, whose order it changes.
func smallest(x []float64, k int) float64 {
	for len(x) > 1 {
		pivot := x[len(x)/2]
		i, j := 0, len(x)-1
		for i <= j {
			for ; cmp.Less(x[i], pivot); i++ {
			}
			for ; cmp.Less(pivot, x[j]); j-- {
			}
			if i <= j {
				x[i], x[j] = x[j], x[i]
				i, j = i+1, j-1
			}
		}
		switch { // x[:j+1] ≤ pivot ≤ x[i:], and what lies between is equal to it
		case k <= j:
			x = x[:j+1]
		case k >= i:
			x, k = x[i:], k-i
		default:
			return pivot
		}
	}
	return x[0]
}
