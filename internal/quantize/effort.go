package quantize

import (
	"fmt"
	"time"

	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/tensor"
)

// An Effort tells what repairs that are chosen by trial may cost. Times are counted in operations at a
// nominal speed, so that what is tried depends on no clock and the same file comes out everywhere.
type Effort struct {
	Budget, Planned, Spent time.Duration
	Took                   time.Duration // by the clock
}

// DefaultBudget is what repairs that are chosen by trial may take.
const DefaultBudget = 5 * time.Minute

// nominal is the speed in multiply-adds per second that times are estimated with: about that of two cores.
const nominal = 2e10

// seconds is the estimated time of that many multiply-adds.
func seconds(work float64) time.Duration {
	return time.Duration(work / nominal * float64(time.Second)).Round(time.Millisecond)
}

// A work counts what repairs have to do with a network and its samples.
type work struct {
	macs             float64 // multiply-adds of one sample
	layers           []layerWork
	fit, many, judge float64 // samples: that repairs work on, that those work on that gain by many, that judge
}

// A layerWork is one layer with weights.
type layerWork struct {
	rows, k, groups float64 // of the matrix of weights of each group
	at              float64 // results of each output channel for one sample
}

func (l *layerWork) weights() float64 { return l.rows * l.k * l.groups }

// count measures the work for a network, fed as its first sample is.
func (q *quantization) count() (*work, error) {
	w := &work{fit: float64(len(q.fitted)), many: float64(len(q.many)), judge: float64(len(q.judge.numbers))}
	types := map[string]graph.Type{}
	for name, t := range q.judge.kept[0].inputs() {
		types[name] = graph.Of(t.DType, t.Shape...)
	}
	facts, err := op.Infer(q.float, types)
	if err != nil {
		return nil, err
	}
	for _, n := range q.float.Graph.AllNodes() {
		w.node(q.float.Graph, facts, n)
	}
	return w, nil
}

// elements is how many a value has, 1 where that is not known.
func elements(facts op.Facts, name string) float64 {
	if shape, ok := facts[name].Static(); ok {
		return float64(max(1, tensor.Elements(shape)))
	}
	return 1
}

// node adds one that multiplies by weights, or where another value may take their place, by that.
func (w *work) node(g *graph.Graph, facts op.Facts, n *graph.Node) {
	o := op.Lookup(n.Domain, n.Op)
	if o == nil {
		return
	}
	for i := range n.In {
		if o.Quant.Role(i) != op.Weight {
			continue
		}
		out := elements(facts, n.Out[0])
		t := g.ConstTensor(n.In[i])
		if t == nil {
			if shape, ok := facts[n.In[0]].Static(); ok && len(shape) > 0 {
				w.macs += out * float64(shape[len(shape)-1])
			}
			continue
		}
		rows := 1.0
		if axis := o.Quant.WeightAxis(n); t.Rank() > 0 && axis >= -t.Rank() && axis < t.Rank() {
			rows = float64(max(1, t.Shape[(axis+t.Rank())%t.Rank()]))
		}
		groups := float64(max(1, n.Int("group", 1)))
		l := layerWork{rows: max(1, rows/groups), groups: groups, at: max(1, out/rows)}
		l.k = max(1, float64(t.Len())/(l.rows*l.groups))
		w.macs += out * l.k
		w.layers = append(w.layers, l)
	}
}

// weights is the number of weights of all layers.
func (w *work) weights() (n float64) {
	for i := range w.layers {
		n += w.layers[i].weights()
	}
	return n
}

// measure is the work of comparing a network on the samples that judge, making it included.
func (w *work) measure() float64 { return w.judge*w.macs + makeWork*w.weights() }

// trial is the work of finding ranges and mean errors on the samples to repair on and comparing twice.
func (w *work) trial() float64 { return (w.fit+min(w.fit, meansOf))*w.macs + 2*w.measure() }

// makeWork is what quantizing and packing one weight takes, in multiply-adds.
const makeWork = 200

// shortSeconds writes a time as people do.
func shortSeconds(d time.Duration) string {
	switch {
	case d < 100*time.Millisecond:
		return "less than 0.1 s"
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.1f min", d.Minutes())
}
