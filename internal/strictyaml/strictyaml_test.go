package strictyaml

import (
	"reflect"
	"strings"
	"testing"

	"lowbit/internal/fault"
)

type sample struct {
	Name  string   `yaml:"name"`
	Count int      `yaml:"count,omitempty"`
	Inner inner    `yaml:"inner"`
	List  []inner  `yaml:"list"`
	Words []string `yaml:"words"`
	Maybe *inner   `yaml:"maybe"`
}

type inner struct {
	Key string `yaml:"key"`
}

func TestDecode(t *testing.T) {
	want := sample{Name: "a", Count: 2, Inner: inner{"b"}, List: []inner{{"c"}, {"d"}}, Words: []string{"e"}, Maybe: &inner{"f"}}
	for name, text := range map[string]string{
		"YAML": "name: a # words\ncount: 2\ninner: {key: b}\nlist:\n  - key: c\n  - {key: d}\nwords: [e]\nmaybe:\n  key: f\n",
		"JSON": `{"name": "a", "count": 2, "inner": {"key": "b"}, "list": [{"key": "c"}, {"key": "d"}], "words": ["e"], "maybe": {"key": "f"}}`,
	} {
		var got sample
		if err := Decode([]byte(text), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v (%v)", name, got, err)
		}
	}
	for _, empty := range []string{"", "# nothing\n", "---\n", "inner:\nlist:\nmaybe:\nname:\n"} {
		got := sample{Count: 7}
		if err := Decode([]byte(empty), &got); err != nil || got.Count != 7 || got.Name != "" {
			t.Errorf("%q: %+v (%v)", empty, got, err)
		}
	}
}

func TestDecodeErrors(t *testing.T) {
	for _, c := range []struct{ text, want, hint string }{
		{"name: a\ncuont: 2", `line 2: unknown key "cuont"`, `did you mean "count"?`},
		{"list:\n- key: a\n- kye: b", `line 3: unknown key "kye"`, `did you mean "key"?`},
		{"maybe: {kei: 1}", `line 1: unknown key "kei"`, `did you mean "key"?`},
		{"name: a\nname: b", `line 2: key "name" stands twice`, ""},
		{"inner: text", `line 1: keys and values expected, not "text"`, ""},
		{"[1, 2]", `line 1: keys and values expected`, ""},
		{"count: many", `line 1: count: a whole number expected, not "many"`, ""},
		{"words: text", `line 1: words: a list in brackets expected, not "text"`, ""},
		{"words: [a, {b: c}]", `line 1: words: a word expected, not keys and values`, ""},
		{"name: [a]", `line 1: name: a word expected, not a list`, ""},
		{"name: [unclosed", "did not find expected", ""},
		{"name: &x a\nwords: [*x]\n", `line 2: alias "x"`, ""},
		{"list: &x\n- {key: a}\ninner: *x", `line 3: alias "x"`, ""},
		{"name: a\n---\nname: b", "line 2: a second document", ""},
		{"name: a\n---\n[", "line", ""},
		{"name: \x01", "control characters", ""},
		{strings.Repeat(" ", MaxBytes+1), "has more than 1048576 bytes", ""},
		{strings.Repeat("[", 20000), "depth", ""},
	} {
		var v sample
		err := Decode([]byte(c.text), &v)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40q: got %v, want %q", c.text, err, c.want)
			continue
		}
		if fault.KindOf(err) != fault.Invalid || fault.HintOf(err) != c.hint || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40q: kind %d, hint %q, text %q", c.text, fault.KindOf(err), fault.HintOf(err), err)
		}
	}
}

func TestNearest(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"a", "", 1}, {"", "abc", 3}, {"kitten", "sitting", 3}, {"Flaw", "lawn", 2}, {"same", "SAME", 0}} {
		if got := Edits(c.a, c.b); got != c.want || Edits(c.b, c.a) != got {
			t.Errorf("%q to %q takes %d edits, want %d", c.a, c.b, got, c.want)
		}
	}
	if got := Nearest("wieghts", []string{"weights", "activations"}); got != "weights" {
		t.Errorf("nearest is %q", got)
	}
	if got := Nearest("x", nil); got != "" {
		t.Errorf("nearest of nothing is %q", got)
	}
}
