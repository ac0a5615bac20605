package main

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"lowbit"
	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/op"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/quantize"
	"lowbit/internal/tensor"
)

// A product is one operator with constant weights, on which the speed of formats is measured.
type product struct {
	name  string
	x, w  []int // shapes of the operand, channels last, and of the weights
	attrs []*graph.Attr
	op    string
}

// formatShapes are the products measured: a convolution, many rows as in batches, and one as in generation.
var formatShapes = []product{
	{name: "conv3x3 256x14x14", op: "Conv", x: []int{1, 14, 14, 256}, w: []int{256, 256, 3, 3}, attrs: []*graph.Attr{{Name: "pads", Value: []int64{1, 1, 1, 1}}}},
	{name: "1024x1024x1024", op: "MatMul", x: []int{1024, 1024}, w: []int{1024, 1024}},
	{name: "1x4096x4096", op: "MatMul", x: []int{1, 4096}, w: []int{4096, 4096}},
}

// A product is measured in turns with float32, since a machine is not always as fast, for about as long in each.
const (
	formatTurns = 3
	formatTurn  = 60 * time.Millisecond
	formatLeast = 5 // runs of a turn
	formatRuns  = 5 // before
)

// accelerates is the least speed-up that counts as one.
const accelerates = 1.1

// A yardstick is a product in float32, and the part of its time by sums, as formats make them too, that it takes in
// Winograd's form, where networks have that, else 0.
type yardstick struct {
	product
	model    *lowbit.Model
	in       feed
	winograd float64
}

// yardsticks lists the products that formats are held against.
func (a *app) yardsticks(ctx context.Context) ([]yardstick, error) {
	var list []yardstick
	for _, p := range formatShapes {
		y := yardstick{product: p}
		y.model, y.in = p.model(a.seed)
		faster, kernel, err := a.speedup(ctx, &y, y.model)
		if err != nil {
			return nil, err
		}
		if strings.Contains(kernel, "Winograd") {
			y.winograd = 1 / faster
		}
		list = append(list, y)
	}
	return list, nil
}

// pairJSON is the speed of a format with activations of one format, "float32" where they stay floats.
type pairJSON struct {
	Acts    string             `json:"acts"`
	Speedup map[string]float64 `json:"speedup"`
	Faster  map[string]float64 `json:"speedup_over_winograd,omitempty"`
	Kernels map[string]string  `json:"kernels"`
}

// real is the speed-up over float32 as networks run it.
func (p *pairJSON) real(product string) float64 {
	if v, ok := p.Faster[product]; ok {
		return v
	}
	return p.Speedup[product]
}

// benchFormat measures products whose weights have a format, with every format of activations that
// its kernels pair it with. The row takes the speed-ups of the pair that is fastest in the first product.
// A format that no network can be written in is left out, and said to be.
func (a *app) benchFormat(ctx context.Context, list []yardstick, f *format.Format, row *formatJSON) error {
	for _, acts := range f.Partners() {
		pair := pairJSON{"float32", map[string]float64{}, map[string]float64{}, map[string]string{}}
		if acts != nil {
			pair.Acts = acts.Name
		}
		for i := range list {
			y := &list[i]
			q, err := quantizedProduct(ctx, y.product, y.model, f, acts, a.threads)
			if err != nil && ctx.Err() == nil {
				a.warn("%s with %s is left out: %v", f.Name, pair.Acts, err)
				break
			}
			if err != nil {
				return err
			}
			faster, kernel, err := a.speedup(ctx, y, q.Model)
			if err != nil {
				return fault.At(f.Name, err)
			}
			pair.Speedup[y.name], pair.Kernels[y.name] = faster, kernel
			if y.winograd > 0 {
				pair.Faster[y.name] = faster * y.winograd
			}
		}
		if len(pair.Speedup) < len(list) {
			continue
		}
		row.Pairs = append(row.Pairs, pair)
		if first := list[0].name; row.Speedup == nil || pair.Speedup[first] > row.Speedup[first] {
			row.Speedup, row.Faster, row.Acts = pair.Speedup, pair.Faster, pair.Acts
		}
	}
	row.Slow = row.slow()
	return nil
}

// slow lists the products that the format does not accelerate.
func (r *formatJSON) slow() []string {
	list := []string{}
	pair := pairJSON{Speedup: r.Speedup, Faster: r.Faster}
	for _, p := range formatShapes {
		if r.Speedup != nil && pair.real(p.name) < accelerates {
			list = append(list, p.name)
		}
	}
	return list
}

// model is a network of one product with normal weights, and an input for it. A convolution stands
// between Transposes, which cost nothing, because its operands lie channels last.
func (p product) model(seed uint64) (*lowbit.Model, feed) {
	r := rand.New(rand.NewPCG(seed, 2))
	normal := func(shape ...int) *tensor.Tensor {
		x := make([]float32, tensor.Elements(shape))
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return tensor.Float32s(x, shape...)
	}
	g := &graph.Graph{Name: "product", In: []*graph.Value{{Name: "x", Type: graph.Of(tensor.Float32, p.x...)}}, Out: []*graph.Value{{Name: "y"}}}
	node := &graph.Node{Op: p.op, Name: "product", In: []string{"x", "w"}, Out: []string{"y"}, Attrs: p.attrs}
	g.Nodes = []*graph.Node{node}
	g.SetConst("w", normal(p.w...))
	if p.op == "Conv" {
		first := &graph.Node{Op: "Transpose", Name: "first", In: []string{"x"}, Out: []string{"image"}}
		first.SetAttr("perm", []int64{0, 3, 1, 2})
		last := &graph.Node{Op: "Transpose", Name: "last", In: []string{"sums"}, Out: []string{"y"}}
		last.SetAttr("perm", []int64{0, 2, 3, 1})
		node.In[0], node.Out[0] = "image", "sums"
		g.Nodes = []*graph.Node{first, node, last}
	}
	return lowbit.FromGraph(&graph.Model{IR: 10, Opsets: []graph.Opset{{Version: 21}}, Graph: g}, "product"), feed{"x": normal(p.x...)}
}

// quantizedProduct quantizes a product with weights in a format, and activations in another; where
// that is nil they stay in float. Speed does not hang on the scales, so those of one block, and of numbers
// as they are expected, are taken for all.
func quantizedProduct(ctx context.Context, p product, m *lowbit.Model, f, acts *format.Format, threads int) (*lowbit.Result, error) {
	set, err := plan.Default("W8A8")
	if err != nil {
		return nil, err
	}
	set.Weights.Format, set.Mode = f, plan.Weights
	if acts != nil {
		set.Acts.Format, set.Mode = acts, plan.Static
	}
	set.Weights.Block = set.Mode.WeightBlock(f)
	g := pass.Clone(m.Graph())
	if err := pass.Prepare(g); err != nil {
		return nil, err
	}
	facts, err := op.Infer(g, nil)
	if err != nil {
		return nil, err
	}
	made := plan.Decide(g, facts, set, nil)
	for _, v := range made.Values {
		sigma := float32(1)
		if v.Name == p.result() {
			sigma = float32(math.Sqrt(float64(tensor.Elements(p.w)) / float64(p.x[len(p.x)-1])))
		}
		blocks := 1
		if v.Role == plan.RoleWeight {
			blocks = tensor.Elements(v.Block.ParamShape(p.w))
		}
		v.Params = slices.Repeat([]format.Params{format.Lookup(v.Format).FitBlock(normalNumbers(sigma))}, blocks)
	}
	return lowbit.QuantizeBy(ctx, m, quantize.Options{Settings: set, Plan: made, Threads: threads, Fix: []string{"none"}})
}

// result is the value that the operator computes.
func (p product) result() string {
	if p.op == "Conv" {
		return "sums"
	}
	return "y"
}

// normalNumbers are some that a block may hold.
func normalNumbers(sigma float32) []float32 {
	r := rand.New(rand.NewPCG(3, 4))
	x := make([]float32, 1024)
	for i := range x {
		x[i] = sigma * float32(r.NormFloat64())
	}
	return x
}

// speedup is how many times as fast as the yardstick by sums a network of the product is, and its kernel.
func (a *app) speedup(ctx context.Context, y *yardstick, m *lowbit.Model) (times float64, kernel string, err error) {
	float, err := a.stopwatch(ctx, y.model, y.in, true)
	if err != nil {
		return 0, "", err
	}
	defer float.session.Close()
	fast, err := a.stopwatch(ctx, m, y.in, false)
	if err != nil {
		return 0, "", err
	}
	defer fast.session.Close()
	var turns []float64
	for range formatTurns {
		slow, err := float.product(ctx)
		if err != nil {
			return 0, "", err
		}
		quick, err := fast.product(ctx)
		if err != nil {
			return 0, "", err
		}
		turns = append(turns, float64(slow)/float64(quick))
	}
	slices.Sort(turns)
	return turns[len(turns)/2], fast.kernel, nil
}

// A stopwatch measures a product alone, with its operand in the format of the activations already, as it flows
// through a network.
type stopwatch struct {
	session *lowbit.Session
	in      feed
	runs    int // of a turn
	kernel  string
}

func (a *app) stopwatch(ctx context.Context, m *lowbit.Model, in feed, direct bool) (*stopwatch, error) {
	s, err := m.Compile(lowbit.CompileOptions{Threads: a.threads, Direct: direct})
	if err != nil {
		return nil, err
	}
	start := time.Now()
	steps, err := s.Profile(ctx, in, formatRuns)
	if err != nil {
		s.Close()
		return nil, err
	}
	w := &stopwatch{session: s, in: in, runs: min(max(formatLeast, int(formatTurn*formatRuns/max(time.Since(start), 1))), 1000)}
	for _, st := range steps {
		if st.MACs > 0 {
			w.kernel = st.Kernel
		}
	}
	return w, nil
}

// product is the median time of the runs of a turn.
func (w *stopwatch) product(ctx context.Context) (total time.Duration, err error) {
	steps, err := w.session.Profile(ctx, w.in, w.runs)
	for _, st := range steps {
		if strings.Contains(st.Node, `"product"`) {
			total += st.Time
		}
	}
	return max(total, 1), err
}
