package quantize

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"math/rand/v2"
	"reflect"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/demo"
	"lowbit/internal/format"
	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/plan"
	"lowbit/internal/repair"
	"lowbit/internal/tensor"
)

// notes is a journal in memory that interrupts the work once it holds so many records.
type notes struct {
	at          map[string][]byte
	keeps, most int
	works       map[string]bool
	interrupt   context.CancelFunc
}

func (n *notes) Recall(key string, v any) bool {
	b, ok := n.at[key]
	return ok && json.Unmarshal(b, v) == nil
}

func (n *notes) Keep(key string, v any) error {
	if _, twice := n.at[key]; twice {
		return fmt.Errorf("%q is kept twice", key)
	}
	b, err := json.Marshal(v)
	if n.at[key] = b; len(n.at) == n.most {
		n.interrupt()
	}
	n.keeps++
	return err
}

func glyphNet(t *testing.T) *graph.Model {
	t.Helper()
	m, err := onnx.Decode(demo.Model(), onnx.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// normalizedNet is a network with BatchNormalizations that tell of nothing in particular.
func normalizedNet(t *testing.T) *graph.Model {
	t.Helper()
	m, err := graph.ParseText(`<ir_version: 8, opset_import: ["" : 17]>
g (float[1,3,16,16] x) => (float[1,6] y) <float[8,3,3,3] w, float[8,8,3,3] u, float[6,8] v, float[8] a, float[8] b, float[8] c, float[8] d> {
  p = Conv <pads = [1, 1, 1, 1]> (x, w)
  pn = BatchNormalization (p, a, b, c, d)
  pr = Relu (pn)
  q = Conv <pads = [1, 1, 1, 1], strides = [2, 2]> (pr, u)
  qn = BatchNormalization (q, a, b, c, d)
  qr = Relu (qn)
  g = GlobalAveragePool (qr)
  f = Flatten (g)
  y = Gemm <transB = 1> (f, v)
}`)
	if err != nil {
		t.Fatal(err)
	}
	for name, shape := range map[string][]int{"w": {8, 3, 3, 3}, "u": {8, 8, 3, 3}, "v": {6, 8}, "a": {8}, "b": {8}, "c": {8}, "d": {8}} {
		r := rand.New(rand.NewPCG(3, uint64(name[0])))
		x := make([]float32, tensor.Elements(shape))
		for i := range x {
			x[i] = float32(0.3 * r.NormFloat64())
			if len(shape) == 1 {
				x[i] = 0.5 + x[i]*x[i]
			}
		}
		m.Graph.SetConst(name, tensor.Float32s(x, shape...))
	}
	return m
}

// loud are images of the demo, of which one is so many times as bright.
func loud(t *testing.T, which int, times float32) *dataset.Source {
	base := glyphs(48)
	return dataset.New(base.Info(), func(i int) (*dataset.Sample, error) {
		s, err := base.Sample(i)
		if err == nil && i == which {
			for k, x := 0, tensor.Of[float32](s.Inputs[demo.Input]); k < len(x); k++ {
				x[k] *= times
			}
		}
		return s, err
	})
}

// TestTakenUp interrupts runs after each of what they keep and takes them up again: the same network comes out, the same
// is told of it, and what was done is not done again.
func TestTakenUp(t *testing.T) {
	if testing.Short() {
		t.Skip("quantizes many times")
	}
	with := func(change func(o *Options)) Options {
		o := Options{Data: glyphs(48), Budget: DefaultBudget}
		var err error
		if o.Settings, err = plan.Default("W8A8"); err != nil {
			t.Fatal(err)
		}
		change(&o)
		return o
	}
	for _, c := range []struct {
		name  string
		model *graph.Model
		opt   Options
		steps int // that are kept at least
	}{
		{"by default", glyphNet(t), with(func(o *Options) {}), 15},
		{"many samples, asked for", glyphNet(t), with(func(o *Options) { o.Data, o.Fix = glyphs(120), []string{"equalize", "bias"} }), 10},
		{"without data", normalizedNet(t), with(func(o *Options) { o.Data = undrawn(t, normalizedNet(t), 40).Data }), 10},
		{"layers left in float", glyphNet(t), with(func(o *Options) { o.Data, o.Settings.Observer = loud(t, 5, 60), calib.MinMax }), 30},
		{"weights only", glyphNet(t), with(func(o *Options) {
			o.Settings.Mode, o.Settings.Weights.Format, o.Fix = plan.Weights, format.Int4, []string{"smooth=0.5", "hqq", "bias=once"}
		}), 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			run := func(n *notes) (*Result, []byte, error) {
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				o := c.opt
				o.Threads = 2
				if n != nil {
					n.interrupt, n.keeps = cancel, 0
					o.Journal = func(work string) (repair.Journal, error) {
						n.works[work] = true
						return n, nil
					}
				}
				r, err := Run(ctx, c.model, o)
				if err != nil {
					return nil, nil, err
				}
				b, err := onnx.Encode(r.Graph)
				if err != nil {
					t.Fatal(err)
				}
				return r, b, nil
			}
			want, bytesWanted, err := run(nil)
			if err != nil {
				t.Fatal(err)
			}
			whole := &notes{at: map[string][]byte{}, works: map[string]bool{}, most: -1}
			if _, b, err := run(whole); err != nil || !bytes.Equal(b, bytesWanted) {
				t.Fatalf("with a journal another network comes out: %v", err)
			}
			t.Logf("%d steps: %v %q", whole.keeps, want.Gate, want.Warnings)
			if whole.keeps < c.steps {
				t.Fatalf("%d steps only", whole.keeps)
			}
			for most := 1; most <= whole.keeps; most += 1 + whole.keeps/2 {
				n := &notes{at: map[string][]byte{}, works: map[string]bool{}, most: most}
				if _, _, err := run(n); err != nil && !errors.Is(err, context.Canceled) {
					t.Fatalf("interrupted after %d steps: %v", most, err)
				}
				n.most = -1
				had := len(n.at)
				got, b, err := run(n)
				if err != nil {
					t.Fatal(err)
				}
				if len(n.works) != 1 {
					t.Errorf("the work has %d names", len(n.works))
				}
				if n.keeps != whole.keeps-had {
					t.Errorf("taken up after %d of %d steps, %d are done", had, whole.keeps, n.keeps)
				}
				if !bytes.Equal(b, bytesWanted) {
					t.Errorf("taken up after %d steps, another network comes out", most)
				}
				if !reflect.DeepEqual(told(got), told(want)) {
					t.Errorf("taken up after %d steps it tells %v, want %v", most, told(got), told(want))
				}
			}
		})
	}
}

// told is what is known of a network, but for the time that it took.
func told(r *Result) []any {
	g := *r.Gate
	g.net, g.wide = nil, nil
	e := r.Effort
	e.Took = 0
	return []any{g, r.Fixes, e, r.Drawn, r.Warnings}
}

// counted counts what is written to a hash.
type counted struct {
	hash.Hash
	bytes int
}

func (c *counted) Write(b []byte) (int, error) {
	c.bytes += len(b)
	return c.Hash.Write(b)
}

// TestHashModel holds that constants are hashed once however often their network is, and that their bytes count.
func TestHashModel(t *testing.T) {
	made := func(last byte) *graph.Model {
		g := &graph.Graph{Name: "g"}
		w := tensor.New(tensor.Float32, 512, 512)
		w.Raw[len(w.Raw)-1] = last
		g.SetConst("w", w)
		g.Nodes = []*graph.Node{{Op: "MatMul", In: []string{"x", "w"}, Out: []string{"y"}}}
		return &graph.Model{Graph: g}
	}
	b := &book{}
	sum := func(b *book, m *graph.Model) string {
		h := &counted{Hash: sha256.New()}
		if b.hashModel(h, m); h.bytes > 1<<12 {
			t.Errorf("%d bytes are written for a constant that is hashed by itself", h.bytes)
		}
		return string(h.Sum(nil))
	}
	m := made(1)
	first := sum(b, m)
	if len(b.sums) != 1 || sum(b, m) != first || sum(b, made(1)) != first || sum(&book{}, m) != first {
		t.Error("one network has several hashes")
	}
	if sum(b, made(2)) == first {
		t.Error("two networks have one hash")
	}
}

// TestBookForgets gives the memory of constants back once they are hashed, which is done once.
func TestBookForgets(t *testing.T) {
	w := tensor.New(tensor.Float32, 64, 64)
	g := &graph.Graph{Name: "g"}
	g.SetConst("w", w)
	forgotten := 0
	m := &graph.Model{Graph: g, Backing: graph.Backing{Forget: func(b []byte) {
		if &b[0] == &w.Raw[0] {
			forgotten++
		}
	}}}
	b := &book{}
	for range 2 {
		b.hashModel(sha256.New(), m)
	}
	if forgotten != 1 {
		t.Errorf("what was hashed was given back %d times, want once", forgotten)
	}
}
