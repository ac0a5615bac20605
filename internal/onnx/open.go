package onnx

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"slices"
	"sync"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
)

// A File is an open model. The tensors of its graph lie in mapped files: they must not be written
// to, and not be read after Close.
type File struct {
	Model *graph.Model

	path string
	maps []*mapping
	ext  *external

	mapped  sync.RWMutex // held while the mappings change
	scratch []*os.File   // of shelves
}

// A mapping is the content of a file, mapped or read.
type mapping struct {
	bytes  []byte
	mapped bool
}

// readMax is the size up to which a file is read into memory instead of being mapped.
const readMax = 1 << 20

// Open reads the model in a file, and the files that its tensors lie in. It is the only way in:
// what it returns is sound, see the package comment. Close releases the files.
func Open(path string, lim Limits) (*File, error) {
	lim = lim.withDefaults()
	m, err := load(path, lim.ModelBytes)
	if err != nil {
		return nil, err
	}
	f := &File{path: path, maps: []*mapping{m}}
	err = Guard(path, func() error { return f.parse(m.bytes, lim) })
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (f *File) parse(b []byte, lim Limits) error {
	d := newDecoder(f.path, lim)
	f.ext = newExternal(f.path, d.lim)
	d.ext = f.ext
	var err error
	if f.Model, err = d.open(b); f.Model != nil {
		f.Model.Backing.Forget = f.Forget
	}
	if cerr := f.ext.closeRoots(); err == nil && cerr != nil {
		err = fault.IOf(f.path, cerr)
	}
	return err
}

// Close unmaps the files. The model's tensors must not be used any more.
func (f *File) Close() error {
	f.mapped.Lock()
	defer f.mapped.Unlock()
	var errs []error
	for _, m := range f.mappings() {
		errs = append(errs, m.unmap())
	}
	for _, s := range f.scratch {
		errs = append(errs, s.Close())
	}
	f.Model, f.maps, f.ext, f.scratch = nil, nil, nil, nil
	return errors.Join(errs...)
}

// Forget lets the system take back the memory of b, a part of one of the files, until it is read again.
// Other bytes are left alone.
func (f *File) Forget(b []byte) {
	if len(b) < os.Getpagesize() {
		return
	}
	f.mapped.RLock()
	defer f.mapped.RUnlock()
	for _, m := range f.mappings() {
		m.forget(b)
	}
}

// mappings are those of all files.
func (f *File) mappings() []*mapping {
	if f.ext == nil {
		return f.maps
	}
	return slices.Concat(f.maps, f.ext.mappings())
}

// Paths returns the files that the model is made of, its own first. They are not to be written to
// while it is open.
func (f *File) Paths() []string {
	list := []string{f.path}
	if f.ext != nil {
		list = append(list, f.ext.paths()...)
	}
	return list
}

// load opens the regular file at path and maps it; small files are read.
func load(path string, limit int64) (*mapping, error) {
	if err := fault.Point(fault.StepOpen); err != nil {
		return nil, ioError(path, err)
	}
	f, err := os.OpenFile(path, openFlags, 0)
	if err != nil {
		return nil, ioError(path, err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, ioError(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, fault.Invalidf(path, "this is a %s, not a file", kindOf(info.Mode()))
	}
	if info.Size() > limit {
		return nil, fault.Limitf(path, "the file has %s bytes, the limit is %s", commas(info.Size()), commas(limit)).WithHint("allow more with `max-model`")
	}
	m, err := contents(f, int(info.Size()))
	if err != nil {
		return nil, ioError(path, err)
	}
	return &m, nil
}

// contents maps a large file and reads a small one.
func contents(f *os.File, size int) (mapping, error) {
	if size <= readMax {
		return readFile(f, size)
	}
	return mapFile(f, size)
}

func readFile(f *os.File, size int) (mapping, error) {
	if err := fault.Point(fault.StepRead); err != nil {
		return mapping{}, err
	}
	b := make([]byte, size)
	_, err := io.ReadFull(f, b)
	return mapping{bytes: b}, err
}

func kindOf(m fs.FileMode) string {
	switch {
	case m.IsDir():
		return "folder"
	case m&fs.ModeNamedPipe != 0:
		return "named pipe"
	case m&fs.ModeSocket != 0:
		return "socket"
	}
	return "device"
}

// ioError is a fault of the file system at path. The path stands in front, so that the cause's
// own mention of it is taken off.
func ioError(path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	e := fault.IOf(path, err)
	if errors.Is(err, fs.ErrNotExist) {
		e.Msg, e.Err = "there is no such file", nil
	}
	return e
}

// Guard runs f and turns a memory fault in it into an error of the file at path: a mapped file
// that somebody else truncates cannot be read. It covers f's own goroutine only.
func Guard(path string, f func() error) (err error) {
	old := debug.SetPanicOnFault(true)
	defer debug.SetPanicOnFault(old)
	defer func() {
		p := recover()
		if p == nil {
			return
		}
		if e, ok := p.(interface{ Addr() uintptr }); ok {
			err = fault.IOf(path, fmt.Errorf("a mapped file changed while it was being read (fault at %#x)", e.Addr()))
			return
		}
		panic(p)
	}()
	return f()
}
