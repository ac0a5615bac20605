// Package plan decides which value takes which number format, and why.
//
// A plan is data: what comes before it only looks at the network, what comes after it only
// obeys. It reads and writes as JSON with one line for each value and each node, so that a
// person can read, edit and compare it.
package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"lowbit/internal/calib"
	"lowbit/internal/format"
)

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
	Recipe json.RawMessage // what it was made from, as JSON; nil where that is not known
	Values []*Value        // in the order of the graph
	Nodes  []*Node         // those that could compute in few bits, in the order of the graph
	Fixes  []Fix           // what repairs changed in the network that the plan is for
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
	Fitted []format.Params // those that repairs began with, where they gave a weight others; else nil
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
	halves bool   // its results are often halves of a step
	stays  int    // bytes of weights that it reads in float for no other reason than that the mode is Static
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

// Stays tells of the nodes whose weights stay in float in mode Static alone: their operators, and how many bytes these weights take.
func (p *Plan) Stays() (ops []string, bytes int) {
	for _, n := range p.Nodes {
		if bytes += n.stays; n.stays > 0 && !slices.Contains(ops, n.Op) {
			ops = append(ops, n.Op)
		}
	}
	return ops, bytes
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

// Obstacles sums up why nodes stay in float, and which operators these are, most frequent reason first.
func (p *Plan) Obstacles() string {
	count, ops := map[string]int{}, map[string][]string{}
	var order []string
	for _, n := range p.Nodes {
		if n.Quantized {
			continue
		}
		if count[n.Reason]++; count[n.Reason] == 1 {
			order = append(order, n.Reason)
		}
		if n.Op != "" && !slices.Contains(ops[n.Reason], n.Op) {
			ops[n.Reason] = append(ops[n.Reason], n.Op)
		}
	}
	if len(order) == 0 {
		return "it has no operator with weights"
	}
	slices.SortStableFunc(order, func(a, b string) int { return count[b] - count[a] })
	order = order[:min(3, len(order))]
	for i, why := range order {
		if list := ops[why]; len(list) > 3 {
			order[i] = fmt.Sprintf("%s and %d other operators: %s", strings.Join(list[:3], ", "), len(list)-3, why)
		} else if len(list) > 0 {
			order[i] = strings.Join(list, ", ") + ": " + why
		}
	}
	return strings.Join(order, "; ")
}
