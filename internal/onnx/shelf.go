package onnx

import (
	"errors"
	"os"

	"lowbit/internal/atomicfile"
	"lowbit/internal/fault"
)

// A shelf is a file without a name for bytes that nobody reads for a while.
type shelf struct {
	owner  *File
	folder string
	spare  int64    // what has to stay free on the disk
	file   *os.File // nil until something is put there
	end    int64
}

// shelveMin is the size from which bytes are worth a mapping of their own.
const shelveMin = 1 << 20

var errNoRoom = errors.New("the disk may be needed for other things")

// Shelf returns what moves large bytes from memory to a new file in a folder, which is gone when f is closed. It returns
// them as they lie there, not to be written to, or those it was given: where the system maps no files, where that
// fails, and where less would be left on the disk than the model takes, for a copy of it is to be written there.
// One goroutine at a time may call it.
func (f *File) Shelf(folder string) func(b []byte) []byte {
	s := &shelf{owner: f, folder: folder}
	for _, m := range f.mappings() {
		s.spare += int64(len(m.bytes))
	}
	failed := false
	return func(b []byte) []byte {
		if len(b) < shelveMin || failed {
			return b
		}
		there, err := s.put(b)
		if failed = err != nil; failed {
			return b
		}
		return there
	}
}

// put writes bytes to the file and returns them as they are mapped there.
func (s *shelf) put(b []byte) ([]byte, error) {
	if free, known := atomicfile.Free(s.folder); !known || free < s.spare+int64(len(b)) {
		return nil, errNoRoom
	}
	if err := s.open(); err != nil {
		return nil, err
	}
	if err := fault.Point(fault.StepWrite); err != nil {
		return nil, err
	}
	if _, err := s.file.WriteAt(b, s.end); err != nil {
		return nil, err
	}
	m, err := mapPart(s.file, s.end, len(b))
	if err != nil {
		return nil, err
	}
	page := int64(os.Getpagesize())
	s.end += (int64(len(b)) + page - 1) / page * page
	s.owner.mapped.Lock()
	defer s.owner.mapped.Unlock()
	s.owner.maps = append(s.owner.maps, &m)
	return m.bytes, nil
}

// open makes the file, once.
func (s *shelf) open() (err error) {
	if s.file != nil {
		return nil
	}
	if s.file, err = atomicfile.Scratch(s.folder); err != nil {
		return err
	}
	s.owner.mapped.Lock()
	defer s.owner.mapped.Unlock()
	s.owner.scratch = append(s.owner.scratch, s.file)
	return nil
}
