package quantize

import (
	"cmp"
	"context"
	"fmt"
	"hash"
	"math"
	"slices"

	"lowbit/internal/calib"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/engine"
	"lowbit/internal/graph"
	"lowbit/internal/repair"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
)

// A Gate is the comparison of the quantized network with the float one on samples.
type Gate struct {
	Samples int
	SQNR    float64 // of the worst output, in dB
	Error   float64 // its standard error, by leaving out each sample in turn; 0 for a single one
	Cosine  float64
	Agree   float64 // share of samples with the same largest element of the first output
	Fresh   bool    // no choice was made by these samples
	each    []report.Diffs
	all     report.Diffs // the same together
	net     *graph.Model // what was compared
	wide    *Gate        // the same with more samples
}

// poorSQNR is the ratio in dB below which a quantized network is called doubtful: noise with a
// tenth of the signal's power.
const poorSQNR = 10

// warnings say what is wrong with the quantized network.
func (g *Gate) warnings() (list []string) {
	if n := g.apart(); n > 0 {
		list = append(list, fmt.Sprintf("%d outputs over %d samples have other sizes than in the float network, which follow from its values, and are not compared", n, g.Samples))
		if g.incomparable() {
			return list
		}
	}
	if g.SQNR < poorSQNR {
		list = append(list, fmt.Sprintf("the quantized network differs much from the float one: %.1f dB, the same top class on %s of %s", g.SQNR, report.Percent(g.Agree), report.Count(g.Samples, "sample")))
	}
	return list
}

// incomparable says whether no output of any sample has the size it has in float.
func (g *Gate) incomparable() bool { return g.SQNR <= -report.Exact && g.apart() > 0 }

// apart is how many outputs could not be compared.
func (g *Gate) apart() int {
	n := 0
	for i := range g.each {
		n += g.each[i].Apart()
	}
	return n
}

// String tells the ratio with its standard error.
func (g *Gate) String() string {
	if g.incomparable() {
		return fmt.Sprintf("%.1f dB (other sizes)", g.SQNR)
	}
	if g.Error == 0 {
		return fmt.Sprintf("%.1f dB", g.SQNR)
	}
	return fmt.Sprintf("%.1f ± %.1f dB", g.SQNR, g.Error)
}

// low is the ratio less its standard error.
func (g *Gate) low() float64 { return g.SQNR - g.Error }

// newGate sums up what was found of each sample, in order.
func newGate(each []report.Diffs, same int) *Gate {
	var d report.Diffs
	for i := range each {
		d.Merge(each[i])
	}
	g := &Gate{Samples: len(each), SQNR: d.SQNR(), Cosine: d.Cosine(), Agree: float64(same) / float64(len(each)), each: each, all: d}
	without := make([]float64, len(each))
	for i := range each {
		var rest report.Diffs
		for k := range each {
			if k != i {
				rest.Merge(each[k])
			}
		}
		without[i] = rest.SQNR()
	}
	g.Error = standardError(g.SQNR, without)
	return g
}

// standardError is that of a ratio in dB, by the ratios without each sample in turn: 0 for a single one, and where all are equal or
// the ratio is that of values that are not finite. Where one sample makes all the noise there is no ratio without it, and the error
// of the noise tells instead.
func standardError(db float64, without []float64) float64 {
	switch {
	case len(without) < 2 || math.Abs(db) >= report.Exact:
		return 0
	case slices.Max(without) < report.Exact:
		return jackknife(without)
	}
	noise := make([]float64, len(without)) // as a part of that with all samples
	for i, v := range without {
		if v < report.Exact {
			noise[i] = math.Pow(10, (db-v)/10)
		}
	}
	return 10 / math.Ln10 * jackknife(noise)
}

// jackknife is the standard error of a figure, by what it is without each sample in turn.
func jackknife(without []float64) float64 {
	n, mean, sum := float64(len(without)), 0.0, 0.0
	for _, v := range without {
		mean += v / n
	}
	for _, v := range without {
		sum += (v - mean) * (v - mean)
	}
	return math.Sqrt(sum * (n - 1) / n)
}

// gain is by how many dB each sample comes nearer to the float network in g than in before, on average,
// and the standard error of that, infinite for a single one.
func (g *Gate) gain(before *Gate) (mean, err float64) {
	n := float64(len(g.each))
	by := make([]float64, len(g.each))
	for i := range by {
		by[i] = g.each[i].Within(g.all) - before.each[i].Within(before.all)
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

// A judge compares networks with a float one. It keeps the float network's answers to the first of its samples, as many as
// fit in judgeBytes together with these; the others are answered anew each time. The samples themselves are held
// where repairs are to be tried, and else read each time.
type judge struct {
	ctx     context.Context
	book    *book
	data    *dataset.Source
	numbers []int        // of its samples
	float   *graph.Model // what others are compared with
	release func(b []byte)
	threads int
	holds   bool
	kept    []judged
}

// judged is a sample and what the float network makes of it.
type judged struct {
	inputs  calib.Inputs // nil where it is not held
	answers map[string]*tensor.Tensor
}

// judgeBytes is what a judge keeps at most, but for the first few samples.
const judgeBytes = 24 << 20

// newJudges makes judges of the samples of those numbers. The float network, which does not change any more, runs over all of them.
func (q *quantization) newJudges(float *graph.Model, lists ...[]int) ([]*judge, error) {
	s, err := engine.Compile(float, engine.Options{Threads: 1, Release: q.opt.Release})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var js []*judge
	for _, numbers := range lists {
		j := q.judgeOf(float, numbers)
		if err := j.keep(s, judgeBytes); err != nil {
			return nil, err
		}
		js = append(js, j)
	}
	return js, nil
}

// judgeOf makes a judge that has answered nothing.
func (q *quantization) judgeOf(float *graph.Model, numbers []int) *judge {
	return &judge{ctx: q.ctx, book: q.book, data: q.opt.Data, numbers: numbers, float: float, release: q.opt.Release, threads: q.opt.Threads,
		holds: q.opt.Plan != nil || !slices.Equal(q.opt.Fix, []string{repair.None})}
}

// keep runs the float network over samples until it has answered as many as may be kept.
func (j *judge) keep(float *engine.Session, most int) error {
	bytes := 0
	for first := 0; first < len(j.numbers); first += 2 * j.threads {
		next := make([]judged, min(2*j.threads, len(j.numbers)-first))
		takes := make([]int, len(next))
		err := calib.Each(j.ctx, len(next), j.threads, func(ctx context.Context, i int) (err error) {
			next[i], takes[i], err = j.answer(ctx, float, first+i)
			return err
		})
		if err != nil {
			return err
		}
		for i, k := range next {
			if bytes += takes[i]; bytes > most && len(j.kept) >= fitLeast {
				return nil
			}
			if !j.holds {
				k.inputs = nil
			}
			j.kept = append(j.kept, k)
		}
	}
	return nil
}

// answer reads sample i of the judge's and runs the float network on it. It tells how many bytes both take.
func (j *judge) answer(ctx context.Context, float *engine.Session, i int) (judged, int, error) {
	in, bytes, err := j.data.Hold(j.numbers[i])
	if err != nil {
		return judged{}, 0, err
	}
	x := in()
	out, err := float.Run(ctx, x)
	tensor.Recycle(x)
	return judged{in, out}, bytes + bytesOf(out), err
}

// sample returns sample i of those that are kept.
func (j *judge) sample(i int) (k judged, err error) {
	if k = j.kept[i]; k.inputs == nil {
		k.inputs, _, err = j.data.Hold(j.numbers[i])
	}
	return k, err
}

// hold holds the samples that are kept, for several comparisons.
func (j *judge) hold() error {
	return calib.Each(j.ctx, len(j.kept), j.threads, func(_ context.Context, i int) (err error) {
		j.kept[i], err = j.sample(i)
		return err
	})
}

// inputs are those of the samples that are kept and held.
func (j *judge) inputs() []calib.Inputs {
	list := make([]calib.Inputs, len(j.kept))
	for i, k := range j.kept {
		list[i] = k.inputs
	}
	return list
}

// first is a judge of the first n samples.
func (j *judge) first(n int) *judge {
	few := *j
	n = min(n, len(j.numbers))
	few.numbers, few.kept = j.numbers[:n], j.kept[:min(n, len(j.kept))]
	return &few
}

// A verdict is what comparing a network with the float one finds of each sample, and in how many both agree.
type verdict struct {
	Each []report.Diffs
	Same int
}

// compare runs a quantized network over the samples.
func (j *judge) compare(m *graph.Model) (*Gate, error) {
	kept, err := j.book.chapter("compare", func(h hash.Hash) error {
		j.book.hashModel(h, m)
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
	s, err := engine.Compile(m, engine.Options{Threads: 1, Release: j.release})
	if err != nil {
		return nil, err
	}
	defer s.Close()
	var float *engine.Session
	if len(j.kept) < len(j.numbers) {
		if float, err = engine.Compile(j.float, engine.Options{Threads: 1, Release: j.release}); err != nil {
			return nil, err
		}
		defer float.Close()
	}
	v, agree := &verdict{Each: make([]report.Diffs, len(j.numbers))}, make([]int, len(j.numbers))
	err = calib.Each(j.ctx, len(j.numbers), j.threads, func(ctx context.Context, i int) error {
		var k judged
		var err error
		if i < len(j.kept) {
			k, err = j.sample(i)
		} else {
			k, _, err = j.answer(ctx, float, i)
		}
		if err != nil {
			return err
		}
		in := k.inputs()
		out, err := s.Run(ctx, in)
		if err == nil {
			agree[i] = v.Each[i].Add(j.float.Graph.Out, k.answers, out)
			tensor.Recycle(in)
			tensor.Recycle(out)
		}
		return err
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
	if q.second.judge == nil {
		js, err := q.newJudges(q.plain, q.second.numbers)
		if err != nil {
			return nil, err
		}
		q.second.judge = js[0]
	}
	more, err := q.second.judge.compare(g.net)
	if err != nil {
		return nil, err
	}
	g.wide = newGate(slices.Concat(g.each, more.each), 0)
	return g.wide, nil
}
