package engine

import (
	"context"
	"os"
	"path/filepath"
	"testing"
)

// BenchmarkCompile times from a parsed model to the first answer.
func BenchmarkCompile(b *testing.B) {
	dir := os.Getenv("LOWBIT_BENCH")
	if dir == "" {
		b.Skip("LOWBIT_BENCH names no folder with a model")
	}
	m := openModel(b, dir)
	in := arrays(b, filepath.Join(dir, "input.npz"))
	for b.Loop() {
		s, err := Compile(m, Options{Threads: 1})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := s.Run(context.Background(), in); err != nil {
			b.Fatal(err)
		}
		s.Close()
	}
}
