//go:build unix

package onnx_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/tensor"
)

// A file that is cut while it is open gives an error when it is read, not a crash.
func TestTruncatedWhileOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.onnx")
	must(t, os.WriteFile(path, bigModel(t, 4<<20), 0o644))
	f, err := onnx.Open(path, onnx.Limits{})
	must(t, err)
	defer f.Close()
	must(t, os.Truncate(path, 100))
	err = onnx.Guard(path, func() error { _, err := onnx.Encode(f.Model); return err })
	if fault.KindOf(err) != fault.IO {
		t.Errorf("encoding: %v", err)
	}
	err = onnx.Save(path+".copy", f.Model, onnx.SaveOptions{})
	if fault.KindOf(err) != fault.IO {
		t.Errorf("saving: %v", err)
	}
	if _, err := os.Stat(path + ".copy"); err == nil {
		t.Error("a copy was written all the same")
	}
}

// A file is cut and restored while it is being opened, again and again.
func TestTruncatedWhileOpening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.onnx")
	b := bigModel(t, 2<<20)
	must(t, os.WriteFile(path, b, 0o644))
	done, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			default:
				os.WriteFile(path, b, 0o644)
				time.Sleep(700 * time.Microsecond)
				os.Truncate(path, 5000)
			}
		}
	}()
	outcomes := map[fault.Kind]int{}
	for range 300 {
		f, err := onnx.Open(path, onnx.Limits{})
		if err != nil {
			k := fault.KindOf(err)
			outcomes[k]++
			if k != fault.IO && k != fault.Invalid {
				t.Fatalf("kind %d: %v", k, err)
			}
			continue
		}
		if n := len(f.Model.Graph.ConstTensor("w").Raw); n != 2<<20 {
			t.Fatalf("a tensor of %d bytes", n)
		}
		f.Close()
	}
	close(done)
	<-stopped
	t.Logf("faults by kind: %v", outcomes)
}

func TestGuardLetsOtherPanicsPass(t *testing.T) {
	defer func() {
		if p := recover(); p != "mine" {
			t.Errorf("recovered %v", p)
		}
	}()
	onnx.Guard("x", func() error { panic("mine") })
}

// A nil pointer is a fault of memory too, but not one of the file.
func TestGuardLetsNilPointersPass(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a nil pointer was taken for a fault of the file")
		}
	}()
	var g *graph.Graph
	onnx.Guard("x", func() error { g.AddConst(&graph.Const{Tensor: tensor.Scalar(1)}); return nil })
}
