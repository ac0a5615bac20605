// Package dataset reads calibration and evaluation data: photographs, arrays, the classic image
// sets, tables, ONNX test sets and random numbers, each as samples that a model can be fed.
//
// Samples are read by number, whatever their order, so that batches, threads and shuffling cannot
// change a result, and none is kept that is not held: memory does not grow with their count.
package dataset

import (
	"io/fs"
	"os"
	"strings"

	"lowbit/internal/fault"
	"lowbit/internal/graph"
	"lowbit/internal/tensor"
)

// Options say what is wanted of the data. The zero value takes all samples as they are.
type Options struct {
	Inputs     []*graph.Value // what the model must be fed; where empty, arrays keep their own names
	Outputs    []*graph.Value // of the model: their stored values are read too, where the data has them
	Tables     map[string]int // rows of the tables that inputs pick from, by input (Tables): numbers that are drawn stay below
	Preprocess *Preprocess    // of images; nil leaves pixels as they are, 0 to 255
	Labels     string         // a file of labels, where the data holds none
	Split      string         // "train" or "test", where a folder holds both
	Samples    int            // draw this many at most, each sample being equally likely; 0 takes all
	Seed       uint64         // of that draw, and of random data
}

// A Sample is one set of inputs. Their first axis is the batch, of the size that the model
// declares or 1, so that a sample can be fed by itself.
type Sample struct {
	Name   string // file or row, for messages
	Inputs map[string]*tensor.Tensor
	Want   map[string]*tensor.Tensor // stored outputs by name; nil where there are none
	Label  int                       // the class; -1 where there is none

	again func() map[string]*tensor.Tensor // makes Inputs from less than they take; nil where nothing is less
	less  int                              // the bytes of that
}

// Info describes the data behind a Source.
type Info struct {
	Form       string // its name
	Path       string
	Total      int         // samples there are, drawn or not
	Labelled   bool        // samples have labels
	Classes    []string    // class names by number, where the data has them
	Drawn      []string    // inputs that images are drawn for, for want of data
	Preprocess *Preprocess // what is done to images, nothing left open; nil for other data
	Warnings   []string    // what the user should be told once
}

// A Source is an open set of samples. Sample may be called from several goroutines.
type Source struct {
	info  Info
	data  reader
	picks []int // numbers of the samples drawn, ascending; nil takes all
}

// A reader is one form of data, opened.
type reader interface {
	len() int
	sample(i int) (*Sample, error)
	close() error
}

// A form is one way in which data lies on disk.
type form struct {
	name string
	rule string // what it looks like, for messages
	// detect says whether path, which st describes, has this form; st is nil where nothing lies there.
	detect func(path string, st fs.FileInfo) bool
	// open fills in what it learns in info.
	open func(path string, o *Options, info *Info) (reader, error)
}

// forms lists every form in the order in which they are tried.
var forms = []form{drawnForm, randomForm, testSetForm, npyForm, npzForm, idxForm, cifarForm, csvForm, arrayFolderForm, imageForm}

// Open opens the data at path, whose form it detects, for a model with the given inputs.
func Open(path string, o Options) (*Source, error) {
	if o.Split != "" && o.Split != "train" && o.Split != "test" {
		return nil, fault.Invalidf("split", "%q is neither train nor test", o.Split)
	}
	f, err := detect(path)
	if err != nil {
		return nil, err
	}
	info := Info{Form: f.name, Path: path}
	data, err := f.open(path, &o, &info)
	if err != nil {
		return nil, err
	}
	info.Total = data.len()
	s := &Source{info: info, data: data}
	if info.Total == 0 {
		s.Close()
		return nil, fault.Invalidf(path, "holds no samples (read as: %s)", f.rule)
	}
	if o.Samples > 0 && o.Samples < info.Total {
		s.picks = draw(info.Total, o.Samples, o.Seed)
	}
	return s, nil
}

// New returns a source of info.Total samples that a function makes. The function may be called
// from several goroutines, and must return equal samples for equal numbers.
func New(info Info, sample func(i int) (*Sample, error)) *Source {
	return &Source{info: info, data: made{info.Total, sample}}
}

// made is samples that a function makes.
type made struct {
	n    int
	make func(i int) (*Sample, error)
}

func (m made) len() int     { return m.n }
func (m made) close() error { return nil }

// sample leaves the caller's samples to the caller: the function may return the same ones again.
func (m made) sample(i int) (*Sample, error) {
	s, err := m.make(i)
	if s == nil || err != nil {
		return s, err
	}
	own := *s
	own.Inputs = tensor.Keep(s.Inputs)
	return &own, nil
}

func detect(path string) (form, error) {
	st, err := os.Stat(path)
	if err == nil && !st.IsDir() && !st.Mode().IsRegular() { // reading it could take for ever
		return form{}, fault.Invalidf(path, "is neither a file nor a folder")
	}
	for _, f := range forms {
		if f.detect(path, st) {
			return f, nil
		}
	}
	if err != nil {
		return form{}, fault.IOf(path, err)
	}
	var rules []string
	for _, f := range forms {
		rules = append(rules, f.rule)
	}
	return form{}, fault.Unsupportedf(path, "not a form of data that can be read").
		WithHint("the forms are: %s", strings.Join(rules, "; "))
}

// Info describes the data.
func (s *Source) Info() Info { return s.info }

// Len returns the number of samples.
func (s *Source) Len() int {
	if s.picks != nil {
		return len(s.picks)
	}
	return s.info.Total
}

// Sample reads sample i, from 0 to Len()-1. A sample that holds NaN or an infinity is an error.
func (s *Source) Sample(i int) (*Sample, error) {
	if i < 0 || i >= s.Len() {
		return nil, fault.Invalidf(s.info.Path, "there is no sample %d of %d", i, s.Len())
	}
	if s.picks != nil {
		i = s.picks[i]
	}
	sample, err := s.data.sample(i)
	if err != nil {
		return nil, err
	}
	if err := checkFinite(sample); err != nil {
		return nil, fault.At(s.info.Path, err)
	}
	return sample, nil
}

// Hold reads sample i once. It returns what makes its inputs from then on, and how many bytes are held for that: pixels
// are held as the bytes that they were, of which a network is fed four times as many.
func (s *Source) Hold(i int) (inputs func() map[string]*tensor.Tensor, bytes int, err error) {
	sample, err := s.Sample(i)
	if err != nil {
		return nil, 0, err
	}
	if sample.again != nil {
		tensor.Recycle(sample.Inputs)
		return sample.again, sample.less, nil
	}
	held := tensor.Keep(sample.Inputs)
	for _, t := range held {
		bytes += t.Bytes()
	}
	return func() map[string]*tensor.Tensor { return held }, bytes, nil
}

// Close closes the files that the source holds open.
func (s *Source) Close() error { return s.data.close() }
