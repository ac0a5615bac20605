package journal

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"lowbit/internal/fault"
)

type value struct {
	Name string
	X    []byte
}

// filled writes a journal of three records and returns its bytes.
func filled(t *testing.T, path string) []byte {
	t.Helper()
	j, err := Open(path, "work a")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"one", "<two>", "three"} {
		if err := j.Keep(name, value{name, []byte(name)}); err != nil {
			t.Fatal(err)
		}
		var v value
		if !j.Recall(name, &v) || string(v.X) != name {
			t.Errorf("%s is recalled as %v", name, v)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTorn cuts the file after every byte: the records before the cut are recalled, and what is kept then
// follows them.
func TestTorn(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.jsonl")
	whole := filled(t, path)
	for n := range len(whole) + 1 {
		if err := os.WriteFile(path, whole[:n], 0o644); err != nil {
			t.Fatal(err)
		}
		j, err := Open(path, "work a")
		if err != nil {
			t.Fatal(n, err)
		}
		want := max(0, bytes.Count(whole[:n], []byte("\n"))-1)
		if j.Found() != want || j.Other() {
			t.Fatalf("of %d bytes %d records are found, want %d", n, j.Found(), want)
		}
		for i, name := range []string{"one", "<two>", "three"} {
			var v value
			if ok := j.Recall(name, &v); ok != (i < want) || ok && v.Name != name {
				t.Fatalf("of %d bytes record %d is recalled: %v %v", n, i, ok, v)
			}
			if i >= want {
				if err := j.Keep(name, value{name, []byte(name)}); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if b, _ := os.ReadFile(path); !bytes.Equal(b, whole) {
			t.Fatalf("cut after %d bytes and filled again, the file differs", n)
		}
	}
}

// TestFlipped changes every byte of the last record but its line end: it is dropped, or says the same.
func TestFlipped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.jsonl")
	whole := filled(t, path)
	for at := bytes.LastIndexByte(whole[:len(whole)-1], '\n') + 1; at < len(whole)-1; at++ {
		b := bytes.Clone(whole)
		b[at] ^= 1
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
		j, err := Open(path, "work a")
		if err != nil {
			t.Fatal(err)
		}
		var v value
		if ok := j.Recall("three", &v); ok && string(v.X) != "three" || j.Found() < 2 {
			t.Fatalf("byte %d: %d records, the last %v", at, j.Found(), v)
		}
	}
}

// TestOtherWork forgets what is of other work, and removes the file when all is done.
func TestOtherWork(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.jsonl")
	filled(t, path)
	j, err := Open(path, "work b")
	if err != nil {
		t.Fatal(err)
	}
	if !j.Other() || j.Found() != 0 || j.Recall("one", &value{}) {
		t.Fatal("records of other work are recalled")
	}
	if err := j.Keep("four", value{Name: "four"}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if j, err = Open(path, "work b"); err != nil || j.Found() != 1 {
		t.Fatal(j, err)
	}
	if err := j.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file is there still: %v", err)
	}
	if err := j.Remove(); err != nil {
		t.Error(err)
	}
}

// TestNoJournal refuses to replace what is something else.
func TestNoJournal(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(path, []byte("a list"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{path, dir} {
		if _, err := Open(p, "work"); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s: %v", p, err)
		}
	}
}

// TestOdd leaves out what JSON cannot write, and keeps what follows.
func TestOdd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.jsonl")
	j, err := Open(path, "work")
	if err != nil {
		t.Fatal(err)
	}
	for key, v := range map[string]any{"odd": []float64{1, math.Inf(1)}, "plain": []float64{1, 2}} {
		if err := j.Keep(key, v); err != nil {
			t.Errorf("%s: %v", key, err)
		}
	}
	var v []float64
	if j.Recall("odd", &v) || !j.Recall("plain", &v) || v[1] != 2 || j.Kept() != 1 {
		t.Errorf("%v, %d are kept", v, j.Kept())
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if j, err = Open(path, "work"); err != nil || j.Found() != 1 {
		t.Errorf("%v, %v", j, err)
	}
}

// TestFails stops keeping after the first failure, and leaves whole lines.
func TestFails(t *testing.T) {
	for _, step := range []fault.Step{fault.StepCreate, fault.StepWrite, fault.StepSync} {
		path := filepath.Join(t.TempDir(), "j.jsonl")
		j, err := Open(path, "work")
		if err != nil {
			t.Fatal(err)
		}
		disarm := fault.Arm(func(s fault.Step) error {
			if s == step {
				return errors.New("no more room")
			}
			return nil
		})
		err = j.Keep("one", 1)
		disarm()
		if fault.KindOf(err) != fault.IO || j.Keep("two", 2) == nil {
			t.Errorf("step %v: %v", step, err)
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("step %v: a file without records is left (%v)", step, err)
		}
		if j, err := Open(path, "work"); err != nil || j.Found() > 0 {
			t.Errorf("step %v: %v %v", step, j, err)
		}
	}
}

// TestFailsLater takes back a line that did not get to the disk, and keeps those before it.
func TestFailsLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "j.jsonl")
	j := Begin(path, "work")
	if err := j.Keep("one", 1); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	disarm := fault.Arm(func(s fault.Step) error {
		if s == fault.StepSync {
			return errors.New("no more room")
		}
		return nil
	})
	err = j.Keep("two", 2)
	disarm()
	if err == nil {
		t.Error("no error")
	}
	if left, err := os.ReadFile(path); err != nil || !bytes.Equal(left, whole) {
		t.Errorf("%q is left of %q (%v)", left, whole, err)
	}
}
