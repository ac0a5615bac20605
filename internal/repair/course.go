package repair

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/kernel"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// A course learns one section.
type course struct {
	job *Job
	*taper
	seed      uint64
	decode    func(dst []float32, t *tensor.Tensor)
	in        []*tensor.Tensor
	want      [][]float32
	fit, held []int
	softs     map[int]*soft // by knob
	marks     map[int][]float32
	biases    map[int]*adam
	lanes     []*lane
}

// prepare puts the weights of the layers on their marks, and makes them soft.
func (c *course) prepare(s *section) bool {
	c.softs, c.marks, c.biases = map[int]*soft{}, map[int][]float32{}, map[int]*adam{}
	for _, l := range s.layers {
		v := c.job.Plan.Value(l.stored)
		f := format.Lookup(v.Format)
		t := c.g.ConstTensor(l.node.In[l.weight])
		marks, err := marksOf(v, t)
		if err != nil || f.Bits > 8 {
			return false
		}
		w := tensor.Of[float32](c.job.origin().Graph.ConstTensor(l.node.In[l.weight]))
		at := c.knobOf[l.node.In[l.weight]]
		c.softs[at] = newSoft(f, v.Params, v.Block.Owners(t.Shape), w, tensor.Of[float32](marks))
		c.set(at, tensor.Of[float32](marks))
		if l.bias > 0 {
			a := newAdam(len(c.knobs[c.knobOf[l.node.In[l.bias]]].x))
			c.biases[c.knobOf[l.node.In[l.bias]]] = &a
		}
	}
	for range lanes {
		c.lanes = append(c.lanes, c.lane())
	}
	return true
}

// marksOf rounds a weight with the parameters that the plan has for it.
func marksOf(v *plan.Value, t *tensor.Tensor) (*tensor.Tensor, error) {
	f := format.Lookup(v.Format)
	codes, err := f.QuantizeTensor(t, v.Block, v.Params)
	if err != nil {
		return nil, err
	}
	return f.DequantizeTensor(codes, v.Block, v.Params)
}

// set gives a knob other values.
func (c *course) set(at int, x []float32) {
	copy(c.knobs[at].x, x)
	if f := c.knobs[at].changed; f != nil {
		f()
	}
}

// batch is how many samples a step takes.
func (c *course) batch() int {
	cells := 0
	for _, s := range c.cells {
		cells += s.len()
	}
	return max(1, min(batchMost, len(c.fit), batchCells/max(1, cells)))
}

// share computes the result of samples in the lanes, of each lane those from lo to hi, and then calls do.
func (c *course) share(ctx context.Context, samples []int, do func(k int, l *lane, own []int) error) error {
	return calib.Each(ctx, lanes, c.job.Threads, func(_ context.Context, k int) error {
		own := samples[len(samples)*k/lanes : len(samples)*(k+1)/lanes]
		if len(own) == 0 {
			return nil
		}
		l := c.lanes[k]
		l.resize(len(own))
		from := c.cells[c.tape.in]
		for i, at := range own {
			dst := l.x[c.tape.in][i*from.len():][:from.len()]
			if from.last || from.pixels() == 1 {
				c.decode(dst, c.in[at])
				continue
			}
			t := l.scratch(from.len())
			c.decode(t, c.in[at])
			kernel.Transpose(c.level, dst, t, 1, from.c, from.pixels())
		}
		l.forward()
		return do(k, l, own)
	})
}

// loss is the mean squared error of the result on samples.
func (c *course) loss(ctx context.Context, samples []int) (float64, error) {
	sums := make([]float64, len(samples))
	n := c.cells[c.tape.out].len()
	b := c.batch()
	for from := 0; from < len(samples); from += b {
		part := samples[from:min(len(samples), from+b)]
		err := c.share(ctx, part, func(k int, l *lane, own []int) error {
			at := len(part) * k / lanes
			for i, s := range own {
				y := l.x[c.tape.out][i*n:][:n]
				for q, w := range c.want[s] {
					e := float64(y[q] - w)
					sums[from+at+i] += e * e
				}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	total := 0.0
	for _, s := range sums {
		total += s
	}
	return total / float64(len(samples)*n), nil
}

// signal is the mean square of the wanted result.
func (c *course) signal(samples []int) float64 {
	sum, n := 0.0, 0
	for _, s := range samples {
		for _, v := range c.want[s] {
			sum += float64(v) * float64(v)
		}
		n += len(c.want[s])
	}
	return sum / float64(max(1, n))
}

// run learns, and leaves every weight on a mark.
func (c *course) run(ctx context.Context) error {
	r := rand.New(rand.NewPCG(c.seed, 0x62726563))
	b := c.batch()
	var order []int
	scale := float32(1 / max(1e-30, c.signal(c.fit)))
	warm := int(learnWarm * learnSteps)
	for step := range learnSteps {
		if len(order) < b {
			for _, i := range r.Perm(len(c.fit)) {
				order = append(order, c.fit[i])
			}
		}
		part := order[:b]
		order = order[b:]
		beta := 0.0
		if step >= warm {
			t := float64(step-warm) / float64(learnSteps-warm)
			beta = betaTo + (betaFrom-betaTo)*(1+math.Cos(t*math.Pi))/2
		}
		if err := c.gradients(ctx, part, scale); err != nil {
			return err
		}
		if err := c.step(ctx, beta); err != nil {
			return err
		}
	}
	for at, s := range c.softs {
		w := make([]float32, len(s.v))
		s.weights(w, c.level, true)
		c.set(at, w)
	}
	return nil
}

// gradients finds those of all knobs over a batch.
func (c *course) gradients(ctx context.Context, samples []int, scale float32) error {
	for at, s := range c.softs {
		s.weights(c.knobs[at].x, c.level, false)
		c.knobs[at].changed()
	}
	n := c.cells[c.tape.out].len()
	scale /= float32(len(samples) * n)
	err := c.share(ctx, samples, func(_ int, l *lane, own []int) error {
		for i, s := range own {
			d, y := l.d[c.tape.out][i*n:][:n], l.x[c.tape.out][i*n:][:n]
			c.level.Binary(kernel.Sub, d, y, c.want[s])
			c.level.BinaryScalar(kernel.Mul, d, d, 2*scale)
		}
		l.backward()
		return nil
	})
	for at, k := range c.knobs {
		k.grad = room(k.grad, len(k.x))
		clear(k.grad)
		for i, l := range c.lanes {
			if len(samples)*i/lanes < len(samples)*(i+1)/lanes {
				c.level.Binary(kernel.Add, k.grad, k.grad, l.grads[at])
			}
		}
	}
	return err
}

// step moves the knobs. beta 0 is the warm-up.
func (c *course) step(ctx context.Context, beta float64) error {
	var powers []float32
	if beta > 0 {
		powers = powersOf(beta)
	}
	return calib.Each(ctx, len(c.knobs), c.job.Threads, func(_ context.Context, at int) error {
		k := c.knobs[at]
		if s := c.softs[at]; s != nil {
			s.step(k.grad, learnRate, pullShare*beta, powers)
		}
		if a := c.biases[at]; a != nil {
			a.next()
			rms := 0.0
			for _, v := range k.x {
				rms += float64(v) * float64(v) / float64(len(k.x))
			}
			for i, g := range k.grad {
				k.x[i] -= a.move(i, g, float32(biasRate*math.Sqrt(rms)))
			}
		}
		return nil
	})
}

// settle puts what was learnt into the networks.
func (c *course) settle(r *learner, s *section) error {
	g := c.g
	put := func(l *layer, in int, as string) error {
		name := l.node.In[in]
		t := tensor.Float32s(slices.Clone(c.knobs[c.knobOf[name]].x), g.ConstTensor(name).Shape...)
		g.SetConst(name, t)
		return r.walk.setConst(r.nodes[l.node], in, as, t, r.job.Plan)
	}
	for _, l := range s.layers {
		if err := put(l, l.weight, l.stored); err != nil {
			return err
		}
		if l.bias > 0 {
			if err := put(l, l.bias, l.as); err != nil {
				return err
			}
		}
	}
	return nil
}
