// Package recipe reads and writes recipes: everything that a quantization is asked to do, in one
// YAML or JSON file.
package recipe

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"

	"lowbit/internal/calib"
	"lowbit/internal/fault"
	"lowbit/internal/format"
	"lowbit/internal/plan"
	"lowbit/internal/strictyaml"
)

// Schema is the version of the file's form.
const Schema = "lowbit.recipe/v1"

// Auto is the word for the observer that does best on samples held back from calibration.
const Auto = "auto"

// Words for scales besides Auto, which is Exact with the observer Auto, and Fitted with one that was named.
const (
	Exact  = "exact"  // short significands, so that a simulation in floats gives the codes that integers give
	Fitted = "fitted" // as the observer wants them
)

// A Recipe is one file. An empty field takes its default.
type Recipe struct {
	Schema      string      `yaml:"schema"`
	Scheme      string      `yaml:"scheme,omitempty"`
	Mode        string      `yaml:"mode,omitempty"`
	Target      string      `yaml:"target,omitempty"`
	Style       string      `yaml:"style,omitempty"`
	Calibration Calibration `yaml:"calibration,omitempty"`
	Weights     Scheme      `yaml:"weights,omitempty"`
	Activations Scheme      `yaml:"activations,omitempty"`
	Keep        []Keep      `yaml:"keep,omitempty"`
	Overrides   []Override  `yaml:"overrides,omitempty"`
	Fix         []string    `yaml:"fix,omitempty"`
	Budget      string      `yaml:"budget,omitempty"`   // time that repairs chosen by trial may take, estimated
	Outliers    float64     `yaml:"outliers,omitempty"` // columns of activations beyond it stay in float
	Trim        Share       `yaml:"trim,omitempty"`     // share of answers that trimming bits may change
	Data        Data        `yaml:"data,omitempty"`
	Accuracy    Accuracy    `yaml:"accuracy,omitempty"`
	Search      Search      `yaml:"search,omitempty"`
}

// Calibration is how activations are observed.
type Calibration struct {
	Observer string `yaml:"observer,omitempty"`
	Scales   string `yaml:"scales,omitempty"`
	Samples  *int   `yaml:"samples,omitempty"` // 0 takes all
	Batch    int    `yaml:"batch,omitempty"`
	Seed     uint64 `yaml:"seed,omitempty"`
}

// A Share is a part of one; files may write it as 2% too.
type Share float64

// UnmarshalYAML reads a number or a percentage.
func (s *Share) UnmarshalYAML(n *yaml.Node) error {
	number, percent := strings.CutSuffix(n.Value, "%")
	v, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	if err != nil || n.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: %q is no number such as 0.02 or 2%%", n.Line, n.Value)
	}
	if percent {
		v /= 100
	}
	*s = Share(v)
	return nil
}

// A Scheme is a format, the block that shares its parameters, and how they are chosen.
type Scheme struct {
	Format   string `yaml:"format,omitempty"`
	Block    string `yaml:"block,omitempty"`
	Observer string `yaml:"observer,omitempty"`
}

// Keep picks nodes that stay in float: a pattern, or an operator's name.
type Keep struct{ Pattern string }

// UnmarshalYAML reads a pattern or {op: NAME}.
func (k *Keep) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		k.Pattern = n.Value
		return nil
	}
	if n.Kind == yaml.MappingNode && len(n.Content) == 2 && n.Content[0].Value == "op" {
		k.Pattern = "op:" + n.Content[1].Value
		return nil
	}
	return fmt.Errorf("line %d: neither a pattern nor {op: NAME}", n.Line)
}

// MarshalYAML writes what UnmarshalYAML reads.
func (k Keep) MarshalYAML() (any, error) {
	if name, ok := strings.CutPrefix(k.Pattern, "op:"); ok {
		return map[string]string{"op": name}, nil
	}
	return k.Pattern, nil
}

// An Override changes the schemes of the nodes that match.
type Override struct {
	Match       string `yaml:"match"`
	Weights     Scheme `yaml:"weights,omitempty"`
	Activations Scheme `yaml:"activations,omitempty"`
}

// Data names the samples to calibrate and to evaluate on.
type Data struct {
	Calib Samples `yaml:"calib,omitempty"`
	Eval  Samples `yaml:"eval,omitempty"`
}

// Samples is one set of samples.
type Samples struct {
	Path       string `yaml:"path,omitempty"`
	Preprocess string `yaml:"preprocess,omitempty"`
	Labels     string `yaml:"labels,omitempty"`
	Split      string `yaml:"split,omitempty"`
	Metric     string `yaml:"metric,omitempty"`
}

// Accuracy is what may be lost.
type Accuracy struct {
	MaxDrop string `yaml:"max_drop,omitempty"`
}

// Search is how plans are searched for.
type Search struct {
	Algorithm  string   `yaml:"algorithm,omitempty"`
	MaxTrials  int      `yaml:"max_trials,omitempty"`
	Objectives []string `yaml:"objectives,omitempty"`
}

// Default is the recipe of plain quantize, written out.
func Default() *Recipe {
	return &Recipe{Schema: Schema, Scheme: "W8A8", Mode: string(plan.Static), Target: plan.Targets[0].Name, Style: "qdq",
		Calibration: Calibration{Observer: Auto, Scales: Auto, Samples: new(300), Batch: 1}}
}

// Read reads a recipe from a file, and no more of it than a recipe may have.
func Read(path string) (*Recipe, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fault.IOf(path, err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, strictyaml.MaxBytes+1))
	if err != nil {
		return nil, fault.IOf(path, err)
	}
	r, err := Parse(text)
	return r, fault.At(path, err)
}

// Parse reads a recipe. Unknown keys and unknown words are errors.
func Parse(text []byte) (*Recipe, error) {
	r := &Recipe{}
	if err := strictyaml.Decode(text, r); err != nil {
		return nil, err
	}
	if r.Schema != Schema {
		return nil, fault.Invalidf("schema", "%q is not %q", r.Schema, Schema)
	}
	if _, err := r.Filled().Settings(); err != nil {
		return nil, located(text, err)
	}
	return r, nil
}

// located puts in front of an error the line of the key that it names.
func located(text []byte, err error) error {
	var e *fault.Error
	if !errors.As(err, &e) {
		return err
	}
	key, _, _ := strings.Cut(e.Place, ": ")
	if line := strictyaml.Line(text, key); line > 0 {
		return fault.At(fmt.Sprintf("line %d", line), err)
	}
	return err
}

// Encode writes a recipe as YAML.
func (r *Recipe) Encode() ([]byte, error) {
	b, err := yaml.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	return b, nil
}

// Tree returns the recipe as maps, lists and scalars, for other notations than YAML.
func (r *Recipe) Tree() (map[string]any, error) {
	b, err := r.Encode()
	if err != nil {
		return nil, err
	}
	tree := map[string]any{}
	if err := yaml.Unmarshal(b, &tree); err != nil {
		return nil, fmt.Errorf("recipe: %w", err)
	}
	return tree, nil
}

// JSON returns the recipe on one line, which Parse reads back.
func (r *Recipe) JSON() ([]byte, error) {
	tree, err := r.Tree()
	if err != nil {
		return nil, err
	}
	return json.Marshal(tree)
}

// Essence returns a copy without what cannot change the numbers of an output: where the samples
// lie, how many are run at a time, and what other commands read.
func (r *Recipe) Essence() *Recipe {
	c := *r
	c.Calibration.Batch = 0
	c.Data = Data{Calib: Samples{Preprocess: r.Data.Calib.Preprocess}}
	c.Accuracy, c.Search = Accuracy{}, Search{}
	return &c
}

// Filled returns a copy in which every empty field that has a default holds it.
func (r *Recipe) Filled() *Recipe {
	c, d := *r, Default()
	fill := func(p *string, v string) {
		if *p == "" {
			*p = v
		}
	}
	fill(&c.Schema, d.Schema)
	fill(&c.Scheme, d.Scheme)
	if w := plan.LookupScheme(c.Scheme); w != nil {
		fill(&c.Mode, string(w.Mode))
	}
	fill(&c.Mode, d.Mode)
	fill(&c.Target, d.Target)
	fill(&c.Style, d.Style)
	fill(&c.Calibration.Observer, d.Calibration.Observer)
	fill(&c.Calibration.Scales, d.Calibration.Scales)
	if c.Calibration.Samples == nil {
		c.Calibration.Samples = d.Calibration.Samples
	}
	if c.Calibration.Batch == 0 {
		c.Calibration.Batch = d.Calibration.Batch
	}
	return &c
}

// Resolved returns a filled copy that also spells out what the scheme stands for, and which repairs are made.
func (r *Recipe) Resolved() (*Recipe, error) {
	c := r.Filled()
	s, err := c.Settings()
	if err != nil {
		return nil, err
	}
	c.Weights.spell(s.Weights)
	if s.Mode != plan.Weights {
		c.Activations.spell(s.Acts)
	}
	if len(c.Fix) == 0 {
		c.Fix = []string{Auto}
	}
	return c, nil
}

// spell names the format and the block of a scheme where they are left open.
func (c *Scheme) spell(s plan.Scheme) {
	if s.Format == nil {
		return
	}
	if c.Block == "" {
		c.Block = s.Block.String()
	}
	c.Format = s.Format.Name
}

// Settings turns a filled recipe into what a plan is made from.
func (r *Recipe) Settings() (plan.Settings, error) {
	if err := r.checkWords(); err != nil {
		return plan.Settings{}, err
	}
	s, err := plan.Default(r.Scheme)
	if err != nil {
		return s, err
	}
	s.Mode = plan.Mode(r.Mode)
	s.Target = plan.LookupTarget(r.Target)
	if s.Outliers = r.Outliers; s.Outliers < 0 || s.Outliers-s.Outliers != 0 {
		return s, fault.Invalidf("outliers", "%v is no bound on magnitudes", s.Outliers)
	}
	if s.Trim = float64(r.Trim); !(s.Trim >= 0 && s.Trim < 1) {
		return s, fault.Invalidf("trim", "%v is no share of answers, from 0 to below 1", s.Trim)
	}
	if _, err := r.Time(); err != nil {
		return s, err
	}
	s.Observer = calib.Lookup(r.Calibration.Observer)
	s.Exact = r.Calibration.Scales == Exact || r.Calibration.Scales == Auto && s.Observer == nil
	if s.Weights, err = r.Weights.over("weights", s.Mode, s.Weights); err != nil {
		return s, err
	}
	if s.Acts, err = r.Activations.overActs("activations", s.Mode, s.Acts); err != nil {
		return s, err
	}
	if s.Keep, err = r.patterns(); err != nil {
		return s, err
	}
	s.Overrides, err = r.overrides(s)
	return s, err
}

// Time returns the budget, 0 where it has none.
func (r *Recipe) Time() (time.Duration, error) {
	if r.Budget == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(r.Budget)
	if v, e := strconv.ParseFloat(r.Budget, 64); e == nil && v < 1e9 {
		d, err = time.Duration(v*float64(time.Second)), nil // seconds
	}
	if err != nil || d <= 0 {
		return 0, fault.Invalidf("budget", "%q is no time such as 5m or 90s", r.Budget)
	}
	return d, nil
}

func (r *Recipe) patterns() ([]plan.Pattern, error) {
	var list []plan.Pattern
	for _, k := range r.Keep {
		p, err := plan.ParsePattern(k.Pattern)
		if err != nil {
			return nil, fault.At("keep", err)
		}
		list = append(list, p)
	}
	return list, nil
}

func (r *Recipe) overrides(s plan.Settings) ([]plan.Override, error) {
	var list []plan.Override
	for i, o := range r.Overrides {
		place := fmt.Sprintf("overrides[%d]", i)
		p, err := plan.ParsePattern(o.Match)
		if err != nil {
			return nil, fault.At(place, err)
		}
		w, err := o.Weights.over(place+".weights", s.Mode, s.Weights)
		if err != nil {
			return nil, err
		}
		a, err := o.Activations.overActs(place+".activations", s.Mode, s.Acts)
		if err != nil {
			return nil, err
		}
		list = append(list, plan.Override{Match: p, Weights: &w, Acts: &a})
	}
	return list, nil
}

// overActs is over for activations, which share one scale, or where it is found while running may
// have one for each row.
func (c Scheme) overActs(place string, mode plan.Mode, s plan.Scheme) (plan.Scheme, error) {
	block := s.Block
	s, err := c.over(place, plan.Static, s)
	if c.Block == "" {
		s.Block = block
	}
	if mode == plan.Dynamic && s.Block.Kind == format.Channel {
		return s, err
	}
	if err == nil && s.Block.Kind != format.Whole {
		return s, fault.Unsupportedf(place+".block", "%q is not supported for activations", c.Block).WithHint("supported: tensor, and row in mode dynamic")
	}
	return s, err
}

// over lays a recipe's scheme over a default. A format that names no block takes its own.
func (c Scheme) over(place string, mode plan.Mode, s plan.Scheme) (plan.Scheme, error) {
	if c.Format != "" {
		if err := formatWords().check(place+".format", c.Format); err != nil {
			return s, err
		}
		s.Format = format.Lookup(c.Format)
		s.Block = mode.WeightBlock(s.Format)
	}
	if c.Observer != "" {
		if err := namedObservers().check(place+".observer", c.Observer); err != nil {
			return s, err
		}
		s.Observer = calib.Lookup(c.Observer)
	}
	if c.Block != "" {
		b, err := format.ParseBlock(c.Block)
		if err != nil {
			return s, fault.Invalidf(place, "%v", err)
		}
		s.Block = b
	}
	return s, nil
}
