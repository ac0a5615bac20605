//go:build unix

package onnx_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"lowbit/internal/atomicfile"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/onnx"
	"lowbit/internal/tensor"
)

// listing returns the names in a folder.
func listing(t testing.TB, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	must(t, err)
	var s []string
	for _, e := range list {
		s = append(s, e.Name())
	}
	return strings.Join(s, " ")
}

// same checks that the model at path holds m's constants.
func same(t testing.TB, path string, m *graph.Model) {
	t.Helper()
	f, err := onnx.Open(path, onnx.Limits{})
	must(t, err)
	defer f.Close()
	if len(f.Model.Graph.Consts()) != len(m.Graph.Consts()) {
		t.Fatalf("%d constants, want %d", len(f.Model.Graph.Consts()), len(m.Graph.Consts()))
	}
	for _, c := range m.Graph.Consts() {
		got := f.Model.Graph.ConstTensor(c.Name)
		if got == nil || got.String() != c.Tensor.String() || !bytes.Equal(got.Raw, c.Tensor.Raw) {
			t.Errorf("%s is %v", c.Name, got)
		}
	}
}

func TestSave(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.onnx")
	m := weights(t, 10, 5000, 100_000)
	must(t, onnx.Save(path, m, onnx.SaveOptions{}))
	same(t, path, m)
	encoded, err := onnx.Encode(m)
	must(t, err)
	saved, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Equal(encoded, saved) {
		t.Error("Save and Encode write different bytes")
	}
	if err := onnx.Save(path, m, onnx.SaveOptions{}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("over an existing file: %v", err)
	}
	if err := onnx.Save(path, m, onnx.SaveOptions{Force: true, Sources: []string{path}}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("over the input: %v", err)
	}
	must(t, onnx.Save(path, m, onnx.SaveOptions{Force: true}))
	if got := listing(t, dir); got != "m.onnx" {
		t.Errorf("the folder holds %s", got)
	}
}

// split are options that put the larger tensors of a small model into a data file.
var split = onnx.SaveOptions{ExternalAbove: 1000}

func TestSaveExternal(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.onnx")
	m := weights(t, 10, 5000, 1023, 1024, 100_000)
	m.Graph.SetConst("s", tensor.Strings([]string{strings.Repeat("s", 5000)}, 1))
	m.Graph.SetConst("empty", tensor.New(tensor.Float32, 0))
	must(t, onnx.Save(path, m, split))
	if got := listing(t, dir); got != "m.onnx m.onnx.data" {
		t.Fatalf("the folder holds %s", got)
	}
	same(t, path, m)
	x, err := oracle(mustRead(t, path))
	must(t, err)
	g := x.Get(field(x, "graph")).Message()
	list := g.Get(field(g, "initializer")).List()
	var got []string
	for i := range list.Len() {
		w := list.Get(i).Message()
		props := map[string]string{}
		data := w.Get(field(w, "external_data")).List()
		for j := range data.Len() {
			p := data.Get(j).Message()
			props[p.Get(field(p, "key")).String()] = p.Get(field(p, "value")).String()
		}
		if len(props) == 0 {
			continue
		}
		at, err := strconv.Atoi(props["offset"])
		if err != nil || at%4096 != 0 || props["location"] != "m.onnx.data" || len(props["checksum"]) != 40 {
			t.Errorf("%v", props)
		}
		got = append(got, w.Get(field(w, "name")).String()+" "+props["length"])
	}
	if s := strings.Join(got, ", "); s != "w1 5000, w3 1024, w4 100000" {
		t.Errorf("external: %s", s)
	}
}

// The same model gives the same files, and a model read from a data file can be written again.
func TestSaveIsDeterministic(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	m := weights(t, 5000, 6000)
	must(t, onnx.Save(filepath.Join(a, "m.onnx"), m, split))
	f, err := onnx.Open(filepath.Join(a, "m.onnx"), onnx.Limits{})
	must(t, err)
	defer f.Close()
	must(t, onnx.Save(filepath.Join(b, "m.onnx"), f.Model, onnx.SaveOptions{ExternalAbove: 1000, Sources: f.Paths()}))
	for _, name := range []string{"m.onnx", "m.onnx.data"} {
		if !bytes.Equal(mustRead(t, filepath.Join(a, name)), mustRead(t, filepath.Join(b, name))) {
			t.Errorf("%s differs", name)
		}
	}
	inline := filepath.Join(b, "inline.onnx")
	must(t, onnx.Save(inline, f.Model, onnx.SaveOptions{}))
	same(t, inline, m)
}

// Weights in attributes go to the data file as well; where nothing is large enough, there is none.
func TestSaveAttributes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.onnx")
	m := weights(t)
	w := tensor.New(tensor.Uint8, 5000)
	w.Raw[4999] = 7
	m.Graph.Nodes = append(m.Graph.Nodes, &graph.Node{Op: "Constant", Out: []string{"c"}})
	m.Graph.Nodes[1].SetAttr("value", w)
	must(t, onnx.Save(path, m, split))
	f, err := onnx.Open(path, onnx.Limits{})
	must(t, err)
	defer f.Close()
	if got := f.Model.Graph.Nodes[1].Tensor("value"); len(f.Paths()) != 2 || !bytes.Equal(got.Raw, w.Raw) {
		t.Errorf("got %v from %v", got, f.Paths())
	}
	small := filepath.Join(t.TempDir(), "m.onnx")
	must(t, onnx.Save(small, weights(t, 900, 900), split))
	if got := listing(t, filepath.Dir(small)); got != "m.onnx" {
		t.Errorf("the folder holds %s", got)
	}
}

// Two constants that share a tensor share its place in the data file.
func TestSaveShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.onnx")
	m := weights(t, 8192)
	m.Graph.SetConst("again", m.Graph.ConstTensor("w0"))
	must(t, onnx.Save(path, m, split))
	same(t, path, m)
	if n := len(mustRead(t, path+".data")); n != 8192 {
		t.Errorf("the data file has %d bytes", n)
	}
}

// What lies under the name of the data file is never written through, and kept unless it belongs
// to the model that is replaced.
func TestSaveBesideOtherFiles(t *testing.T) {
	m := weights(t, 5000)
	for _, c := range []struct {
		name string
		make func(dir, data string) error
	}{
		{"link to a secret (CVE-2025-51480)", func(dir, data string) error { return os.Symlink("secret", data) }},
		{"hard link to a secret", func(dir, data string) error { return os.Link(filepath.Join(dir, "secret"), data) }},
		{"link to nothing", func(dir, data string) error { return os.Symlink("nowhere", data) }},
		{"FIFO", func(dir, data string) error { return syscall.Mkfifo(data, 0o644) }},
		{"folder", func(dir, data string) error { return os.Mkdir(data, 0o755) }},
		{"somebody's file", func(dir, data string) error { return write(data, "mine") }},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "m.onnx")
		must(t, write(filepath.Join(dir, "secret"), secretWords), c.make(dir, path+".data"))
		before, err := os.Lstat(path + ".data")
		must(t, err)
		if err := onnx.Save(path, m, split); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		same(t, path, m)
		after, err := os.Lstat(path + ".data")
		if err != nil || !os.SameFile(before, after) {
			t.Errorf("%s was replaced (%v)", c.name, err)
		}
		if got := string(mustRead(t, filepath.Join(dir, "secret"))); got != secretWords {
			t.Errorf("%s: the secret is %q", c.name, got)
		}
	}
}

// A model with a data file is replaced: at no moment do old and new belong together, and in the
// end one pair is left.
func TestSaveReplaces(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.onnx")
	must(t, onnx.Save(path, weights(t, 5000), split))
	next := weights(t, 6000, 7000)
	o := split
	o.Force = true
	must(t, onnx.Save(path, next, o))
	same(t, path, next)
	if got := strings.Fields(listing(t, dir)); len(got) != 2 || !strings.HasPrefix(got[1], "m.onnx.data-") {
		t.Errorf("the folder holds %v", got)
	}
	must(t, onnx.Save(path, weights(t, 8000), o))
	same(t, path, weights(t, 8000))
	if got := listing(t, dir); got != "m.onnx m.onnx.data" {
		t.Errorf("the folder holds %s", got)
	}
	// The data of the model that is being read stays, even if the name would allow to remove it.
	f, err := onnx.Open(path, onnx.Limits{})
	must(t, err)
	defer f.Close()
	o.Sources = f.Paths()[1:]
	must(t, onnx.Save(path, next, o))
	if _, err := os.Stat(path + ".data"); err != nil {
		t.Errorf("the source's data file: %v", err)
	}
}

// Every call in turn fails: the old model stays sound and nothing is left behind, or the new one
// is complete.
func TestSaveEveryCallFails(t *testing.T) {
	first, next := weights(t, 5000), weights(t, 6000, 700_000)
	o := split
	o.Force = true
	for _, cause := range []error{syscall.ENOSPC, syscall.EIO, io.ErrShortWrite} {
		for n := 1; ; n++ {
			dir := t.TempDir()
			path := filepath.Join(dir, "m.onnx")
			must(t, onnx.Save(path, first, split))
			count := 0
			disarm := fault.Arm(func(fault.Step) error {
				if count++; count == n {
					return cause
				}
				return nil
			})
			err := onnx.Save(path, next, o)
			disarm()
			if count < n {
				must(t, err)
				same(t, path, next)
				if n < 10 {
					t.Errorf("only %d calls", n)
				}
				break
			}
			saveErr := err
			if code := fault.KindOf(err).ExitCode(); !errors.Is(err, cause) || code != 4 && code != 5 {
				t.Fatalf("call %d: %v", n, err)
			}
			f, err := onnx.Open(path, onnx.Limits{})
			if err != nil {
				t.Fatalf("call %d left a model that does not open: %v", n, err)
			}
			f.Close()
			inPlace := errors.Is(saveErr, atomicfile.ErrInPlace)
			if got := listing(t, dir); strings.Contains(got, ".tmp-") || !inPlace && got != "m.onnx m.onnx.data" {
				t.Fatalf("call %d left %s", n, got)
			}
		}
	}
}

// Opening takes its errors from every call as well.
func TestOpenEveryCallFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "m.onnx")
	m := weights(t, 2<<20, 1024)
	must(t, onnx.Save(path, m, split))
	for n := 1; ; n++ {
		count := 0
		disarm := fault.Arm(func(fault.Step) error {
			if count++; count == n {
				return syscall.EIO
			}
			return nil
		})
		f, err := onnx.Open(path, onnx.Limits{})
		disarm()
		if count < n {
			must(t, err)
			f.Close()
			if n < 4 {
				t.Errorf("only %d calls", n)
			}
			return
		}
		if fault.KindOf(err) != fault.IO || !errors.Is(err, syscall.EIO) {
			t.Fatalf("call %d: %v", n, err)
		}
	}
}

func TestEncodeRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		make func(*graph.Model)
	}{
		{"too few bytes", func(m *graph.Model) { m.Graph.ConstTensor("w0").Raw = nil }},
		{"too many bytes", func(m *graph.Model) { m.Graph.ConstTensor("w0").Shape = []int{1} }},
		{"negative shape", func(m *graph.Model) { m.Graph.ConstTensor("w0").Shape = []int{-1} }},
		{"no tensor", func(m *graph.Model) { m.Graph.SetConst("n", nil) }},
		{"sequence", func(m *graph.Model) { m.Graph.SetConst("n", tensor.NewSequence(tensor.Float32)) }},
		{"attribute", func(m *graph.Model) { m.Graph.Nodes[0].SetAttr("a", 1) }},
		{"attribute of nothing", func(m *graph.Model) { m.Graph.Nodes[0].SetAttr("a", nil) }},
	} {
		m := weights(t, 100)
		c.make(m)
		if _, err := onnx.Encode(m); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
