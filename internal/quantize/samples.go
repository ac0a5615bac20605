package quantize

import (
	"cmp"
	"context"
	"slices"

	"lowbit/internal/calib"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/tensor"
)

// Samples held back from calibration: a tenth to judge by, within these bounds, and as many again to tell by.
const (
	heldLeast = 8
	heldMost  = 32
)

// A share deals the samples out, by number.
type share struct {
	calibrate []int
	judge     []int // choices are made by them
	fresh     []int // nothing is chosen by them: what the outcome is worth is told by these; none where there are few samples
}

// holdBack deals the samples of d out to calibration, judgement and the last word. Which are which,
// and their order, depends on their content alone, so that shuffled data gives the same network. Where
// there are few, every sample serves all ends.
func holdBack(ctx context.Context, d *dataset.Source) (share, error) {
	n := d.Len()
	prints := make([]uint64, n)
	order := make([]int, n)
	for i := range order {
		order[i] = i
		var err error
		if prints[i], err = d.Fingerprint(i); err != nil {
			return share{}, err
		}
		if ctx.Err() != nil {
			return share{}, context.Cause(ctx)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(prints[a], prints[b]) })
	if n < 4*heldLeast {
		return share{calibrate: order, judge: order}, nil
	}
	held := max(heldLeast, min(heldMost, n/10))
	return share{judge: order[:held], fresh: order[held : 2*held], calibrate: order[2*held:]}, nil
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
	fitBytes = 48 << 20 // what they feed to a network at most, but for the first few
	fitLeast = 4

	moreMost       = 64 // samples that are asked where those that judge cannot tell
	fewSamplesTell = 10 // fewer than these do not tell much

	manyMost  = 256 // for repairs that gain by many
	manyBytes = 192 << 20
)

// fewSamples holds samples until a network is fed too many bytes by them.
func fewSamples(ctx context.Context, d *dataset.Source, numbers []int, most, threads int) ([]calib.Inputs, error) {
	var list []calib.Inputs
	bytes := 0
	for few := range slices.Chunk(numbers, 2*threads) {
		next, takes := make([]calib.Inputs, len(few)), make([]int, len(few))
		err := calib.Each(ctx, len(few), threads, func(_ context.Context, i int) (err error) {
			if next[i], _, err = d.Hold(few[i]); err == nil {
				x := next[i]()
				takes[i] = bytesOf(x)
				tensor.Recycle(x)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		for i, in := range next {
			if bytes += takes[i]; bytes > most && len(list) >= fitLeast {
				return list, nil
			}
			list = append(list, in)
		}
	}
	return list, nil
}

func bytesOf(tensors map[string]*tensor.Tensor) (n int) {
	for _, t := range tensors {
		n += t.Bytes()
	}
	return n
}

// FewSamples holds the inputs of the samples of those numbers until these are many.
func FewSamples(ctx context.Context, d *dataset.Source, numbers []int, threads int) ([]calib.Inputs, error) {
	return fewSamples(ctx, d, numbers, fitBytes, threads)
}
