package onnx

import (
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"lowbit/internal/fault"
)

// external finds the files beside a model in which tensors lie. It opens nothing outside the
// model's folder as given and the folder of the model's real file, which differ where the model
// is a link into a cache.
type external struct {
	lim   Limits
	dirs  [2]string   // the folder as given, the real folder
	roots [2]*os.Root // opened when first needed
	files map[string]*dataFile
	order []*dataFile
}

// A dataFile is one external file, or the reason why it cannot be used.
type dataFile struct {
	path string
	mapping
	sum string // sha1 of the content in hex; empty until asked for
	err *fault.Error
}

func newExternal(model string, lim Limits) *external {
	x := &external{lim: lim, files: map[string]*dataFile{}}
	x.dirs[0] = filepath.Dir(model)
	if target, err := filepath.EvalSymlinks(model); err == nil {
		x.dirs[1] = filepath.Dir(target)
	}
	return x
}

func (x *external) closeRoots() error {
	var errs []error
	for i, r := range x.roots {
		if r != nil {
			errs = append(errs, r.Close())
			x.roots[i] = nil
		}
	}
	return errors.Join(errs...)
}

func (x *external) mappings() []*mapping {
	var list []*mapping
	for _, f := range x.order {
		list = append(list, &f.mapping)
	}
	return list
}

func (x *external) paths() []string {
	var list []string
	for _, f := range x.order {
		if f.err == nil {
			list = append(list, f.path)
		}
	}
	return list
}

// file opens and maps the file at a location, once for all tensors.
func (x *external) file(location string) *dataFile {
	if f := x.files[location]; f != nil {
		return f
	}
	f := &dataFile{path: filepath.Join(x.dirs[0], location)}
	x.files[location] = f
	x.order = append(x.order, f)
	f.err = x.open(f, location)
	return f
}

func (x *external) open(f *dataFile, location string) *fault.Error {
	if why := badLocation(location); why != "" {
		return fault.Invalidf("", "the external data location %q %s", shorten(location), why)
	}
	file, err := x.find(location)
	if err == nil {
		defer file.Close()
		f.mapping, err = x.mapData(file)
	}
	if err == nil {
		return nil
	}
	var e *fault.Error
	if errors.As(err, &e) {
		e.Msg = fmt.Sprintf("the external data file %q %s", shorten(location), e.Msg)
		return e
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	e = fault.IOf("", err)
	e.Msg = fmt.Sprintf("the external data file %q cannot be read", shorten(location))
	if errors.Is(err, fs.ErrNotExist) {
		e.WithHint("put it into the folder of the model")
	}
	return e
}

// badLocation says what is wrong with a location, before any file is looked for.
func badLocation(s string) string {
	switch {
	case strings.ContainsRune(s, 0):
		return "contains a zero byte"
	case strings.ToValidUTF8(s, "") != s:
		return "is not UTF-8"
	case strings.ContainsAny(s, `\`) || len(s) > 1 && s[1] == ':':
		return "is a Windows path"
	case strings.Contains(s, "_ORT_MEM_ADDR_"):
		return "points into the memory of a process"
	case len(s) > 4096:
		return "is too long"
	case !filepath.IsLocal(s):
		return "leads out of the model's folder"
	}
	return ""
}

// find opens location in the folder as given; where it is a link that leads out of that, in the
// real folder of the model.
func (x *external) find(location string) (*os.File, error) {
	root, err := x.root(0)
	if err != nil {
		return nil, err
	}
	if err := fault.Point(fault.StepOpen); err != nil {
		return nil, err
	}
	linked, err := hasLink(root, location)
	if err != nil {
		return nil, err
	}
	file, err := root.OpenFile(location, openFlags, 0)
	if err == nil || !linked || x.dirs[1] == "" {
		return file, err
	}
	target, rerr := filepath.EvalSymlinks(filepath.Join(x.dirs[0], location))
	if rerr != nil {
		return nil, rerr
	}
	rel, rerr := filepath.Rel(x.dirs[1], target)
	if rerr != nil || !filepath.IsLocal(rel) {
		return nil, fault.Invalidf("", "is a link that leads out of the model's folder")
	}
	if root, err = x.root(1); err != nil {
		return nil, err
	}
	return root.OpenFile(rel, openFlags, 0)
}

func (x *external) root(i int) (*os.Root, error) {
	if x.roots[i] == nil {
		r, err := os.OpenRoot(x.dirs[i])
		if err != nil {
			return nil, err
		}
		x.roots[i] = r
	}
	return x.roots[i], nil
}

// hasLink looks at each component of a path below root.
func hasLink(root *os.Root, path string) (bool, error) {
	linked := false
	at := ""
	for _, name := range strings.Split(filepath.ToSlash(filepath.Clean(path)), "/") {
		at = filepath.Join(at, name)
		info, err := root.Lstat(at)
		if err != nil && linked {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		linked = linked || info.Mode()&fs.ModeSymlink != 0
	}
	return linked, nil
}

// mapData maps an open data file, once it is sure that it is a plain file with one name. The
// questions are put to the open file: a name can change its meaning meanwhile.
func (x *external) mapData(f *os.File) (mapping, error) {
	info, err := f.Stat()
	if err != nil {
		return mapping{}, err
	}
	if !info.Mode().IsRegular() {
		return mapping{}, fault.Invalidf("", "is a %s, not a file", kindOf(info.Mode()))
	}
	if n := links(info); n != 1 && !x.lim.AllowHardlinks {
		return mapping{}, fault.Invalidf("", "has %d names (hard links)", n).
			WithHint("copy it, or allow it with `allow-hardlinks`")
	}
	return contents(f, int(info.Size()))
}

// hashChunk is how much of a file is in memory for its checksum.
const hashChunk = 16 << 20

// verify compares the file's content with a checksum.
func (f *dataFile) verify(want string) {
	if f.sum == "" {
		sum := sha1.New()
		for b := range slices.Chunk(f.bytes, hashChunk) {
			sum.Write(b)
			f.forget(b)
		}
		f.sum = hex.EncodeToString(sum.Sum(nil))
	}
	if f.sum != want {
		f.err = fault.Invalidf("", "the external data file %q is not the one that the model was written with: its checksum is %s, not %q",
			shorten(filepath.Base(f.path)), f.sum, shorten(want))
	}
}
