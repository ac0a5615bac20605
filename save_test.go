package lowbit_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"lowbit"
)

// TestSaveKeepsSources holds models that were made from one in a file to leave that file alone.
func TestSaveKeepsSources(t *testing.T) {
	tiny, err := os.ReadFile("testdata/tiny.onnx")
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(t.TempDir(), "tiny.onnx")
	if err := os.WriteFile(source, tiny, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := lowbit.Open(source)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	data, err := wave(0, 64)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	recipe := &lowbit.Recipe{Fix: []string{"none"}, Overrides: []lowbit.Override{{Match: "second"}}}
	recipe.Overrides[0].Weights.Format = "int2"
	r, err := lowbit.Quantize(ctx, m, lowbit.QuantizeOptions{Recipe: recipe, Data: data})
	if err != nil {
		t.Fatal(err)
	}
	scored := 0
	d, err := lowbit.Diagnose(ctx, m, r.Model, lowbit.DiagnoseOptions{Data: data, Score: func(_ context.Context, made *lowbit.Model) (float64, error) {
		scored++
		if err := made.Save(source, lowbit.SaveOptions{Force: true}); !errors.Is(err, lowbit.ErrInvalid) {
			t.Errorf("a model that is scored: %v", err)
		}
		return 1, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	again, err := lowbit.Quantize(ctx, r.Model, lowbit.QuantizeOptions{Recipe: &lowbit.Recipe{Mode: "weights"}, AllowRequantize: true})
	if err != nil {
		t.Fatal(err)
	}
	if d.Fixed == nil || scored == 0 {
		t.Fatalf("nothing was mended, %d models were scored", scored)
	}
	for name, made := range map[string]*lowbit.Model{"quantized": r.Model, "mended": d.Fixed.Model, "quantized again": again.Model} {
		if err := made.Save(source, lowbit.SaveOptions{Force: true}); !errors.Is(err, lowbit.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if now, err := os.ReadFile(source); err != nil || !bytes.Equal(now, tiny) {
		t.Errorf("the source has %d bytes of %d: %v", len(now), len(tiny), err)
	}
	if err := r.Model.Save(source, lowbit.SaveOptions{}); !errors.Is(err, lowbit.ErrInvalid) {
		t.Errorf("without Force: %v", err)
	}
	path := filepath.Join(t.TempDir(), "made.onnx")
	if err := r.Model.Save(path, lowbit.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := r.Model.Save(path, lowbit.SaveOptions{}); !errors.Is(err, fs.ErrExist) || !errors.Is(err, lowbit.ErrInvalid) {
		t.Errorf("a file that exists: %v", err)
	}
	if err := r.Model.Save(filepath.Join(path+".d", "made.onnx"), lowbit.SaveOptions{}); !errors.Is(err, fs.ErrNotExist) || !errors.Is(err, lowbit.ErrIO) {
		t.Errorf("a folder that is not there: %v", err)
	}
	if err := r.Model.Save("", lowbit.SaveOptions{}); !errors.Is(err, lowbit.ErrInvalid) {
		t.Errorf("no path: %v", err)
	}
}

// TestMissing holds what takes a model or a session to refuse none.
func TestMissing(t *testing.T) {
	ctx := context.Background()
	tiny, err := lowbit.Open("testdata/tiny.onnx")
	if err != nil {
		t.Fatal(err)
	}
	defer tiny.Close()
	data, err := wave(0, 4)
	if err != nil {
		t.Fatal(err)
	}
	o := lowbit.DiagnoseOptions{Data: data}
	for _, m := range []*lowbit.Model{nil, {}} {
		if err := m.Close(); err != nil || m.Path() != "" || m.Inputs() != nil || m.Outputs() != nil || m.Files() != nil {
			t.Errorf("%v tells of itself", m)
		}
		for name, do := range map[string]func() error{
			"Bytes":         func() error { _, err := m.Bytes(); return err },
			"Compile":       func() error { _, err := m.Compile(lowbit.CompileOptions{}); return err },
			"Save":          func() error { return m.Save(filepath.Join(t.TempDir(), "m.onnx"), lowbit.SaveOptions{}) },
			"Quantize":      func() error { _, err := lowbit.Quantize(ctx, m, lowbit.QuantizeOptions{Data: data}); return err },
			"Diagnose":      func() error { _, err := lowbit.Diagnose(ctx, m, tiny, o); return err },
			"Diagnose with": func() error { _, err := lowbit.Diagnose(ctx, tiny, m, o); return err },
			"Losses":        func() error { _, err := lowbit.Losses(ctx, tiny, m, o); return err },
			"Factors":       func() error { _, err := lowbit.Factors(m, tiny); return err },
			"OpenData":      func() error { _, err := lowbit.OpenData("none", lowbit.DataOptions{}, m); return err },
		} {
			if err := do(); !errors.Is(err, lowbit.ErrInvalid) {
				t.Errorf("%s of no model: %v", name, err)
			}
		}
	}
	for _, s := range []*lowbit.Session{nil, {}} {
		if _, err := s.Run(ctx, nil); !errors.Is(err, lowbit.ErrInvalid) {
			t.Errorf("Run of no session: %v", err)
		}
		s.Close()
	}
}
