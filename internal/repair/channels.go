package repair

import (
	"context"
	"math"

	"lowbit/internal/calib"
	"lowbit/internal/pass"
)

// channels returns the statistics of the channels of values over the job's samples.
func (j *Job) channels(ctx context.Context, axes map[string]int) (map[string]*calib.Channels, error) {
	known, first := true, true // along axis 1
	for name, axis := range axes {
		s := j.Channels[name]
		known = known && s != nil && s.Axis == axis && s.Len() > 0
		first = first && axis == 1
	}
	if known {
		return j.Channels, nil
	}
	var watch []string
	for _, n := range j.Net.Graph.Nodes {
		for _, o := range n.Out {
			if _, ok := axes[o]; ok {
				watch = append(watch, o)
			}
		}
	}
	compile := j.Compile
	if first && j.Matrices != nil {
		compile = j.Matrices
	}
	r, err := compile(j.Net, watch)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return calib.CollectChannels(ctx, r, calib.FeedOf(j.Fit), axes, j.collecting())
}

// normsOf returns mean and deviation of the channels of values over the job's samples.
func normsOf(ctx context.Context, j *Job, axes map[string]int) (map[string]pass.Norm, error) {
	if len(axes) == 0 {
		return nil, nil
	}
	return Once(j.Journal, "norms", func() (map[string]pass.Norm, error) {
		stats, err := j.channels(ctx, axes)
		norms := map[string]pass.Norm{}
		for name, s := range stats {
			norms[name] = normOf(s)
		}
		return norms, err
	})
}

// normOf turns what samples show of a value's channels into mean and deviation.
func normOf(s *calib.Channels) pass.Norm {
	var v pass.Norm
	for c := range s.Len() {
		row := s.At(c)
		v.Mean = append(v.Mean, row.Mean)
		v.Dev = append(v.Dev, math.Sqrt(math.Max(0, row.Square-float64(row.Mean*row.Mean))))
	}
	return v
}
