// Package plan decides which value takes which number format, and why.
//
// A plan is data: what comes before it only looks at the network, what comes after it only
// obeys. It reads and writes as JSON with one line for each value and each node, so that a
// person can read, edit and compare it.
package plan

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"lowbit/internal/calib"
	"lowbit/internal/fault"
	"lowbit/internal/format"
)

// Schema is the version of the JSON form.
const Schema = "lowbit.plan/v1"

// Mode is when activations are quantized.
type Mode string

// The modes of quantization.
const (
	Static  Mode = "static"  // with parameters from calibration
	Dynamic Mode = "dynamic" // with parameters found while running
	Weights Mode = "weights" // not at all
	Convert Mode = "convert" // by computing in another floating-point type
)

// A Plan says how every value of a network is to be stored.
type Plan struct {
	Mode   Mode
	Target string
	Values []*Value // in the order of the graph
	Nodes  []*Node  // those that could compute in few bits, in the order of the graph
	Fixes  []Fix    // what repairs changed in the network that the plan is for
}

// A Fix is what one repair changed at one value or node.
type Fix struct {
	Repair string `json:"repair"`
	Place  string `json:"place"`
	What   string `json:"what"`
}

// Repairs lists the repairs that changed something, each once.
func (p *Plan) Repairs() []string {
	list := []string{}
	for _, f := range p.Fixes {
		if !slices.Contains(list, f.Repair) {
			list = append(list, f.Repair)
		}
	}
	return list
}

// Clone returns a copy that may be changed freely.
func (p *Plan) Clone() *Plan {
	c := *p
	c.Values, c.Nodes, c.Fixes = nil, nil, slices.Clone(p.Fixes)
	for _, v := range p.Values {
		v := *v
		v.Params = slices.Clone(v.Params)
		c.Values = append(c.Values, &v)
	}
	for _, n := range p.Nodes {
		n := *n
		n.Inputs = slices.Clone(n.Inputs)
		c.Nodes = append(c.Nodes, &n)
	}
	return &c
}

// The roles of a value.
const (
	RoleActivation = "activation" // flows while running
	RoleWeight     = "weight"     // a constant factor, quantized along its channels
	RoleConstant   = "constant"   // a constant that takes part like an activation
	RoleBias       = "bias"       // int32 at the product of two scales
)

// A Value is one line of a plan.
type Value struct {
	Name   string // in the graph
	As     string // the name that nodes call it by: Name, or another where one constant is quantized in two ways
	Role   string
	Format string
	Block  format.Block
	Params []format.Params // empty until fitted
	Like   string          // takes the parameters of the value of that name
	Input  string          // of a bias: the activation whose scale it multiplies
	Weight string          // of a bias: the weight whose scale it multiplies
	SQNR   float64         // of a constant: signal to quantization noise in dB
	Reason string

	observer *calib.Observer // asked for; nil: the one of the settings, of a weight its format's own rule
	idle     bool            // the observer chose what there would have been without it
}

// A Node says whether a node computes on quantized values.
type Node struct {
	Name, Op  string
	Quantized bool
	Reason    string

	// Inputs names for each input the quantized value to read; "" reads the input as it is. A node
	// that is not quantized may have its weight here: it is stored in codes and computed with in float.
	Inputs []string

	// Rows says that in dynamic mode each row of the activations finds a scale of its own.
	Rows bool

	output string // the value that it writes, by As; "" where that is not quantized
	sum    bool   // it adds its operands
}

// Value returns the line that nodes call by that name, or nil.
func (p *Plan) Value(as string) *Value {
	for _, v := range p.Values {
		if v.As == as {
			return v
		}
	}
	return nil
}

// Observed returns the names of the values whose range calibration has to find.
func (p *Plan) Observed() []string {
	var list []string
	for _, v := range p.Values {
		if v.Role == RoleActivation && v.Like == "" && len(v.Params) == 0 {
			list = append(list, v.Name)
		}
	}
	return list
}

// Idle tells of each observer that was asked for and changed nothing: for every value it chose what
// minmax would have, or for every weight what the format's own rule does. Activations are left out
// where their observer was nobody's choice.
func (p *Plan) Idle(activations bool) []string {
	type use struct{ role, name string }
	busy := map[use]bool{}
	var order []use
	for _, v := range p.Values {
		if v.observer == nil || v.Role == RoleActivation && !activations {
			continue
		}
		u := use{v.Role, v.observer.Name}
		if _, ok := busy[u]; !ok {
			order = append(order, u)
		}
		busy[u] = busy[u] || !v.idle
	}
	var notes []string
	for _, u := range order {
		if !busy[u] && u.role == RoleWeight {
			notes = append(notes, fmt.Sprintf("observer %s of weights changed nothing: each keeps the scale that its format's own rule gives", u.name))
		} else if !busy[u] && u.name != calib.MinMax.Name {
			notes = append(notes, fmt.Sprintf("observer %s changed nothing: for every activation it chose what %s would have", u.name, calib.MinMax.Name))
		}
	}
	return notes
}

// Quantized returns how many nodes compute on quantized values.
func (p *Plan) Quantized() int {
	n := 0
	for _, d := range p.Nodes {
		if d.Quantized {
			n++
		}
	}
	return n
}

// valueJSON and nodeJSON are the lines of the JSON form.
type valueJSON struct {
	Value  string    `json:"value"`
	As     string    `json:"as,omitempty"`
	Role   string    `json:"role"`
	Format string    `json:"format"`
	Block  string    `json:"block"`
	Axis   *int      `json:"axis,omitempty"`
	Flat   bool      `json:"flat,omitempty"`
	Scale  []float32 `json:"scale,omitempty"`
	Zero   []int32   `json:"zero,omitempty"`
	Like   string    `json:"like,omitempty"`
	Input  string    `json:"input,omitempty"`
	Weight string    `json:"weight,omitempty"`
	SQNR   float64   `json:"sqnr_db,omitempty"`
	Reason string    `json:"reason"`
}

type nodeJSON struct {
	Node      string   `json:"node"`
	Op        string   `json:"op"`
	Quantized bool     `json:"quantized"`
	Inputs    []string `json:"inputs,omitempty"`
	Rows      bool     `json:"rows,omitempty"`
	Reason    string   `json:"reason"`
}

type planJSON struct {
	Schema string            `json:"schema"`
	Mode   Mode              `json:"mode"`
	Target string            `json:"target"`
	Values []json.RawMessage `json:"values"`
	Nodes  []json.RawMessage `json:"nodes"`
	Fixes  []Fix             `json:"fixes,omitempty"`
}

// MarshalJSON writes the plan with one line for each value and node.
func (p *Plan) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\"schema\":%q,\"mode\":%q,\"target\":%q,\n\"values\":[", Schema, p.Mode, p.Target)
	for i, v := range p.Values {
		if err := writeLine(&b, i, v.line()); err != nil {
			return nil, err
		}
	}
	b.WriteString("\n],\"nodes\":[")
	for i, n := range p.Nodes {
		if err := writeLine(&b, i, nodeJSON{n.Name, n.Op, n.Quantized, n.Inputs, n.Rows, n.Reason}); err != nil {
			return nil, err
		}
	}
	if len(p.Fixes) > 0 {
		b.WriteString("\n],\"fixes\":[")
	}
	for i, f := range p.Fixes {
		if err := writeLine(&b, i, f); err != nil {
			return nil, err
		}
	}
	b.WriteString("\n]}")
	return b.Bytes(), nil
}

// Encode returns the JSON form as a file holds it.
func (p *Plan) Encode() ([]byte, error) {
	b, err := p.MarshalJSON()
	return append(b, '\n'), err
}

func writeLine(b *bytes.Buffer, i int, v any) error {
	if i > 0 {
		b.WriteByte(',')
	}
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	b.WriteByte('\n')
	b.Write(line)
	return nil
}

func (v *Value) line() valueJSON {
	l := valueJSON{Value: v.Name, Role: v.Role, Format: v.Format, Block: v.Block.String(), Like: v.Like,
		Input: v.Input, Weight: v.Weight, SQNR: v.SQNR, Reason: v.Reason}
	if v.As != v.Name {
		l.As = v.As
	}
	if v.Block.Kind != format.Whole {
		l.Axis, l.Flat = &v.Block.Axis, v.Block.Flat
	}
	for _, p := range v.Params {
		l.Scale = append(l.Scale, p.Scale)
		l.Zero = append(l.Zero, p.Zero)
	}
	return l
}

// UnmarshalJSON reads the form that MarshalJSON writes. Unknown keys are errors.
func (p *Plan) UnmarshalJSON(data []byte) error {
	var in planJSON
	if err := strict(data, &in); err != nil {
		return err
	}
	if in.Schema != Schema {
		return fault.Invalidf("plan", "schema %q is not %q", in.Schema, Schema)
	}
	*p = Plan{Mode: in.Mode, Target: in.Target, Fixes: in.Fixes}
	for i, raw := range in.Values {
		v, err := parseValue(raw)
		if err != nil {
			return fault.Invalidf(fmt.Sprintf("plan: values[%d]", i), "%v", err)
		}
		p.Values = append(p.Values, v)
	}
	for i, raw := range in.Nodes {
		var n nodeJSON
		if err := strict(raw, &n); err != nil {
			return fault.Invalidf(fmt.Sprintf("plan: nodes[%d]", i), "%v", err)
		}
		p.Nodes = append(p.Nodes, &Node{Name: n.Node, Op: n.Op, Quantized: n.Quantized, Reason: n.Reason, Inputs: n.Inputs, Rows: n.Rows})
	}
	return nil
}

func strict(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	return d.Decode(v)
}

func parseValue(raw []byte) (*Value, error) {
	var l valueJSON
	if err := strict(raw, &l); err != nil {
		return nil, err
	}
	v := &Value{Name: l.Value, As: cmp.Or(l.As, l.Value), Role: l.Role, Format: l.Format, Like: l.Like, Input: l.Input, Weight: l.Weight, SQNR: l.SQNR, Reason: l.Reason}
	var err error
	if v.Block, err = format.ParseBlock(l.Block); err != nil {
		return nil, err
	}
	if l.Axis != nil {
		v.Block.Axis, v.Block.Flat = *l.Axis, l.Flat
	}
	if v.Role != RoleBias && format.Lookup(v.Format) == nil {
		return nil, fmt.Errorf("%q: unknown format %q", l.Value, l.Format)
	}
	if len(l.Scale) != len(l.Zero) {
		return nil, fmt.Errorf("%q: %d scales and %d zero points", l.Value, len(l.Scale), len(l.Zero))
	}
	for i, s := range l.Scale {
		if !(s > 0) || s > 1e38 {
			return nil, fmt.Errorf("%q: scale %v is not positive and finite", l.Value, s)
		}
		v.Params = append(v.Params, format.Params{Scale: s, Zero: l.Zero[i]})
	}
	return v, nil
}

// Opset is the first default-domain opset that can write constants of a scheme; 0 for float.
func (s Scheme) Opset() int {
	switch {
	case s.Format == nil:
		return 0
	case s.Block.Kind == format.Group:
		return max(21, s.Format.Opset)
	}
	return s.Format.Opset
}

// FlowOpset is the first default-domain opset that can write values of a scheme that flow, and
// constants among them; they take eight bits where they have fewer.
func (s Scheme) FlowOpset() int {
	if s.Format == nil || s.Format.Bits < 8 {
		return 0
	}
	return s.Format.Opset
}

// Opset is the first default-domain opset that can write the plan.
func (p *Plan) Opset() int {
	need := 13
	for _, v := range p.Values {
		s := Scheme{Format: format.Lookup(v.Format), Block: v.Block}
		if v.Role == RoleActivation || v.Role == RoleConstant {
			need = max(need, s.FlowOpset())
		} else {
			need = max(need, s.Opset())
		}
	}
	return need
}

// Obstacles sums up why nodes stay in float, most frequent reason first.
func (p *Plan) Obstacles() string {
	count := map[string]int{}
	var order []string
	for _, n := range p.Nodes {
		if !n.Quantized {
			if count[n.Reason] == 0 {
				order = append(order, n.Reason)
			}
			count[n.Reason]++
		}
	}
	slices.SortStableFunc(order, func(a, b string) int { return count[b] - count[a] })
	if len(order) == 0 {
		return "it has no operator with weights"
	}
	return strings.Join(order[:min(3, len(order))], "; ")
}
