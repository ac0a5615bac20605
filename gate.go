package lowbit

import (
	"context"
	"fmt"

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
	data    *dataset.Source
	outs    []*graph.Value
	threads int
	samples []int                // numbers of the samples
	answers []map[string]*Tensor // of the float network
}

// newJudge runs the float network over the samples of those numbers.
func newJudge(ctx context.Context, float *graph.Model, data *dataset.Source, samples []int, threads int) (*judge, error) {
	j := &judge{ctx: ctx, data: data, outs: float.Graph.Out, threads: threads, samples: samples}
	err := j.run(float, func(_ int, out map[string]*Tensor) { j.answers = append(j.answers, out) })
	return j, err
}

// run evaluates a network on every sample, in order.
func (j *judge) run(m *graph.Model, each func(i int, out map[string]*Tensor)) error {
	s, err := engine.Compile(m, engine.Options{Threads: j.threads})
	if err != nil {
		return err
	}
	for i, n := range j.samples {
		sample, err := j.data.Sample(n)
		if err != nil {
			return err
		}
		out, err := s.Run(j.ctx, sample.Inputs)
		if err != nil {
			return err
		}
		each(i, out)
	}
	return nil
}

// compare runs a quantized network over the samples.
func (j *judge) compare(m *graph.Model) (*Gate, error) {
	var d report.Diff
	agree := 0
	err := j.run(m, func(i int, out map[string]*Tensor) { agree += report.Outputs(&d, j.outs, j.answers[i], out) })
	if err != nil {
		return nil, err
	}
	n := len(j.samples)
	return &Gate{Samples: n, SQNR: d.SQNR(), Cosine: d.Cosine(), Agree: float64(agree) / float64(n)}, nil
}

// Samples held back from calibration to judge by: a tenth, within these bounds.
const (
	heldLeast = 8
	heldMost  = 32
)

// holdBack splits n samples into those to calibrate on and those to judge by, spread evenly. Where
// there are few, every sample serves both ends.
func holdBack(n int) (calibrate, judge []int) {
	held := max(heldLeast, min(heldMost, n/10))
	for i := range n {
		if n >= 4*heldLeast && i*held/n != (i+1)*held/n {
			judge = append(judge, i)
		} else {
			calibrate = append(calibrate, i)
		}
	}
	if judge == nil {
		judge = calibrate[:min(n, heldMost)]
	}
	return calibrate, judge
}
