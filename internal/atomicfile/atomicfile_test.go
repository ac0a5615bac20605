//go:build unix

package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"lowbit/internal/fault"
)

// text returns a fill function that writes s in pieces larger than the buffer would hide.
func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// names lists a folder.
func names(t *testing.T, dir string) string {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var s []string
	for _, e := range list {
		s = append(s, e.Name())
	}
	return strings.Join(s, " ")
}

func content(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func put(t *testing.T, path, s string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(s), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	if err := Write(path, text("one"), Options{}); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, text("two"), Options{}); fault.KindOf(err) != fault.Invalid || fault.HintOf(err) == "" {
		t.Errorf("a file that is there: %v", err)
	}
	if got := content(t, path); got != "one" {
		t.Errorf("the refused write left %q", got)
	}
	if err := Write(path, text("two"), Options{Force: true}); err != nil || content(t, path) != "two" {
		t.Errorf("forced: %v", err)
	}
	if got := names(t, dir); got != "out" {
		t.Errorf("the folder holds %s", got)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o600 != 0o600 {
		t.Errorf("mode %v (%v)", info.Mode(), err)
	}
}

func TestRefusals(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in")
	put(t, in, "input")
	link := filepath.Join(dir, "link")
	if err := os.Symlink("in", link); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, path string
		o          Options
		kind       fault.Kind
	}{
		{"the input", in, Options{Force: true, Sources: []string{in}}, fault.Invalid},
		{"a link to the input", link, Options{Force: true, Sources: []string{in}}, fault.Invalid},
		{"a folder", dir, Options{Force: true}, fault.Invalid},
		{"what is standard output elsewhere", "-", Options{}, fault.Invalid},
		{"a FIFO", fifo, Options{Force: true}, fault.Invalid},
		{"a missing folder", filepath.Join(dir, "no", "out"), Options{}, fault.IO},
		{"below a file", filepath.Join(in, "out"), Options{}, fault.IO},
		{"more than the disk has", filepath.Join(dir, "big"), Options{Size: math.MaxInt64}, fault.Limit},
	} {
		err := Write(c.path, text("x"), c.o)
		if fault.KindOf(err) != c.kind {
			t.Errorf("%s: %v, want kind %d", c.name, err, c.kind)
		}
		if early := Check(c.path, c.o); early == nil && c.name != "below a file" {
			t.Errorf("%s: nothing is said before the work", c.name)
		}
	}
	if got := names(t, dir); got != "fifo in link" || content(t, in) != "input" {
		t.Errorf("the folder holds %s", got)
	}
}

// A link that is replaced is replaced itself; what it leads to stays.
func TestLinkIsNotFollowed(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, "precious"), "keep")
	out := filepath.Join(dir, "out")
	if err := os.Symlink("precious", out); err != nil {
		t.Fatal(err)
	}
	if err := Write(out, text("new"), Options{Force: true}); err != nil {
		t.Fatal(err)
	}
	if content(t, filepath.Join(dir, "precious")) != "keep" || content(t, out) != "new" {
		t.Error("the write went through the link")
	}
}

func TestFillFails(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	mine := errors.New("mine")
	err := Write(path, func(w io.Writer) error { io.WriteString(w, "half"); return mine }, Options{})
	if !errors.Is(err, mine) || names(t, dir) != "" {
		t.Errorf("got %v, the folder holds %q", err, names(t, dir))
	}
	kept := fault.Unsupportedf("layer", "no")
	if err := Write(path, func(io.Writer) error { return kept }, Options{}); fault.KindOf(err) != fault.Unsupported {
		t.Errorf("the kind of the caller's own fault is lost: %v", err)
	}
}

// Every call in turn fails, in every way: the old file stays, whole, or the new one is there, whole.
func TestEveryCallFails(t *testing.T) {
	big := strings.Repeat("0123456789", 60_000) // more than two buffers
	for _, cause := range []error{syscall.ENOSPC, syscall.EIO, io.ErrShortWrite} {
		for n := 1; ; n++ {
			dir := t.TempDir()
			path := filepath.Join(dir, "out")
			put(t, path, "old")
			count := 0
			disarm := fault.Arm(func(fault.Step) error {
				if count++; count == n {
					return cause
				}
				return nil
			})
			err := Write(path, text(big), Options{Force: true})
			disarm()
			if count < n {
				if err != nil || content(t, path) != big || n < 6 {
					t.Fatalf("without a fault: %v after %d calls", err, count)
				}
				break
			}
			want := fault.IO
			if cause == syscall.ENOSPC {
				want = fault.Limit
			}
			if fault.KindOf(err) != want || !errors.Is(err, cause) {
				t.Fatalf("call %d: %v", n, err)
			}
			if got := content(t, path); (got == big) != errors.Is(err, ErrInPlace) || got != big && got != "old" {
				t.Fatalf("call %d left %d bytes with %v", n, len(got), err)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("more than one line: %v", err)
			}
			if got := names(t, dir); got != "out" {
				t.Fatalf("call %d left %s", n, got)
			}
		}
	}
}

func TestStaleFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	dead := fmt.Sprintf(".out.tmp-%d-01234567", gone.Process.Pid)
	mine := fmt.Sprintf(".out.tmp-%d-01234567", os.Getpid())
	old := fmt.Sprintf(".out.tmp-%d-89abcdef", os.Getpid())
	other := fmt.Sprintf(".outer.tmp-%d-01234567", gone.Process.Pid)
	for _, name := range []string{dead, mine, old, other, ".out.tmp-x"} {
		put(t, filepath.Join(dir, name), "")
	}
	past := time.Now().Add(-2 * staleAge)
	if err := os.Chtimes(filepath.Join(dir, old), past, past); err != nil {
		t.Fatal(err)
	}
	if err := Write(path, text("x"), Options{}); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{dead: false, mine: true, old: false, other: true, ".out.tmp-x": true} {
		if _, err := os.Lstat(filepath.Join(dir, name)); (err == nil) != want {
			t.Errorf("%s is there: %v, want %v", name, err == nil, want)
		}
	}
}

// A file whose writer holds its lock stays, whatever its name says.
func TestLockedFileStays(t *testing.T) {
	dir := t.TempDir()
	gone := exec.Command("true")
	if err := gone.Run(); err != nil {
		t.Fatal(err)
	}
	temp := filepath.Join(dir, fmt.Sprintf(".out.tmp-%d-01234567", gone.Process.Pid))
	f, err := os.Create(temp)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lock(f)
	if err := Check(filepath.Join(dir, "out"), Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(temp); err != nil {
		t.Errorf("a file in use was removed: %v", err)
	}
}

// TestMain lets the test binary write a file over and over when it is called for that, to be killed.
func TestMain(m *testing.M) {
	if path := os.Getenv("ATOMICFILE_WRITE"); path != "" {
		for i := 0; ; i++ {
			s := strings.Repeat(string(rune('a'+i%26)), 1<<20)
			if err := Write(path, text(s), Options{Force: true}); err != nil {
				fmt.Fprintln(os.Stderr, err)
				os.Exit(1)
			}
		}
	}
	os.Exit(m.Run())
}

// A process that writes is killed at many moments: the file is absent or whole each time, and the
// next write clears up.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	kills := 30
	if testing.Short() {
		kills = 5
	}
	present := 0
	for i := range kills {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "ATOMICFILE_WRITE="+path)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(5+i*7%40) * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		present++
		if len(b) != 1<<20 || strings.Trim(string(b), string(b[:1])) != "" {
			t.Fatalf("kill %d left a file of %d bytes, not whole", i, len(b))
		}
	}
	if present == 0 {
		t.Fatal("no kill came after a write")
	}
	if err := Write(path, text("last"), Options{Force: true}); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); got != "out" {
		t.Errorf("after the next write the folder holds %s", got)
	}
}
