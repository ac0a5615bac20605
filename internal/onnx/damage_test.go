package onnx_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/reflect/protoreflect"

	"lowbit/internal/fault"
	"lowbit/internal/onnx"
)

// sized returns the conformance model whose size is nearest to n, or the tiny model without them.
func sized(t testing.TB, n int) []byte {
	best := tinyModel(t)
	paths, _ := filepath.Glob(filepath.Join("..", "..", "..", "shared", "data", "onnx-conformance", "node", "*", "model.onnx"))
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil || distance(int(info.Size()), n) >= distance(len(best), n) {
			continue
		}
		b, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		best = b
	}
	return best
}

func distance(a, b int) int { return max(a-b, b-a) }

// A prefix of a model is refused, unless it ends between two fields of the model and what is
// missing is not needed: protobuf has no mark at the end of a message.
func TestPrefixes(t *testing.T) {
	models := [][]byte{tinyModel(t)}
	for _, size := range []int{300, 1000, 3000, 10_000} {
		models = append(models, sized(t, size))
	}
	for _, b := range models {
		for n := range b {
			m, err := onnx.Decode(b[:n], onnx.Limits{})
			if err == nil && (m.Graph == nil || !atField(b, n)) {
				t.Fatalf("%d of %d bytes are accepted", n, len(b))
			}
			if err != nil && fault.KindOf(err) != fault.Invalid {
				t.Fatalf("%d of %d bytes: kind %d, %v", n, len(b), fault.KindOf(err), err)
			}
		}
	}
}

// atField says whether n is the end of a field of the model's top level.
func atField(b []byte, n int) bool {
	at := 0
	for at < n {
		_, _, size := protowire.ConsumeField(b[at:])
		at += size
	}
	return at == n
}

// A model of 100 MB is cut at 2,000 lengths: the fault comes at once, and says what to do.
func TestLargePrefixes(t *testing.T) {
	const count, size = 2000, 100 << 20
	x, err := oracle(build(t, around(fmt.Sprintf(`initializer { name: "w" dims: %d data_type: FLOAT }`, size/4))))
	if err != nil {
		t.Fatal(err)
	}
	w := x.Get(field(x, "graph")).Message().Get(field(x.Get(field(x, "graph")).Message(), "initializer")).List().Get(0).Message()
	w.Set(field(w, "raw_data"), protoreflect.ValueOfBytes(make([]byte, size)))
	full := mustMarshal(t, x)
	if _, err := onnx.Decode(full, onnx.Limits{}); err != nil {
		t.Fatal(err)
	}
	for i := range count {
		n := len(full) * i / count
		_, err := onnx.Decode(full[:n], onnx.Limits{})
		if fault.KindOf(err) != fault.Invalid || fault.HintOf(err) == "" {
			t.Fatalf("%d bytes: %v, hint %q", n, err, fault.HintOf(err))
		}
	}
}

// Each byte of a model takes three other values: what comes out is a fault that the user can act
// on, or a model that can be written.
func TestByteFlips(t *testing.T) {
	n := 0
	flips(tinyModel(t), func(b []byte) {
		if n++; n%3 == 0 {
			agree(t, b) // takes much longer
		}
	})
	flips(sized(t, 10_000), func(b []byte) {
		m, err := onnx.Decode(b, onnx.Limits{})
		if err == nil {
			_, err = onnx.Encode(m)
		}
		if k := fault.KindOf(err); err != nil && k != fault.Invalid && k != fault.Unsupported && k != fault.Limit {
			t.Fatalf("kind %d: %v", k, err)
		}
	})
}

// flips calls f with b after each change of one byte.
func flips(b []byte, f func([]byte)) {
	for i := range b {
		for _, x := range [][3]byte{{0x01, 0x80, 0xff}, {0x80, 0xff, 0x01}, {0xff, 0x01, 0x80}}[i%3] {
			b[i] ^= x
			f(b)
			b[i] ^= x
		}
	}
}
