package calib

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
)

// TestChannelsOf holds the sums of channels, wherever these lie, against their definition.
func TestChannelsOf(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, l := range kernel.Levels() {
		for _, c := range []struct {
			shape []int
			axis  int
		}{{[]int{2, 5, 3, 3}, 1}, {[]int{1, 1}, 1}, {[]int{3, 7}, 1}, {[]int{12544, 3}, 1}, {[]int{37, 600}, 1}, {[]int{2, 50, 24}, 2}, {[]int{4, 6}, 0}} {
			for _, nans := range []int{0, 1} {
				x := make([]float32, tensor.Elements(c.shape))
				for i := range x {
					x[i] = float32(r.NormFloat64()) + 3
				}
				if nans == 1 {
					if len(x) == 1 || c.shape[c.axis] == len(x) {
						continue
					}
					x[r.IntN(len(x))] = float32(math.NaN())
				}
				checkChannels(t, l, x, c.shape, c.axis)
			}
		}
	}
}

func checkChannels(t *testing.T, l kernel.Level, x []float32, shape []int, axis int) {
	t.Helper()
	n, inner := shape[axis], tensor.Elements(shape[axis+1:])
	got := channelsOf(l, x, shape, axis)
	for c := range n {
		lo, hi, sum, square, count := math.Inf(1), math.Inf(-1), 0.0, 0.0, 0.0
		for i, v := range x {
			if i/inner%n != c {
				continue
			}
			if w := float64(v); w == w {
				lo, hi = min(lo, w), max(hi, w)
			}
			sum, square, count = sum+float64(v), square+float64(v)*float64(v), count+1
		}
		near := func(a float32, b float64) bool {
			return math.IsNaN(float64(a)) == math.IsNaN(b) && !(math.Abs(float64(a)-b) > 1e-5*math.Abs(b))
		}
		if float64(got.min[c]) != lo || float64(got.max[c]) != hi || !near(got.mean[c], sum/count) || !near(got.square[c], square/count) {
			t.Fatalf("%s %v axis %d, channel %d: %v %v %v %v, want %v %v %v %v", l, shape, axis, c, got.min[c], got.max[c], got.mean[c], got.square[c], lo, hi, sum/count, square/count)
		}
	}
}

// shows is a network that shows one value, its input.
type shows struct{}

func (shows) RunWatch(_ context.Context, in map[string]*tensor.Tensor, watch func(string, *tensor.Tensor)) (map[string]*tensor.Tensor, error) {
	watch("y", in["x"])
	return nil, nil
}

func (shows) Close() {}

// TestCollectSeesChannels looks at channels in the same pass as at the rest, and as in a pass of their own.
func TestCollectSeesChannels(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	var list []Inputs
	for range 5 {
		x := tensor.New(tensor.Float32, 2, 3, 4)
		for i := range tensor.Of[float32](x) {
			tensor.Of[float32](x)[i] = float32(r.NormFloat64())
		}
		list = append(list, func() map[string]*tensor.Tensor { return map[string]*tensor.Tensor{"x": x} })
	}
	level, err := kernel.Best()
	if err != nil {
		t.Fatal(err)
	}
	opt := Options{Workers: 2, Level: level, Channels: map[string]*Channels{"y": NewChannels(1, len(list)), "x": NewChannels(2, len(list))}}
	stats, err := Collect(context.Background(), shows{}, FeedOf(list), opt)
	if err != nil || stats["y"] == nil || stats["x"] == nil {
		t.Fatalf("%v, %v", stats, err)
	}
	alone, err := CollectChannels(context.Background(), shows{}, FeedOf(list), map[string]int{"y": 1, "x": 2}, Options{Workers: 2, Level: level})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range alone {
		got := opt.Channels[name]
		if got.Len() != want.Len() || want.Len() == 0 {
			t.Fatalf("%s: %d channels, want %d", name, got.Len(), want.Len())
		}
		for c := range want.Len() {
			if got.At(c) != want.At(c) {
				t.Errorf("%s, channel %d: %v, want %v", name, c, got.At(c), want.At(c))
			}
		}
	}
}
