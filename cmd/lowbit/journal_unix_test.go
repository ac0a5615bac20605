//go:build unix

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// rounded is a command that is kept step by step.
var rounded = []string{"quantize", "net.onnx", "-o", "out.onnx", "--data", "calib.npz", "--observer", "minmax", "--weights", "int4", "--fix", "gptq"}

// lines is how many lines a file has.
func lines(t *testing.T, path string) int {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Count(string(b), "\n")
}

// TestTakenUpAfterAKill kills quantize while it keeps steps of repairs, and takes it up again: the same file
// comes out, and nothing is left behind.
func TestTakenUpAfterAKill(t *testing.T) {
	dir := workplace(t)
	out, diary := filepath.Join(dir, "out.onnx"), filepath.Join(dir, "out.onnx"+journalSuffix)
	files := func() string { return hashOf(t, out) + hashOf(t, out+reportSuffix) }
	if b, err := program(dir, "lowbit", rounded...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	want := files()
	if lines(t, diary) != 0 {
		t.Error("the journal is there still")
	}
	forget(dir)
	for killed := 0; ; killed++ { // later each time, or else no run would live to write the model
		cmd := program(dir, "lowbit-die", rounded...)
		cmd.Env = append(cmd.Env, fmt.Sprint(dieAt, "=", 4*(killed+1)))
		had := lines(t, diary)
		b, err := cmd.CombinedOutput()
		code := status(t, err)
		if had > 1 && !strings.Contains(string(b), fmt.Sprintf("taking up an interrupted run: %d steps", had-1)) {
			t.Fatalf("killed %d times, with %d lines: %s", killed, had, b)
		}
		if code == 0 {
			if t.Logf("killed %d times", killed); killed < 2 {
				t.Error("that is too few")
			}
			break
		}
		if code != -int(syscall.SIGKILL) || lines(t, diary) < had {
			t.Fatalf("status %d, %d lines became %d: %s", code, had, lines(t, diary), b)
		}
	}
	if files() != want || hashOf(t, diary) != "" {
		t.Error("the output differs, or the journal is left")
	}
}

// TestInterruptedRepairs ends quantize by a signal once something is kept: it says how to go on, does not take up other
// work, and starts over where it is told to.
func TestInterruptedRepairs(t *testing.T) {
	dir := workplace(t)
	diary := filepath.Join(dir, "out.onnx"+journalSuffix)
	slow := append(slices.Clone(rounded[:len(rounded)-1]), "brecq")
	stop := func(args []string) string {
		var words bytes.Buffer
		cmd := program(dir, "lowbit", args...)
		cmd.Stderr = &words
		was := hashOf(t, diary)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for start := time.Now(); hashOf(t, diary) == was || lines(t, diary) < 2; time.Sleep(time.Millisecond) {
			if time.Since(start) > 5*time.Minute {
				t.Fatalf("nothing is kept: %s", &words)
			}
		}
		_ = cmd.Process.Signal(os.Interrupt)
		if code := status(t, cmd.Wait()); code != 130 {
			t.Fatalf("status %d: %s", code, &words)
		}
		return words.String()
	}
	words := stop(slow)
	if want := fmt.Sprintf("%d steps are kept in out.onnx%s; go on with: lowbit %s", lines(t, diary)-1, journalSuffix, strings.Join(slow, " ")); !strings.Contains(words, want) {
		t.Errorf("it says %q, want %q", words, want)
	}
	if words = stop(append(slow, "--seed", "5")); !strings.Contains(words, "is of other work") {
		t.Errorf("of another recipe it says %q", words)
	}
	if words = stop(append(slow, "--seed", "5", "--resume=false")); strings.Contains(words, "taking up") || strings.Contains(words, "--resume=false") {
		t.Errorf("starting over it says %q", words)
	}
	if err := os.WriteFile(diary, []byte("a diary of mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if b, err := program(dir, "lowbit", rounded...).CombinedOutput(); status(t, err) != 2 || !strings.Contains(string(b), "is no journal") {
		t.Errorf("%v: %s", err, b)
	}
}
