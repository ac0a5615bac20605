// Package atomicfile writes files that are either there, whole, or not there at all, even if the
// process is killed or the disk is full: the content goes to a temporary file in the same folder,
// to the disk, and is then given its name.
package atomicfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"

	"lowbit/internal/fault"
)

// Options of a write. The zero value refuses to replace a file.
type Options struct {
	Force   bool     // replace a file that is there
	Sources []string // files that are never replaced: what is being read
	Size    int64    // bytes that will be written, 0 if not known; more than the disk has is refused

	// Before is called when the content is on the disk, before the file gets its name. An error
	// leaves the path as it was. It may be nil.
	Before func() error
}

// ErrInPlace is among the causes of an error of Write if the file has its name and is whole, but the
// folder could not be brought to the disk: after a power cut the old file may be there again.
var ErrInPlace = errors.New("the file is in place, but not yet safe on the disk")

// inPlace is the cause of an error that counts as ErrInPlace too.
type inPlace struct{ error }

func (e inPlace) Is(target error) bool { return target == ErrInPlace }
func (e inPlace) Unwrap() error        { return e.error }

// bufferSize gathers small writes.
const bufferSize = 256 << 10

// Write creates the file at path with what fill writes. On an error, ErrInPlace aside, the path is
// as it was, and nothing is left beside it. Temporary files that a process left behind when it was killed are
// removed first. A full disk, or one with less than o.Size bytes free, is a fault of kind Limit.
func Write(path string, fill func(io.Writer) error, o Options) error {
	if err := Check(path, o); err != nil {
		return err
	}
	temp, err := create(path)
	if err != nil {
		return ioFault(path, err)
	}
	err = complete(temp, fill)
	if err == nil && o.Before != nil {
		err = o.Before()
	}
	if err == nil {
		err = rename(temp.Name(), path)
	}
	if err != nil {
		os.Remove(temp.Name())
		return ioFault(path, err)
	}
	if err := syncDir(filepath.Dir(path)); err != nil {
		e := ioFault(path, err)
		return &fault.Error{Kind: fault.KindOf(e), Place: path, Msg: ErrInPlace.Error(), Err: inPlace{err}, Hint: fault.HintOf(e)}
	}
	return nil
}

// Check says whether Write would refuse before it begins: because a file is there, is a source,
// does not fit on the disk, or has no folder that may be written to. It clears up as Write does: temporary files for path that a killed
// process left behind are removed.
func Check(path string, o Options) error {
	dir := filepath.Dir(path)
	removeStale(path)
	if err := checkTarget(path, o); err != nil {
		return err
	}
	if err := checkFolder(path, dir); err != nil {
		return err
	}
	free, ok := freeBytes(dir)
	if ok && o.Size > 0 && uint64(o.Size) > free {
		return fault.Limitf(path, "needs %d bytes, the disk has %d left", o.Size, free).
			WithHint("free some space, or write to another disk")
	}
	return nil
}

// Free returns how many bytes the disk that a folder is on has left, false where that is not known.
func Free(dir string) (int64, bool) {
	free, ok := freeBytes(dir)
	return int64(min(free, math.MaxInt64)), ok
}

// Scratch makes a file in a folder that has no name any more, to read and to write: it is gone once it is neither open
// nor mapped. It is not for systems that keep the names of open files.
func Scratch(dir string) (*os.File, error) {
	path := filepath.Join(dir, "scratch")
	removeStale(path)
	f, err := create(path)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// checkFolder refuses folders in which no file can be made.
func checkFolder(path, dir string) error {
	_, err := os.Stat(dir)
	if err == nil {
		err = writable(dir)
	}
	if errors.Is(err, fs.ErrNotExist) {
		e := &fault.Error{Kind: fault.IO, Place: path, Msg: fmt.Sprintf("there is no folder %q", dir), Hint: "make it, or write to another one"}
		return e.Telling(fs.ErrNotExist)
	}
	if err != nil {
		return ioFault(path, err)
	}
	return nil
}

func checkTarget(path string, o Options) error {
	if path == "" {
		return fault.Invalidf("", "no file is named to write to")
	}
	if path == "-" { // which is standard output to other tools, and would become a file here
		return fault.Invalidf(path, "is no name of a file").WithHint("name one; ./- is that of a file which is called so")
	}
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return ioFault(path, err)
	}
	if info.IsDir() {
		return fault.Invalidf(path, "is a folder")
	}
	if info.Mode().Type()&^fs.ModeSymlink != 0 {
		return fault.Invalidf(path, "is not a plain file")
	}
	for _, s := range o.Sources {
		if sameFile(path, s) {
			return fault.Invalidf(path, "is what is being read").WithHint("write to another file")
		}
	}
	if !o.Force {
		return fault.Invalidf(path, "exists already").Telling(fs.ErrExist).WithHint("replace it with `force`")
	}
	return nil
}

// sameFile says whether two names lead to one file.
func sameFile(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// create makes a new temporary file beside path: .name.tmp-PID-RANDOM, locked while it is open.
func create(path string) (*os.File, error) {
	if err := fault.Point(fault.StepCreate); err != nil {
		return nil, err
	}
	dir, name := filepath.Split(path)
	for range 100 {
		temp := filepath.Join(dir, fmt.Sprintf("%s%d-%08x", tempPrefix(name), os.Getpid(), rand.Uint32()))
		f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL|noFollow, 0o644)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			lock(f)
		}
		return f, err
	}
	return nil, fs.ErrExist
}

func tempPrefix(name string) string { return "." + name + ".tmp-" }

// complete fills the file and brings it to the disk. It closes f in any case.
func complete(f *os.File, fill func(io.Writer) error) error {
	w := bufio.NewWriterSize(stepWriter{f}, bufferSize)
	err := fill(w)
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = syncFile(f)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// A stepWriter announces each write to the file.
type stepWriter struct{ f *os.File }

func (w stepWriter) Write(b []byte) (int, error) {
	err := fault.Point(fault.StepWrite)
	if err == nil {
		return w.f.Write(b)
	}
	n := 0
	if errors.Is(err, io.ErrShortWrite) {
		n, _ = w.f.Write(b[:len(b)/2])
	}
	return n, err
}

func syncFile(f *os.File) error {
	if err := fault.Point(fault.StepSync); err != nil {
		return err
	}
	return f.Sync()
}

func rename(from, to string) error {
	if err := fault.Point(fault.StepRename); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// ioFault classifies an error of the file system; one that is classified stays as it is.
func ioFault(path string, err error) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	var l *os.LinkError
	if errors.As(err, &l) {
		err = l.Err
	}
	if isFull(err) {
		return &fault.Error{Kind: fault.Limit, Place: path, Msg: "the disk is full", Err: err,
			Hint: "free some space, or write to another disk"}
	}
	return fault.IOf(path, err)
}
