package op

import (
	"fmt"
	"slices"
	"testing"

	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// TestWindowRuns holds the runs against a search through all outputs and kernel positions.
func TestWindowRuns(t *testing.T) {
	nodes := []*graph.Node{
		node("Conv", 0, 0),
		node("Conv", 0, 0, "strides", i64s(2, 3), "pads", i64s(1, 2, 0, 3), "dilations", i64s(2, 1)),
		node("Conv", 0, 0, "auto_pad", "SAME_UPPER", "strides", i64s(2, 2)),
		node("Conv", 0, 0, "auto_pad", "SAME_LOWER", "dilations", i64s(1, 2)),
		node("MaxPool", 0, 0, "pads", i64s(1, 1, 1, 1), "strides", i64s(3, 2), "ceil_mode", int64(1)),
	}
	for i, n := range nodes {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			s, err := slideOf(n, []int{3, 2})
			if err != nil {
				t.Fatal(err)
			}
			w, err := s.over([]int{7, 6})
			if err != nil {
				t.Fatal(err)
			}
			for tap := range 6 {
				got, want := tapPairs(w, tap), searchPairs(w, tap)
				if !slices.Equal(got, want) {
					t.Errorf("tap %d: runs %v, search %v", tap, got, want)
				}
			}
		})
	}
}

func tapPairs(w *window, tap int) (list [][2]int) {
	w.runs(tap, func(o, i, n int) {
		for j := range n {
			list = append(list, [2]int{o + j, i + j*w.step()})
		}
	})
	return list
}

func searchPairs(w *window, tap int) (list [][2]int) {
	k := unravel(tap, w.kernel)
	for o := range tensor.Elements(w.out) {
		at, inside := 0, true
		for i, p := range unravel(o, w.out) {
			pos := p*w.stride[i] + k[i]*w.dilation[i] - w.front[i]
			inside = inside && pos >= 0 && pos < w.in[i]
			at = at*w.in[i] + pos
		}
		if inside {
			list = append(list, [2]int{o, at})
		}
	}
	return list
}

func TestSlideRefuses(t *testing.T) {
	for _, n := range []*graph.Node{
		node("Conv", 0, 0, "strides", i64s(0, 1)),
		node("Conv", 0, 0, "strides", i64s(1)),
		node("Conv", 0, 0, "dilations", i64s(-1, 1)),
		node("Conv", 0, 0, "dilations", i64s(1<<62, 1)),
		node("Conv", 0, 0, "pads", i64s(-1, 0, 0, 0)),
		node("Conv", 0, 0, "pads", i64s(1, 1)),
		node("Conv", 0, 0, "pads", i64s(1<<40, 0, 0, 0)),
		node("Conv", 0, 0, "auto_pad", "SAME"),
	} {
		if _, err := slideOf(n, []int{3, 3}); err == nil {
			t.Errorf("%v is accepted", n.Attrs[0])
		}
	}
	s, err := slideOf(node("Conv", 0, 0), []int{3, 9})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.over([]int{3, 8}); err == nil {
		t.Error("a kernel wider than the input is accepted")
	}
}
