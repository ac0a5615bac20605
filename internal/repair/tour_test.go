package repair

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// TestTour shows values on the way, with room between the parts and without, and holds them against those of the whole
// network. With room, every layer runs once, whatever the number of parts.
func TestTour(t *testing.T) {
	const layers = 8
	j := addedLayers(t, layers)
	groups := [][]string{{"h0", "p0"}, {"a1", "h2", "p2"}, {"h3"}, {"p6", "p5"}, {"h8"}}
	all := slices.Concat(groups...)
	want := make([]map[string][]float32, len(j.Fit))
	whole, err := j.Compile(j.Net, all)
	if err != nil {
		t.Fatal(err)
	}
	for i, sample := range j.Fit {
		in := sample()
		want[i] = map[string][]float32{"h0": tensor.Of[float32](in["h0"])}
		if _, err := whole.RunWatch(t.Context(), in, func(name string, x *tensor.Tensor) {
			want[i][name] = slices.Clone(tensor.Of[float32](x))
		}); err != nil {
			t.Fatal(err)
		}
	}
	compile, ran := j.Compile, map[string]int{}
	j.Compile = func(m *graph.Model, watch []string) (calib.Runner, error) {
		for _, n := range m.Graph.Nodes {
			ran[n.Name]++
		}
		return compile(m, watch)
	}
	for _, room := range []int{1 << 20, 1} {
		clear(ran)
		tour := newTour(j, j.Net, j.Fit, room, func(n *graph.Node) bool { return n.Op == "MatMul" })
		for _, names := range append(groups, []string{"p2", "h8"}) { // what lies behind is shown too
			var mu sync.Mutex
			seen := map[string]int{}
			err := tour.show(t.Context(), names, func(i int, name string, x *tensor.Tensor) {
				mu.Lock()
				defer mu.Unlock()
				seen[fmt.Sprint(i, name)]++
				for k, v := range tensor.Of[float32](x) {
					if math.Abs(float64(v-want[i][name][k])) > 1e-5 {
						t.Errorf("room %d, sample %d: %s[%d] is %v, not %v", room, i, name, k, v, want[i][name][k])
						return
					}
				}
			})
			if err != nil {
				t.Fatal(err)
			}
			for i := range j.Fit {
				for _, name := range names {
					if seen[fmt.Sprint(i, name)] != 1 {
						t.Errorf("room %d: %s of sample %d was shown %d times", room, name, i, seen[fmt.Sprint(i, name)])
					}
				}
			}
			if last := names[len(names)-1]; last == "h8" && len(names) == 1 {
				for i := range layers {
					if n := ran[fmt.Sprint("m", i)]; n != 1 && room > 1 || n < 1 {
						t.Errorf("room %d: layer %d ran %d times", room, i, n)
					}
				}
			}
		}
		if room == 1 && ran["m0"] < len(groups) {
			t.Errorf("without room layer 0 ran %d times", ran["m0"])
		}
	}
}
