package plan

import (
	"strings"

	"lowbit/internal/fault"
	"lowbit/internal/format"
)

// A Word is a name for a whole configuration, as the literature writes it.
type Word struct {
	Name          string
	Mode          Mode
	Weights, Acts string // formats, with the block behind a colon; "" is float
	Ends          bool   // the first and the last layer keep eight bits
}

// Schemes lists the words for whole configurations.
var Schemes = []Word{
	{"W8A8", Static, "int8:channel", "uint8", false},
	{"W8A16", Static, "int8:channel", "uint16", false},
	{"W4A8", Static, "int4:channel", "uint8", false},
	{"W4A16", Weights, "int4:group=32", "uint16", false},
	{"FP16", Convert, "fp16", "fp16", false},
	{"BF16", Static, "bf16", "bf16", false},
	{"FP8", Static, "fp8-e4m3:channel", "fp8-e4m3", false},
	{"BIN", Static, "binary:channel", "binary", true},
	{"LOG4", Static, "log4:channel", "uint8", false},
	{"float", Static, "", "", false},
}

// SchemeNames lists the schemes' names for messages.
func SchemeNames() string {
	var names []string
	for _, s := range Schemes {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}

// LookupScheme returns the scheme of that name, whatever its capitals, or nil.
func LookupScheme(name string) *Word {
	for i := range Schemes {
		if strings.EqualFold(Schemes[i].Name, name) {
			return &Schemes[i]
		}
	}
	return nil
}

// Default returns the settings of a scheme word.
func Default(scheme string) (Settings, error) {
	w := LookupScheme(scheme)
	if w == nil {
		return Settings{}, fault.Invalidf("scheme", "%q is not one of %s", scheme, SchemeNames())
	}
	return Settings{Mode: w.Mode, Target: Targets[0], Weights: parseScheme(w.Weights), Acts: parseScheme(w.Acts), Ends: w.Ends, Exact: true}, nil
}

// parseScheme reads FORMAT[:BLOCK] of the table above.
func parseScheme(s string) Scheme {
	name, block, _ := strings.Cut(s, ":")
	b, err := format.ParseBlock(block)
	if err != nil {
		b = format.Block{}
	}
	return Scheme{Format: format.Lookup(name), Block: b}
}
