package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"lowbit"
	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/report"
	"lowbit/internal/tensor"
)

type benchFlags struct {
	batch            int
	shapes           []string
	warmup, duration span
	kernels          bool
	input, against   string
}

func benchCmd(a *app) *cobra.Command {
	b := &benchFlags{warmup: span(time.Second), duration: span(5 * time.Second)}
	cmd := &cobra.Command{
		Use: "bench MODEL", Short: "Measure a model's speed", Args: positional("MODEL"),
		Example: "  lowbit bench model.onnx --threads 1\n  lowbit bench model.onnx --shape input:1x3x224x224 --kernels --json",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.bench(cmd.Context(), args[0], b) },
	}
	f := cmd.Flags()
	f.IntVar(&b.batch, "batch", 1, "size of the first axis where the model leaves it open")
	f.StringArrayVar(&b.shapes, "shape", nil, "`shape` of an input, such as x:1x3x224x224; may be repeated")
	f.Var(&b.warmup, "warmup", "time to run before measuring, such as 1s")
	f.Var(&b.duration, "duration", "time to measure, such as 5s")
	f.BoolVar(&b.kernels, "kernels", false, "show the time of each operator, the kernel that computes it, and where float is faster")
	f.StringVar(&b.input, "input", "", "npz with a key for each input, or npy, to run on instead of random numbers")
	f.StringVar(&b.against, "against", "", "float model to hold the operators of a quantized one against (default: its own float form)")
	return cmd
}

// benchJSON is what bench prints with --json.
type benchJSON struct {
	Schema     string       `json:"schema"`
	Latency    latencyJSON  `json:"latency_ms"`
	Throughput float64      `json:"throughput_per_s"`
	Runs       int          `json:"runs"`
	Threads    int          `json:"threads"`
	Load       float64      `json:"load_ms"` // from opening the file to the first answer
	PeakRSS    int64        `json:"peak_rss_bytes"`
	Kernels    []kernelJSON `json:"kernels"`
	// Limits are what one core reaches, by the number format that kernels begin with.
	Limits map[string]limitJSON `json:"limits"`
	// Float is the time of all operators of the float form in microseconds, 0 where there is none.
	Float  float64      `json:"float_us"`
	Slower []slowerJSON `json:"slower"`
}

type latencyJSON struct {
	Min    float64 `json:"min"`
	Median float64 `json:"median"`
	P95    float64 `json:"p95"`
}

func (a *app) bench(ctx context.Context, path string, b *benchFlags) error {
	begin := time.Now()
	m, err := a.openToRun(path)
	if err != nil {
		return err
	}
	defer m.Close()
	opened := time.Since(begin)
	in, err := a.feed(m, b)
	if err != nil {
		return fault.At(path, err)
	}
	begin = time.Now()
	s, err := a.compile(m, "engine", load{workers: 1, inputs: typesOf(in), copies: 1})
	if err != nil {
		return err
	}
	if _, err := s.Run(ctx, in); err != nil {
		return fault.At(path, err)
	}
	r := &benchJSON{Schema: "lowbit.bench/v1", Threads: a.threads, Load: micros(opened+time.Since(begin)) / 1e3, Kernels: []kernelJSON{}, Limits: map[string]limitJSON{}, Slower: []slowerJSON{}}
	times, err := b.measure(ctx, s, in)
	if err != nil {
		return fault.At(path, err)
	}
	r.Runs, r.Latency, r.PeakRSS = len(times), latencyOf(times), peakMemory()
	r.Throughput = float64(b.batch) * 1e3 / r.Latency.Median
	if b.kernels || a.json {
		if err := r.profile(ctx, a, m, s, b, in); err != nil {
			return fault.At(path, err)
		}
	}
	return a.tellBench(path, r, b)
}

// tellBench prints the figures, and names the command that probably comes next.
func (a *app) tellBench(path string, r *benchJSON, b *benchFlags) (err error) {
	if a.json {
		err = a.printJSON(r)
	} else {
		err = a.printBench(path, r, b.kernels)
	}
	switch {
	case !b.kernels:
		a.next("bench", path, "--kernels")
	case r.Float > 0:
		a.next("inspect", path)
	default:
		a.next("quantize", path, "-o", "out.onnx", "--data", "calib/")
	}
	return err
}

// feed returns the inputs to run on: those of a file, or random ones, which are not made where
// --max-memory has no room for the run.
func (a *app) feed(m *lowbit.Model, b *benchFlags) (feed, error) {
	inputs := m.Graph().Graph.Required()
	if b.input != "" {
		in, err := readInputs(b.input, inputs)
		if err != nil {
			return nil, err
		}
		return in, b.settle(inputs, typesOf(in))
	}
	types, err := b.types(inputs)
	if err != nil {
		return nil, err
	}
	if err := a.admit(m, load{workers: 1, inputs: types, copies: 1}); err != nil {
		return nil, err
	}
	return b.inputs(inputs, types, a.seed)
}

// latencyOf sums up the times of runs in milliseconds: 95 of 100 take no longer than the last figure.
func latencyOf(times []time.Duration) latencyJSON {
	slices.Sort(times)
	ms := func(i int) float64 { return float64(times[i].Nanoseconds()) / 1e6 }
	n := len(times)
	return latencyJSON{ms(0), (ms((n-1)/2) + ms(n/2)) / 2, ms((95*n+99)/100 - 1)}
}

// measure runs the model for the warm-up and then for the duration, at least once.
func (b *benchFlags) measure(ctx context.Context, s *lowbit.Session, in feed) ([]time.Duration, error) {
	var times []time.Duration
	warm := time.Now().Add(time.Duration(b.warmup))
	end := warm.Add(time.Duration(b.duration))
	for len(times) == 0 || time.Now().Before(end) {
		t := time.Now()
		if _, err := s.Run(ctx, in); err != nil {
			return nil, err
		}
		if !t.Before(warm) {
			times = append(times, time.Since(t))
		}
	}
	return times, nil
}

func (a *app) printBench(path string, r *benchJSON, kernels bool) error {
	if kernels {
		if err := r.printProfile(a); err != nil {
			return err
		}
	}
	return a.printf("%s: median %.3f ms, min %.3f, p95 %.3f over %s; %.1f per second, %s, %.1f ms from opening to the first answer, peak memory %.1f MB\n",
		path, r.Latency.Median, r.Latency.Min, r.Latency.P95, report.Count(r.Runs, "run"), r.Throughput, report.Count(r.Threads, "thread"), r.Load, float64(r.PeakRSS)/1e6)
}

// types are those of the inputs to measure with. It sets the batch to what the model fixes, or a
// given shape has.
func (b *benchFlags) types(inputs []*graph.Value) (map[string]graph.Type, error) {
	if b.batch < 1 {
		return nil, fault.Invalidf("--batch", "%d is not a number of samples", b.batch)
	}
	given := map[string][]int{}
	var names []string
	for _, text := range b.shapes {
		name, shape, err := parseShape(text)
		if err != nil {
			return nil, err
		}
		given[name] = shape
	}
	types := map[string]graph.Type{}
	for _, v := range inputs {
		names = append(names, v.Name)
		shape, err := b.shape(v, given)
		if err != nil {
			return nil, err
		}
		if !v.Type.IsTensor() {
			return nil, fault.Unsupportedf(fmt.Sprintf("input %q", v.Name), "cannot make a %s", v.Type)
		}
		types[v.Name] = graph.Of(v.Type.DType, shape...)
	}
	for name := range given {
		if err := oneOf("--shape", name, names...); err != nil {
			return nil, err
		}
	}
	return types, b.settle(inputs, types)
}

// inputs makes random inputs of those types.
func (b *benchFlags) inputs(inputs []*graph.Value, types map[string]graph.Type, seed uint64) (feed, error) {
	in := feed{}
	r := rand.New(rand.NewPCG(seed, 1))
	for _, v := range inputs {
		shape, _ := types[v.Name].Static()
		var err error
		if in[v.Name], err = randomTensor(r, v, shape); err != nil {
			return nil, err
		}
	}
	return in, nil
}

// settle holds the batch against the inputs: where no first axis is open, there is one sample.
func (b *benchFlags) settle(inputs []*graph.Value, types map[string]graph.Type) error {
	for _, v := range inputs {
		if t := types[v.Name]; v.Type.Ranked && len(v.Type.Shape) > 0 && len(t.Shape) > 0 && !v.Type.Shape[0].IsKnown() {
			b.batch = max(1, t.Shape[0].Size)
			return nil
		}
	}
	if b.batch > 1 {
		return fault.Invalidf("--batch", "the model fixes the first axis of every input").WithHint("leave --batch out")
	}
	return nil
}

// shape is that of an input: given, declared, or with the batch where the first axis is open.
func (b *benchFlags) shape(v *graph.Value, given map[string][]int) ([]int, error) {
	place := fmt.Sprintf("input %q", v.Name)
	if s, ok := given[v.Name]; ok {
		return s, nil
	}
	if !v.Type.Ranked {
		return nil, fault.Invalidf(place, "has no declared shape").WithHint("give --shape %s:1x3x224x224", v.Name)
	}
	shape := make([]int, len(v.Type.Shape))
	for i, d := range v.Type.Shape {
		switch {
		case d.IsKnown():
			shape[i] = d.Size
		case i == 0:
			shape[i] = b.batch
		default:
			return nil, fault.Invalidf(place, "%s leaves axis %d open", v.Type, i).WithHint("give --shape %s:…", v.Name)
		}
	}
	return shape, nil
}

func parseShape(text string) (string, []int, error) {
	i := strings.LastIndex(text, ":")
	if i < 0 {
		return "", nil, fault.Invalidf("--shape", "%q is not NAME:AxBxC", text)
	}
	shape := []int{}
	for _, d := range strings.FieldsFunc(text[i+1:], func(r rune) bool { return r == 'x' || r == ',' }) {
		n, err := strconv.Atoi(d)
		if err != nil || n < 0 {
			return "", nil, fault.Invalidf("--shape", "%q is not NAME:AxBxC", text)
		}
		shape = append(shape, n)
	}
	if _, err := tensor.CheckedElements(shape); err != nil {
		return "", nil, fault.Invalidf("--shape", "%v", err)
	}
	return text[:i], shape, nil
}

// maxBenchInput is the most elements of one input, so that a slip in --shape takes no gigabytes.
const maxBenchInput = 1 << 28

// randomTensor fills an input: normal numbers for floats, and 0 or 1 for integers, which are
// within the range of every index.
func randomTensor(r *rand.Rand, v *graph.Value, shape []int) (*lowbit.Tensor, error) {
	if n := tensor.Elements(shape); n > maxBenchInput {
		return nil, fault.Limitf(fmt.Sprintf("input %q", v.Name), "%d elements are more than %d", n, maxBenchInput)
	}
	x := make([]float64, tensor.Elements(shape))
	for i := range x {
		if v.Type.DType.IsFloat() {
			x[i] = r.NormFloat64()
		} else {
			x[i] = float64(r.IntN(2))
		}
	}
	t, err := format.FromFloats(v.Type.DType, x, false, shape...)
	if err != nil {
		return nil, fault.Unsupportedf(fmt.Sprintf("input %q", v.Name), "%v", err)
	}
	return t, nil
}
