package lowbit

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// deps is policy: a package may import only what is named to the right of it, and only packages
// declared above it. Do not widen a line to make a build pass; move the code instead. Names with a
// dot are modules from outside.
const deps = `
fault:
tensor:
kernel:        golang.org/x/sys
testdata:
strictyaml:    fault go.yaml.in/yaml/v4
atomicfile:    fault golang.org/x/sys
journal:       fault
npz:           fault tensor
graph:         fault tensor
format:        tensor kernel
weight:        fault tensor graph format
onnx:          fault tensor graph atomicfile google.golang.org/protobuf golang.org/x/sys
op:            fault tensor graph format
engine:        fault tensor graph format weight op kernel
calib:         fault tensor graph format kernel
calib/dataset: fault tensor strictyaml graph format npz onnx golang.org/x/image
plan:          fault tensor graph op format calib
pass:          fault tensor graph op format weight plan
repair:        fault tensor graph kernel format op calib plan pass
report:        tensor graph format gonum.org/v1/plot
quantize:      fault tensor graph kernel format weight op engine calib calib/dataset plan pass repair report
doctor:        fault tensor graph kernel format weight op calib plan pass report
conform:       fault tensor graph format op onnx npz
demo:          tensor golang.org/x/image
recipe:        fault format calib plan repair strictyaml go.yaml.in/yaml/v4
`

// TestDeps holds the imports of every package under internal against the law.
func TestDeps(t *testing.T) {
	allow, order := map[string][]string{}, []string{}
	for line := range strings.Lines(strings.TrimSpace(deps)) {
		name, list, _ := strings.Cut(strings.TrimSpace(line), ":")
		allow[name] = strings.Fields(list)
		for _, d := range allow[name] {
			if !strings.Contains(d, ".") && !slices.Contains(order, d) {
				t.Errorf("%s may import %s, which is declared later", name, d)
			}
		}
		order = append(order, name)
	}
	// Parse every file rather than ask the go command: the test cache sees files that a test opens
	// but not what a child process reads, and parsing covers all build tags.
	err := filepath.WalkDir("internal", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if strings.HasPrefix(d.Name(), "_") || d.Name() == "testdata" && path != filepath.Join("internal", "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		name := strings.TrimPrefix(filepath.ToSlash(filepath.Dir(path)), "internal/")
		ok, known := allow[name]
		if !known {
			t.Errorf("package %s has no line in deps", name)
			return nil
		}
		checkImports(t, path, name, ok)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func checkImports(t *testing.T, path, name string, allowed []string) {
	src, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, err := parser.ParseFile(token.NewFileSet(), path, src, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	for _, spec := range f.Imports {
		imp, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		if d, own := strings.CutPrefix(imp, "lowbit/internal/"); own {
			if !slices.Contains(allowed, d) {
				t.Errorf("%s: %s must not import %s", path, name, d)
			}
			continue
		}
		first, _, _ := strings.Cut(imp, "/")
		if strings.Contains(first, ".") && !slices.ContainsFunc(allowed, func(a string) bool { return imp == a || strings.HasPrefix(imp, a+"/") }) {
			t.Errorf("%s: %s must not import %s", path, name, imp)
		}
	}
}
