package quantize

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"lowbit/internal/calib/dataset"
	"lowbit/internal/engine"
	"lowbit/internal/graph"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
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
	samples []map[string]*tensor.Tensor // inputs; there are few, see heldMost
	answers []map[string]*tensor.Tensor // of the float network
}

// newJudge runs the float network over the samples of those numbers.
func newJudge(ctx context.Context, float *graph.Model, data *dataset.Source, samples []int, threads int) (*judge, error) {
	j := &judge{ctx: ctx, outs: float.Graph.Out, threads: threads, answers: make([]map[string]*tensor.Tensor, len(samples))}
	var err error
	if j.samples, err = readSamples(ctx, data, samples, threads); err != nil {
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
	err := j.run(m, func(i int, out map[string]*tensor.Tensor) {
		agree[i] = report.Outputs(&diffs[i], j.outs, j.answers[i], out)
	})
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
