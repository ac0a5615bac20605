package onnx_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/onnx"
)

// stricter are the words of the faults for which lowbit refuses a file that protobuf parses. All
// the others are damage that protobuf has to refuse as well.
var stricter = regexp.MustCompile(strings.Join([]string{
	// Protobuf takes a field of the wrong wire type for an unknown one, and lets groups be.
	`field \d+ is a [\w ]+ where a \w+ is wanted`, `wire type [34], which ONNX does not use`,
	// It merges or overwrites what stands there twice.
	`stands there twice`, `a type of two kinds`, `more than one (value|field)`, `a second `, `already the name`,
	// It does not know what a name is, or a limit, or what has to be there.
	`is not UTF-8`, `holds control characters`, `the limit is`, `nested more than`, `(has )?more than \d`, `a dimension of`,
	`has no graph`, `ir_version`, `without (a|an|values|data_location)\b`, `declared as`, `as a reference to`,
	`(version|element type|element kind|attribute type|data_location) -?\d+`,
	// Nor what a tensor is.
	`is negative`, `segments`, `cannot hold elements`, `needs [\d,]+ (bytes|values|strings), the file holds`, `does not fit in`,
	`of a bool tensor`, `of a sparse tensor`, `of value \d+`, `too many elements`, `this model has no folder`, `external_data`, `cannot lie in`,
	// Nor a graph.
	`imports no version`, `is made by no`, `makes this output`, `refers to`, `waits for its own`, `calls `, `not a positive number`, `zero point`,
	`this is (a|an) `, `the file is empty`,
}, "|"))

// agree decodes b and compares the outcome with protobuf's: what lowbit accepts, protobuf accepts,
// with equal content; what lowbit alone refuses, it refuses by one of its stricter rules.
func agree(t testing.TB, b []byte) {
	t.Helper()
	m, err := onnx.Decode(b, onnx.Limits{})
	_, parseErr := oracle(b)
	if err != nil {
		if k := fault.KindOf(err); k != fault.Invalid && k != fault.Unsupported && k != fault.Limit {
			t.Fatalf("fault of kind %d: %v", k, err)
		}
		if strings.ContainsFunc(err.Error(), unicode.IsControl) {
			t.Fatalf("the fault is not one line of text: %q", err)
		}
		if parseErr == nil && !stricter.MatchString(err.Error()) {
			t.Fatalf("only lowbit refuses: %v", err)
		}
		return
	}
	if parseErr != nil {
		t.Fatalf("only protobuf refuses: %v", parseErr)
	}
	stable(t, b, m)
}

// stable checks that a decoded model can be written, holds what b holds, and is written the same
// way once it is read again.
func stable(t testing.TB, b []byte, m *graph.Model) {
	t.Helper()
	first, err := onnx.Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	if diff := difference(t, inNodeOrder(t, b, m), first); diff != "" {
		t.Fatal(diff)
	}
	again, err := onnx.Decode(first, onnx.Limits{})
	if err != nil {
		t.Fatalf("lowbit does not read what it wrote: %v", err)
	}
	second, err := onnx.Encode(again)
	if err != nil || !bytes.Equal(first, second) {
		t.Fatalf("written twice, the bytes differ (%v)", err)
	}
}

// seeds returns small models: those of the conformance suite where they are here, else built ones.
func seeds(t testing.TB, most int) [][]byte {
	list := [][]byte{tinyModel(t)}
	paths, _ := filepath.Glob(filepath.Join("..", "..", "..", "shared", "data", "onnx-conformance", "node", "*", "model.onnx"))
	for i, p := range paths {
		if i%7 != 0 {
			continue
		}
		b, err := os.ReadFile(p)
		if err == nil && len(b) < most {
			list = append(list, b)
		}
	}
	return list
}

func FuzzDecode(f *testing.F) {
	for _, b := range seeds(f, 2000) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) { agree(t, b) })
}

func FuzzTensor(f *testing.F) {
	for _, b := range tensorSeeds(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		name, x, err := onnx.DecodeTensor(b, onnx.Limits{})
		if err != nil {
			return
		}
		first, err := onnx.EncodeTensor(name, x)
		if err != nil {
			t.Fatal(err)
		}
		_, y, err := onnx.DecodeTensor(first, onnx.Limits{})
		if err != nil || y.String() != x.String() || !bytes.Equal(x.Raw, y.Raw) {
			t.Fatalf("%v became %v (%v)", x, y, err)
		}
	})
}

func FuzzSequence(f *testing.F) {
	f.Add([]byte{0x10, 1})
	f.Add([]byte("\x0a\x01s\x10\x01\x1a\x0b\x08\x02\x10\x01\x4a\x08\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if name, x, err := onnx.DecodeSequence(b, onnx.Limits{}); err == nil {
			if _, err := onnx.EncodeSequence(name, x); err != nil {
				t.Fatal(err)
			}
		}
		if name, x, err := onnx.DecodeOptional(b, onnx.Limits{}); err == nil {
			if _, err := onnx.EncodeOptional(name, x); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestMutations is a short run of what FuzzDecode does at length: the same mutations each time.
func TestMutations(t *testing.T) {
	count := 20_000
	if testing.Short() {
		count = 2_000
	}
	rng := rand.New(rand.NewPCG(1, 2))
	list := seeds(t, 2000)
	accepted := 0
	for range count {
		b := mutate(rng, list)
		agree(t, b)
		if _, err := onnx.Decode(b, onnx.Limits{}); err == nil {
			accepted++
		}
	}
	if accepted < count/50 {
		t.Errorf("only %d of %d mutants are models: the mutations do not reach far", accepted, count)
	}
}

// mutate changes a few bytes of a seed: a bit, a byte, a piece taken out, doubled or taken from
// another seed.
func mutate(rng *rand.Rand, seeds [][]byte) []byte {
	b := bytes.Clone(seeds[rng.IntN(len(seeds))])
	for range 1 + rng.IntN(3) {
		if len(b) < 2 {
			break
		}
		at := rng.IntN(len(b))
		n := min(1+rng.IntN(8), len(b)-at)
		switch rng.IntN(6) {
		case 0:
			b[at] ^= 1 << rng.IntN(8)
		case 1:
			b[at] = []byte{0, 1, 0x7f, 0x80, 0xff, byte(rng.Uint32())}[rng.IntN(6)]
		case 2:
			b = append(b[:at:at], b[at+n:]...)
		case 3:
			b = append(b[:at+n:at+n], b[at:]...)
		case 4:
			other := seeds[rng.IntN(len(seeds))]
			from := rng.IntN(len(other))
			copy(b[at:], other[from:min(from+n, len(other))])
		case 5:
			b[at]++
		}
	}
	return b
}

func TestFaultsAreClassified(t *testing.T) {
	_, err := onnx.Decode([]byte{0x08, 0x07}, onnx.Limits{})
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind != fault.Invalid || !strings.Contains(e.Msg, "no graph") {
		t.Fatalf("got %v", err)
	}
}
