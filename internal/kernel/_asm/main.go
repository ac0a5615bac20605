// Command asm writes the assembly of package kernel: for each registered
// emitter one NAME_amd64.s and one NAME_amd64.go with the declarations.
// It is run by go generate; the output is a function of the source alone.
package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

// emitters holds the body of each output file by its name without suffix.
var emitters = map[string]func(*file){}

// register adds an output file; an emitter's source calls it from init.
func register(name string, emit func(*file)) {
	if _, dup := emitters[name]; dup {
		panic("emitted twice: " + name)
	}
	emitters[name] = emit
}

func main() {
	dir := ".."
	if len(os.Args) > 1 {
		dir = os.Args[1]
	}
	for _, n := range sorted(emitters) {
		f := newFile()
		emitters[n](f)
		if err := f.write(filepath.Join(dir, n+"_amd64")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// sorted gives the names in an order that does not change from run to run.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
