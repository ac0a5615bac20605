package engine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"lowbit/internal/tensor"
	"lowbit/internal/testdata"
)

// BenchmarkModel times the models named in LOWBIT_BENCH (a glob of folders, or of .onnx files beside an
// input.npz), with one and two threads.
func BenchmarkModel(b *testing.B) {
	pattern := os.Getenv("LOWBIT_BENCH")
	if pattern == "" {
		pattern = "mobilenetv2"
	}
	dirs, _ := filepath.Glob(pattern)
	if len(dirs) == 0 {
		dirs, _ = filepath.Glob(filepath.Join(testdata.Dir(b, "models"), pattern))
	}
	for _, dir := range dirs {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/%d", filepath.Base(dir), threads), func(b *testing.B) {
				s, err := Compile(openModel(b, dir), Options{Threads: threads})
				if err != nil {
					b.Fatal(err)
				}
				defer s.Close()
				in := arrays(b, filepath.Join(dir, "input.npz"))
				for b.Loop() {
					if _, err := s.Run(context.Background(), in); err != nil {
						b.Fatal(err)
					}
				}
				if os.Getenv("LOWBIT_PROFILE") != "" {
					printProfile(b, s, in)
				}
			})
		}
	}
}

func printProfile(b *testing.B, s *Session, in map[string]*tensor.Tensor) {
	rows, err := s.Profile(context.Background(), in, 21)
	if err != nil {
		b.Fatal(err)
	}
	total := time.Duration(0)
	for _, r := range rows {
		total += r.Time
	}
	for _, r := range rows {
		gops := 0.0
		if r.MACs > 0 {
			gops = 2 * float64(r.MACs) / float64(r.Time.Nanoseconds())
		}
		fmt.Printf("%8.1f µs %5.1f%% %7.1f GOP/s  %-28s %-20s %s\n", float64(r.Time.Nanoseconds())/1e3, 100*float64(r.Time)/float64(total), gops, r.Kernel, r.Out, r.Node)
	}
}
