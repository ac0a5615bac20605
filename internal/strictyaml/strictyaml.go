// Package strictyaml decodes YAML and JSON into structs and refuses keys that they lack, with the
// line and the nearest key there is.
package strictyaml

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"lowbit/internal/fault"
)

// MaxBytes bounds the text of a document.
const MaxBytes = 1 << 20

// Decode reads one document into v, a pointer to a struct whose fields carry yaml tags. An empty
// document leaves v as it is, and so does a key without a value. Aliases are refused.
func Decode(text []byte, v any) error {
	if len(text) > MaxBytes {
		return fault.Invalidf("", "has more than %d bytes", MaxBytes)
	}
	var doc, more yaml.Node
	d := yaml.NewDecoder(bytes.NewReader(text))
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil
	case err != nil:
		return invalid(err)
	}
	if err := d.Decode(&more); err == nil {
		return fault.Invalidf(fmt.Sprintf("line %d", more.Line), "a second document")
	} else if !errors.Is(err, io.EOF) {
		return invalid(err)
	}
	if len(doc.Content) == 0 {
		return nil
	}
	if err := check("", doc.Content[0], reflect.TypeOf(v).Elem()); err != nil {
		return err
	}
	if err := doc.Decode(v); err != nil {
		return invalid(err)
	}
	return nil
}

// invalid writes an error of the YAML package, which may have several lines, on one.
func invalid(err error) error {
	return fault.Invalidf("", "%s", strings.Join(strings.Fields(strings.TrimPrefix(err.Error(), "yaml: ")), " "))
}

// check holds the keys of a node against the fields of type t, and the value of a key against its kind.
func check(key string, n *yaml.Node, t reflect.Type) error {
	if n.Kind == yaml.AliasNode {
		return fault.Invalidf(fmt.Sprintf("line %d", n.Line), "alias %q: write the value out", n.Value)
	}
	if own, ok := reflect.New(t).Interface().(yaml.Unmarshaler); ok {
		if err := own.UnmarshalYAML(n); err != nil && n.Tag != "!!null" {
			return invalid(err) // in its own words
		}
		return nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return check(key, n, t.Elem())
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			return checkValue(key, n, t, "a list in brackets")
		}
		for _, c := range n.Content {
			if err := check(key, c, t.Elem()); err != nil {
				return err
			}
		}
	case reflect.Struct:
		return checkStruct(n, t)
	case reflect.String:
		return checkValue(key, n, t, "a word")
	case reflect.Bool:
		return checkValue(key, n, t, "true or false")
	case reflect.Int, reflect.Uint64:
		return checkValue(key, n, t, "a whole number")
	case reflect.Float64:
		return checkValue(key, n, t, "a number")
	}
	return nil
}

// checkValue refuses what does not become a value of type t, which is called what.
func checkValue(key string, n *yaml.Node, t reflect.Type, what string) error {
	if n.Decode(reflect.New(t).Interface()) == nil {
		return nil
	}
	value := fmt.Sprintf("%q", n.Value)
	if n.Kind == yaml.MappingNode {
		value = "keys and values"
	} else if n.Kind == yaml.SequenceNode {
		value = "a list"
	}
	return fault.Invalidf(fmt.Sprintf("line %d", n.Line), "%s: %s expected, not %s", key, what, value)
}

func checkStruct(n *yaml.Node, t reflect.Type) error {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return fault.Invalidf(fmt.Sprintf("line %d", n.Line), "keys and values expected, not %q", n.Value)
	}
	fields := map[string]reflect.Type{}
	var names []string
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		fields[name] = t.Field(i).Type
		names = append(names, name)
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k := n.Content[i]
		place := fmt.Sprintf("line %d", k.Line)
		if fields[k.Value] == nil {
			return fault.Invalidf(place, "unknown key %q", k.Value).WithHint("did you mean %q?", Nearest(k.Value, names))
		}
		if seen[k.Value] {
			return fault.Invalidf(place, "key %q stands twice", k.Value)
		}
		seen[k.Value] = true
		if err := check(k.Value, n.Content[i+1], fields[k.Value]); err != nil {
			return err
		}
	}
	return nil
}

// Line returns the line on which the value of a key stands that is written like search.objectives[1], or of as much of
// it as there is; 0 where there is nothing of it.
func Line(text []byte, key string) int {
	var doc yaml.Node
	if yaml.Unmarshal(text, &doc) != nil || len(doc.Content) == 0 {
		return 0
	}
	n, line := doc.Content[0], 0
	for _, part := range strings.FieldsFunc(key, func(r rune) bool { return strings.ContainsRune(".[]", r) }) {
		if n = member(n, part); n == nil {
			break
		}
		line = n.Line
	}
	return line
}

// member returns the value of a key of a mapping, or the element of that number of a list; nil where there is none.
func member(n *yaml.Node, name string) *yaml.Node {
	if i, err := strconv.Atoi(name); err == nil && n.Kind == yaml.SequenceNode && i < len(n.Content) {
		return n.Content[i]
	}
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return n.Content[i+1]
		}
	}
	return nil
}

// Nearest returns the word that takes the fewest edits to reach from name, the first on ties.
func Nearest(name string, words []string) string {
	best, least := "", 1<<30
	for _, w := range words {
		if d := Edits(name, w); d < least {
			best, least = w, d
		}
	}
	return best
}

// Meant returns the word that was probably meant: few of its letters differ.
func Meant(word string, words []string) (string, bool) {
	near := Nearest(word, words)
	return near, near != "" && Edits(word, near) <= max(1, len(word)/3)
}

// Edits is the Levenshtein distance between a and b in bytes, whatever their case.
func Edits(a, b string) int {
	a, b = strings.ToLower(a), strings.ToLower(b)
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, diagonal+1)
		}
	}
	return row[len(b)]
}
