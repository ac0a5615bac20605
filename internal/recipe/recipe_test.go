package recipe

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"lowbit/internal/calib"
	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/plan"
)

// full uses every key of a recipe.
const full = `schema: lowbit.recipe/v1
scheme: W8A8
mode: static
target: ort-cpu
style: qdq
calibration: {observer: entropy, samples: 300, batch: 8, seed: 0}
weights:     {format: int8, block: channel}
activations: {format: uint8, block: tensor}
keep: [lm_head, "re:.*layernorm.*", {op: Softmax}]      # stay in float
overrides:
  - {match: "re:blocks\\.0\\..*", weights: {format: int4, block: group=32, observer: mse}}
data:
  calib: {path: calib/, preprocess: imagenet}
  eval:  {path: val/, preprocess: imagenet, labels: val.csv, metric: top1}
accuracy: {max_drop: 1%}
search:   {algorithm: pareto, max_trials: 200, objectives: [accuracy, latency]}
`

func TestParse(t *testing.T) {
	r, err := Parse([]byte(full))
	if err != nil {
		t.Fatal(err)
	}
	s, err := r.Filled().Settings()
	if err != nil {
		t.Fatal(err)
	}
	if s.Mode != plan.Static || s.Target != plan.Targets[0] || s.Observer != calib.Entropy || s.Weights.Format != format.Int8 ||
		s.Weights.Block.Kind != format.Channel || s.Acts.Format != format.Uint8 || s.Acts.Block.Kind != format.Whole {
		t.Errorf("settings: %+v", s)
	}
	var keep []string
	for _, p := range s.Keep {
		keep = append(keep, p.String())
	}
	if got := strings.Join(keep, " "); got != "lm_head re:.*layernorm.* op:Softmax" {
		t.Errorf("kept: %s", got)
	}
	if o := s.Overrides; len(o) != 1 || o[0].Weights.Format != format.Int4 || o[0].Weights.Block.Size != 32 || o[0].Weights.Observer != calib.MSE || o[0].Acts.Observer != nil || o[0].Acts.Format != format.Uint8 || o[0].Match.String() != `re:blocks\.0\..*` {
		t.Errorf("overrides: %+v", o)
	}
	if r.Data.Eval.Metric != "top1" || r.Accuracy.MaxDrop != "1%" || r.Search.MaxTrials != 200 || *r.Calibration.Samples != 300 {
		t.Errorf("data: %+v, %+v, %+v", r.Data, r.Accuracy, r.Search)
	}
}

func TestRoundTrip(t *testing.T) {
	for _, r := range []*Recipe{Default(), parsed(t, full), parsed(t, "schema: "+Schema)} {
		text, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse(text)
		if err != nil || !reflect.DeepEqual(back, r) {
			t.Errorf("%s\nreads as %+v, want %+v (%v)", text, back, r, err)
		}
		if f := r.Filled(); !reflect.DeepEqual(f.Filled(), f) {
			t.Error("filling twice differs from filling once")
		}
	}
	if !reflect.DeepEqual(parsed(t, "schema: "+Schema).Filled(), Default()) {
		t.Error("an empty recipe does not fill to the default")
	}
}

func parsed(t *testing.T, text string) *Recipe {
	t.Helper()
	r, err := Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ from, to, want, hint string }{
		{"schema: lowbit.recipe/v1", "schema: lowbit.recipe/v9", `schema: "lowbit.recipe/v9" is not "lowbit.recipe/v1"`, ""},
		{"schema: lowbit.recipe/v1", "", `schema: "" is not`, ""},
		{"scheme: W8A8", "shceme: W8A8", `line 2: unknown key "shceme"`, `did you mean "scheme"?`},
		{"scheme: W8A8", "scheme: W8A9", `scheme: "W8A9" is not one of`, `did you mean "W8A8"?`},
		{"mode: static", "mode: statik", `mode: "statik" is not one of static, dynamic`, `did you mean "static"?`},
		{"observer: entropy", "observer: entropie", `calibration.observer: "entropie" is not one of auto, minmax`, `did you mean "entropy"?`},
		{"observer: entropy", "obsever: entropy", `line 6: unknown key "obsever"`, `did you mean "observer"?`},
		{"{format: int8, block: channel}", "{format: int9, block: channel}", `weights.format: "int9" is not one of int8`, `did you mean "int8"?`},
		{"{format: int8, block: channel}", "{format: int8, block: chanel}", `block "chanel"`, ""},
		{"samples: 300", "samples: many", "line 6", ""},
		{"samples: 300", "samples: -1", "calibration.samples: -1 is negative", ""},
		{"batch: 8", "batch: -8", "calibration.batch: -8 is negative", ""},
		{"max_drop: 1%", "max_drop: 1x", `accuracy.max_drop: "1x" is no number`, ""},
		{"max_trials: 200", "max_trials: -2", "search.max_trials: -2 is negative", ""},
		{"scheme: W8A8", "scheme: W8A9", `line 2: scheme: "W8A9"`, ""},
		{"metric: top1", "metric: top9", `line 14: data.eval.metric: "top9" is not one of top1, top5, mse, ppl`, `did you mean "top1"?`},
		{"algorithm: pareto", "algorithm: paretoo", `line 16: search.algorithm: "paretoo" is not one of pareto`, `did you mean "pareto"?`},
		{"[accuracy, latency]", "[accuracy,\n   speed]", `line 17: search.objectives[1]: "speed" is not one of accuracy, latency, size`, ""},
		{"max_trials: 200", "max_trials: -2", "line 16: search.max_trials", ""},
		{"group=32", "group=0", "line 11: overrides[0].weights", ""},
		{"target: ort-cpu", "target: ort", `target: "ort" is not one of`, `did you mean "ort-cpu"?`},
		{"{op: Softmax}", "{name: Softmax}", "line 9: neither a pattern nor {op: NAME}", ""},
		{"re:.*layernorm.*", "re:(", `pattern "re:("`, ""},
		{"group=32", "group=0", "overrides[0].weights", ""},
		{"weights: {format: int4", "wieghts: {format: int4", `line 11: unknown key "wieghts"`, `did you mean "weights"?`},
	} {
		text := strings.Replace(full, c.from, c.to, 1)
		if text == full {
			t.Fatalf("%q is not in the recipe", c.from)
		}
		_, err := Parse([]byte(text))
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "construct") {
			t.Errorf("%s: got %v, want %q", c.to, err, c.want)
			continue
		}
		if fault.KindOf(err) != fault.Invalid || c.hint != "" && fault.HintOf(err) != c.hint {
			t.Errorf("%s: kind %d, hint %q", c.to, fault.KindOf(err), fault.HintOf(err))
		}
	}
	_, err := Parse([]byte("schema: " + Schema + "\nfix: [magic]"))
	if fault.KindOf(err) == fault.Internal {
		t.Errorf("a repair: %v", err)
	}
	for _, list := range []string{"auto, awq", "bias, none"} {
		_, err := Parse([]byte("schema: " + Schema + "\nfix: [" + list + "]"))
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "stands alone") {
			t.Errorf("%s: %v", list, err)
		}
	}
}

// TestResolved holds that what is spelt out is what the scheme stands for.
func TestResolved(t *testing.T) {
	for _, w := range plan.Schemes {
		for _, mode := range []string{"", "dynamic", "weights"} {
			r := &Recipe{Schema: Schema, Scheme: w.Name, Mode: mode}
			want, errWant := r.Filled().Settings()
			whole, err := r.Resolved()
			if err != nil || errWant != nil {
				t.Errorf("%s %s: %v, %v", w.Name, mode, err, errWant)
				continue
			}
			got, err := whole.Settings()
			if err != nil || got.Weights.Format != want.Weights.Format || got.Acts.Format != want.Acts.Format || got.Weights.Block.String() != want.Weights.Block.String() || got.Acts.Block.String() != want.Acts.Block.String() {
				t.Errorf("%s %s: %+v and %+v (%v)", w.Name, mode, got, want, err)
			}
		}
	}
}

func TestRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "r.yaml")
	if err := os.WriteFile(path, []byte("schema: "+Schema+"\nmood: static"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil || err.Error() != path+`: line 2: unknown key "mood"` {
		t.Errorf("got %v", err)
	}
	if _, err := Read(path + ".none"); fault.KindOf(err) != fault.IO {
		t.Errorf("a file that is not there: %v", err)
	}
	const endless = "/dev/zero"
	if _, err := os.Stat(endless); err != nil {
		t.Skip("there is no " + endless)
	}
	if _, err := Read(endless); fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a file without an end: %v", err)
	}
}

func TestEssence(t *testing.T) {
	a, b := parsed(t, full), parsed(t, strings.NewReplacer("batch: 8", "batch: 1", "path: calib/", "path: elsewhere/", "max_drop: 1%", "max_drop: 2%").Replace(full))
	x, errX := a.Essence().Encode()
	y, errY := b.Essence().Encode()
	if errX != nil || errY != nil || !bytes.Equal(x, y) {
		t.Errorf("%s\nand\n%s", x, y)
	}
	tree, err := a.Tree()
	if err != nil || tree["scheme"] != "W8A8" {
		t.Errorf("tree: %v (%v)", tree, err)
	}
}

// FuzzRecipe reads any text: it is refused with a classified error, or it can be written, read
// again and is the same.
func FuzzRecipe(f *testing.F) {
	f.Add([]byte(full))
	f.Add([]byte(`{"schema": "lowbit.recipe/v1", "scheme": "float"}`))
	f.Add([]byte("schema: &a lowbit.recipe/v1\nscheme: *a"))
	f.Add([]byte("schema: lowbit.recipe/v1\nkeep: [{op: X}, 1, null, 2001-01-01]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := Parse(text)
		if err != nil {
			if fault.KindOf(err) == fault.Internal {
				t.Fatalf("unclassified: %v", err)
			}
			return
		}
		out, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Parse(out)
		if err != nil {
			t.Fatalf("%v in\n%s", err, out)
		}
		again, err := back.Encode()
		if err != nil || !bytes.Equal(again, out) {
			t.Fatalf("%s\nbecomes\n%s (%v)", out, again, err)
		}
	})
}
