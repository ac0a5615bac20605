package main

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"

	"lowbit"
	"lowbit/internal/atomicfile"
	"lowbit/internal/fault"
	"lowbit/internal/report"
)

// reportSuffix follows the name of an output in that of its report.
const reportSuffix = ".report.json"

// saveTold writes a model and its report, which tell makes from the hash and size of the model. The report gets
// its name first: the model is what tells that all is done.
func (a *app) saveTold(m *lowbit.Model, out string, o lowbit.SaveOptions, tell func(sum string, size int64) any) error {
	path, written := out+reportSuffix, false
	o.Before = func(sum []byte, size int64) error {
		b, err := json.MarshalIndent(tell(hex.EncodeToString(sum), size), "", "  ")
		if err != nil {
			return err
		}
		written = true
		err = atomicfile.Write(path, text(string(b)+"\n"), a.reportOptions(out))
		if errors.Is(err, atomicfile.ErrInPlace) {
			return &fault.Error{Kind: fault.KindOf(err), Place: path, Msg: "cannot be brought to the disk"} // of the model, nothing is in place
		}
		return err
	}
	err := m.Save(out, o)
	if err != nil && written && !errors.Is(err, atomicfile.ErrInPlace) {
		os.Remove(path) // it tells of a model that is not there
	}
	return err
}

// reportOptions let a report be replaced that lost its model: a run was killed between the two.
func (a *app) reportOptions(out string) atomicfile.Options {
	o := atomicfile.Options{Force: a.force}
	if _, err := os.Lstat(out); errors.Is(err, fs.ErrNotExist) {
		_, err := readReport(out + reportSuffix)
		o.Force = o.Force || err == nil
	}
	return o
}

// maxReport bounds the reports that are read.
const maxReport = 256 << 20

// A told is a report beside an output.
type told interface {
	size() int64   // of the model
	row() []string // that sums it up, its name first
	section() (*report.Section, error)
}

// readReport reads the report beside an output.
func readReport(path string) (told, error) {
	b, err := readLimited(path, maxReport)
	if err != nil {
		return nil, err
	}
	var kind struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(b, &kind); err != nil {
		return nil, fault.Invalidf(path, "%v", err)
	}
	var r told
	switch kind.Schema {
	case quantizeSchema:
		r = &quantizeJSON{}
	case doctorSchema:
		r = &doctorJSON{Fixed: &fixedJSON{}}
	default:
		return nil, fault.Invalidf(path, "schema %q is neither %q nor %q", kind.Schema, quantizeSchema, doctorSchema)
	}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fault.Invalidf(path, "%v", err)
	}
	if d, ok := r.(*doctorJSON); ok && d.Fixed == nil {
		return nil, fault.Invalidf(path, "tells of no mended model")
	}
	return r, nil
}
