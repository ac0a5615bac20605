package repair

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/pass"
	"lowbit/internal/plan"
	"lowbit/internal/tensor"
)

// notes is a journal in memory that interrupts the work once it holds so many records.
type notes struct {
	at        map[string][]byte
	keeps     int
	most      int
	interrupt context.CancelFunc
}

func (n *notes) Recall(key string, v any) bool {
	b, ok := n.at[key]
	return ok && json.Unmarshal(b, v) == nil
}

func (n *notes) Keep(key string, v any) error {
	b, err := json.Marshal(v)
	if n.at[key] = b; len(n.at) == n.most {
		n.interrupt()
	}
	n.keeps++
	return err
}

// chained is a chain of matrices with clamps between them: several sections.
func chained(t *testing.T, layers int) *Job {
	var consts, nodes strings.Builder
	for i := range layers {
		fmt.Fprintf(&consts, ", float[16,16] w%d, float[16] b%d", i, i)
		fmt.Fprintf(&nodes, "a%d = Gemm (h%d, w%d, b%d)\n h%d = Relu (a%d)\n", i, i, i, i, i+1, i)
	}
	m := parse(t, header+fmt.Sprintf("g (float[4,16] h0) => (float[4,16] h%d) <%s> {\n%s}", layers, consts.String()[2:], nodes.String()))
	r := rand.New(rand.NewPCG(61, 62))
	for i := range layers {
		fill(m, r, fmt.Sprintf("w%d", i), func(int) float64 { return 0.4 }, 16, 16)
		fill(m, r, fmt.Sprintf("b%d", i), func(int) float64 { return 0.3 }, 16)
	}
	set := w8a8(t)
	set.Weights.Format = format.Int4
	samples := images(r, m, 24)
	j := jobFor(t, m, set, samples[:16], samples[16:])
	j.calibrate(t)
	return j
}

func chained7(t *testing.T) *Job { return chained(t, 7) }

// added is a chain of products of matrices with four bits, each behind inputs of positive mean, whose biases are Adds of
// their own, as networks of language are exported.
func added(t *testing.T) *Job { return addedLayers(t, 5) }

func addedLayers(t *testing.T, layers int) *Job {
	var consts, nodes strings.Builder
	for i := range layers {
		fmt.Fprintf(&consts, ", float[16,16] w%d, float[16] b%d", i, i)
		fmt.Fprintf(&nodes, "[m%d] p%d = MatMul (h%d, w%d)\n [s%d] a%d = Add (b%d, p%d)\n h%d = Sigmoid (a%d)\n", i, i, i, i, i, i, i, i, i+1, i)
	}
	m := parse(t, header+fmt.Sprintf("g (float[2,4,16] h0) => (float[2,4,16] h%d) <%s> {\n%s}", layers, consts.String()[2:], nodes.String()))
	r := rand.New(rand.NewPCG(63, 64))
	for i := range layers {
		fill(m, r, fmt.Sprintf("w%d", i), func(int) float64 { return 0.4 }, 16, 16)
		fill(m, r, fmt.Sprintf("b%d", i), func(int) float64 { return 0.3 }, 16)
	}
	set := w8a8(t)
	set.Weights.Format = format.Int4
	set.Keep = []plan.Pattern{pattern(t, "op:Add"), pattern(t, "op:Sigmoid")}
	samples := images(r, m, 24)
	j := jobFor(t, m, set, samples[:16], samples[16:])
	j.calibrate(t)
	return j
}

func pattern(t *testing.T, s string) plan.Pattern {
	p, err := plan.ParsePattern(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// bottleneck is a network whose BatchNormalizations are folded, and what they told is forgotten.
func bottleneck(t *testing.T) *Job {
	m, samples := plantNormalized(t)
	if err := pass.Prepare(m); err != nil {
		t.Fatal(err)
	}
	j := jobFor(t, m, w8a8(t), samples[:16], samples[16:])
	j.calibrate(t)
	return j
}

// counted counts the samples that a job runs through networks.
func counted(j *Job) *atomic.Int64 {
	n, compile := &atomic.Int64{}, j.Compile
	j.Compile = func(m *graph.Model, watch []string) (calib.Runner, error) {
		r, err := compile(m, watch)
		return runCounter{r, n}, err
	}
	return n
}

type runCounter struct {
	calib.Runner
	n *atomic.Int64
}

func (r runCounter) RunWatch(ctx context.Context, in map[string]*tensor.Tensor, watch func(string, *tensor.Tensor)) (map[string]*tensor.Tensor, error) {
	r.n.Add(1)
	return r.Runner.RunWatch(ctx, in, watch)
}

// done is what a repair did: the float network, the quantized one and the plan, what it told, and how many samples ran.
type done struct {
	out  *Outcome
	all  []byte
	runs int64
}

// TestTakenUp interrupts repairs after each of their steps and takes them up again: the same network comes out,
// the same is told, and what was done is not done again.
func TestTakenUp(t *testing.T) {
	picked := func(word string) *Repair {
		r, err := Pick(word)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	for _, c := range []struct {
		repair *Repair
		job    func(t *testing.T) *Job
		steps  int // that are kept at least
	}{
		{GPTQ, chained7, 3}, {AdaRound, chained7, 3}, {BRECQ, chained7, 3}, {Bias, chained7, 3}, {Bias, added, 3},
		{AWQClip, chained7, 3}, {HQQ, chained7, 7}, {KQuant, chained7, 7},
		{Smooth, chained7, 5}, {picked("smooth=0.3"), chained7, 5}, {AWQ, chained7, 5},
		{Equalize, bottleneck, 1}, {Absorb, bottleneck, 1}, {Analytic, bottleneck, 1}, {picked("bias=once"), bottleneck, 1},
	} {
		t.Run(c.repair.Name, func(t *testing.T) { takeUp(t, c.repair, c.job, c.steps) })
	}
}

func takeUp(t *testing.T, r *Repair, job func(t *testing.T) *Job, steps int) {
	run := func(n *notes) (*done, error) {
		j := job(t)
		runs := counted(j)
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		if n != nil {
			n.interrupt, n.keeps, j.Journal = cancel, 0, n
		}
		told := 0
		j.Progress = func(done, total int) {
			if told++; done > total {
				t.Errorf("%d of %d are done", done, total)
			}
		}
		out, err := r.Run(ctx, j)
		if err != nil {
			return nil, err
		}
		if told == 0 && n == nil {
			t.Error("no progress is shown")
		}
		p, err := j.Plan.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return &done{out, slices.Concat(encoded(t, j.Net), encoded(t, j.quantized(t)), p), runs.Load()}, nil
	}
	want, err := run(nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(want.out.Changes) == 0 {
		t.Fatalf("nothing changes: %s", want.out.Note)
	}
	whole := &notes{at: map[string][]byte{}, most: -1}
	if got, err := run(whole); err != nil || !bytes.Equal(got.all, want.all) {
		t.Fatalf("with a journal another network comes out: %v", err)
	}
	if whole.keeps < steps {
		t.Fatalf("%d steps only", whole.keeps)
	}
	for most := 1; most <= whole.keeps; most++ {
		n := &notes{at: map[string][]byte{}, most: most}
		if _, err := run(n); most < whole.keeps && !errors.Is(err, context.Canceled) {
			t.Fatalf("interrupted after %d steps: %v", most, err)
		}
		n.most = -1
		got, err := run(n)
		if err != nil {
			t.Fatal(err)
		}
		if n.keeps != whole.keeps-most {
			t.Errorf("taken up after %d of %d steps, %d are done", most, whole.keeps, n.keeps)
		}
		if want.runs > 0 && most == whole.keeps && got.runs >= want.runs {
			t.Errorf("all %d steps are kept, and %d of %d samples run", most, got.runs, want.runs)
		}
		if !bytes.Equal(got.all, want.all) {
			t.Errorf("taken up after %d steps, another network comes out", most)
		}
		if got.out.Note != want.out.Note || !reflect.DeepEqual(got.out.Changes, want.out.Changes) {
			t.Errorf("taken up after %d steps: %v %q, want %v %q", most, got.out.Changes, got.out.Note, want.out.Changes, want.out.Note)
		}
	}
}

func encoded(t *testing.T, m *graph.Model) []byte {
	t.Helper()
	b, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestKeptOfAnotherNetwork does anew what does not fit the network.
func TestKeptOfAnotherNetwork(t *testing.T) {
	j := chained(t, 2)
	rec := &recorder{job: j, out: &Outcome{}}
	as := j.Plan.Values[0].As
	for _, s := range []kept{
		{Values: []fitted{{As: "nothing"}}},
		{Values: []fitted{{As: as, Params: make([]format.Params, 99)}}},
		{Consts: map[string]stored{"nothing": {}}},
		{Consts: map[string]stored{"w0": {Shape: []int{16, 16}, Raw: make([]byte, 3)}}},
		{Consts: map[string]stored{"w0": {Shape: []int{-1, -1024}, Raw: make([]byte, 1024)}}},
		{Counts: []int{1}},
	} {
		if rec.fits(&s) {
			t.Errorf("%+v is taken", s)
		}
	}
	if !rec.fits(&kept{Values: []fitted{fittedOf(j.Plan.Value(as))}}) {
		t.Error("what fits is not taken")
	}
}
