package repair

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"lowbit/internal/format"
	"lowbit/internal/onnx"
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

// TestTakenUp interrupts repairs after each of their steps and takes them up again: the same network comes out,
// the same is told, and what was done is not done again.
func TestTakenUp(t *testing.T) {
	for _, r := range []*Repair{GPTQ, AdaRound, BRECQ, Bias} {
		t.Run(r.Name, func(t *testing.T) {
			run := func(n *notes) (*Outcome, []byte, error) {
				j := chained(t, 7)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				if n != nil {
					n.interrupt, n.keeps, j.Journal = cancel, 0, n
				}
				out, err := r.Run(ctx, j)
				if err != nil {
					return nil, nil, err
				}
				b, err := onnx.Encode(j.quantized(t))
				if err != nil {
					t.Fatal(err)
				}
				p, err := j.Plan.Encode()
				if err != nil {
					t.Fatal(err)
				}
				return out, append(b, p...), nil
			}
			want, bytesWanted, err := run(nil)
			if err != nil {
				t.Fatal(err)
			}
			whole := &notes{at: map[string][]byte{}, most: -1}
			if _, b, err := run(whole); err != nil || !bytes.Equal(b, bytesWanted) {
				t.Fatalf("with a journal another network comes out: %v", err)
			}
			if whole.keeps < 3 {
				t.Fatalf("%d steps only", whole.keeps)
			}
			for most := 1; most < whole.keeps; most++ {
				n := &notes{at: map[string][]byte{}, most: most}
				if _, _, err := run(n); !errors.Is(err, context.Canceled) {
					t.Fatalf("interrupted after %d steps: %v", most, err)
				}
				n.most = -1
				got, b, err := run(n)
				if err != nil {
					t.Fatal(err)
				}
				if n.keeps != whole.keeps-most {
					t.Errorf("taken up after %d of %d steps, %d are done", most, whole.keeps, n.keeps)
				}
				if !bytes.Equal(b, bytesWanted) {
					t.Errorf("taken up after %d steps, another network comes out", most)
				}
				if got.Note != want.Note || !reflect.DeepEqual(got.Changes, want.Changes) {
					t.Errorf("taken up after %d steps: %v %q, want %v %q", most, got.Changes, got.Note, want.Changes, want.Note)
				}
			}
		})
	}
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
