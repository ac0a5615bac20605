package lowbit

import (
	"fmt"
	"maps"
	"slices"

	"lowbit/internal/calib/dataset"
	"lowbit/internal/fault"
)

// Data is an open set of samples, to calibrate and to judge on. It may be used from several goroutines, and for several models
// with the same inputs.
//
//	Len() int
//	Sample(i int) (*Sample, error) // of number i from 0 to Len()-1; one that holds NaN or an infinity is an error
//	Close() error                  // closes the files that are held open
type Data = dataset.Source

// A Sample is one set of inputs, which a [Session] can be given as it is.
//
//	Name   string             // file or row, for messages
//	Inputs map[string]*Tensor // by the model's names; their first axis is the batch, of the size that the model declares or 1
//	Want   map[string]*Tensor // stored outputs by name; nil where there are none
//	Label  int                // the class; -1 where there is none
type Sample = dataset.Sample

// DataOptions say how data is read. The zero value takes all samples as they are.
type DataOptions struct {
	Preprocess string // what is done to images: imagenet, imagenet-tf, caffe, none, or a YAML file; "" is what the models' metadata tells
	Labels     string // a file of lines "file label", where the data holds none
	Split      string // train or test, where a folder holds both
	Samples    int    // draw this many at most, each being equally likely; 0 takes all
	Seed       uint64 // of that draw, and of random data
	Outputs    bool   // read the values, too, that the data stores for the first model's outputs
}

// OpenData opens the samples at a path for the inputs of the first of the models: a folder of images, .npz, .npy,
// IDX, CIFAR or CSV files, ONNX test sets, "random:normal", or "none", which draws them. Where nothing names the
// pre-processing of images, the first of the models does whose metadata holds it: a quantized one knows what it was
// calibrated with.
//
// A path that is not there is an error of kind [ErrIO], a form that is not known one of kind [ErrUnsupported].
func OpenData(path string, o DataOptions, models ...*Model) (*Data, error) {
	if path == "" {
		return nil, fault.Invalidf("data", "is missing").WithHint("name a folder of images, an .npz file, …")
	}
	if o.Samples < 0 {
		return nil, fault.Invalidf("samples", "%d is negative", o.Samples)
	}
	for _, m := range models {
		if err := m.check(); err != nil {
			return nil, err
		}
	}
	d := dataset.Options{Labels: o.Labels, Split: o.Split, Samples: o.Samples, Seed: o.Seed}
	if len(models) > 0 {
		d.Inputs, d.Tables = models[0].Inputs(), dataset.Tables(models[0].graph.Graph)
		if o.Outputs {
			d.Outputs = models[0].Outputs()
		}
	}
	var err error
	if d.Preprocess, err = preprocess(o.Preprocess, models); err != nil {
		return nil, err
	}
	return dataset.Open(path, d)
}

// An ImageInput makes a model's input of images that a program holds: [OpenData] does the same with those in files. It may be
// used from several goroutines.
//
//	Inputs(img image.Image) (map[string]*Tensor, error) // what Session.Run takes; orientation tags and transparency are ignored
type ImageInput = dataset.ImageInput

// NewImageInput returns what turns images into the input of a model, which must have one that takes images; another is an
// error of kind [ErrInvalid]. The pre-processing is named as in [DataOptions]; "" is what the model's metadata tells, so that a
// quantized model gets images as those that it was calibrated on.
func NewImageInput(m *Model, preprocessing string) (*ImageInput, error) {
	if err := m.check(); err != nil {
		return nil, err
	}
	pre, err := preprocess(preprocessing, []*Model{m})
	if err != nil {
		return nil, err
	}
	p, err := dataset.NewImageInput(dataset.Options{Inputs: m.Inputs(), Preprocess: pre})
	return p, fault.At(m.path, err)
}

// preprocess is the pre-processing of that name, or else what the models' metadata tells.
func preprocess(name string, models []*Model) (*dataset.Preprocess, error) {
	if name != "" {
		return dataset.LoadPreprocess(name)
	}
	return storedPreprocess(models)
}

// storedPreprocess reads the pre-processing that a model's metadata holds, of the first that has it.
func storedPreprocess(models []*Model) (*dataset.Preprocess, error) {
	for _, m := range models {
		if stored := m.graph.MetaValue("lowbit.preprocess"); stored != "" {
			p, err := dataset.ParsePreprocess([]byte(stored))
			return p, fault.At(m.path+": metadata lowbit.preprocess", err)
		}
	}
	return nil, nil
}

// NewData returns n samples that the caller makes: inputs by name, of the types and shapes that the model wants, their
// first axis being the batch. The function is called from several goroutines, and more than once for a sample; it must
// return equal inputs for equal numbers from 0 to n-1. Its errors are those of the work that asks for samples.
func NewData(n int, inputs func(i int) (map[string]*Tensor, error)) (*Data, error) {
	if n < 1 || inputs == nil {
		return nil, fault.Invalidf("data", "%d samples are none to work with", n)
	}
	return dataset.New(dataset.Info{Form: "made", Path: "data", Total: n}, func(i int) (*Sample, error) {
		s := &Sample{Name: fmt.Sprintf("sample %d", i), Label: -1}
		var err error
		if s.Inputs, err = inputs(i); err != nil {
			return nil, fmt.Errorf("%s: %w", s.Name, err)
		}
		for _, name := range slices.Sorted(maps.Keys(s.Inputs)) {
			if err := s.Inputs[name].Check(); err != nil {
				return nil, fault.Invalidf(s.Name, "input %q: %v", name, err)
			}
		}
		return s, nil
	}), nil
}
