package dataset

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"

	"lowbit/internal/fault"
)

// A key is one key of a YAML mapping, and where its value goes: a pointer to a number, a string
// or a list of numbers, or the keys of a mapping inside.
type key struct {
	name string
	dst  any
}

// ParsePreprocess reads a preprocessing list from YAML or JSON. Unknown keys are errors.
func ParsePreprocess(text []byte) (*Preprocess, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, fault.Invalidf("", "%v", err)
	}
	var p Preprocess
	var r Resize
	resize := []key{{"short", &r.Short}, {"width", &r.Width}, {"height", &r.Height}}
	keys := []key{{"resize", resize}, {"crop", &p.Crop}, {"scale", &p.Scale}, {"mean", &p.Mean},
		{"std", &p.Std}, {"color", &p.Color}, {"layout", &p.Layout}}
	if len(doc.Content) != 1 {
		return nil, fault.Invalidf("", "no list of keys such as crop and scale")
	}
	if err := fill(doc.Content[0], keys); err != nil {
		return nil, err
	}
	if r != (Resize{}) {
		p.Resize = &r
	}
	return &p, p.check()
}

// fill decodes a mapping into the destinations of its keys.
func fill(n *yaml.Node, keys []key) error {
	if n.Kind != yaml.MappingNode {
		return fault.Invalidf(fmt.Sprintf("line %d", n.Line), "keys and values expected")
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, value := n.Content[i], n.Content[i+1]
		place := fmt.Sprintf("line %d", name.Line)
		k := find(keys, name.Value)
		switch {
		case k == nil:
			return fault.Invalidf(place, "unknown key %q", name.Value).
				WithHint("did you mean %q?", nearest(name.Value, keys))
		case seen[k.name]:
			return fault.Invalidf(place, "key %q stands twice", k.name)
		}
		seen[k.name] = true
		if inner, ok := k.dst.([]key); ok {
			if err := fill(value, inner); err != nil {
				return err
			}
		} else if err := value.Decode(k.dst); err != nil {
			return fault.Invalidf(place, "%q is not a value for %s", value.Value, k.name)
		}
	}
	return nil
}

func find(keys []key, name string) *key {
	for i := range keys {
		if keys[i].name == name {
			return &keys[i]
		}
	}
	return nil
}

// nearest returns the name of the key that takes the fewest edits to reach from name.
func nearest(name string, keys []key) string {
	best, at := "", 1<<30
	for _, k := range keys {
		if d := edits(strings.ToLower(name), k.name); d < at {
			best, at = k.name, d
		}
	}
	return best
}

// edits is the Levenshtein distance between a and b in bytes.
func edits(a, b string) int {
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
