//go:build unix

package onnx_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"lowbit/internal/fault"
	"lowbit/internal/onnx"
)

const (
	goodWords   = "good data of 16b"
	secretWords = "secret of another"
)

// externalModel is a model with one int8 tensor of 16 elements in external data.
func externalModel(t testing.TB, entries string) []byte {
	return build(t, around(`initializer { name: "w" dims: 16 data_type: INT8 data_location: EXTERNAL `+entries+` }`))
}

// entry writes one key of external_data.
func entry(key, value string) string {
	return fmt.Sprintf("external_data { key: %q value: \"%s\" } ", key, value)
}

// playground makes a folder with a model's surroundings, good and bad, and returns the model's
// folder in it. Outside of that lies a secret.
func playground(t testing.TB) string {
	top := t.TempDir()
	dir := filepath.Join(top, "model")
	in := func(name string) string { return filepath.Join(dir, name) }
	must(t,
		os.MkdirAll(in("sub"), 0o755), os.MkdirAll(in("a/b"), 0o755),
		write(in("w"), goodWords), write(in("sub/w"), goodWords), write(in("short"), goodWords[:8]),
		write(in("long"), "0123"+goodWords+"more"), write(in("w h ü"), goodWords), write(in("..w"), goodWords), write(in("empty"), ""),
		write(filepath.Join(top, "secret"), secretWords),
		os.Link(filepath.Join(top, "secret"), in("hard")),
		syscall.Mkfifo(in("fifo"), 0o644),
		os.Symlink("w", in("inlink")), os.Symlink("../secret", in("outlink")), os.Symlink(filepath.Join(top, "secret"), in("abslink")),
		os.Symlink("..", in("outdir")), os.Symlink("sub", in("indir")), os.Symlink("loop", in("loop")), os.Symlink("nowhere", in("dangling")),
		os.Symlink("/dev/zero", in("devlink")),
	)
	return dir
}

// readTable is what comes of each external_data. The kind -1 means that the tensor is read.
var readTable = []struct {
	name    string
	entries string
	kind    int
	want    string
}{
	{"file in the folder", entry("location", "w"), -1, ""},
	{"file in a folder below", entry("location", "sub/w"), -1, ""},
	{"dots that stay inside", entry("location", "a/b/../../w"), -1, ""},
	{"name that starts with dots", entry("location", "..w"), -1, ""},
	{"spaces and letters", entry("location", "w h ü"), -1, ""},
	{"link that stays inside", entry("location", "inlink"), -1, ""},
	{"linked folder inside", entry("location", "indir/w"), -1, ""},
	{"offset and length", entry("location", "long") + entry("offset", "4") + entry("length", "16"), -1, ""},
	{"checksum", entry("location", "w") + entry("checksum", "385b3abd7071f3463d63442780e80b9a3ec75bfc"), -1, ""},

	{"parent (CVE-2022-25882)", entry("location", "../secret"), 2, "leads out"},
	{"hidden parent (CVE-2024-27318)", entry("location", "a/../../secret"), 2, "leads out"},
	{"absolute", entry("location", "/etc/passwd"), 2, "leads out"},
	{"link out (CVE-2026-27489)", entry("location", "outlink"), 2, "leads out"},
	{"absolute link", entry("location", "abslink"), 2, "leads out"},
	{"parent link (CVE-2026-34447)", entry("location", "outdir/secret"), 2, "leads out"},
	{"hard link (CVE-2026-34446)", entry("location", "hard"), 2, "2 names"},
	{"FIFO", entry("location", "fifo"), 2, "named pipe"},
	{"folder", entry("location", "sub"), 2, "folder"},
	{"device", entry("location", "/dev/zero"), 2, "leads out"},
	{"link to a device", entry("location", "devlink"), 2, "leads out"},
	{"zero byte", entry("location", `w\000x`), 2, "zero byte"},
	{"not UTF-8", entry("location", `w\377`), 2, "not UTF-8"},
	{"backslashes", entry("location", `..\\secret`), 2, "Windows"},
	{"drive", entry("location", "C:secret"), 2, "Windows"},
	{"memory of ONNX Runtime", entry("location", "*/_ORT_MEM_ADDR_/*"), 2, "memory"},
	{"no location", entry("offset", "0"), 2, "no location"},
	{"empty location", entry("location", ""), 2, "no location"},
	{"the folder itself", entry("location", "."), 2, "folder"},
	{"long name", entry("location", strings.Repeat("d/", 4000)), 2, "too long"},
	{"missing", entry("location", "nowhere"), 5, "cannot be read"},
	{"link to nothing", entry("location", "dangling"), 5, "cannot be read"},
	{"link to itself", entry("location", "loop"), 5, "cannot be read"},
	{"below a file", entry("location", "w/x"), 5, "cannot be read"},
	{"short", entry("location", "short"), 2, "which has 8"},
	{"empty file", entry("location", "empty"), 2, "which has 0"},
	{"offset past the end", entry("location", "long") + entry("offset", "9"), 2, "which has 24"},
	{"offset overflow", entry("location", "w") + entry("offset", "9223372036854775807"), 2, "needs bytes"},
	{"offset above 2^63", entry("location", "w") + entry("offset", "18446744073709551615"), 2, "not a number"},
	{"negative offset", entry("location", "w") + entry("offset", "-1"), 2, "not a number"},
	{"offset in words", entry("location", "w") + entry("offset", "0x0"), 2, "not a number"},
	{"length too short", entry("location", "w") + entry("length", "8"), 2, "gives it 8"},
	{"length too long", entry("location", "w") + entry("length", "17"), 2, "gives it 17"},
	{"unknown key (CVE-2026-34445)", entry("location", "w") + entry("__class__", "x"), 2, "is not one of"},
	{"two locations", entry("location", "w") + entry("location", "outlink"), 2, "twice"},
	{"content swapped", entry("location", "w") + entry("checksum", "00"), 2, "checksum"},
	{"raw data as well", entry("location", "w") + `raw_data: "0123456789abcdef"`, 2, "more than one field"},
}

// openWith opens a model that was written to path, and returns the bytes of its tensor.
func openWith(path string, lim onnx.Limits) (string, error) {
	f, err := onnx.Open(path, lim)
	if err != nil {
		return "", err
	}
	defer f.Close()
	return string(f.Model.Graph.ConstTensor("w").Raw), nil
}

func TestExternalRead(t *testing.T) {
	path := filepath.Join(playground(t), "m.onnx")
	for _, c := range readTable {
		must(t, os.WriteFile(path, externalModel(t, c.entries), 0o644))
		got, err := openWith(path, onnx.Limits{})
		switch {
		case c.kind < 0 && (err != nil || got != goodWords):
			t.Errorf("%s: %v, read %q", c.name, err, got)
		case c.kind >= 0 && (err == nil || fault.KindOf(err).ExitCode() != c.kind || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got %v, want exit %d with %q", c.name, err, c.kind, c.want)
		case err != nil && !strings.Contains(err.Error(), `graph.initializer[0] "w": `):
			t.Errorf("%s: %v does not name the place", c.name, err)
		}
	}
}

func TestExternalOptions(t *testing.T) {
	dir := playground(t)
	path := filepath.Join(dir, "m.onnx")
	must(t, os.WriteFile(path, externalModel(t, entry("location", "hard")), 0o644))
	if got, err := openWith(path, onnx.Limits{AllowHardlinks: true}); err != nil || got != secretWords[:16] {
		t.Errorf("hard links allowed: %q, %v", got, err)
	}
	must(t, os.WriteFile(path, externalModel(t, entry("location", "w")+entry("checksum", "00")), 0o644))
	if got, err := openWith(path, onnx.Limits{SkipChecksums: true}); err != nil || got != goodWords {
		t.Errorf("checksums skipped: %q, %v", got, err)
	}
	must(t, os.WriteFile(path, bytes.Replace(externalModel(t, entry("location", "w")), []byte{0x08, 16, 0x10, 3}, []byte{0x08, 16, 0x10, 8}, 1), 0o644))
	if _, err := openWith(path, onnx.Limits{}); err == nil || !strings.Contains(err.Error(), "strings cannot") {
		t.Errorf("external strings: %v", err)
	}
	must(t, os.WriteFile(path, externalModel(t, entry("location", "w")), 0o644))
	f, err := onnx.Open(path, onnx.Limits{})
	must(t, err)
	if got := strings.Join(f.Paths(), " "); got != path+" "+filepath.Join(dir, "w") {
		t.Errorf("paths: %s", got)
	}
	must(t, f.Close())
}

// Hugging Face's cache keeps files under their hashes, and a folder of links for each version.
func TestExternalCache(t *testing.T) {
	top := t.TempDir()
	blobs, snapshot := filepath.Join(top, "blobs"), filepath.Join(top, "snapshots", "v1")
	link := func(name, to string) error { return os.Symlink(to, filepath.Join(snapshot, name)) }
	must(t, os.MkdirAll(blobs, 0o755), os.MkdirAll(snapshot, 0o755),
		write(filepath.Join(blobs, "0a"), goodWords), write(filepath.Join(top, "secret"), secretWords),
		os.WriteFile(filepath.Join(blobs, "0b"), externalModel(t, entry("location", "w")), 0o644),
		os.WriteFile(filepath.Join(blobs, "0c"), externalModel(t, entry("location", "out")), 0o644),
		os.WriteFile(filepath.Join(blobs, "0d"), externalModel(t, entry("location", "chain")), 0o644),
		os.Symlink("../secret", filepath.Join(blobs, "0e")),
		link("m.onnx", "../../blobs/0b"), link("out.onnx", "../../blobs/0c"), link("chain.onnx", "../../blobs/0d"),
		link("w", "../../blobs/0a"), link("out", "../../secret"), link("chain", "../../blobs/0e"))
	if got, err := openWith(filepath.Join(snapshot, "m.onnx"), onnx.Limits{}); err != nil || got != goodWords {
		t.Errorf("through the cache: %q, %v", got, err)
	}
	for _, name := range []string{"out.onnx", "chain.onnx"} {
		if got, err := openWith(filepath.Join(snapshot, name), onnx.Limits{}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s leads out of the cache: %q, %v", name, got, err)
		}
	}
}

// Somebody swaps the data file for a link to the secret while the model is being opened.
func TestExternalRace(t *testing.T) {
	dir := playground(t)
	path, w := filepath.Join(dir, "m.onnx"), filepath.Join(dir, "w")
	must(t, os.WriteFile(path, externalModel(t, entry("location", "w")), 0o644))
	done, stopped := make(chan bool), make(chan bool)
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
			}
			next := filepath.Join(dir, "next")
			if i%2 == 0 {
				os.Symlink("../secret", next)
			} else {
				write(next, goodWords)
			}
			os.Rename(next, w)
		}
	}()
	opens, read := 3000, 0
	if testing.Short() {
		opens = 300
	}
	for range opens {
		got, err := openWith(path, onnx.Limits{})
		if err == nil && got != goodWords {
			t.Fatalf("read %q", got)
		}
		if err == nil {
			read++
		}
	}
	close(done)
	<-stopped
	if read == 0 || read == opens {
		t.Logf("the race was never met: %d of %d opened", read, opens)
	}
}
