package engine

import (
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"hash"
	"slices"
	"testing"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// networks is how many random networks each test draws.
var networks = flag.Int("networks", drawn, "random networks drawn by each test of equal bits")

// goldenNetworks of them, run by plain Go, gave outputs with this SHA-256 on amd64.
const (
	goldenNetworks = 120
	goldenSum      = "f38a3dbaaa5476f0a30eb2a42f6766a0de4fae7f2b8e3f189a94db82e4dc87f4"
)

// bytesOf runs a network in one way and returns its outputs' bytes.
func (k *maker) bytesOf(t *testing.T, r runs) string {
	t.Helper()
	s := k.compile(t, Options{Threads: r.threads, Level: &r.level})
	defer s.Close()
	out, err := s.Run(t.Context(), k.in)
	if err != nil {
		t.Fatal(err)
	}
	return k.joined(out)
}

// joined puts the bytes of all outputs one behind the other.
func (k *maker) joined(out map[string]*tensor.Tensor) string {
	var all []byte
	for _, v := range k.m.Graph.Out {
		all = append(all, out[v.Name].Raw...)
	}
	return string(all)
}

// TestRandomCodes grows random integer networks: every level and every number of threads gives the same
// bytes. The sum over the first ones holds other processors, and builds without assembly, to the same.
func TestRandomCodes(t *testing.T) {
	sum := sha256.New()
	for seed := range uint64(*networks) {
		k := grown(seed, 10+int(seed%4)*10, 1+int(seed%6))
		want := k.bytesOf(t, allRuns()[0])
		if seed < goldenNetworks {
			addBytes(sum, want)
		}
		for _, r := range allRuns()[1:] {
			if got := k.bytesOf(t, r); got != want {
				t.Errorf("network %d: %v differs from plain Go at byte %d\n%v", seed, r, firstDifference(got, want), k.m)
			}
		}
	}
	if got := hex.EncodeToString(sum.Sum(nil)); *networks >= goldenNetworks && got != goldenSum {
		t.Errorf("the outputs of %d networks have the sum %s, not %s", goldenNetworks, got, goldenSum)
	}
}

func addBytes(h hash.Hash, s string) {
	fmt.Fprintf(h, "%d:", len(s))
	h.Write([]byte(s))
}

func firstDifference(a, b string) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}

// TestRandomOperators holds networks of one random operator against its definition.
func TestRandomOperators(t *testing.T) {
	for seed := range uint64(*networks) {
		s := plant(seed, 12, tensor.Uint8)
		s.older = append(s.older, *s)
		growths[int(seed)%len(growths)].grow(s)
		s.output(s.x)
		s.checkSteps(t, s.scale)
	}
}

// TestRandomThreads grows networks that are large enough to be cut, and runs them with 1 to 8 threads on
// the best level.
func TestRandomThreads(t *testing.T) {
	cut := 0
	for seed := range uint64(*networks / 8) {
		k := grown(seed, 64, 4)
		want := k.bytesOf(t, runs{best(), 1})
		for _, n := range []int{2, 3, 8} {
			if got := k.bytesOf(t, runs{best(), n}); got != want {
				t.Errorf("network %d: %d threads give other bytes than one, from %d on", seed, n, firstDifference(got, want))
			}
		}
		cut += k.cuts(t, best())
	}
	if cut < *networks/4 {
		t.Errorf("only %d steps of %d networks were cut", cut, *networks/8)
	}
}

// cuts counts the steps that several threads share.
func (k *maker) cuts(t *testing.T, level kernel.Level) (n int) {
	s := k.compile(t, Options{Threads: 8, Level: &level})
	for _, p := range s.programs {
		n += len(slices.DeleteFunc(slices.Clone(p.prog.steps), func(st *step) bool { return st.parts < 2 }))
	}
	return n
}

// TestFloatThreads runs random float networks: on each level the bits do not depend on the threads.
func TestFloatThreads(t *testing.T) {
	for seed := range uint64(*networks / 12) {
		k := grownFloat(seed)
		for _, level := range levels() {
			want := k.bytesOf(t, runs{level, 1})
			for _, n := range []int{2, 3, 8} {
				if k.bytesOf(t, runs{level, n}) != want {
					t.Errorf("network %d, %v: %d threads give other bits than one", seed, level, n)
				}
			}
		}
	}
}
