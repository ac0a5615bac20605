package main

import (
	"context"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"lowbit"
	"lowbit/internal/atomicfile"
	"lowbit/internal/fault"
	"lowbit/internal/npz"
)

type runFlags struct{ input, output, backend string }

func runCmd(a *app) *cobra.Command {
	r := &runFlags{}
	cmd := &cobra.Command{
		Use: "run MODEL --input IN --output OUT", Short: "Run a model on one input", Args: cobra.ExactArgs(1),
		Example: "  lowbit run model.onnx --input in.npz --output out.npz\n  lowbit run model.onnx --input x.npy --output out.npz --backend reference",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.run(cmd.Context(), args[0], r) },
	}
	f := cmd.Flags()
	f.StringVar(&r.input, "input", "", "npz with a key for each input, or npy for a model with one")
	f.StringVar(&r.output, "output", "", "npz to write")
	f.StringVar(&r.backend, "backend", "engine", "engine or reference")
	return cmd
}

func (a *app) run(ctx context.Context, path string, r *runFlags) error {
	if r.input == "" || r.output == "" {
		return fault.Invalidf("run", "--input and --output are needed")
	}
	if err := atomicfile.Check(r.output, atomicfile.Options{Force: a.force, Sources: []string{path, r.input}}); err != nil {
		return err
	}
	m, err := lowbit.Open(path)
	if err != nil {
		return err
	}
	defer m.Close()
	s, err := a.compile(m, r.backend)
	if err != nil {
		return err
	}
	in, err := readInputs(r.input, s)
	if err != nil {
		return err
	}
	out, err := s.Run(ctx, in)
	if err != nil {
		return fault.At(path, err)
	}
	var arrays []npz.Array
	for _, v := range s.Outputs() {
		arrays = append(arrays, npz.Array{Name: v.Name, Tensor: out[v.Name]})
	}
	err = atomicfile.Write(r.output, func(w io.Writer) error { return npz.Write(w, arrays) }, atomicfile.Options{Force: a.force})
	if err != nil {
		return err
	}
	if a.json {
		outs := map[string]string{}
		for _, v := range arrays {
			outs[v.Name] = v.Tensor.String()
		}
		return a.printJSON(map[string]any{"schema": "lowbit.run/v1", "output": r.output, "outputs": outs})
	}
	for _, v := range arrays {
		a.say("%s %s", v.Name, v.Tensor)
	}
	return nil
}

// compile prepares a model for the backend of that name.
func (a *app) compile(m *lowbit.Model, backend string) (*lowbit.Session, error) {
	if backend != "engine" && backend != "reference" {
		return nil, fault.Invalidf("--backend", "%q is not engine or reference", backend)
	}
	s, err := m.Compile(lowbit.CompileOptions{Threads: a.threads, Seed: a.seed, Reference: backend == "reference"})
	return s, fault.At(m.Path(), err)
}

// readInputs reads the inputs of a session from a .npz, or from a .npy where it has one.
func readInputs(path string, s *lowbit.Session) (map[string]*lowbit.Tensor, error) {
	arrays, err := npz.ReadFile(path)
	if err != nil {
		return nil, err
	}
	in := map[string]*lowbit.Tensor{}
	for _, v := range arrays {
		name := v.Name
		if strings.EqualFold(filepath.Ext(path), ".npy") && len(s.Inputs()) == 1 {
			name = s.Inputs()[0].Name
		}
		in[name] = v.Tensor
	}
	return in, nil
}
