package lowbit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"lowbit/internal/calib"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/engine"
	"lowbit/internal/graph"
	"lowbit/internal/report"
)

// A Gate is the comparison of the quantized network with the float one on samples.
type Gate struct {
	Samples int
	SQNR    float64 // of the outputs together, in dB
	Cosine  float64
	Agree   float64 // share of samples with the same largest element of the first output
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

// A judge compares networks with a float one whose answers to some samples it keeps.
type judge struct {
	ctx     context.Context
	outs    []*graph.Value
	threads int
	samples []map[string]*Tensor // inputs; there are few, see heldMost
	answers []map[string]*Tensor // of the float network
}

// newJudge runs the float network over the samples of those numbers.
func newJudge(ctx context.Context, float *graph.Model, data *dataset.Source, samples []int, threads int) (*judge, error) {
	j := &judge{ctx: ctx, outs: float.Graph.Out, threads: threads, answers: make([]map[string]*Tensor, len(samples))}
	var err error
	if j.samples, err = readSamples(ctx, data, samples, threads); err != nil {
		return nil, err
	}
	err = j.run(float, func(i int, out map[string]*Tensor) { j.answers[i] = out })
	return j, err
}

// run evaluates a network on every sample. each is called from several goroutines.
func (j *judge) run(m *graph.Model, each func(i int, out map[string]*Tensor)) error {
	s, err := engine.Compile(m, engine.Options{Threads: 1})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(j.ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(j.threads, len(j.samples)) {
		wg.Go(func() {
			for i := int(next.Add(1) - 1); i < len(j.samples) && ctx.Err() == nil; i = int(next.Add(1) - 1) {
				out, err := s.Run(ctx, j.samples[i])
				if err != nil {
					cancel(err)
					return
				}
				each(i, out)
			}
		})
	}
	wg.Wait()
	return context.Cause(ctx)
}

// compare runs a quantized network over the samples.
func (j *judge) compare(m *graph.Model) (*Gate, error) {
	n := len(j.samples)
	diffs, agree := make([]report.Diff, n), make([]int, n)
	err := j.run(m, func(i int, out map[string]*Tensor) { agree[i] = report.Outputs(&diffs[i], j.outs, j.answers[i], out) })
	if err != nil {
		return nil, err
	}
	var d report.Diff
	same := 0
	for i := range diffs { // in order, so that the sums do not depend on the threads
		d.Merge(diffs[i])
		same += agree[i]
	}
	return &Gate{Samples: n, SQNR: d.SQNR(), Cosine: d.Cosine(), Agree: float64(same) / float64(n)}, nil
}

// Samples held back from calibration to judge by: a tenth, within these bounds.
const (
	heldLeast = 8
	heldMost  = 32
)

// holdBack splits the samples of d into those to calibrate on and those to judge by. Which are
// which, and their order, depends on their content alone, so that shuffled data gives the same
// network. Where there are few, every sample serves both ends.
func holdBack(ctx context.Context, d *dataset.Source) (calibrate, judge []int, err error) {
	n := d.Len()
	prints := make([]uint64, n)
	order := make([]int, n)
	for i := range order {
		order[i] = i
		if prints[i], err = d.Fingerprint(i); err != nil {
			return nil, nil, err
		}
		if ctx.Err() != nil {
			return nil, nil, context.Cause(ctx)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(prints[a], prints[b]) })
	if n < 4*heldLeast {
		return order, order, nil
	}
	held := max(heldLeast, min(heldMost, n/10))
	return order[held:], order[:held], nil
}

// forRepairs picks among samples to calibrate on those that repairs are fitted to: half of them
// where the same ones judge.
func forRepairs(calibrate, judge []int, most int) []int {
	if len(calibrate) == len(judge) {
		return calibrate[:(len(calibrate)+1)/2]
	}
	return calibrate[:min(len(calibrate), most)]
}

const (
	fitMost  = 48       // samples that repairs work on
	fitBytes = 48 << 20 // their bytes at most, but for the first few
	fitLeast = 4

	manyMost  = 256 // for repairs that gain by many
	manyBytes = 192 << 20
)

// readSamples reads the inputs of the samples of those numbers.
func readSamples(ctx context.Context, d *dataset.Source, numbers []int, threads int) ([]map[string]*Tensor, error) {
	list := make([]map[string]*Tensor, len(numbers))
	err := calib.Each(ctx, len(numbers), threads, func(_ context.Context, i int) error {
		s, err := d.Sample(numbers[i])
		if err == nil {
			list[i] = s.Inputs
		}
		return err
	})
	return list, err
}

// fewSamples reads samples until they take too many bytes.
func fewSamples(ctx context.Context, d *dataset.Source, numbers []int, most, threads int) ([]map[string]*Tensor, error) {
	var list []map[string]*Tensor
	bytes := 0
	for few := range slices.Chunk(numbers, 2*threads) {
		next, err := readSamples(ctx, d, few, threads)
		if err != nil {
			return nil, err
		}
		for _, in := range next {
			for _, t := range in {
				bytes += t.Bytes()
			}
			if bytes > most && len(list) >= fitLeast {
				return list, nil
			}
			list = append(list, in)
		}
	}
	return list, nil
}
