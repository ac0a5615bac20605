// Package testdata finds the models, images and conformance cases that tests read in place, and seeds what they draw.
package testdata

import (
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// Dir returns the path of an entry of the data folder beside the project. Where it is absent the
// test is skipped, or fails if the environment says CI=true.
func Dir(t testing.TB, elem ...string) string {
	t.Helper()
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Join(filepath.Dir(file), "..", "..", "..", "shared", "data")
	path := filepath.Join(append([]string{root}, elem...)...)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("test data is missing: %v", err)
		}
		t.Skipf("test data %s is not here", filepath.Join(elem...))
	}
	return path
}

// Seed lets package rapid draw the same cases each time; -rapid.seed draws others. Tests call it in init.
func Seed() {
	if err := flag.Set("rapid.seed", "7"); err != nil {
		panic(err)
	}
}
