//go:build unix

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"lowbit"
	"lowbit/internal/demo"
	"lowbit/internal/fault"
	"lowbit/internal/kernel"
)

// dieAt is the variable that makes lowbit-die kill itself at a step, counted from 1.
const dieAt = "LOWBIT_TEST_DIE_AT"

// dieMain is lowbit, except that it is killed at one of the steps that package fault announces.
func dieMain() {
	n, _ := strconv.Atoi(os.Getenv(dieAt))
	count := 0
	fault.Arm(func(fault.Step) error {
		if count++; count == n {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	})
	os.Exit(Main(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// workplace is a folder with the demo's float network as net.onnx, and samples.
func workplace(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "net.onnx"), demo.Model(), 0o644); err != nil {
		t.Fatal(err)
	}
	writeSamples(t, dir)
	return dir
}

// program starts lowbit, or another command of TestMain, in a folder.
func program(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LOWBIT_THREADS=2")
	return cmd
}

// status is the exit status of a command, negative the signal that ended it.
func status(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	if err == nil {
		return 0
	}
	if !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if w := exit.Sys().(syscall.WaitStatus); w.Signaled() {
		return -int(w.Signal())
	}
	return exit.ExitCode()
}

// hashOf is the hash of a file, "" where there is none.
func hashOf(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(b))
}

// temporary lists the temporary files of a folder.
func temporary(t *testing.T, dir string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, ".*.tmp-*"))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func many(quick, full int) int {
	if os.Getenv("LOWBIT_TEST_FULL") != "" {
		return full
	}
	if testing.Short() {
		return max(1, quick/5)
	}
	return quick
}

// static is the command that the tests below disturb.
var static = []string{"quantize", "net.onnx", "-o", "out.onnx", "--data", "calib.npz", "--observer", "minmax", "--fix", "none", "-q"}

// finished quantizes once undisturbed, and returns the output's hash and the time that took.
func finished(t *testing.T, dir string) (string, time.Duration) {
	t.Helper()
	sum, least := "", time.Hour
	for range 3 { // the first run is slower than those to come
		start := time.Now()
		if b, err := program(dir, "lowbit", static...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		least = min(least, time.Since(start))
		sum = hashOf(t, filepath.Join(dir, "out.onnx"))
		forget(dir)
	}
	return sum, least
}

func forget(dir string) {
	os.Remove(filepath.Join(dir, "out.onnx"))
	os.Remove(filepath.Join(dir, "out.onnx"+reportSuffix))
}

// wholeOrAbsent wants no output, or the one that an undisturbed run writes.
func wholeOrAbsent(t *testing.T, what, dir, sum string) (present bool) {
	t.Helper()
	got := hashOf(t, filepath.Join(dir, "out.onnx"))
	if got != "" && got != sum {
		t.Errorf("%s: the output is %s, undisturbed %s", what, got, sum)
	}
	if rep := filepath.Join(dir, "out.onnx"+reportSuffix); got != "" && hashOf(t, rep) != "" {
		if r, err := readReport(rep); err != nil || r.(*quantizeJSON).SHA256 != got {
			t.Errorf("%s: the report tells of another file: %v", what, err)
		}
	}
	return got != ""
}

// TestKilledAtRandom kills quantize at random moments, more often near the end.
func TestKilledAtRandom(t *testing.T) {
	dir := workplace(t)
	sum, took := finished(t, dir)
	rng := rand.New(rand.NewPCG(1, 2))
	present, killed := 0, 0
	for i := range many(20, 100) {
		cmd := program(dir, "lowbit", static...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		at := rng.Float64()
		if i%2 == 0 {
			at = 0.7 + 0.35*at
		}
		time.Sleep(time.Duration(at * float64(took)))
		_ = cmd.Process.Kill()
		if status(t, cmd.Wait()) < 0 {
			killed++
		}
		if wholeOrAbsent(t, fmt.Sprint("kill ", i), dir, sum) {
			present++
		}
		forget(dir)
	}
	t.Logf("%d killed, %d outputs were there", killed, present)
	if killed == 0 {
		t.Error("no run was killed before its end")
	}
	finished(t, dir)
	if left := temporary(t, dir); left != nil {
		t.Errorf("after the next run %v are left", left)
	}
}

// TestKilledAtEveryStep kills quantize at each open, read, write, fsync and rename in turn, with no
// output before and with an old one.
func TestKilledAtEveryStep(t *testing.T) {
	dir := workplace(t)
	sum, _ := finished(t, dir)
	const old = "old"
	args := append(slices.Clone(static), "--resume=false") // a run that takes up another has fewer steps
	for n := 1; ; n++ {
		cmd := program(dir, "lowbit-die", args...)
		cmd.Env = append(cmd.Env, fmt.Sprint(dieAt, "=", n))
		err := cmd.Run()
		wholeOrAbsent(t, fmt.Sprint("step ", n), dir, sum)
		if code := status(t, err); code == 0 {
			t.Logf("killed at each of %d steps", n-1)
			if n < 12 {
				t.Errorf("only %d steps", n-1)
			}
			break
		} else if code != -int(syscall.SIGKILL) {
			t.Fatalf("step %d: status %d", n, code)
		}
		os.Remove(filepath.Join(dir, "out.onnx"))
		if err := os.WriteFile(filepath.Join(dir, "out.onnx"), []byte(old), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd = program(dir, "lowbit-die", append(args, "--force")...)
		cmd.Env = append(cmd.Env, fmt.Sprint(dieAt, "=", n))
		_ = cmd.Run()
		if got := hashOf(t, filepath.Join(dir, "out.onnx")); got != sum && got != fmt.Sprintf("%x", sha256.Sum256([]byte(old))) {
			t.Errorf("step %d: the old output became %s", n, got)
		}
		os.Remove(filepath.Join(dir, "out.onnx")) // a report may stay: that of a run that was killed is no obstacle
	}
	forget(dir)
	finished(t, dir)
	if left := temporary(t, dir); left != nil {
		t.Errorf("after the next run %v are left", left)
	}
}

// TestEveryStepFails lets each step in turn fail in four ways: the status says so, and the old
// output is whole, or the new one is.
func TestEveryStepFails(t *testing.T) {
	dir := workplace(t)
	sum, _ := finished(t, dir)
	t.Chdir(dir)
	oldSum := fmt.Sprintf("%x", sha256.Sum256([]byte("old")))
	for _, cause := range []error{syscall.ENOSPC, syscall.EIO, syscall.EINTR, io.ErrShortWrite} {
		for n := 1; ; n++ {
			forget(".")
			if err := os.WriteFile("out.onnx", []byte("old"), 0o644); err != nil {
				t.Fatal(err)
			}
			count := 0
			disarm := fault.Arm(func(fault.Step) error {
				if count++; count == n {
					return cause
				}
				return nil
			})
			code, _, words := run(append(static, "--force")...)
			disarm()
			got := hashOf(t, "out.onnx")
			if count < n {
				if code != 0 || got != sum {
					t.Errorf("undisturbed: status %d, %s", code, words)
				}
				break
			}
			place := fmt.Sprintf("%v at step %d", cause, n)
			if code != 5 && !(code == 4 && cause == syscall.ENOSPC) && !(code == 0 && got == sum) {
				t.Errorf("%s: status %d: %s", place, code, words)
			}
			if got != sum && (got != oldSum || code == 0) {
				t.Errorf("%s: status %d, the output became %s", place, code, got)
			}
			if r, err := readReport("out.onnx" + reportSuffix); err == nil && got != r.(*quantizeJSON).SHA256 {
				t.Errorf("%s: there is a report of another model", place)
			}
			if strings.Contains(words, "goroutine") {
				t.Errorf("%s: %s", place, words)
			}
			if left := temporary(t, "."); left != nil && code != 0 {
				t.Errorf("%s: %v are left", place, left)
			}
		}
	}
}

// TestExternalData holds that no output replaces a model's external data, and that data with a second name are opened only
// where that is allowed, as the hint says.
func TestExternalData(t *testing.T) {
	t.Chdir(workplace(t))
	m, err := lowbit.Open("net.onnx")
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if err := m.Save("linked.onnx", lowbit.SaveOptions{ExternalAbove: 1}); err != nil {
		t.Fatal(err)
	}
	data, err := filepath.Glob("linked*.data")
	if err != nil || len(data) != 1 {
		t.Fatalf("%v (%v)", data, err)
	}
	for _, args := range [][]string{
		{"quantize", "linked.onnx", "-o", data[0], "--mode", "weights"}, {"quantize", "linked.onnx", "-o", "new.onnx", "--mode", "weights", "--save-plan", data[0]},
		{"run", "linked.onnx", "--input", "in.npz", "--output", data[0]}, {"doctor", "net.onnx", "linked.onnx", "--data", "in.npz", "--apply", "-o", data[0]},
		{"compare", "net.onnx", "linked.onnx", "--data", "in.npz", "--per-layer", "--report", data[0]},
	} {
		if code, _, words := run(append(args, "--force")...); code != 2 || !strings.Contains(words, "is what is being read") {
			t.Errorf("%q: status %d: %s", args, code, words)
		}
	}
	if err := os.Link(data[0], "second"); err != nil {
		t.Fatal(err)
	}
	if code, _, words := run("check", "linked.onnx"); code != 2 || !strings.Contains(words, "allow it with --allow-hardlinks") {
		t.Errorf("status %d: %s", code, words)
	}
	if code, _, words := run("check", "linked.onnx", "--allow-hardlinks"); code != 0 {
		t.Errorf("status %d: %s", code, words)
	}
}

// TestFullDisk lets run find no room for what it answers, in a file and on stdout.
func TestFullDisk(t *testing.T) {
	t.Chdir(workplace(t))
	disarm := fault.Arm(func(s fault.Step) error {
		if s == fault.StepWrite {
			return syscall.ENOSPC
		}
		return nil
	})
	code, _, words := run("run", "net.onnx", "--input", "in.npz", "--output", "out.npz")
	disarm()
	if code != 4 || !strings.HasPrefix(words, "error: out.npz: the disk is full") || temporary(t, ".") != nil {
		t.Errorf("status %d: %s", code, words)
	}
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Skip("there is no /dev/full")
	}
	defer full.Close()
	var said bytes.Buffer
	for _, command := range []string{"formats", "formats -h", "help", "quantize net.onnx -o out.onnx --data random:normal --samples 20"} {
		said.Reset()
		if code := Main(strings.Fields(command), nil, full, &said); code != 4 || !strings.Contains(said.String(), "error: stdout: the disk is full") {
			t.Errorf("%s: status %d: %s", command, code, &said)
		}
	}
	if left, _ := filepath.Glob("out.onnx*"); !slices.Equal(left, []string{"out.onnx", "out.onnx" + reportSuffix}) {
		t.Errorf("beside the model lie %v", left)
	}
}

// TestInterrupted sends a signal during calibration: the program ends within two seconds with the
// status that shells know, writes nothing, and says how to go on.
func TestInterrupted(t *testing.T) {
	dir := workplace(t)
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		cmd := program(dir, "lowbit", "quantize", "net.onnx", "-o", "out.onnx", "--data", "random:normal", "--samples", "1000000")
		var words bytes.Buffer
		cmd.Stderr = &words
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(500 * time.Millisecond)
		start := time.Now()
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		code := status(t, cmd.Wait())
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%v: it took %v to end", sig, took)
		}
		if code != 128+int(sig) {
			t.Errorf("%v: status %d: %s", sig, code, &words)
		}
		if !strings.Contains(words.String(), "lowbit quantize net.onnx -o out.onnx --data random:normal") {
			t.Errorf("%v: %s", sig, &words)
		}
		if hashOf(t, filepath.Join(dir, "out.onnx")) != "" || temporary(t, dir) != nil {
			t.Errorf("%v: something was written", sig)
		}
	}
}

// TestInterruptedDemo sends a signal once the demo has written a model: the command that it is told to start again with can be.
func TestInterruptedDemo(t *testing.T) {
	dir := workplace(t)
	cmd := program(dir, "lowbit", "demo", "-o", "d")
	var words bytes.Buffer
	cmd.Stderr = &words
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); hashOf(t, filepath.Join(dir, "d", demoFloat)) == "" && time.Since(begun) < time.Minute; {
		time.Sleep(time.Millisecond)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := status(t, cmd.Wait()); code != 130 || !strings.Contains(words.String(), "start again with: lowbit demo -o d") {
		t.Errorf("status %d: %s", code, &words)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "d", "*")); len(left) > 0 {
		t.Errorf("it left %v", left)
	}
}

// TestInterruptedWhereNothingLooks sends a signal while the program waits for a file that nobody writes: it ends all
// the same.
func TestInterruptedWhereNothingLooks(t *testing.T) {
	dir := workplace(t)
	if err := syscall.Mkfifo(filepath.Join(dir, "r.yaml"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := program(dir, "lowbit", "recipe", "check", "r.yaml", "--json")
	var data, words bytes.Buffer
	cmd.Stdout, cmd.Stderr = &data, &words
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	start := time.Now()
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	code := status(t, cmd.Wait())
	if took := time.Since(start); took > 2*time.Second {
		t.Errorf("it took %v to end", took)
	}
	if code != 143 || !strings.Contains(words.String(), "start again with: lowbit recipe check r.yaml") || !json.Valid(data.Bytes()) {
		t.Errorf("status %d: %s%s", code, &data, &words)
	}
}

// TestSameBytesEverywhere quantizes at every level of instructions that the machine has, with other
// numbers of threads: the files are the same.
func TestSameBytesEverywhere(t *testing.T) {
	dir := workplace(t)
	for _, args := range [][]string{
		{"--data", "calib.npz", "--samples", "10"}, {"--data", "calib.npz", "--style", "qoperator", "--observer", "entropy", "--fix", "none"},
		{"--data", "calib.npz", "--scheme", "W8A16", "--fix", "none"}, {"--mode", "weights"}, {"--mode", "dynamic"},
	} {
		want := ""
		for i, level := range kernel.Levels() {
			cmd := program(dir, "lowbit", append([]string{"quantize", "net.onnx", "-o", "out.onnx", "--force", "-q"}, args...)...)
			cmd.Env = append(cmd.Env, "LOWBIT_CPU="+level.String(), fmt.Sprint("LOWBIT_THREADS=", 1+i%3))
			if b, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v %v: %s", level, args, b)
			}
			got := hashOf(t, filepath.Join(dir, "out.onnx"))
			if want == "" {
				want = got
			}
			if got != want {
				t.Errorf("%v: %s at %v, %s at %v", args, got, level, want, kernel.Levels()[0])
			}
		}
	}
}

// TestSameBytesOnArm builds the program for another processor and quantizes there, in emulation.
func TestSameBytesOnArm(t *testing.T) {
	if os.Getenv("CI") == "" && os.Getenv("LOWBIT_TEST_FULL") == "" || runtime.GOARCH == "arm64" {
		t.Skip("a second build takes its time; CI=true does it")
	}
	qemu, err := exec.LookPath("qemu-aarch64-static")
	if err != nil {
		if qemu, err = exec.LookPath("qemu-aarch64"); err != nil {
			t.Skip("there is no qemu-aarch64")
		}
	}
	dir := workplace(t)
	build := exec.Command("go", "build", "-o", filepath.Join(dir, "lowbit-arm64"), ".")
	build.Env = append(os.Environ(), "GOARCH=arm64", "CGO_ENABLED=0")
	if b, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	for _, args := range [][]string{
		{"--data", "calib.npz", "--samples", "8", "--fix", "none"}, {"--data", "calib.npz", "--samples", "4", "--observer", "entropy"},
		{"--mode", "weights"}, {"--mode", "dynamic"},
	} {
		args = append([]string{"quantize", "net.onnx", "-o", "out.onnx", "--force", "-q"}, args...)
		if b, err := program(dir, "lowbit", args...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		here := hashOf(t, filepath.Join(dir, "out.onnx"))
		if b, err := program(dir, qemu, append([]string{"./lowbit-arm64"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, b)
		}
		if there := hashOf(t, filepath.Join(dir, "out.onnx")); there != here {
			t.Errorf("%v: %s here, %s on arm64", args, here, there)
		}
	}
}

// TestMaxMemory gives a run of many images ten limits: it is refused before it begins, or it keeps
// within the limit, a tenth, and what a program takes that has just started.
func TestMaxMemory(t *testing.T) {
	if raced {
		t.Skip("the race detector takes memory of its own")
	}
	dir := workplace(t)
	refused, done := 0, 0
	for i := range 10 {
		limit := int64(16<<20) << (i / 2)
		limit += limit / 2 * int64(i%2)
		cmd := program(dir, "lowbit", "bench", "net.onnx", "--batch", "500", "--warmup", "0", "--duration", "1ms", "--json", "-q", "--max-memory", fmt.Sprint(limit))
		b, err := cmd.Output()
		code := status(t, err)
		if code == 4 {
			refused++
			continue
		}
		if code != 0 {
			t.Fatalf("%d bytes: status %d: %s", limit, code, b)
		}
		done++
		var res benchJSON
		if err := json.Unmarshal(b, &res); err != nil {
			t.Fatal(err)
		}
		if most := limit + limit/10 + 64<<20; res.PeakRSS > most {
			t.Errorf("with a limit of %d bytes %d were held", limit, res.PeakRSS)
		}
	}
	t.Logf("%d refused, %d done", refused, done)
	if refused == 0 || done == 0 {
		t.Errorf("%d refused, %d done: the limits are all on one side", refused, done)
	}
}

// TestNoNetwork runs the commands where there is no network, not even a loopback.
func TestNoNetwork(t *testing.T) {
	wrap := []string{"unshare", "-r", "-n"}
	if err := exec.Command(wrap[0], append(wrap[1:], "true")...).Run(); err != nil {
		t.Skipf("unshare -r -n cannot be used here: %v", err)
	}
	dir := workplace(t)
	for _, line := range []string{
		"version", "formats", "targets", "inspect net.onnx", "check net.onnx", "recipe init r.yaml", "recipe check r.yaml", "recipe show r.yaml",
		"quantize net.onnx -o out.onnx --data calib.npz", "run out.onnx --input in.npz --output y.npz", "eval out.onnx --data val.npz",
		"compare net.onnx out.onnx --data val.npz --samples 2", "bench out.onnx --warmup 0 --duration 1ms", "report . -o page.html", "man man1",
		"completion bash", "conform .", "help",
	} {
		args := append(append([]string{}, wrap[1:]...), append([]string{"lowbit"}, strings.Fields(line)...)...)
		if b, err := program(dir, wrap[0], args...).CombinedOutput(); err != nil {
			t.Errorf("lowbit %s: %v: %s", line, err, b)
		}
	}
}
