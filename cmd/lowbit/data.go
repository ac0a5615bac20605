package main

import (
	"github.com/spf13/cobra"

	"lowbit"
	"lowbit/internal/calib/dataset"
	"lowbit/internal/fault"
	"lowbit/internal/graph"
)

// dataFlags name a set of samples.
type dataFlags struct {
	path, labels, preprocess, split string
	samples                         int
	seed                            uint64
	outputs                         bool // the values that the data stores for the outputs are wanted
}

func (d *dataFlags) add(cmd *cobra.Command, samples int) {
	f := cmd.Flags()
	f.StringVar(&d.path, "data", "", "samples: a folder of images, npz, npy, IDX, CIFAR, CSV, ONNX test sets, random:normal, or none, which draws them")
	f.StringVar(&d.labels, "labels", "", "file of lines 'file label'")
	f.StringVar(&d.preprocess, "preprocess", "", "imagenet, imagenet-tf, caffe, none, or a YAML file")
	f.StringVar(&d.split, "split", "", "train or test, where a folder holds both")
	f.IntVar(&d.samples, "samples", samples, "samples to use; 0 takes all")
}

// sources are the files that say what samples are, which no output replaces.
func (d *dataFlags) sources() []string { return []string{d.path, d.labels, d.preprocess} }

// openData opens the samples for a model. Where no flag names the pre-processing, the metadata of the
// first of the models does that has it: a quantized one knows what it was calibrated with.
func (a *app) openData(d *dataFlags, m *lowbit.Model, others ...*lowbit.Model) (*dataset.Source, error) {
	if d.path == "" {
		return nil, fault.Invalidf("--data", "is missing").WithHint("name a folder of images, an .npz file, …; -h lists the forms")
	}
	if d.samples < 0 {
		return nil, fault.Invalidf("--samples", "%d is negative", d.samples)
	}
	o := lowbit.DataOptions{Preprocess: d.preprocess, Labels: d.labels, Split: d.split, Samples: d.samples, Seed: d.seed, Outputs: d.outputs}
	src, err := lowbit.OpenData(d.path, o, append([]*lowbit.Model{m}, others...)...)
	if err != nil {
		return nil, err
	}
	for _, w := range src.Info().Warnings {
		a.warn("%s", flagged(w))
	}
	return src, nil
}

// sampleTypes are the types of the first sample's inputs.
func sampleTypes(src *dataset.Source) (map[string]graph.Type, error) {
	s, err := src.Sample(0)
	if err != nil {
		return nil, err
	}
	return typesOf(s.Inputs), nil
}
