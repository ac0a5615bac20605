package quantize

import (
	"cmp"
	"context"
	"fmt"
	"hash"
	"math"
	"slices"

	"lowbit/internal/calib"
	"lowbit/internal/engine"
	"lowbit/internal/graph"
	"lowbit/internal/repair"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
)

// A Gate is the comparison of the quantized network with the float one on samples.
type Gate struct {
	Samples int
	SQNR    float64 // of the outputs together, in dB
	Error   float64 // its standard error, by leaving out each sample in turn; 0 for a single one
	Cosine  float64
	Agree   float64 // share of samples with the same largest element of the first output
	Fresh   bool    // no choice was made by these samples
	each    []report.Diff
	net     *graph.Model // what was compared
	wide    *Gate        // the same with more samples
}

// poorSQNR is the ratio in dB below which a quantized network is called doubtful: noise with a
// tenth of the signal's power.
const poorSQNR = 10

// warning says what is wrong with the quantized network, "" where nothing is.
func (g *Gate) warning() string {
	if g.SQNR < poorSQNR {
		return fmt.Sprintf("the quantized network differs much from the float one: %.1f dB, the same top class on %.0f %% of %d samples", g.SQNR, 100*g.Agree, g.Samples)
	}
	return ""
}

// String tells the ratio with its standard error.
func (g *Gate) String() string {
	if g.Error == 0 {
		return fmt.Sprintf("%.1f dB", g.SQNR)
	}
	return fmt.Sprintf("%.1f ± %.1f dB", g.SQNR, g.Error)
}

// low is the ratio less its standard error.
func (g *Gate) low() float64 { return g.SQNR - g.Error }

// newGate sums up what was found of each sample, in order.
func newGate(each []report.Diff, same int) *Gate {
	var d report.Diff
	for i := range each {
		d.Merge(each[i])
	}
	g := &Gate{Samples: len(each), SQNR: d.SQNR(), Cosine: d.Cosine(), Agree: float64(same) / float64(len(each)), each: each}
	without, mean, sum := make([]float64, len(each)), 0.0, 0.0
	for i := range each {
		var rest report.Diff
		for k := range each {
			if k != i {
				rest.Merge(each[k])
			}
		}
		without[i] = rest.SQNR()
		mean += without[i] / float64(len(each))
	}
	for _, v := range without {
		sum += (v - mean) * (v - mean)
	}
	if n := float64(len(each)); n > 1 {
		g.Error = math.Sqrt(sum * (n - 1) / n)
	}
	return g
}

// gain is by how many dB each sample comes nearer to the float network in g than in before, on average,
// and the standard error of that, infinite for a single one.
func (g *Gate) gain(before *Gate) (mean, err float64) {
	n := float64(len(g.each))
	by := make([]float64, len(g.each))
	for i := range by {
		by[i] = g.each[i].SQNR() - before.each[i].SQNR()
		mean += by[i] / n
	}
	if n < 2 {
		return mean, math.Inf(1)
	}
	for _, v := range by {
		err += (v - mean) * (v - mean)
	}
	return mean, math.Sqrt(err / (n - 1) / n)
}

// beyond is how many standard errors a gain has to reach to be more than chance.
const beyond = 2

// better says whether g comes nearer to the float network than before: by the outputs of all samples
// together, and by more than chance on the single ones.
func (g *Gate) better(before *Gate) bool {
	if g.SQNR <= before.SQNR {
		return false
	}
	mean, err := g.gain(before)
	return len(g.each) == 1 || mean > beyond*err
}

// A judge compares networks with a float one whose answers to some samples it keeps.
type judge struct {
	ctx     context.Context
	book    *book
	numbers []int // of its samples
	outs    []*graph.Value
	threads int
	samples []map[string]*tensor.Tensor // inputs; there are few, see heldMost
	answers []map[string]*tensor.Tensor // of the float network
}

// newJudge runs the float network over the samples of those numbers.
func (q *quantization) newJudge(float *graph.Model, samples []int) (*judge, error) {
	j := &judge{ctx: q.ctx, book: q.book, numbers: samples, outs: float.Graph.Out, threads: q.opt.Threads, answers: make([]map[string]*tensor.Tensor, len(samples))}
	var err error
	if j.samples, err = readSamples(q.ctx, q.opt.Data, samples, q.opt.Threads); err != nil {
		return nil, err
	}
	err = j.run(float, func(i int, out map[string]*tensor.Tensor) { j.answers[i] = out })
	return j, err
}

// run evaluates a network on every sample. each is called from several goroutines.
func (j *judge) run(m *graph.Model, each func(i int, out map[string]*tensor.Tensor)) error {
	s, err := engine.Compile(m, engine.Options{Threads: 1})
	if err != nil {
		return err
	}
	return calib.Each(j.ctx, len(j.samples), j.threads, func(ctx context.Context, i int) error {
		out, err := s.Run(ctx, j.samples[i])
		if err == nil {
			each(i, out)
		}
		return err
	})
}

// A verdict is what comparing a network with the float one finds of each sample, and in how many both agree.
type verdict struct {
	Each []report.Diff
	Same int
}

// compare runs a quantized network over the samples.
func (j *judge) compare(m *graph.Model) (*Gate, error) {
	kept, err := j.book.chapter("compare", func(h hash.Hash) error {
		hashModel(h, m)
		_, err := fmt.Fprintln(h, j.numbers)
		return err
	})
	if err != nil {
		return nil, err
	}
	v, err := repair.Once(kept, "", func() (*verdict, error) { return j.measure(m) })
	if err != nil {
		return nil, err
	}
	g := newGate(v.Each, v.Same)
	g.net = m
	return g, nil
}

func (j *judge) measure(m *graph.Model) (*verdict, error) {
	v, agree := &verdict{Each: make([]report.Diff, len(j.samples))}, make([]int, len(j.samples))
	err := j.run(m, func(i int, out map[string]*tensor.Tensor) {
		agree[i] = report.Outputs(&v.Each[i], j.outs, j.answers[i], out)
	})
	for _, k := range agree {
		v.Same += k
	}
	return v, err
}

// unsure says whether g may yet be better than before, as far as these samples tell.
func (g *Gate) unsure(before *Gate) bool {
	mean, err := g.gain(before)
	return len(g.each) > 1 && mean > -beyond*err
}

// improves says whether after is better than before. Where the samples that judge cannot tell, more
// of those are asked that were calibrated on but that no repair is fitted to.
func (q *quantization) improves(before, after *Gate, many bool) (bool, error) {
	if many || len(q.second.numbers) == 0 || after.better(before) || !after.unsure(before) {
		return after.better(before), nil
	}
	b, err := q.widened(before)
	if err != nil {
		return false, err
	}
	a, err := q.widened(after)
	return err == nil && a.better(b), err
}

// A secondJudge is asked where the first one is not enough.
type secondJudge struct {
	numbers []int // of its samples: those calibrated on that no repair is fitted to
	judge   *judge
}

// second picks the samples of a second judge; there may be none.
func second(s share) secondJudge {
	n := len(s.calibrate)
	if len(s.fresh) == 0 || n <= fitMost {
		return secondJudge{}
	}
	return secondJudge{numbers: s.calibrate[fitMost:min(n, fitMost+moreMost)]}
}

// widened is the comparison with the samples of the second judge too.
func (q *quantization) widened(g *Gate) (*Gate, error) {
	if g.wide != nil || len(q.second.numbers) == 0 {
		return cmp.Or(g.wide, g), nil
	}
	var err error
	if q.second.judge == nil {
		if q.second.judge, err = q.newJudge(q.plain, q.second.numbers); err != nil {
			return nil, err
		}
	}
	more, err := q.second.judge.compare(g.net)
	if err != nil {
		return nil, err
	}
	g.wide = newGate(slices.Concat(g.each, more.each), 0)
	return g.wide, nil
}
