package lowbit

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"lowbit/internal/kernel"
	"lowbit/internal/tensor"
	"lowbit/internal/weight"
)

// foreign lists the files that ONNX Runtime's tools wrote (testdata/make_foreign.py), the formats that their
// weights are in, and how near to ONNX Runtime's answers the engine's come, in dB: near 50 where
// activations of eight bits are rounded here and there in their own way.
var foreign = []struct {
	name, weights string
	sqnr          float64
	matrices      int // in the blocks named; those of MatMulBnb4 may reach over the ends of rows
}{
	{"nbits4", "int4:group=32", 100, 2},
	{"nbits4-zero", "uint4:group=16", 100, 2},
	{"nbits4-level4", "uint4:group=32", 40, 2},
	{"nbits8", "uint8:group=32", 100, 2},
	{"nbits4-qdq", "int4:group=16", 100, 2},
	{"nbits4-qdq-zero", "uint4:group=16", 100, 2},
	{"bnb4-nf4", "nf4-plain:group=32", 100, 1},
	{"bnb4-fp4", "fp4-bnb:group=32", 100, 1},
	{"static-qdq", "int8:channel", 50, 2},
	{"static-qoperator", "int8:tensor", 50, 2},
	{"dynamic", "int8:tensor", 100, 2},
}

// TestForeign opens what other tools quantized, names its formats, and runs it on every level.
func TestForeign(t *testing.T) {
	for _, c := range foreign {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join("testdata", "foreign", c.name)
			m, err := Open(path + ".onnx")
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			found := 0
			for _, f := range weight.Find(m.Graph()) {
				if f.Shape[0] > 1 && len(f.Shape) == 2 {
					found++
					if got := fmt.Sprintf("%s:%v", f.Format.Name, f.Block); got != c.weights {
						t.Errorf("%s is %s, not %s", f.Name, got, c.weights)
					}
				}
			}
			if found != c.matrices {
				t.Errorf("%d matrices of few bits, not %d", found, c.matrices)
			}
			in, want := foreignCase(t, path+".npz")
			for _, level := range kernel.Levels() {
				runForeign(t, m, level, in, want, c.sqnr)
			}
		})
	}
}

func runForeign(t *testing.T, m *Model, level kernel.Level, in, want map[string]*Tensor, least float64) {
	s, err := m.Compile(CompileOptions{CPU: level.String()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := s.Run(context.Background(), in)
	if err != nil {
		t.Fatal(err)
	}
	if db := sqnrOf(got, want); db < least {
		t.Errorf("%v: %.1f dB to ONNX Runtime, %g are wanted", level, db, least)
	}
}

// foreignCase reads an input and an output.
func foreignCase(t *testing.T, path string) (in, out map[string]*Tensor) {
	in, out = map[string]*tensor.Tensor{}, map[string]*tensor.Tensor{}
	for name, v := range readNPZ(t, path) {
		if key, ok := strings.CutPrefix(name, "in:"); ok {
			in[key] = v
		} else {
			out[strings.TrimPrefix(name, "out:")] = v
		}
	}
	return in, out
}
