package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/png"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"lowbit/internal/demo"
	"lowbit/internal/graph"
	"lowbit/internal/npz"
	"lowbit/internal/onnx"
	"lowbit/internal/tensor"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"lowbit": main, "lowbit-die": dieMain, "lowbit-held": heldMain})
}

// TestScripts runs every verb as a user does. Beside the commands of testscript there are those
// of scriptCmds; $DEMO holds what lowbit demo writes, $DATA samples for its models, among them a folder of pictures.
func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("the scripts start the program many times")
	}
	models, data := t.TempDir(), t.TempDir()
	var words bytes.Buffer
	if code := Main([]string{"demo", "-o", models, "-q"}, nil, io.Discard, &words); code != 0 {
		t.Fatalf("demo exits with %d: %s", code, &words)
	}
	writeSamples(t, data)
	testscript.Run(t, testscript.Params{
		Dir:  filepath.Join("testdata", "script"),
		Cmds: scriptCmds,
		Setup: func(e *testscript.Env) error {
			e.Setenv("DEMO", models)
			e.Setenv("DATA", data)
			return nil
		},
	})
}

// writeSamples writes 48 labelled images for the demo's network as val.npz, 40 others without labels
// as calib.npz, and one as in.npz.
func writeSamples(t *testing.T, dir string) {
	t.Helper()
	put := func(name string, arrays ...npz.Array) {
		var b bytes.Buffer
		if err := npz.Write(&b, arrays); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	x, labels := demo.Images(5, 48)
	y := make([]int64, len(labels))
	for i, l := range labels {
		y[i] = int64(l)
	}
	put("val.npz", npz.Array{Name: demo.Input, Tensor: x}, npz.Array{Name: "labels", Tensor: tensor.Vector(y...)})
	x, _ = demo.Images(6, 40)
	put("calib.npz", npz.Array{Name: demo.Input, Tensor: x})
	x, _ = demo.Images(7, 1)
	put("in.npz", npz.Array{Name: demo.Input, Tensor: x})
	writePictures(t, filepath.Join(dir, "pictures"))
}

// writePictures writes 8 images for the demo's network into a folder, as they are before pre-processing.
func writePictures(t *testing.T, dir string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for i := range 8 {
		picture := image.NewGray(image.Rect(0, 0, demo.Side, demo.Side))
		picture.Pix, _ = demo.Image(8, i)
		var b bytes.Buffer
		if err := png.Encode(&b, picture); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.png", i)), b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

var scriptCmds = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	"exits": scriptExits, "json": scriptJSON, "model": scriptModel, "testset": scriptTestSet, "cut": scriptCut,
}

// scriptExits runs a command and wants its exit status: exits CODE COMMAND ARGS…
func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	err = ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if neg || got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
	if strings.Contains(ts.ReadFile("stderr"), "goroutine ") {
		ts.Fatalf("a stack trace is printed")
	}
}

// scriptJSON looks at a field of the JSON on stdout or in a file: json [FILE:]PATH = VALUE, with
// < and > for numbers; json PATH is TYPE with number, string, list, object or bool. Steps of a path
// are keys and indices; len is the length of a list.
func scriptJSON(ts *testscript.TestScript, neg bool, args []string) {
	file, path, ok := strings.Cut(args[0], ":")
	if !ok {
		file, path = "stdout", args[0]
	}
	var doc any
	if err := json.Unmarshal([]byte(ts.ReadFile(file)), &doc); err != nil {
		ts.Fatalf("%s is not one JSON document: %v", file, err)
	}
	v, ok := field(doc, path)
	ok = ok && holds(v, args[1], args[2])
	if ok == neg {
		ts.Fatalf("%s is %v", args[0], v)
	}
}

// field follows a path through a JSON document.
func field(v any, path string) (any, bool) {
	for step := range strings.SplitSeq(path, ".") {
		switch c := v.(type) {
		case map[string]any:
			next, ok := c[step]
			if !ok {
				return nil, false
			}
			v = next
		case []any:
			i, err := strconv.Atoi(step)
			if step == "len" {
				v = float64(len(c))
			} else if err != nil || i >= len(c) {
				return nil, false
			} else {
				v = c[i]
			}
		default:
			return nil, step == ""
		}
	}
	return v, true
}

func holds(v any, op, want string) bool {
	n, isNumber := v.(float64)
	w, err := strconv.ParseFloat(want, 64)
	switch op {
	case "is":
		kinds := map[string]string{"float64": "number", "string": "string", "bool": "bool", "[]interface {}": "list", "map[string]interface {}": "object"}
		return kinds[fmt.Sprintf("%T", v)] == want && !(isNumber && math.IsNaN(n))
	case "<":
		return isNumber && err == nil && n < w
	case ">":
		return isNumber && err == nil && n > w
	case "has":
		s, ok := v.(string)
		return ok && strings.Contains(s, want)
	}
	return fmt.Sprint(v) == want
}

// scriptModel encodes a network in ONNX's textual syntax: model TEXT OUT.
func scriptModel(ts *testscript.TestScript, neg bool, args []string) {
	m, err := graph.ParseText(ts.ReadFile(args[0]))
	ts.Check(err)
	b, err := onnx.Encode(m)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), b, 0o644))
}

// scriptTestSet writes arrays as an ONNX test set: testset DIR IN.npz OUT.npz.
func scriptTestSet(ts *testscript.TestScript, neg bool, args []string) {
	dir := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(dir, 0o755))
	for k, prefix := range []string{"input_", "output_"} {
		arrays, err := npz.ReadFile(ts.MkAbs(args[k+1]))
		ts.Check(err)
		for i, a := range arrays {
			b, err := onnx.EncodeTensor(a.Name, a.Tensor)
			ts.Check(err)
			ts.Check(os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s%d.pb", prefix, i)), b, 0o644))
		}
	}
}

// scriptCut keeps the first bytes of a file: cut IN BYTES OUT.
func scriptCut(ts *testscript.TestScript, neg bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(ts.ReadFile(args[0]))[:n], 0o644))
}
