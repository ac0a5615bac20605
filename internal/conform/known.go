package conform

import (
	_ "embed"
	"strings"
)

//go:embed known.txt
var knownText string

// Known returns the reason of every known failure by case name.
func Known() map[string]string { return parseKnown(knownText) }

// parseKnown reads lines "case reason"; those that start with # are comments.
func parseKnown(text string) map[string]string {
	list := map[string]string{}
	for line := range strings.Lines(text) {
		name, reason, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name != "" && name[0] != '#' {
			list[name] = strings.TrimSpace(reason)
		}
	}
	return list
}
