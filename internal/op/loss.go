package op

import (
	"math"
	"slices"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// A classLoss is the layout of a loss: log-probabilities (N,C,D...), labels (N,D...), weights (C).
type classLoss struct {
	classes, inner int
	shape          []int // of the labels
	labels         []int
	weights        []float64 // nil: all one
	ignore         int       // a label that does not count, where hasIgnore is set
	hasIgnore      bool
	reduction      string
}

func newClassLoss(c *Call) (*classLoss, error) {
	x, labels := c.In[0], c.In[1]
	if err := wantRank("input", x.Shape, 2); err != nil {
		return nil, err
	}
	l := &classLoss{classes: x.Shape[1], inner: tensor.Elements(x.Shape[2:])}
	l.shape = slices.Delete(slices.Clone(x.Shape), 1, 2)
	if err := wantShape("labels", labels, l.shape...); err != nil {
		return nil, err
	}
	if err := wantShape("weights", c.Input(2), l.classes); err != nil {
		return nil, err
	}
	var err error
	if l.reduction, err = lossReduction(c.Node); err != nil {
		return nil, err
	}
	l.ignore, l.hasIgnore = c.Int("ignore_index", 0), c.HasAttr("ignore_index")
	if l.labels, err = indices(labels); err != nil {
		return nil, err
	}
	if c.Has(2) {
		l.weights, err = floats(c.In[2])
	}
	return l, err
}

func lossReduction(n *graph.Node) (string, error) {
	r := n.Str("reduction", "mean")
	if r != "mean" && r != "sum" && r != "none" {
		return "", invalidf("reduction %q", r)
	}
	return r, nil
}

// weight returns how much label number i counts, false where it is ignored.
func (l *classLoss) weight(i int) (w float64, counts bool, err error) {
	k := l.labels[i]
	switch {
	case l.hasIgnore && k == l.ignore:
		return 0, false, nil
	case k < 0 || k >= l.classes:
		return 0, false, invalidf("label %d, there are %d classes", k, l.classes)
	case l.weights != nil:
		return l.weights[k], true, nil
	}
	return 1, true, nil
}

// compute returns the reduced loss of log-probabilities and its shape.
func (l *classLoss) compute(logp []float64) (loss []float64, shape []int, err error) {
	loss = make([]float64, len(l.labels))
	sum, total := 0.0, 0.0
	for i := range loss {
		w, counts, err := l.weight(i)
		if err != nil {
			return nil, nil, err
		}
		if !counts {
			continue
		}
		n, at := i/l.inner, i%l.inner
		loss[i] = -logp[(n*l.classes+l.labels[i])*l.inner+at] * w
		sum += loss[i]
		total += w
	}
	switch l.reduction {
	case "none":
		return loss, l.shape, nil
	case "mean":
		sum /= total
	}
	return []float64{sum}, []int{}, nil
}

func evalNLLLoss(c *Call) ([]*tensor.Tensor, error) {
	l, err := newClassLoss(c)
	if err != nil {
		return nil, err
	}
	logp, err := floats(c.In[0])
	if err != nil {
		return nil, err
	}
	loss, shape, err := l.compute(logp)
	if err != nil {
		return nil, err
	}
	return one(fromFloats(c.In[0].DType, loss, shape))
}

func evalCrossEntropy(c *Call) ([]*tensor.Tensor, error) {
	l, err := newClassLoss(c)
	if err != nil {
		return nil, err
	}
	x, err := floats(c.In[0])
	if err != nil {
		return nil, err
	}
	logp := logProbabilities(x, l.classes, l.inner)
	loss, shape, err := l.compute(logp)
	if err != nil {
		return nil, err
	}
	out := make([]*tensor.Tensor, 2)
	if out[0], err = fromFloats(c.In[0].DType, loss, shape); err != nil {
		return nil, err
	}
	out[1], err = fromFloats(c.In[0].DType, logp, c.In[0].Shape)
	return out, err
}

// logProbabilities returns log(softmax(x)) over the classes of x (N,classes,inner).
func logProbabilities(x []float64, classes, inner int) []float64 {
	y := make([]float64, len(x))
	size := classes * inner
	for i := range len(x) / max(1, classes) {
		first := i/inner*size + i%inner
		top, sum := math.Inf(-1), 0.0
		for k := range classes {
			top = max(top, x[first+k*inner])
		}
		for k := range classes {
			sum += math.Exp(x[first+k*inner] - top)
		}
		for k := range classes {
			y[first+k*inner] = x[first+k*inner] - top - math.Log(sum)
		}
	}
	return y
}

func inferLoss(c *Inference) ([]Fact, error) {
	x, labels := c.Input(0), c.Input(1)
	r, err := lossReduction(c.Node)
	if err != nil {
		return nil, err
	}
	loss := graph.Of(x.DType)
	if r == "none" {
		loss = labels.Type
		loss.DType = x.DType
	}
	return Typed([]graph.Type{loss, x.Type}[:max(1, min(2, len(c.Out)))]...), nil
}
